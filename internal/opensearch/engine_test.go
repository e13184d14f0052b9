package opensearch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// engine is the cluster, filled as in production: runs go to a corpus, and from
// there to the index.
type engine struct {
	*opensearch.Engine
	corpus *corpus.Corpus
	last   opensearch.SyncStats
	alias  string
	now    func() time.Time

	client  *opensearch.Client
	options opensearch.EngineOptions
}

// view is one state of a corpus.
type view struct {
	*corpus.View
	c *corpus.Corpus
}

// Feeds implements opensearch.Source.
func (v view) Feeds() (out []opensearch.Feed) {
	for _, h := range v.View.Feeds() {
		out = append(out, opensearch.Feed{Info: h.Info, LastGood: h.LastGood, Purged: h.Purged, Lost: h.Lost})
	}
	return out
}

// Err implements opensearch.Source.
func (v view) Err() error { return v.c.Err() }

// ID implements opensearch.Source.
func (v view) ID() string { return v.c.ID() }

// Load implements enginetest.Loader.
func (e *engine) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	if err := e.run(ctx, info, at, entries); err != nil {
		return err
	}
	return e.sync(ctx)
}

// run puts a run of a feed into the corpus.
func (e *engine) run(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	prev, etag, err := e.corpus.Head(ctx, info.ID)
	if err != nil {
		return err
	}
	m, err := e.corpus.Merge(ctx, prev, entries, corpus.MergeOptions{Feed: info.ID, Info: info, Now: at})
	if err != nil {
		return err
	}
	_, err = e.corpus.Commit(ctx, m.Next, etag)
	return err
}

func (e *engine) sync(ctx context.Context) (err error) {
	if _, err := e.corpus.Refresh(ctx); err != nil {
		return err
	}
	e.last, err = e.Sync(ctx, view{e.corpus.View(), e.corpus})
	return err
}

// Purge implements enginetest.Purger.
func (e *engine) Purge(ctx context.Context, feed string, before time.Time) error {
	if _, err := e.corpus.Purge(ctx, feed, before); err != nil {
		return err
	}
	return e.sync(ctx)
}

// aliases numbers the indices of a test's process.
type aliases struct {
	made     atomic.Int64
	c        *opensearchtest.Cluster
	t        testing.TB
	members  int // EngineOptions.MaxMembers
	shards   int
	replicas int
	urls     []string                                   // by which the engine asks; nil: those of c
	wait     func(context.Context, time.Duration) error // Options.Wait
	now      func() time.Time                           // Options.Now; nil: the machine's
}

// open is an enginetest.Opener.
func (a *aliases) open(now func() time.Time) (enginetest.Loader, error) { return a.engine(now) }

func (a *aliases) engine(now func() time.Time) (*engine, error) {
	o := opensearch.Options{URLs: a.c.URLs, CA: a.c.CA, User: a.c.User, Password: a.c.Password, Now: time.Now, Wait: a.wait}
	if a.urls != nil {
		o.URLs = a.urls
	}
	if a.now != nil {
		o.Now = a.now
	}
	cl, err := opensearch.New(o)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	store := crashtest.NewMem()
	if err := corpus.Init(ctx, store); err != nil {
		return nil, err
	}
	c, err := corpus.Open(ctx, store, corpus.Options{Workers: 1, Now: now})
	if err != nil {
		return nil, err
	}
	alias := fmt.Sprintf("elasticintel-listings-test%d-%d", time.Now().UnixNano(), a.made.Add(1))
	eo := opensearch.EngineOptions{Alias: alias, MaxMembers: a.members, Shape: opensearch.Shape{Shards: a.shards, Replicas: a.replicas}, Now: now}
	e := &engine{Engine: opensearch.NewEngine(cl, eo), corpus: c, alias: alias, client: cl, options: eo, now: now}
	a.t.Cleanup(func() {
		a.remove(alias)
		cl.Close()
	})
	return e, e.sync(ctx)
}

// remove deletes the indices of an alias, and their template.
func (a *aliases) remove(alias string) {
	for _, path := range []string{"/" + alias + "-*", "/_index_template/" + alias} {
		req, err := http.NewRequest(http.MethodDelete, a.c.URLs[0]+path, nil)
		if err != nil {
			a.t.Error(err)
			return
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			a.t.Error(err)
			return
		}
		r.Body.Close()
	}
}

// TestEngine holds the cluster against the suite of all engines, on one shard and on
// three.
func TestEngine(t *testing.T) {
	for _, version := range []string{opensearchtest.V2, opensearchtest.V3} {
		t.Run(version, func(t *testing.T) {
			a := &aliases{c: opensearchtest.Shared(t, version), t: t}
			enginetest.Run(t, a.open)
			t.Run("3 shards", func(t *testing.T) {
				a := &aliases{c: a.c, t: t, shards: 3}
				enginetest.RunScripts(t, a.open)
			})
		})
	}
}

// TestEngineRandom holds it against the naive engine, on one shard and on three.
func TestEngineRandom(t *testing.T) {
	for _, x := range []struct {
		shards  int
		c, soak enginetest.Config
	}{
		{1, enginetest.Config{First: 301, Seeds: 1, Ops: 1500}, enginetest.Config{First: 200, Seeds: 20, Ops: 3000}},
		{3, enginetest.Config{First: 331, Seeds: 1, Ops: 400}, enginetest.Config{First: 400, Seeds: 6, Ops: 3000}},
	} {
		t.Run(fmt.Sprint(x.shards), func(t *testing.T) {
			c := x.c
			if soaking() {
				c = x.soak
			}
			if testing.Short() {
				c.Ops = 300
			}
			a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t, shards: x.shards}
			enginetest.RunRandom(t, a.open, c)
		})
	}
}

var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// numbered lists n addresses.
func numbered(n int, note string) (out []intel.Entry) {
	for i := range n {
		v := fmt.Sprintf("198.51.%d.%d", i/256, i%256)
		e := intel.Entry{Indicator: intel.Indicator{Kind: intel.IPv4, Value: v}, Original: v}
		e.Fields.Add("note", note)
		out = append(out, e)
	}
	return out
}

// all returns what a search gives, as JSON, and the page.
func all(t *testing.T, e *engine, s query.Search) (out []string, p query.Page) {
	t.Helper()
	p, err := e.Search(t.Context(), s, func(l *intel.Listing) error {
		out = append(out, string(l.AppendJSON(nil)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, p
}

// TestSyncSendsChanges: a run that brings nothing new sends no document, and yet
// its time is in the answers; else what changed is sent, and no more.
func TestSyncSendsChanges(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	info := intel.FeedInfo{ID: "a", Presence: intel.Snapshot}
	load := func(info intel.FeedInfo, entries []intel.Entry, want int) {
		t.Helper()
		now = now.Add(time.Hour)
		if err := e.Load(t.Context(), info, now, entries); err != nil {
			t.Fatal(err)
		}
		if e.last.Written != want || e.last.Deleted+e.last.Rejected != 0 || e.last.Feeds != 1 {
			t.Errorf("%+v, want %d written", e.last, want)
		}
	}
	entries := numbered(1200, "x")
	load(info, entries, 1200)
	if n := routed(t, a, e.alias); n != 0 {
		t.Errorf("%d documents say in which shard they are, and there is one", n)
	}
	load(intel.FeedInfo{ID: "b", Presence: intel.Snapshot}, numbered(30, "y"), 30)
	load(info, entries, 0)
	found, err := e.Find(t.Context(), intel.Ask(entries[7].Indicator), time.Time{}, nil)
	if err != nil || len(found) != 2 || !found[0].LastSeen.Equal(now) && !found[1].LastSeen.Equal(now) {
		t.Errorf("%+v, %v", found, err)
	}
	load(info, append(numbered(100, "z"), entries[100:]...), 100)
	load(info, entries[100:], 100) // those that are gone
	if err := e.sync(t.Context()); err != nil || e.last.Requests != 0 || e.last.Feeds != 0 {
		t.Errorf("%+v, %v", e.last, err)
	}
	info.Malware = "Emotet" // in all of its documents
	load(info, entries[100:], 1200)
	before, p := all(t, e, query.Search{Query: query.All{}})
	if p.Total != 1230 || len(before) != 1230 {
		t.Errorf("%d of %d", len(before), p.Total)
	}
	if _, err := e.Reindex(t.Context(), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{}); err != nil {
		t.Fatal(err)
	}
	if after, _ := all(t, e, query.Search{Query: query.All{}}); !slices.Equal(before, after) {
		t.Error("a new index answers other than the one before")
	}
	load(info, entries[100:], 0)
	now = now.Add(time.Hour)
	if err := e.Purge(t.Context(), "a", now); err != nil || e.last.Deleted != 100 {
		t.Errorf("%+v, %v", e.last, err)
	}
	if _, p := all(t, e, query.Search{Query: query.All{}, Limit: -1}); p.Total != 1130 {
		t.Errorf("%d are left", p.Total)
	}
}

// TestMembers: many are found page by page, and too many are an error that the
// asker is told.
func TestMembers(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t, members: 1100}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(1200, "x")); err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]int{"198.51.0.0/22": 1024, "198.51.0.0/16": -1, "198.51.2.0/24": 256} {
		i, err := intel.Detect(network)
		if err != nil {
			t.Fatal(err)
		}
		found, err := e.Find(t.Context(), intel.Ask(i), time.Time{}, nil)
		var refused *intel.ValueError
		if want < 0 && (!errors.As(err, &refused) || refused.Code != "too_many") || want >= 0 && (err != nil || len(found) != want) {
			t.Errorf("%s: %d found, %v", network, len(found), err)
		}
	}
}

// TestFacetOfWhatNobodyHas: the cluster has to be asked for the values behind a
// name in a way that none of its versions trips over where there are none.
func TestFacetOfWhatNobodyHas(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(20, "x")); err != nil {
		t.Fatal(err)
	}
	_, p := all(t, e, query.Search{Query: query.All{}, Limit: -1, Facets: []query.Field{query.Context("zzz"), query.Context("a"), query.Context("note")}})
	if len(p.Facets) != 3 || len(p.Facets[0].Values)+len(p.Facets[1].Values) != 0 || len(p.Facets[2].Values) != 1 || p.Facets[2].Values[0].Count != 20 {
		t.Errorf("%+v", p.Facets)
	}
}

// TestBudget: where time is up the answer says so.
func TestBudget(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(20, "x")); err != nil {
		t.Fatal(err)
	}
	_, p := all(t, e, query.Search{Query: query.All{}, Budget: 1, Facets: []query.Field{query.FieldFeed}})
	if !p.Partial || p.Exact || len(p.Facets) != 1 || p.Facets[0].Exact {
		t.Errorf("%+v", p)
	}
}

// TestDeletedIndex: what somebody deletes is no answer of "not found", and the next
// Sync makes it anew.
func TestDeletedIndex(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(20, "x")); err != nil {
		t.Fatal(err)
	}
	before, _ := all(t, e, query.Search{Query: query.All{}})
	a.remove(e.alias)
	if got, err := e.Find(t.Context(), intel.Ask(numbered(1, "")[0].Indicator), time.Time{}, nil); err == nil {
		t.Errorf("%d found", len(got))
	}
	if _, err := e.Search(t.Context(), query.Search{Query: query.All{}, Limit: 3}, func(*intel.Listing) error { return nil }); err == nil {
		t.Error("the search has an answer")
	}
	if err := e.sync(t.Context()); err != nil || e.last.Written != 20 {
		t.Errorf("%+v, %v", e.last, err)
	}
	if after, _ := all(t, e, query.Search{Query: query.All{}}); !slices.Equal(before, after) {
		t.Errorf("%d listings, want %d", len(after), len(before))
	}
}

// TestShards: with several shards, too, counts are those of all.
func TestShards(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t, shards: 3}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(1200, "x")); err != nil {
		t.Fatal(err)
	}
	// Nothing that is said of an indicator lies in another shard than the rest: else
	// the counts of values were those of parts.
	// Nor does the state lie elsewhere than the facts, which it belongs to.
	if n := routed(t, a, e.alias); n != 1201 {
		t.Errorf("%d documents say in which shard they are", n)
	}
	got, p := all(t, e, query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}, Facets: []query.Field{query.FieldValue}, FacetLimit: 5})
	if len(got) != 1200 || p.Total != 1200 || !slices.IsSorted(got) || p.Facets[0].Other != 1195 || p.Facets[0].Values[0].Value != "198.51.0.0" {
		t.Errorf("%d, %+v", len(got), p)
	}
	if st, err := e.Stats(t.Context()); err != nil || st.Listings != 1200 || st.Indicators != 1200 {
		t.Errorf("%+v, %v", st, err)
	}
}

// routed counts the documents that were written with a routing.
func routed(t *testing.T, a *aliases, index string) int {
	t.Helper()
	r, err := http.Post(a.c.URLs[0]+"/"+index+"/_count", "application/json", strings.NewReader(`{"query":{"exists":{"field":"_routing"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got struct {
		Count *int `json:"count"`
	}
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.Count == nil {
		t.Fatalf("%s: %v", r.Status, err)
	}
	return *got.Count
}

// TestRefusedDocument: what the index does not take is an error once, remembered,
// and in nobody's way.
func TestRefusedDocument(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	err = e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, a.refuse(e.alias))
	var rejected *opensearch.Rejected
	if !errors.As(err, &rejected) || !strings.Contains(rejected.Op.Name, refused) {
		t.Fatalf("%v", err)
	}
	if got, _ := all(t, e, query.Search{Query: query.All{}}); len(got) != 4 {
		t.Errorf("%d listings", len(got))
	}
	if err := e.sync(t.Context()); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if err := e.Err(); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("%v", err)
	}
	svc := lookup.New(e.Engine, func() time.Time { return began })
	for value, code := range map[string]string{
		refused: lookup.CodeIncomplete, "http://" + refused + "/x": lookup.CodeIncomplete, "sub." + refused: lookup.CodeIncomplete, "198.51.0.9": "", "elsewhere.example": "", "198.51.0.1": "",
	} {
		a, err := svc.Answer(t.Context(), value, lookup.Options{})
		if err != nil || a.Found != (value == "198.51.0.1") || (a.Error == nil) != (code == "") || a.Error != nil && a.Error.Code != code {
			t.Errorf("%s: %+v, %v", value, a, err)
		}
	}
}

// TestLongNames: a name of a context field that no term of an index can have is
// taken, and finds its listing and no other.
func TestLongNames(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	entries := numbered(5, "x")
	var names []string
	for i, n := range []int{127, 128, 9000, 40_000} {
		names = append(names, strings.Repeat("n", n))
		entries[i].Fields.Add(names[i], fmt.Sprint("value ", i))
		entries[i].Fields.Add(names[i], fmt.Sprint(700+i))
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, entries); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		f := query.Context(name)
		for _, n := range []query.Node{
			query.Exists{Field: f}, query.Prefix{Field: f, Text: "val"}, query.Phrase{Field: f, Tokens: []string{"value", fmt.Sprint(i)}},
			query.Equal{Field: f, Value: fmt.Sprint("value ", i)}, query.Number{Field: f, Min: 700, Max: 800},
		} {
			if got, page := all(t, e, query.Search{Query: n}); len(got) != 1 || page.Total != 1 || !strings.Contains(got[0], fmt.Sprintf(`"value %d"`, i)) {
				t.Errorf("name of %d bytes, %T: %.200q", len(name), n, got)
			}
		}
	}
}

// BenchmarkEngine measures look-ups and searches among 50,000 listings, one after
// the other.
func BenchmarkEngine(b *testing.B) {
	a := &aliases{c: opensearchtest.Shared(b, opensearchtest.V2), t: b}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		b.Fatal(err)
	}
	entries := numbered(50_000, "a phishing kit")
	if err := e.Load(b.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, entries); err != nil {
		b.Fatal(err)
	}
	b.Run("find", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if got, err := e.Find(b.Context(), intel.Ask(entries[i*7919%len(entries)].Indicator), time.Time{}, nil); err != nil || len(got) != 1 {
				b.Fatal(len(got), err)
			}
		}
	})
	for name, s := range map[string]query.Search{
		"page":      {Query: query.Phrase{Tokens: []string{"phishing", "kit"}}, Limit: 20},
		"last seen": {Query: query.Phrase{Tokens: []string{"phishing", "kit"}}, Limit: 20, Sort: query.Sort{By: query.ByLastSeen}},
		"facets":    {Query: query.All{}, Limit: -1, Facets: []query.Field{query.FieldKind, query.FieldFeed, query.Context("note")}},
		"all":       {Query: query.All{}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p, err := e.Search(b.Context(), s, func(*intel.Listing) error { return nil }); err != nil || p.Total != len(entries) {
					b.Fatal(p, err)
				}
			}
		})
	}
}

// second is another engine over the same index, which learns of syncs by asking only.
func (e *engine) second(t *testing.T) *opensearch.Engine {
	t.Helper()
	return opensearch.NewEngine(e.client, e.options)
}
