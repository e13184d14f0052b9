package parse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/google/go-cmp/cmp"
)

// linesOf reads all lines; a long one has an exclamation mark before it.
func linesOf(r io.Reader) (got []string, err error) {
	in := newLines(context.Background(), r)
	for {
		ln, ok := in.next()
		if !ok {
			return got, in.err
		}
		if ln.no != len(got)+1 {
			return got, errors.New("a line number is missing")
		}
		if ln.long {
			ln.text = "!" + ln.text[:8]
		}
		got = append(got, ln.text)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for in, want := range map[string][]string{
		"":                            nil,
		"\n":                          {""},
		"a":                           {"a"},
		"a\nb\n":                      {"a", "b"},
		"a\r\nb\r\n":                  {"a", "b"},
		"a\rb\rc":                     {"a", "b", "c"},
		"a\r\rb\r":                    {"a", "", "b"},
		"a\r\r\nb":                    {"a", "b"},
		"a\n\rb":                      {"a", "", "b"},
		"a\n\nb":                      {"a", "", "b"},
		"\xef\xbb\xbfa\n\xef\xbb\xbf": {"a", "\ufeff"},
		"\xef\xbb\xbf":                nil,
		"\xff\xfea\x00\n\x00b\x00":    {"a", "b"},
		"\xfe\xff\x00a\x00\r\x00b":    {"a", "b"},
		"M\xfcnchen\nK\xc3\xb6ln":     {"München", "Köln"},
		long + "\nb":                  {"!xxxxxxxx", "b"},
		"a\n" + long + "\r\nb\n":      {"a", "!xxxxxxxx", "b"},
		"a\r" + long + "\rb\r":        {"a", "!xxxxxxxx", "b"},
		long + long + long:            {"!xxxxxxxx"},
		long[:maxLine-1] + "\nb":      {long[:maxLine-1], "b"},
	} {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(in),
			"half":  iotest.HalfReader(strings.NewReader(in)),
			"eof":   iotest.DataErrReader(strings.NewReader(in)),
		} {
			got, err := linesOf(r)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%.20q read %s: %.80q %v, want %.80q", in, name, got, err, want)
			}
		}
	}
}

// TestBrokenStream checks that a stream that breaks off gives what it gave, never
// half a line, and an error with the line.
func TestBrokenStream(t *testing.T) {
	reset := errors.New("connection reset")
	for format, in := range map[string]string{
		"txt":    "192.0.2.1\n192.0.2.2\n192.0.2.3",
		"csv":    "192.0.2.1,a\n192.0.2.2,b\n192.0.2.3,\"c",
		"hosts":  "0.0.0.0 a.example\n0.0.0.0 b.example\n0.0.0.0 c.exam",
		"ndjson": "{\"v\":\"192.0.2.1\"}\n{\"v\":\"192.0.2.2\"}\n{\"v\":\"192.0.2.3\"}",
		"json":   "[{\"v\":\"192.0.2.1\"},\n{\"v\":\"192.0.2.2\"},\n{\"v\":\"192.0.2.3",
	} {
		spec := Spec{Type: format, Kinds: intel.Address, Columns: []Column{{Source: "v", Field: Indicator}}}
		if f, _ := formatOf(format); f.kinds != 0 {
			spec.Kinds, spec.Columns = intel.Domain.Set(), nil
		}
		res, err := Collect(context.Background(), io.MultiReader(strings.NewReader(in), iotest.ErrReader(reset)), spec, Options{})
		if !errors.Is(err, reset) || !strings.Contains(err.Error(), "line") {
			t.Errorf("%s: error %v", format, err)
		}
		checkSum(t, res)
		if res.Accepted != 2 {
			t.Errorf("%s: %+v from two whole records %+v", format, res.Counts, res.Entries)
		}
	}
}

func TestCancelled(t *testing.T) {
	for _, format := range Formats() {
		ctx, cancel := context.WithCancel(context.Background())
		spec := Spec{Type: format, Kinds: intel.AnyKind, Columns: []Column{{Source: "v", Field: Indicator}}}
		if f, _ := formatOf(format); f.kinds != 0 {
			spec.Columns = nil
		}
		endless := io.MultiReader(strings.NewReader("["), readerFunc(func(p []byte) (int, error) {
			cancel()
			return copy(p, "\n"), nil
		}))
		if _, err := Collect(ctx, endless, spec, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// readerFunc is a reader in one function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestReadSizes checks that it does not matter in which pieces the bytes come.
func TestReadSizes(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join("testdata", "*", "*", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dirs {
		spec, input := goldenCase(t, filepath.Dir(file))
		for name, r := range map[string]io.Reader{
			"one byte":     iotest.OneByteReader(bytes.NewReader(input)),
			"half":         iotest.HalfReader(bytes.NewReader(input)),
			"data and EOF": iotest.DataErrReader(bytes.NewReader(input)),
		} {
			res, _ := Collect(context.Background(), r, spec, goldenOptions())
			want, err := os.ReadFile(filepath.Join(filepath.Dir(file), "expected.ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(dump(res))); diff != "" {
				t.Errorf("%s read by %s (-want +got):\n%s", file, name, diff)
			}
		}
	}
}

// TestLongLines checks that a line beyond the cap costs that line only.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("y", 3*maxLine)
	for format, parts := range map[string][3]string{
		"txt":    {"a.example\n", long, "\nb.example\n"},
		"csv":    {"a.example,x\n", "\"" + long + "\"", "\nb.example\n"},
		"hosts":  {"0.0.0.0 a.example\n", "0.0.0.0 " + long, "\n0.0.0.0 b.example"},
		"ndjson": {"{\"v\":\"a.example\"}\n", "{\"v\":\"" + long + "\"}", "\n{\"v\":\"b.example\"}"},
	} {
		spec := Spec{Type: format, Kinds: intel.Domain.Set()}
		if format == "csv" || format == "ndjson" {
			spec.Columns = []Column{{Source: "v", Field: Indicator}}
		}
		comment := "# " + long + "\n"
		if format == "ndjson" {
			comment = ""
		}
		res, err := Collect(context.Background(), strings.NewReader(comment+strings.Join(parts[:], "")), spec, Options{})
		if err != nil {
			t.Errorf("%s: %v", format, err)
		}
		want := intel.Counts{Read: 3, Accepted: 2, Rejected: 1}
		if res.Counts != want || res.Rejects[0].Reason != longLine || len(res.Rejects[0].Value) > maxShown {
			t.Errorf("%s: %+v %.300v", format, res.Counts, res.Rejects)
			continue
		}
		if line := 2 + strings.Count(comment, "\n"); res.Rejects[0].Line != line {
			t.Errorf("%s: rejected on line %d, not %d", format, res.Rejects[0].Line, line)
		}
	}
}
