package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
)

func TestIndicator_relatedAndTimeline(t *testing.T) {
	f := newFixture(t)
	f.engine.Add(ind(t, "192.0.2.9"), info("a"), now.AddDate(0, 0, -4), time.Time{})
	plain := f.get("/api/v1/indicators/192.0.2.7")
	if strings.Contains(plain.body, `"related"`) || strings.Contains(plain.body, `"timeline"`) {
		t.Errorf("not asked for: %s", plain.body)
	}
	for _, off := range []string{"related=0", "timeline=false"} {
		if got := f.get("/api/v1/indicators/192.0.2.7?" + off); got.body != plain.body {
			t.Errorf("%s: %s", off, got.body)
		}
	}
	a := answerOf(t, f.get("/api/v1/indicators/192.0.2.7?related=1&timeline=true").body)
	if r := a.Related; r == nil || r.Networks.Total != 1 || r.Neighbours.Total != 1 || r.Neighbours.Items[0].Canonical != "192.0.2.9" || r.Domains != nil || r.Partial {
		t.Errorf("related: %+v", r)
	}
	if m := a.Timeline; len(m) != 4 || m[0].Feed != "b" || m[0].Type != "listed" || m[2].Type != "de-listed" || m[3].Relation != "network" {
		t.Errorf("timeline: %+v", m)
	}
	bulk := f.post("/api/v1/lookup?related=1", typeText, "192.0.2.7\nnonsense!\nevil.example\n", "Accept", typeNDJSON)
	if n := strings.Count(bulk.body, `"related":{`); n != 2 {
		t.Errorf("bulk: %d with related: %s", n, bulk.body)
	}
	f.want(f.get("/api/v1/indicators/192.0.2.7?related=yes"), 400, "bad_query")
	f.want(f.get("/api/v1/indicators/192.0.2.7?related="), 400, "bad_query")
	f.want(f.get("/api/v1/indicators/192.0.2.7?related=1&fields=summary"), 400, "bad_fields")
	f.want(f.post("/api/v1/lookup?timeline=1", typeText, "192.0.2.7"), 400, "unknown_parameter")
}

// noFollower hides that the engine can tell changes.
type noFollower struct{ lookup.Engine }

func TestChanges(t *testing.T) {
	f := newFixture(t)
	type page struct {
		Changes []intel.Event
		Next    string
		More    bool
	}
	read := func(a answer) (p page) {
		t.Helper()
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 200 {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		return p
	}
	all := read(f.get("/api/v1/changes"))
	if len(all.Changes) != 7 || all.More || all.Changes[0].Listing.Feed != "a" {
		t.Errorf("all: %+v", all)
	}
	var pieces []intel.Event
	for p := (page{More: true}); p.More; pieces = append(pieces, p.Changes...) {
		since := ""
		if p.Next != "" {
			since = "&since=" + p.Next
		}
		p = read(f.get("/api/v1/changes?limit=3" + since))
	}
	if d := cmp.Diff(all.Changes, pieces); d != "" {
		t.Errorf("(-all +pages)\n%s", d)
	}
	if a := f.get("/api/v1/changes?since=" + all.Next); a.body != `{"changes":[],"next":"7","more":false}`+"\n" {
		t.Errorf("nothing new: %s", a.body)
	}
	lines := strings.Split(f.get("/api/v1/changes?limit=2", "Accept", typeNDJSON).body, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], `{"event":"`) || lines[2] != `{"next":"2","more":true}` || lines[3] != "" {
		t.Errorf("lines: %q", lines)
	}
	if a := f.do("HEAD", "/api/v1/changes", ""); a.status != 200 {
		t.Errorf("HEAD: %d", a.status)
	}
	f.want(f.get("/api/v1/changes?since=x"), 410, "cursor")
	if a := f.get("/api/v1/changes?since=x"); !strings.Contains(a.body, "begin anew") {
		t.Errorf("no advice: %s", a.body)
	}
	f.want(f.get("/api/v1/changes?since="), 400, "bad_since")
	f.want(f.get("/api/v1/changes?limit=-1"), 400, "bad_limit")
	f.engine.Fail = func(intel.Question) error { return errBoom }
	f.want(f.get("/api/v1/changes"), 503, "engine")
	g := newFixture(t, func(c *Config) { c.Lookup = lookup.New(noFollower{f.engine}, clock) })
	g.want(g.get("/api/v1/changes"), 501, "no_changes")
}

// A long answer is streamed, and says nothing else than a short one.
func TestChanges_long(t *testing.T) {
	f := newFixture(t)
	for i := range 2000 {
		f.engine.Add(ind(t, fmt.Sprintf("n%d.evil.example", i)), info("z"), now.AddDate(0, 0, -1), time.Time{})
	}
	a := f.get("/api/v1/changes?limit=0")
	if n := strings.Count(a.body, `{"event":`); n != 2007 || !strings.HasSuffix(a.body, `],"next":"2007","more":false}`+"\n") {
		t.Errorf("%d events, end %s", n, a.body[len(a.body)-60:])
	}
}

// TestRelated_realCorpus: the corpus and the engine that looks at everything
// have the same related.
func TestRelated_realCorpus(t *testing.T) {
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
	plain := &lookuptest.Engine{}
	values := map[string][]string{
		"a": {"192.0.2.7", "192.0.2.9", "192.0.2.0/24", "192.0.2.0/28", "192.0.3.0/25", "192.0.1.0/24", "192.0.2.7:443", "http://192.0.2.7/x"},
		"b": {"192.0.2.9", "192.0.0.0/16", "evil.example", "www.evil.example", "http://www.evil.example/a", "http://evil.example/b", "2001:db8::1", "2001:db8::2"},
		"c": {"d41d8cd98f00b204e9800998ecf8427e", "evil.example", "other.example"},
	}
	for i := range 30 {
		values["c"] = append(values["c"], fmt.Sprintf("n%02d.evil.example", i))
	}
	var all []string
	for _, feed := range []string{"a", "b", "c"} {
		i := info(feed)
		i.Snapshot, i.Tags = "", []string{"t1"} // as load gives every listing
		load(t, c, i, now.AddDate(0, 0, -2), values[feed]...)
		for _, v := range values[feed] {
			plain.Add(ind(t, v), i, now.AddDate(0, 0, -2), time.Time{}, "note", "n"+v)
		}
		all = append(all, values[feed]...)
	}
	f, g := newFixture(t, func(conf *Config) { conf.Lookup = lookup.New(c, clock) }), newFixture(t, func(conf *Config) { conf.Lookup = lookup.New(plain, clock) })
	for _, v := range all {
		path := "/api/v1/indicators/" + v + "?related=1"
		if d := cmp.Diff(nearness(t, g.get(path).body), nearness(t, f.get(path).body)); d != "" {
			t.Errorf("%s (-looking at everything +corpus)\n%s", v, d)
		}
	}
}

// nearness is an answer's related in short.
func nearness(t *testing.T, body string) (out []string) {
	t.Helper()
	r := answerOf(t, body).Related
	if r == nil || r.Partial {
		t.Fatalf("no related, or partial: %s", body)
	}
	for _, g := range r.Groups() {
		out = append(out, fmt.Sprint(g.Name, g.Total, g.Exact))
		for _, i := range g.Items {
			out = append(out, fmt.Sprint(i.Kind, i.Canonical, i.Feeds, i.Listed, i.Why))
		}
	}
	return out
}
