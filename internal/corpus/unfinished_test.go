package corpus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// breaking is a store that ends a context when so many segments were written.
type breaking struct {
	*memStore
	mu    sync.Mutex
	left  int
	end   context.CancelFunc
	broke int // so many merges
}

func (b *breaking) arm(segments int, end context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.end = segments, end
}

// Put implements blob.Store.
func (b *breaking) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	info, err := b.memStore.Put(ctx, key, r, c)
	if strings.HasPrefix(key, segDir) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.left--; b.left == 0 {
			b.end()
		}
	}
	return info, err
}

// runInParts is run with a merge that is broken off again and again, whose state goes
// through the store, with what is nobody's swept in between.
func runInParts(t testing.TB, c *Corpus, b *breaking, r *rand.Rand, info intel.FeedInfo, at time.Time, entries []intel.Entry) *Merged {
	t.Helper()
	prev, etag, err := c.Head(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	u, tag := &Unfinished{Feed: info.ID, Head: etag}, ""
	for try := 0; ; try++ {
		ctx, cancel := context.WithCancel(t.Context())
		b.arm(1+r.IntN(4)+3*try, cancel)
		m, err := c.Merge(ctx, prev, entries, MergeOptions{Feed: info.ID, Info: info, Now: at, State: &u.Merge})
		b.arm(-1, nil)
		cancel()
		if err == nil {
			if _, err = c.Commit(t.Context(), m.Next, etag); err == nil {
				_, err = c.Refresh(t.Context())
			}
			if err == nil && tag != "" {
				err = c.DropUnfinished(t.Context(), info.ID, tag)
			}
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		b.broke++
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err = c.SaveUnfinished(t.Context(), u, tag); err != nil {
			t.Fatal(err)
		}
		if err := c.Sweep(t.Context(), time.Now().Add(time.Second), 0); err != nil {
			t.Fatal(err)
		}
		if u, tag, err = c.Unfinished(t.Context(), info.ID); err != nil || u == nil {
			t.Fatal(u, err)
		}
	}
}

// tinyShards makes 16 of 300 listings.
var tinyShards = Options{ShardSize: 20, Small: 1, Workers: 1}

// numbered are n domains with a field.
func numbered(t testing.TB, n int, note string) (out []intel.Entry) {
	for i := range n {
		out = append(out, entry(t, "n"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+string(rune('a'+i/26%26))+".example", "note", note))
	}
	return out
}

// A feed that is cut into more shards before it is merged is cut once.
func TestMergeState_Cut(t *testing.T) {
	b := &breaking{memStore: newMemStore(t)}
	c := openCorpus(t, b, tinyShards)
	info := feedInfo("a", intel.Snapshot)
	mustRun(t, c, info, day(0), numbered(t, 10, "x")...)
	prev, etag, err := c.Head(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	entries, state := numbered(t, 300, "y"), MergeState{}
	merge := func(segments int) (*Merged, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.arm(segments, cancel)
		defer b.arm(-1, nil)
		return c.Merge(ctx, prev, entries, MergeOptions{Feed: "a", Info: info, Now: day(1), State: &state})
	}
	if _, err := merge(1); !errors.Is(err, context.Canceled) || state.Added != 0 || state.Cut != nil {
		t.Fatalf("broken off in the cut: %+v, %v", state, err)
	}
	written := func() int { list, _ := b.List(t.Context(), segDir); return len(list) }
	before := written()
	for n := 12; state.Cut == nil; n++ {
		if _, err := merge(n); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if len(state.Cut.Segments) == 0 || state.Added != 1+len(state.Done) || state.Shards != 16 {
		t.Errorf("%+v", state)
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	state = MergeState{}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	done, begun := len(state.Done), written()
	m, err := merge(0)
	if err != nil || written()-begun != 16-done || begun <= before {
		t.Errorf("%d segments for %d of 16 shards: %v", written()-begun, 16-done, err)
	}
	if want := (intel.Change{New: 290, Updated: 10, Open: 300}); m.Change != want {
		t.Errorf("%+v", m.Change)
	}
	if _, err := c.Commit(t.Context(), m.Next, etag); err != nil {
		t.Fatal(err)
	}
	noProblems(t, b)
}

// Damage that an early part found is told by the last one.
func TestMergeState_Damage(t *testing.T) {
	b := &breaking{memStore: newMemStore(t)}
	c := openCorpus(t, b, tinyShards)
	info := feedInfo("a", intel.Snapshot)
	mustRun(t, c, info, day(0), numbered(t, 300, "x")...)
	prev, _, err := c.Head(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), prev.Segments[0].Key); err != nil {
		t.Fatal(err)
	}
	c = openCorpus(t, b, tinyShards)
	m := runInParts(t, c, b, rand.New(rand.NewPCG(1, 1)), info, day(1), numbered(t, 300, "y"))
	if m.Damage == nil || !strings.Contains(m.Damage.Error(), "the history of") || m.Next.Lost.IsZero() || b.broke == 0 {
		t.Errorf("%v, %v, broken off %d times", m.Damage, m.Next.Lost, b.broke)
	}
	noProblems(t, b)
}

// A state of another time, or whose segments went, is of no use and does no harm.
func TestMergeState_OfAnother(t *testing.T) {
	for _, what := range []string{"same", "another time", "a segment went"} {
		b := &breaking{memStore: newMemStore(t)}
		c := openCorpus(t, b, tinyShards)
		info, entries := feedInfo("a", intel.Snapshot), numbered(t, 300, "x")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var state MergeState
		b.arm(3, cancel)
		_, err := c.Merge(ctx, nil, entries, MergeOptions{Feed: "a", Info: info, Now: day(0), State: &state})
		b.arm(-1, nil)
		if !errors.Is(err, context.Canceled) || len(state.Done) != 3 || state.Added != 3 {
			t.Fatal(err, state)
		}
		at, want := day(0), 13
		switch what {
		case "another time":
			at, want = day(1), 16
		case "a segment went":
			want = 16
			if err := b.Delete(t.Context(), state.Done[1].Segments[0].Key); err != nil {
				t.Fatal(err)
			}
		}
		state.Added = 0
		m, err := c.Merge(t.Context(), nil, entries, MergeOptions{Feed: "a", Info: info, Now: at, State: &state})
		if err != nil || m.Change.Open != 300 || state.Added != want {
			t.Fatalf("%s: %v, %d steps, want %d", what, err, state.Added, want)
		}
		if _, err := c.Commit(t.Context(), m.Next, ""); err != nil {
			t.Fatal(err)
		}
		noProblems(t, b)
	}
}
