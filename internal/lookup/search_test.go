package lookup_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/query"
)

// searched is when the searches below happen; a test may move it.
var searched = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// partialEngine finds as lookuptest does, but ends after stop listings, as a
// budget does.
type partialEngine struct {
	lookuptest.Engine
	stop   int // -1 = never
	asked  query.Search
	inside error // returned in place of a page
}

func (e *partialEngine) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	e.asked = s
	if e.inside != nil {
		return query.Page{}, e.inside
	}
	n, ended := 0, errors.New("budget")
	page, err := e.Engine.Search(ctx, s, func(l *intel.Listing) error {
		if n == e.stop {
			return ended
		}
		n++
		return emit(l)
	})
	if errors.Is(err, ended) {
		return query.Page{Total: n, Partial: true}, nil
	}
	return page, err
}

// many is a service over n domains in two feeds, one listed each hour before searched.
func many(t *testing.T, n int) (*partialEngine, *lookup.Service, func(time.Duration)) {
	t.Helper()
	e := &partialEngine{stop: -1}
	odd, even := &intel.FeedInfo{ID: "odd", Name: "Odd", Tags: []string{"=1", "two words"}}, &intel.FeedInfo{ID: "even", Name: "Even"}
	for i := range n {
		info := odd
		if i%2 == 0 {
			info = even
		}
		e.Add(intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("d%03d.example", i)}, info, searched.Add(-time.Duration(i)*time.Hour), time.Time{}, "note", fmt.Sprint(i%3))
	}
	at := searched
	return e, lookup.New(e, func() time.Time { return at }), func(d time.Duration) { at = at.Add(d) }
}

func ask(t *testing.T, s *lookup.Service, text string, o lookup.SearchOptions) (lookup.Found, []string) {
	t.Helper()
	var values []string
	f, err := s.Search(t.Context(), text, o, func(l *intel.Listing) error {
		values = append(values, l.Canonical)
		if l.Relation != intel.RelExact {
			t.Errorf("%s has the relation %q", l.Canonical, l.Relation)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f, values
}

// Pages put together are the whole, in every order.
func TestSearch_pagesAreTheWhole(t *testing.T) {
	_, s, _ := many(t, 23)
	for _, name := range query.SortNames() {
		for _, sort := range []string{name, "-" + name} {
			whole, want := ask(t, s, "example", lookup.SearchOptions{Sort: sort})
			if whole.Total != 23 || whole.TotalIs != lookup.TotalExact || whole.Next != "" || len(want) != 23 {
				t.Fatalf("%s: %+v", sort, whole)
			}
			var got []string
			o := lookup.SearchOptions{Sort: sort, Limit: 5}
			for pages := 1; ; pages++ {
				f, values := ask(t, s, "example", o)
				got = append(got, values...)
				if f.Total != 23 {
					t.Errorf("%s, page %d: total %d", sort, pages, f.Total)
				}
				if o.Cursor, o.Sort = f.Next, ""; f.Next == "" { // the cursor knows the order
					break
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-whole +pages)\n%s", sort, d)
			}
		}
	}
}

// Ages count from when the first page was made, however late the next is asked for.
func TestSearch_cursorKeepsTheTime(t *testing.T) {
	e, s, wait := many(t, 40)
	first, _ := ask(t, s, "first_seen:<10h", lookup.SearchOptions{Limit: 3})
	wait(6 * time.Hour)
	if again, _ := ask(t, s, "first_seen:<10h", lookup.SearchOptions{Limit: 3}); again.Total >= first.Total {
		t.Fatalf("total %d, later %d", first.Total, again.Total)
	}
	f, values := ask(t, s, "first_seen:<10h", lookup.SearchOptions{Limit: 3, Cursor: first.Next})
	if f.Total != first.Total || len(values) != 3 || values[0] != "d003.example" {
		t.Errorf("total %d, values %v; the first page had %d", f.Total, values, first.Total)
	}
	// so does an as_of that means now
	first, _ = ask(t, s, "example", lookup.SearchOptions{Limit: 3, AsOf: "2026-11-20"})
	at := e.asked.AsOf
	wait(time.Hour)
	for _, asOf := range []string{"", "2026-11-20"} {
		f, _ = ask(t, s, "example", lookup.SearchOptions{Limit: 3, AsOf: asOf, Cursor: first.Next})
		if !e.asked.AsOf.Equal(at) || f.AsOf == nil || !f.AsOf.Equal(at) {
			t.Errorf("as of %v, then %v", at, e.asked.AsOf)
		}
		f, _ = ask(t, s, "example", lookup.SearchOptions{Limit: 3, AsOf: asOf, Cursor: f.Next})
		if !e.asked.AsOf.Equal(at) {
			t.Errorf("third page: as of %v, then %v", at, e.asked.AsOf)
		}
	}
	// what does not depend on the time has the same cursor at any, so that its page has the same ETag
	one, _ := ask(t, s, "example last_seen:>2020-01-01", lookup.SearchOptions{Limit: 3})
	wait(time.Minute)
	two, _ := ask(t, s, "example last_seen:>2020-01-01", lookup.SearchOptions{Limit: 3})
	if one.Next != two.Next || one.Next == "" {
		t.Errorf("cursors %q and %q", one.Next, two.Next)
	}
}

func TestSearch_refusals(t *testing.T) {
	_, s, _ := many(t, 9)
	first, _ := ask(t, s, "example", lookup.SearchOptions{Limit: 2, AsOf: "2026-11-20T11:00:00Z", Sort: "value"})
	with := func(change func(*lookup.SearchOptions)) lookup.SearchOptions {
		o := lookup.SearchOptions{Limit: 2, Cursor: first.Next}
		change(&o)
		return o
	}
	for _, tt := range []struct {
		query, option string
		o             lookup.SearchOptions
		want          string
	}{
		{"example", "sort", lookup.SearchOptions{Sort: "newest"}, "expected one of changed, first_seen"},
		{"example", "as_of", lookup.SearchOptions{AsOf: "tomorrow"}, "neither RFC 3339"},
		{"example", "as_of", lookup.SearchOptions{AsOf: "2027-01-01"}, "in the future"},
		{"example", "facets", lookup.SearchOptions{Facets: []string{"feed", "tags"}}, "did you mean tag?"},
		{"example", "facets", lookup.SearchOptions{Facets: strings.Split("value,kind,domain,port,feed,provider,tag,malware,threat_type,description,reference,tlp,confidence,listed,country,asn,org", ",")}, "17 fields, expected at most 16"},
		{"example", "facet_limit", lookup.SearchOptions{FacetLimit: 20_000}, "expected 1 to 10000"},
		{"example", "facet_limit", lookup.SearchOptions{FacetLimit: -1}, "expected 1 to 10000"},
		{"example", "cursor", lookup.SearchOptions{Cursor: "abc"}, "cut or changed"},
		{"example", "cursor", lookup.SearchOptions{Cursor: first.Next[:len(first.Next)-3]}, "cut or changed"},
		{"other", "cursor", with(func(*lookup.SearchOptions) {}), "another query"},
		{"example", "cursor", with(func(o *lookup.SearchOptions) { o.Sort = "-value" }), "the order value, not -value"},
		{"example", "cursor", with(func(o *lookup.SearchOptions) { o.AsOf = "2026-11-20T11:00:01Z" }), "another as_of"},
	} {
		_, err := s.Search(t.Context(), tt.query, tt.o, nil)
		var oe *lookup.OptionError
		if !errors.As(err, &oe) || oe.Option != tt.option || !strings.Contains(err.Error(), tt.want) || !lookup.IsRefusal(err) {
			t.Errorf("%s %+v: got %v, want %s: %s", tt.query, tt.o, err, tt.option, tt.want)
		}
		if tt.option == "cursor" && !errors.Is(err, lookup.ErrCursor) {
			t.Errorf("%v is no ErrCursor", err)
		}
	}
	// blanks, and what else the cursor's search was made with, make no difference
	for _, o := range []lookup.SearchOptions{with(func(o *lookup.SearchOptions) { o.Sort, o.AsOf = "value", "2026-11-20T12:00:00+01:00" }), with(func(o *lookup.SearchOptions) { o.Limit = 4 })} {
		if _, values := ask(t, s, "  example ", o); len(values) < 2 || values[0] != "d003.example" {
			t.Errorf("%+v: got %v", o, values)
		}
	}
	_, err := s.Search(t.Context(), "phishing AND", lookup.SearchOptions{}, nil)
	var qe *query.Error
	if !errors.As(err, &qe) || qe.Column != 13 || !lookup.IsRefusal(err) {
		t.Errorf("got %v", err)
	}
}

func TestSearch_failures(t *testing.T) {
	e, s, _ := many(t, 9)
	boom := errors.New("boom")
	_, err := s.Search(t.Context(), "example", lookup.SearchOptions{}, func(*intel.Listing) error { return boom })
	if err != boom { //nolint:errorlint // it must come back as it is
		t.Errorf("emit: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = s.Search(ctx, "example", lookup.SearchOptions{}, nil); !errors.Is(err, context.Canceled) || errors.Is(err, lookup.ErrEngine) {
		t.Errorf("ctx: got %v", err)
	}
	e.inside = boom
	if _, err = s.Search(t.Context(), "example", lookup.SearchOptions{}, nil); !errors.Is(err, lookup.ErrEngine) || !errors.Is(err, boom) || lookup.IsRefusal(err) {
		t.Errorf("engine: got %v", err)
	}
}

func TestSearch_partialIsNeverComplete(t *testing.T) {
	e, s, _ := many(t, 9)
	e.stop = 4
	f, values := ask(t, s, "example", lookup.SearchOptions{Limit: 8, Budget: time.Second, Facets: []string{"feed"}})
	if !f.Partial || f.TotalIs != lookup.TotalAtLeast || !strings.Contains(f.PartialReason, "ended after 1s") || len(values) != 4 || f.Next == "" {
		t.Fatalf("%+v %v", f, values)
	}
	e.stop = 0 // not even one: the same page can be asked for again
	g, _ := ask(t, s, "example", lookup.SearchOptions{Limit: 8, Budget: time.Second, Cursor: f.Next})
	if g.Next != f.Next || !g.Partial {
		t.Errorf("%+v", g)
	}
	e.stop = -1
	g, rest := ask(t, s, "example", lookup.SearchOptions{Limit: 8, Budget: time.Second, Cursor: f.Next})
	if g.Partial || g.TotalIs != lookup.TotalExact || len(rest) != 5 || rest[0] != "d004.example" {
		t.Errorf("%+v %v", g, rest)
	}
	e.Damage = errors.New("segment x: checksum")
	f, values = ask(t, s, "example", lookup.SearchOptions{Facets: []string{"feed"}})
	if !f.Partial || f.TotalIs != lookup.TotalAtLeast || !strings.Contains(f.PartialReason, "elasticintel verify") || len(values) != 9 || f.Facets["feed"].Exact || s.Damage() == nil {
		t.Errorf("%+v %v", f, values)
	}
	if strings.Contains(f.PartialReason, "checksum") {
		t.Errorf("the reason shows what is for the operator: %s", f.PartialReason)
	}
}

func TestSearch_facetsAndCounts(t *testing.T) {
	e, s, _ := many(t, 9)
	f, values := ask(t, s, "example", lookup.SearchOptions{Limit: -1, Facets: []string{"feed", "FEED", "context.Note"}, FacetLimit: 2})
	want := map[string]lookup.Facet{
		"feed":         {Values: []query.FacetValue{{Value: "even", Count: 5}, {Value: "odd", Count: 4}}, Exact: true},
		"context.note": {Values: []query.FacetValue{{Value: "0", Count: 3}, {Value: "1", Count: 3}}, Other: 3, Exact: true},
	}
	if d := cmp.Diff(want, f.Facets); d != "" || len(values) > 0 || f.Total != 9 || f.Next != "" || len(e.asked.Facets) != 2 {
		t.Errorf("%v %v (-want +got)\n%s", f, values, d)
	}
}

func TestSearch_ofOneIndicator(t *testing.T) {
	_, s, _ := many(t, 9)
	for q, want := range map[string]string{"203.0.113.9": "203.0.113.9", "hxxp://nowhere[.]invalid/": "http://nowhere.invalid/", "nothing": "", "203.0.113.9 x": "", "d001.example": "d001.example"} {
		f, values := ask(t, s, q, lookup.SearchOptions{})
		got := ""
		if f.Indicator != nil {
			got = f.Indicator.Value
		}
		if got != want || (f.Hint != "") != (want != "" && len(values) == 0) {
			t.Errorf("%s: indicator %q, hint %q", q, got, f.Hint)
		}
	}
}

// Whatever the text, its phrase is a query that finds it, or that has no words.
func FuzzPhrase(f *testing.F) {
	for _, s := range []string{"phishing kit", `a"b\c`, "“x”", `\“y`, `\\`, "*", "a*", "x:y", "!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := query.Parse(lookup.Phrase(text), searched)
		tokens := query.Tokens(nil, text)
		if err != nil {
			if len(tokens) > 0 && len(tokens) < query.MaxClauses && len(text) < query.MaxLength/2 && strings.ToValidUTF8(text, "") == text {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		l := intel.Listing{Description: text}
		if !query.Match(n, query.Doc{Listing: &l}) {
			t.Fatalf("%q: %s does not find it", text, n)
		}
	})
}

func TestPage_JSON(t *testing.T) {
	_, s, _ := many(t, 3)
	for _, limit := range []int{0, 2, -1} {
		var rows []byte
		f, err := s.Search(t.Context(), "example", lookup.SearchOptions{Limit: limit, Facets: []string{"feed"}}, func(l *intel.Listing) error {
			if len(rows) > 0 {
				rows = append(rows, ',')
			}
			rows = lookup.AppendResult(rows, l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		whole, streamed := f.AppendPage([]byte("x"), rows)[1:], f.AppendRest(append([]byte("x"+lookup.OpenPage), rows...))[1:]
		var a, b lookup.SearchPage
		for text, into := range map[string]*lookup.SearchPage{string(whole): &a, string(streamed): &b} {
			d := json.NewDecoder(strings.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(into); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("limit %d (-page +stream)\n%s", limit, d)
		}
		n := map[int]int{0: 3, 2: 2, -1: 0}[limit]
		if a.Total != 3 || a.Results == nil || len(a.Results) != n || (a.Next != nil) != (limit == 2) || a.Facets["feed"].Values == nil || a.Query != "example" {
			t.Errorf("limit %d: %s", limit, whole)
		}
		for _, r := range a.Results {
			if r.Value != r.Canonical || r.Relation != intel.RelExact {
				t.Errorf("%+v", r)
			}
			text, err := json.Marshal(r)
			if err != nil || !strings.HasPrefix(string(text), `{"value":"`+r.Value+`","feed":`) {
				t.Errorf("%s %v", text, err)
			}
		}
	}
}

func TestCSV_readsBack(t *testing.T) {
	var e lookuptest.Engine
	to := searched
	e.Add(intel.Indicator{Kind: intel.URL, Value: `http://a.example/,"x"`}, &intel.FeedInfo{ID: "f", Provider: "-1+1", Tags: []string{"a", "b"}, Description: "two\nlines"}, searched.Add(-time.Hour), to, "n", "1")
	var b []byte
	if _, err := lookup.New(&e, func() time.Time { return searched }).Search(t.Context(), "*", lookup.SearchOptions{}, func(l *intel.Listing) error {
		b = lookup.AppendCSV(b, l)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(lookup.CSVHeader + string(b))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v %q", err, rows)
	}
	at := func(name string) string { return rows[1][slices.Index(rows[0], name)] }
	for name, want := range map[string]string{"value": `http://a.example/,"x"`, "kind": "url", "listed": "false", "provider": "'-1+1", "tags": "a;b", "description": "two\nlines",
		"intervals": "2026-11-20T11:00:00Z/2026-11-20T12:00:00Z", "context": `{"n":"1"}`, "malware": ""} {
		if got := at(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
