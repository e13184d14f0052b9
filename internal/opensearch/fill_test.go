package opensearch_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// names returns the indices of an alias.
func (a *aliases) names(alias string) (out []string) {
	r, err := http.Get(a.c.URLs[0] + "/_cat/indices/" + alias + "-v*?h=index&s=index")
	if err != nil {
		a.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		a.t.Fatal(r.Status, err)
	}
	return strings.Fields(string(b))
}

// durable opens a corpus in a folder and the engine of an alias, as one process of many.
func durable(ctx context.Context, dir, alias string, urls []string) (*engine, error) {
	store, err := blob.NewDir(dir)
	if err != nil {
		return nil, err
	}
	if err := corpus.Init(ctx, store); err != nil {
		return nil, err
	}
	now := func() time.Time { return began.Add(48 * time.Hour) }
	c, err := corpus.Open(ctx, store, corpus.Options{Workers: 1, Now: now})
	if err != nil {
		return nil, err
	}
	cl, err := opensearch.New(opensearch.Options{URLs: urls, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return &engine{Engine: opensearch.NewEngine(cl, opensearch.EngineOptions{Alias: alias, Now: now}), corpus: c, alias: alias}, nil
}

// TestFillChild is the process that TestReindexKilled kills: it tells each
// Progress and waits until it may go on.
func TestFillChild(t *testing.T) {
	dir, alias, urls := os.Getenv("EI_TEST_FILL"), os.Getenv("EI_TEST_ALIAS"), os.Getenv("EI_TEST_URLS")
	if dir == "" {
		t.Skip("it is started by TestReindexKilled")
	}
	e, err := durable(t.Context(), dir, alias, strings.Split(urls, ","))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(os.Stdin)
	st, err := e.Reindex(t.Context(), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{Mark: 700, Progress: func(p opensearch.Progress) {
		fmt.Printf("at %d/%d %d/%d %d\n", p.Feeds, p.AllFeeds, p.Listings, p.AllListings, p.Resumed)
		if _, err := in.ReadString('\n'); err != nil {
			os.Exit(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("done", st.Written)
}

// filled runs a child and kills it at the nth Progress; n < 0: never. It returns
// the last Progress, and how many documents were written where it was done.
func filled(t *testing.T, n int, dir, alias string, urls []string) (last string, written int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFillChild$")
	cmd.Env = append(os.Environ(), "EI_TEST_FILL="+dir, "EI_TEST_ALIAS="+alias, "EI_TEST_URLS="+strings.Join(urls, ","))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written = -1
	s := bufio.NewScanner(out)
	for s.Scan() {
		switch line := s.Text(); {
		case strings.HasPrefix(line, "at "):
			if last = line; n == 0 {
				_ = cmd.Process.Kill()
				continue
			}
			n--
			_, _ = io.WriteString(in, "\n")
		case strings.HasPrefix(line, "done "):
			_, _ = fmt.Sscanf(line, "done %d", &written)
		case strings.Contains(line, "FAIL"):
			t.Error(line)
		}
	}
	_ = cmd.Wait() // it was killed, or its lines said what it did
	return last, written
}

// TestReindexKilled: a Reindex killed at any point goes on where it was, also where
// feeds have changed since; the old index answers until the new one is whole, and none is left behind.
func TestReindexKilled(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	dir := t.TempDir()
	alias := fmt.Sprintf("elasticintel-listings-kill%d", time.Now().UnixNano())
	t.Cleanup(func() { a.remove(alias) })
	e, err := durable(t.Context(), dir, alias, a.c.URLs)
	if err != nil {
		t.Fatal(err)
	}
	load := func(feed string, at time.Duration, entries []intel.Entry) {
		t.Helper()
		if err := e.Load(t.Context(), intel.FeedInfo{ID: feed, Presence: intel.Snapshot}, began.Add(at), entries); err != nil {
			t.Fatal(err)
		}
	}
	load("a", 0, numbered(300, "x"))
	load("b", 0, numbered(4000, "y"))
	load("c", 0, numbered(2500, "z"))
	before, _ := all(t, e, query.Search{Query: query.All{}})
	kills := []int{1, 7} // early, and when more was sent
	if soaking() {
		kills = []int{0, 1, 5, 7, 3}
	}
	for _, at := range kills {
		if last, written := filled(t, at, dir, alias, a.c.URLs); written >= 0 || last == "" {
			t.Fatalf("it was not killed: %q, %d", last, written)
		}
	}
	if names := a.names(alias); len(names) != 2 {
		t.Errorf("%q, want the old index and one being filled", names)
	}
	if got, _ := all(t, e, query.Search{Query: query.All{}}); !slices.Equal(got, before) {
		t.Error("the old index has changed")
	}
	// What happens meanwhile: one that was sent in part and one that was sent change, one loses what was sent of it.
	load("a", time.Hour, numbered(310, "x"))
	load("b", time.Hour, append(numbered(50, "changed"), numbered(4000, "y")[100:]...))
	if err := e.Purge(t.Context(), "b", began.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	load("d", time.Hour, numbered(20, "new"))
	before, _ = all(t, e, query.Search{Query: query.All{}})
	if _, written := filled(t, 6, dir, alias, a.c.URLs); written >= 0 {
		t.Fatal("it was not killed")
	}
	last, written := filled(t, -1, dir, alias, a.c.URLs)
	if written < 0 || written >= len(before) {
		t.Errorf("%d documents written by the last one, %q", written, last)
	}
	if got, _ := all(t, e, query.Search{Query: query.All{}}); !slices.Equal(got, before) {
		t.Errorf("%d listings, want %d", len(got), len(before))
	}
	if names := a.names(alias); len(names) != 1 || names[0] != opensearch.IndexName(alias, 2) {
		t.Errorf("%q", names)
	}
}

// TestReindexGoesOn: of what was marked nothing is sent again, within a large feed, too.
func TestReindexGoesOn(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began.Add(time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	for id, n := range map[string]int{"a": 300, "b": 2500} {
		if err := e.Load(t.Context(), intel.FeedInfo{ID: id, Presence: intel.Snapshot}, began, numbered(n, "x")); err != nil {
			t.Fatal(err)
		}
	}
	src := view{e.corpus.View(), e.corpus}
	ctx, cancel := context.WithCancel(t.Context())
	o := opensearch.ReindexOptions{Mark: 100, Progress: func(p opensearch.Progress) {
		if p.Listings == 2000 {
			cancel()
		}
	}}
	if _, err := e.Reindex(ctx, src, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var last opensearch.Progress
	st, err := e.Reindex(t.Context(), src, opensearch.ReindexOptions{Progress: func(p opensearch.Progress) { last = p }})
	if err != nil || st.Written > 900+2 || last.Resumed < 1900 || last.Listings != 2800 || last.AllListings != 2800 || last.Feeds != 2 {
		t.Errorf("%+v, %+v, %v", st, last, err)
	}
	if err := e.sync(t.Context()); err != nil || e.last.Requests != 0 {
		t.Errorf("a Sync after it: %+v, %v", e.last, err)
	}
	if _, p := all(t, e, query.Search{Query: query.All{}, Limit: -1}); p.Total != 2800 {
		t.Errorf("%d", p.Total)
	}
}

// TestReindexUnderSearch: a search that began in the old index reads it to its end,
// and only then that is removed.
func TestReindexUnderSearch(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(3000, "x")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	n := 0
	_, err = e.Search(t.Context(), query.Search{Query: query.All{}}, func(*intel.Listing) error {
		if n++; n > 1 {
			return nil
		}
		moved := make(chan bool)
		go func() {
			_, err := e.Reindex(context.WithoutCancel(t.Context()), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{})
			done <- err
		}()
		go func() {
			for { // until the alias has moved
				var got map[string]any
				a.raw("GET", "/_alias/"+e.alias, "", &got)
				if _, there := got[opensearch.IndexName(e.alias, 2)]; there {
					break
				}
			}
			close(moved)
		}()
		<-moved
		return nil
	})
	if err != nil || n != 3000 {
		t.Errorf("%d listings, %v", n, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if names := a.names(e.alias); len(names) != 1 {
		t.Errorf("%q", names)
	}
}

// TestForeign: an index that another store fills is neither followed nor replaced
// unless somebody says so.
func TestForeign(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	alias := fmt.Sprintf("elasticintel-listings-foreign%d", time.Now().UnixNano())
	t.Cleanup(func() { a.remove(alias) })
	one, err := durable(t.Context(), t.TempDir(), alias, a.c.URLs)
	if err != nil {
		t.Fatal(err)
	}
	other, err := durable(t.Context(), t.TempDir(), alias, a.c.URLs)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(20, "x")); err != nil {
		t.Fatal(err)
	}
	err = other.Load(t.Context(), intel.FeedInfo{ID: "b", Presence: intel.Snapshot}, began, numbered(10, "y"))
	if !errors.Is(err, opensearch.ErrForeign) || !strings.Contains(err.Error(), "--opensearch-index") || !strings.Contains(err.Error(), "--take-over") {
		t.Errorf("%v", err)
	}
	src := view{other.corpus.View(), other.corpus}
	if _, err := other.Reindex(t.Context(), src, opensearch.ReindexOptions{}); !errors.Is(err, opensearch.ErrForeign) {
		t.Errorf("%v", err)
	}
	if err := one.sync(t.Context()); err != nil {
		t.Errorf("the first: %v", err)
	}
	if _, err := other.Reindex(t.Context(), src, opensearch.ReindexOptions{TakeOver: true}); err != nil {
		t.Errorf("%v", err)
	}
	if got, _ := all(t, other, query.Search{Query: query.All{}}); len(got) != 10 {
		t.Errorf("%d listings", len(got))
	}
	if err := one.sync(t.Context()); !errors.Is(err, opensearch.ErrForeign) {
		t.Errorf("%v", err)
	}
}

// TestOtherVersion: what an index of another version of the mapping needs is said,
// and Reindex fills one beside it and replaces it.
func TestOtherVersion(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	alias := fmt.Sprintf("elasticintel-listings-old%d", time.Now().UnixNano())
	t.Cleanup(func() { a.remove(alias) })
	old := alias + "-v0-000007"
	for _, x := range [][2]string{{"/" + old, `{"aliases":{"` + alias + `":{}}}`}, {"/" + old + "/_doc/facts", `{"listing":{"feeds":["not","ours"]}}`}} {
		req, err := http.NewRequest(http.MethodPut, a.c.URLs[0]+x[0], strings.NewReader(x[1]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		r, err := http.DefaultClient.Do(req)
		if err != nil || r.StatusCode > 299 {
			t.Fatal(r, err)
		}
		r.Body.Close()
	}
	e, err := durable(t.Context(), t.TempDir(), alias, a.c.URLs)
	if err != nil {
		t.Fatal(err)
	}
	err = e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(20, "x"))
	if !errors.Is(err, opensearch.ErrMapping) || !strings.Contains(err.Error(), "elasticintel reindex") || !strings.Contains(err.Error(), old) {
		t.Errorf("%v", err)
	}
	if _, err := e.Reindex(t.Context(), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{}); err != nil {
		t.Fatal(err)
	}
	if names := a.names(alias); len(names) != 1 || names[0] != opensearch.IndexName(alias, 1) {
		t.Errorf("%q", names)
	}
	if got, _ := all(t, e, query.Search{Query: query.All{}}); len(got) != 20 {
		t.Errorf("%d listings", len(got))
	}
}

// TestNeighbours: installations whose names begin alike use one cluster without
// touching each other.
func TestNeighbours(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	first := fmt.Sprintf("ei%d", time.Now().UnixNano())
	var all3 []*engine
	for _, alias := range []string{first, first + "-v", first + "-b"} {
		t.Cleanup(func() { a.remove(alias) })
		e, err := durable(t.Context(), t.TempDir(), alias, a.c.URLs)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, numbered(len(alias), "x")); err != nil {
			t.Fatal(err)
		}
		all3 = append(all3, e)
	}
	for _, e := range all3 {
		if _, err := e.Reindex(t.Context(), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range all3 {
		if got, _ := all(t, e, query.Search{Query: query.All{}}); len(got) != len(e.alias) {
			t.Errorf("%s has %d listings, want %d", e.alias, len(got), len(e.alias))
		}
	}
}

// TestCheckAlias: names that OpenSearch refuses, or that could be taken for
// indices of another name, are refused with the reason.
func TestCheckAlias(t *testing.T) {
	for _, good := range []string{opensearch.Alias, "a", "ei-2", "x-v", "a-vienna", "a.b_c", "a-v2b"} {
		if err := opensearch.CheckAlias(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "A", "_a", "-a", "a b", "a*", "ä", "a-v1", "a-v1-000001", "a-v-v22-x", strings.Repeat("a", 201)} {
		if err := opensearch.CheckAlias(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
