package parse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the tests got as what they expect")

// TestGolden reads each case folder testdata/FORMAT/CASE: spec.json and input,
// compared with expected.ndjson (entries, rejects, then the account) and, where
// reading must fail, expected.err.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join("testdata", "*", "*", "spec.json"))
	if err != nil || len(dirs) < 40 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.ToSlash(strings.TrimPrefix(dir, "testdata"+string(filepath.Separator))), func(t *testing.T) {
			spec, input := goldenCase(t, dir)
			res, err := Collect(context.Background(), bytes.NewReader(input), spec, goldenOptions())
			checkSum(t, res)
			golden(t, filepath.Join(dir, "expected.ndjson"), dump(res))
			var message []byte
			if err != nil {
				message = []byte(err.Error() + "\n")
			}
			golden(t, filepath.Join(dir, "expected.err"), message)
		})
	}
}

// goldenOptions are those that all cases are read with.
func goldenOptions() Options { return Options{Now: time.Date(2026, 8, 22, 0, 0, 0, 0, time.UTC)} }

// goldenCase reads a case's spec and input. The folder's first part is the format.
func goldenCase(t testing.TB, dir string) (Spec, []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := decodeSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	if folder := filepath.Base(filepath.Dir(dir)); spec.Type != folder {
		t.Fatalf("type %q in the folder %q", spec.Type, folder)
	}
	input, err := os.ReadFile(filepath.Join(dir, "input"))
	if err != nil {
		t.Fatal(err)
	}
	return spec, input
}

// golden compares got with a file; nil means that there is no file.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		err := os.Remove(file)
		if got != nil {
			err = os.WriteFile(file, got, 0o644)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(file), diff)
	}
}

// dump writes a result as NDJSON.
func dump(res *Result) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, x := range res.Entries {
		context := map[string]any{}
		for _, f := range x.Fields {
			context[f.Name] = f.Values
			if len(f.Values) == 1 {
				context[f.Name] = f.Values[0]
			}
		}
		e.Encode(struct {
			Kind     intel.Kind     `json:"kind"`
			Value    string         `json:"value"`
			Original string         `json:"original"`
			Context  map[string]any `json:"context"`
			Line     int            `json:"line"`
		}{x.Indicator.Kind, x.Indicator.Value, x.Original, context, x.Line})
	}
	for _, r := range res.Rejects {
		e.Encode(map[string]intel.Reject{"reject": r})
	}
	e.Encode(struct {
		intel.Counts
		For map[string]int `json:"suppressed_for,omitempty"`
	}{res.Counts, res.SuppressedFor})
	return b.Bytes()
}

// checkSum checks what must hold of every result.
func checkSum(t testing.TB, res *Result) {
	t.Helper()
	if res.Read != res.Accepted+res.Duplicate+res.Suppressed+res.Rejected {
		t.Errorf("the account does not add up: %+v", res.Counts)
	}
	if res.Accepted != len(res.Entries) {
		t.Errorf("%d accepted, %d entries", res.Accepted, len(res.Entries))
	}
	suppressed := 0
	for _, n := range res.SuppressedFor {
		suppressed += n
	}
	if suppressed != res.Suppressed {
		t.Errorf("%d suppressed, for reasons %v", res.Suppressed, res.SuppressedFor)
	}
	seen := map[intel.Indicator]bool{}
	for _, e := range res.Entries {
		if seen[e.Indicator] {
			t.Errorf("%v twice", e.Indicator)
		}
		seen[e.Indicator] = true
		checkFields(t, e.Fields)
	}
}

// checkFields checks that fields are sorted, distinct and not empty.
func checkFields(t testing.TB, fields intel.Fields) {
	t.Helper()
	for i, f := range fields {
		if f.Name == "" || len(f.Values) == 0 || i > 0 && fields[i-1].Name >= f.Name {
			t.Errorf("field %d of %v", i, fields)
		}
		for j, v := range f.Values {
			if v == "" || j > 0 && f.Values[j-1] >= v {
				t.Errorf("value %d of %v", j, f)
			}
		}
	}
}
