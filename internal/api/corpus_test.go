package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// load puts a run of a feed into the corpus.
func load(t *testing.T, c *corpus.Corpus, info *intel.FeedInfo, at time.Time, values ...string) {
	t.Helper()
	var entries []intel.Entry
	for i, v := range values {
		e := intel.Entry{Indicator: ind(t, v), Original: v, Line: i + 1}
		e.Fields.Add("note", "n"+v)
		e.Fields.Add(intel.FieldTags, "t1")
		entries = append(entries, e)
	}
	prev, etag, err := c.Head(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Merge(t.Context(), prev, entries, corpus.MergeOptions{Feed: info.ID, Info: *info, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	head := &corpus.Head{Feed: info.ID, Version: 1, Info: *info, Segments: m.Segments, LastGood: m.Now, Run: intel.Run{ID: "r1", Feed: info.ID, Status: intel.RunOK}}
	if prev != nil {
		head.Version = prev.Version + 1
	}
	if _, err := c.Commit(t.Context(), head, etag); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The whole way from an HTTP request to a segment on disk and back, with every
// relation, a closed listing and an instant in the past.
func TestRealCorpus(t *testing.T) {
	store, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := corpus.Init(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(t.Context(), store, corpus.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	many := []string{"192.0.2.7", "192.0.2.0/24", "192.0.2.7:443", "evil.example", "http://www.evil.example/a?b=1"}
	for i := range 100 {
		many = append(many, fmt.Sprintf("198.51.100.%d", i))
	}
	load(t, c, info("a"), ago(10), append(many, "gone.example")...)
	load(t, c, info("a"), ago(1), many...)
	load(t, c, info("b"), ago(2), "192.0.2.7", "192.0.0.0/16")

	f := newFixture(t, func(conf *Config) { conf.Lookup = lookup.New(c, clock) })
	for path, want := range map[string]string{
		"192[.]0[.]2[.]7":                 "exact a 192.0.2.7|exact b 192.0.2.7|network a 192.0.2.0/24|network b 192.0.0.0/16|member a 192.0.2.7:443",
		"192.0.2.0/25":                    "network a 192.0.2.0/24|network b 192.0.0.0/16|member a 192.0.2.7|member a 192.0.2.7:443|member b 192.0.2.7",
		"hxxp://www.evil.example/a%3Fb=1": "exact a http://www.evil.example/a?b=1|parent a evil.example",
		"sub.www.evil.example":            "parent a evil.example",
		"192.0.2.7:80":                    "network a 192.0.2.0/24|network b 192.0.0.0/16|host a 192.0.2.7|host b 192.0.2.7",
		"gone.example":                    "(exact a gone.example)",
		"gone.example?as_of=" + ago(5).Format(time.DateOnly):  "exact a gone.example",
		"gone.example?as_of=" + ago(11).Format(time.DateOnly): "",
		"203.0.113.9": "",
	} {
		a := f.get("/api/v1/indicators/" + path)
		if got := shape(t, a.body); a.status != 200 || got != want {
			t.Errorf("%s: got %d %s\nwant %s", path, a.status, got, want)
		}
	}
	if a := f.get("/api/v1/indicators/198.51.100.0/24"); len(answerOf(t, a.body).Listings) != 100 {
		t.Errorf("members: %d %s", a.status, a.body)
	}
	_, summary := results(t, f.post("/api/v1/lookup", typeText, strings.Join(many, "\n")+"\ngone.example\nx y\n"))
	if want := `{"asked":107,"found":105,"errors":1}`; summary != want {
		t.Errorf("bulk: got %s, want %s", summary, want)
	}
	if a := f.get("/api/v1/stats"); !strings.Contains(a.body, `"listings":107,`) || !strings.Contains(a.body, `"feeds":2`) {
		t.Errorf("stats: %s", a.body)
	}
}

// shape is an answer's listings in short, closed ones in brackets.
func shape(t *testing.T, body string) string {
	t.Helper()
	var out []string
	for _, l := range answerOf(t, body).Listings {
		s := fmt.Sprintf("%s %s %s", l.Relation, l.Feed, l.Canonical)
		if !l.Listed {
			s = "(" + s + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, "|")
}
