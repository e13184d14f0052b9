package query

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// now is when the examples are asked.
var now = time.Date(2026, 9, 25, 12, 0, 0, 0, time.UTC)

// letter is a listing of the guide.
type letter struct {
	intel.Listing
	Letter   string       `json:"listing"`
	FeedName string       `json:"feed_name"`
	Facts    intel.Fields `json:"facts"`
}

func (l *letter) doc() Doc {
	l.Info = &intel.FeedInfo{ID: l.Feed, Name: l.FeedName, Provider: l.Provider}
	return Doc{&l.Listing, l.Facts}
}

// row is a row of one of the guide's tables: the query and the second cell.
type row struct{ query, want string }

// guide reads the listings and the examples out of docs/query.md.
func guide(t testing.TB) (listings []*letter, finds, errs []row) {
	t.Helper()
	text, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```json\n")
	if !ok {
		t.Fatal("docs/query.md has no listings")
	}
	block, _, _ = strings.Cut(block, "\n```")
	for line := range strings.SplitSeq(block, "\n") {
		l := new(letter)
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(l); err != nil {
			t.Fatalf("%.60s: %v", line, err)
		}
		listings = append(listings, l)
	}
	cells := regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]*)\\|(.*)")
	header := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			header = ""
		} else if header == "" {
			header = line
		}
		m := cells.FindStringSubmatch(line)
		switch {
		case m == nil:
		case strings.HasPrefix(header, "| query | finds"):
			finds = append(finds, row{m[1], m[3] + "|" + strings.TrimSpace(m[2])})
		case strings.HasPrefix(header, "| query | error"):
			errs = append(errs, row{m[1], strings.TrimSpace(m[2])})
		}
	}
	return listings, finds, errs
}

func TestGuide(t *testing.T) {
	listings, finds, errs := guide(t)
	if len(listings) != 8 || len(finds) < 100 || len(errs) < 10 {
		t.Fatalf("read %d listings, %d examples, %d errors", len(listings), len(finds), len(errs))
	}
	for _, r := range finds {
		comment, want, _ := strings.Cut(r.want, "||")
		if comment == r.want {
			i := strings.LastIndexByte(r.want, '|')
			comment, want = r.want[:i], r.want[i+1:]
		}
		n, err := Parse(r.query, now)
		if strings.Contains(comment, "refused") {
			if err == nil {
				t.Errorf("%s: parsed, but the guide says that it is refused", r.query)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.query, err)
			continue
		}
		for form, n := range map[string]Node{"": n, "normal form": Normal(n), "printed": reparse(t, n)} {
			var got []string
			for _, l := range listings {
				if Match(n, l.doc()) {
					got = append(got, l.Letter)
				}
			}
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%s %s: finds %s, the guide says %q (%s)", r.query, form, got, want, n)
			}
		}
	}
	for _, r := range errs {
		if _, err := Parse(r.query, now); err == nil || err.Error() != r.want {
			t.Errorf("%s:\n got  %v\n want %s", r.query, err, r.want)
		}
	}
}

// TestGuideFields: the guide's table has every field.
func TestGuideFields(t *testing.T) {
	text, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(Fields(), "context.NAME") {
		if !strings.Contains(string(text), "\n| `"+string(f)+"` | ") {
			t.Errorf("docs/query.md has no row for %s", f)
		}
	}
}

// reparse prints the node, parses that and compares.
func reparse(t testing.TB, n Node) Node {
	t.Helper()
	again, err := Parse(n.String(), now)
	if err != nil {
		t.Fatalf("%s: %v", n, err)
	}
	return again
}
