package intel

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// goldenCase is one line of testdata/canonical.tsv.
type goldenCase struct {
	line      int
	input     string
	kinds     KindSet
	kind      string
	canonical string
}

var repetition = regexp.MustCompile(`\{([^{}*]+)\*(\d+)\}`)

// unescape reads a column: Go's escapes, and {x*9} for nine x.
func unescape(t testing.TB, s string) string {
	t.Helper()
	s = repetition.ReplaceAllStringFunc(s, func(m string) string {
		g := repetition.FindStringSubmatch(m)
		n, _ := strconv.Atoi(g[2])
		return strings.Repeat(g[1], n)
	})
	u, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		t.Fatalf("column %s: %v", s, err)
	}
	return u
}

// goldenCases reads the table of hard cases.
func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	b, err := os.ReadFile("testdata/canonical.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		col := strings.Split(line, "\t")
		if len(col) != 4 {
			t.Fatalf("line %d has %d columns, not 4: %q", n+1, len(col), line)
		}
		kinds, err := ParseKindSet(col[1])
		if err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		cases = append(cases, goldenCase{n + 1, unescape(t, col[0]), kinds, col[2], unescape(t, col[3])})
	}
	if len(cases) < 300 {
		t.Fatalf("only %d cases", len(cases))
	}
	return cases
}

func TestCanonicalGolden(t *testing.T) {
	for _, c := range goldenCases(t) {
		got, err := Parse(c.input, c.kinds)
		if c.kind == "-" {
			var v *ValueError
			if !errors.As(err, &v) {
				t.Errorf("line %d: Parse(%.80q, %v) = %v %.80q, want error %s", c.line, c.input, c.kinds, got.Kind, got.Value, c.canonical)
			} else if v.Code != c.canonical {
				t.Errorf("line %d: Parse(%.80q, %v): code %s (%s), want %s", c.line, c.input, c.kinds, v.Code, v.Reason, c.canonical)
			}
			continue
		}
		if err != nil {
			t.Errorf("line %d: Parse(%.80q, %v): %v, want %.80q", c.line, c.input, c.kinds, err, c.canonical)
		} else if got.Kind.String() != c.kind || got.Value != c.canonical {
			t.Errorf("line %d: Parse(%.80q, %v) = %v %.80q, want %s %.80q", c.line, c.input, c.kinds, got.Kind, got.Value, c.kind, c.canonical)
		}
		if c.kinds == AnyKind {
			continue
		}
		if d, err := Detect(c.input); err == nil && d.Kind == got.Kind && d != got {
			t.Errorf("line %d: Detect(%.80q) = %v, Parse gave %v", c.line, c.input, d, got)
		}
	}
}
