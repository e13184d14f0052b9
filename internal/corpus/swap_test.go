package corpus

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// swapCount is how many addresses the feed "swap" lists in generation g, each
// with the generation as context, so that every answer tells which one it is of.
func swapCount(g int) int { return 40 + 3*(g%5) }

func swapEntries(t testing.TB, g int) (out []intel.Entry) {
	for k := range swapCount(g) {
		out = append(out, entry(t, fmt.Sprintf("192.0.2.%d", k), "generation", strconv.Itoa(g)))
	}
	return out
}

// swapGeneration asks one view in every way and returns the generation that all
// answers are of; an error where they are not of one.
func swapGeneration(v *View) (int, error) {
	ctx := context.Background()
	ls, err := v.Find(ctx, intel.Ask(intel.Indicator{Kind: intel.IPv4, Value: "192.0.2.7"}), time.Time{}, nil)
	if err != nil || len(ls) != 1 {
		return 0, fmt.Errorf("%d listings, %w", len(ls), err)
	}
	text := ls[0].Context.First("generation")
	g, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	node, err := query.Parse("feed:swap listed:true context.generation:"+text, t0)
	if err != nil {
		return 0, err
	}
	emitted := 0
	page, err := v.Search(ctx, query.Search{Query: node, Facets: []query.Field{query.FieldFeed}}, func(l *intel.Listing) error {
		emitted++
		if x := l.Context.First("generation"); x != text || !l.Listed {
			return fmt.Errorf("%s is of generation %s, listed %v, in a view of %s", l.Canonical, x, l.Listed, text)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if want := swapCount(g); page.Total != want || emitted != want || !page.Exact || page.Partial || page.Facets[0].Values[0].Count != want {
		return 0, fmt.Errorf("generation %d: %d found (%d shown), %+v; want %d", g, page.Total, emitted, page, want)
	}
	return g, nil
}

// swapCorpus has the feed in generation 0, and others enough for a group.
func swapCorpus(t *testing.T, store blob.Store) *Corpus {
	c := openCorpus(t, store, Options{Small: 1})
	for i := range 2 * groupLoose {
		mustRun(t, c, feedInfo(fmt.Sprintf("other-%d", i), intel.Snapshot), day(0), entry(t, "198.51.100.1"), entry(t, fmt.Sprintf("198.51.100.%d", i+2)))
	}
	mustRun(t, c, feedInfo("swap", intel.Snapshot), day(0), swapEntries(t, 0)...)
	return c
}

// While one feed is replaced, folded and regrouped, each answer is one of the
// states there were, and none goes back.
func TestSwap_EveryAnswerIsOfOneState(t *testing.T) {
	store := newStore(t)
	w := swapCorpus(t, store)
	r := openCorpus(t, store, Options{})
	const generations = 14
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for _, c := range []*Corpus{w, w, r} {
		readers.Go(func() {
			last := 0
			for ctx.Err() == nil {
				g, err := swapGeneration(c.View())
				if err != nil || g < last {
					t.Errorf("generation %d after %d: %v", g, last, err)
					return
				}
				last = g
				if c == r {
					if _, err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for g := 1; g <= generations; g++ {
		mustRun(t, w, feedInfo("swap", intel.Snapshot), day(g), swapEntries(t, g)...)
		if g%3 == 0 {
			if _, err := w.Fold(t.Context(), "swap", FoldOptions{Now: day(g)}); err != nil {
				t.Error(err)
			}
		}
		if g%2 == 0 {
			regroup(t, w)
		}
	}
	stop()
	readers.Wait()
	for _, c := range []*Corpus{w, r} {
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g, err := swapGeneration(c.View()); g != generations || err != nil {
			t.Errorf("at the end: generation %d, %v", g, err)
		}
	}
	if st := w.View().Stats(); st.Indexes >= st.Segments {
		t.Errorf("%d segments in %d indexes: nothing was grouped", st.Segments, st.Indexes)
	}
}

// gatedStore stops whoever reads or writes an object under a prefix.
type gatedStore struct {
	*memStore
	prefix  string // set while nobody uses the store
	entered chan struct{}
	open    chan struct{}
}

func (s *gatedStore) wait(key string) {
	if s.prefix != "" && strings.HasPrefix(key, s.prefix) {
		select {
		case s.entered <- struct{}{}:
			<-s.open
		case <-s.open:
		}
	}
}

func (s *gatedStore) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	s.wait(key)
	return s.memStore.Get(ctx, key)
}

func (s *gatedStore) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	s.wait(key)
	return s.memStore.Put(ctx, key, r, c)
}

// Whatever writes or refreshes may wait for the store as long as it likes: readers
// go on with what they have.
func TestSwap_ReadersDoNotWait(t *testing.T) {
	mem := newMemStore(t)
	w := swapCorpus(t, mem)
	for _, x := range []struct {
		name, prefix string
		do           func(c *Corpus) error
	}{
		{"refresh", segDir, func(c *Corpus) error { _, err := c.Refresh(t.Context()); return err }},
		{"merge", segDir, func(c *Corpus) error {
			h, _, err := w.Head(t.Context(), "swap")
			if err != nil {
				return err
			}
			_, err = c.Merge(t.Context(), h, swapEntries(t, 9), MergeOptions{Feed: "swap", Info: h.Info, Now: day(90)})
			return err
		}},
		{"fold", segDir, func(c *Corpus) error { _, err := c.Fold(t.Context(), "swap", FoldOptions{Now: day(90)}); return err }},
		{"regroup", groupStore, func(c *Corpus) error { _, err := c.Regroup(t.Context()); return err }},
		{"refresh after regrouping", groupStore, func(c *Corpus) error { _, err := c.Refresh(t.Context()); return err }},
	} {
		for key := range mem.objects {
			if strings.HasPrefix(key, groupStore) {
				delete(mem.objects, key)
			}
		}
		s := &gatedStore{memStore: mem, entered: make(chan struct{}), open: make(chan struct{})}
		c := openCorpus(t, s, Options{Small: 1})
		want, err := swapGeneration(c.View()) // and there is a shelf
		if err != nil {
			t.Fatal(err)
		}
		if x.name == "refresh after regrouping" { // and nothing else
			regroup(t, w)
		} else {
			mustRun(t, w, feedInfo("swap", intel.Snapshot), day(want+1), swapEntries(t, want+1)...)
		}
		s.prefix = x.prefix
		ended := make(chan error, 1)
		go func() { ended <- x.do(c) }()
		select {
		case <-s.entered:
		case err := <-ended:
			t.Fatalf("%s ended without the store: %v", x.name, err)
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if g, err := swapGeneration(c.View()); g != want || err != nil {
				t.Errorf("%s: generation %d, want %d, %v", x.name, g, want, err)
			}
			if st := c.View().Stats(); st.Listings == 0 {
				t.Errorf("%s: %+v", x.name, st)
			}
		}()
		select {
		case <-answered:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: readers wait", x.name)
		}
		close(s.open)
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}
