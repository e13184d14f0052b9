package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Stood is an Index that says how far it was brought, as *opensearch.Engine does.
type Stood interface {
	Index
	Standing(ctx context.Context) (opensearch.Standing, error)
}

// CatchUp brings an index to the state of a store in steps of one feed, each of
// which stands when it is done: for a process that is ended after some minutes, and
// holds no corpus. Only one may do so at a time, see opensearch.Engine.Sync.
type CatchUp struct {
	Index Stood
	// Heads reads the heads of all feeds, see corpus.Heads.
	Heads func(ctx context.Context) (heads map[string]*corpus.Head, broken map[string]error, err error)
	// Open opens a corpus that holds one feed, or all for "".
	Open func(ctx context.Context, feed string) (*corpus.Corpus, error)
	Now  func() time.Time
	Log  *slog.Logger
}

// Caught is what came of a CatchUp.
type Caught struct {
	opensearch.SyncStats
	Left []string // feeds of which the index has not all, by id
}

// Behind names the feeds of which the index has not what the store has, and those
// that the store has no more, by id. It reads, and opens no segment.
func (c *CatchUp) Behind(ctx context.Context) ([]string, error) {
	heads, broken, err := c.Heads(ctx)
	if err != nil {
		return nil, err
	}
	stand, err := c.Index.Standing(ctx)
	if anew(err) {
		return slices.Sorted(maps.Keys(heads)), nil
	}
	if err != nil {
		return nil, err
	}
	behind := differing(heads, broken, stand)
	slices.Sort(behind)
	return behind, nil
}

// anew says whether the index has to be made.
func anew(err error) bool {
	return errors.Is(err, opensearch.ErrUnsynced) || errors.Is(err, opensearch.ErrMapping)
}

// differing is Behind, the newest data first.
func differing(heads map[string]*corpus.Head, broken map[string]error, stand opensearch.Standing) []string {
	behind := map[string]time.Time{}
	have := map[string]bool{}
	for _, f := range stand.Feeds {
		id := f.Info.ID
		have[id] = true
		h := heads[id]
		switch {
		case h != nil:
			if now := feedOf(h); !f.Same(&now) {
				behind[id] = h.LastGood
			}
		case broken[id] == nil:
			behind[id] = time.Time{} // it went
		}
	}
	for id, h := range heads {
		if !have[id] {
			behind[id] = h.LastGood
		}
	}
	for _, id := range stand.Begun {
		if _, ok := behind[id]; !ok && broken[id] == nil {
			behind[id] = time.Time{}
		}
	}
	return slices.SortedFunc(maps.Keys(behind), func(a, b string) int {
		return cmp.Or(behind[b].Compare(behind[a]), strings.Compare(a, b))
	})
}

// Run brings the index up to date as far as there is time, the newest data first.
// What it leaves is in Left, also where it fails: the next Run does it. An index
// that is not there, or of another version, is made of the whole store; that goes
// on where the last one was ended.
func (c *CatchUp) Run(ctx context.Context) (done Caught, err error) {
	heads, broken, err := c.Heads(ctx)
	if err != nil {
		return done, err
	}
	stand, err := c.Index.Standing(ctx)
	if anew(err) {
		return c.whole(ctx, heads)
	}
	if err != nil {
		return done, err
	}
	done.Left = differing(heads, broken, stand)
	p := &part{known: map[string]opensearch.Feed{}, views: map[string]*corpus.View{}}
	for _, f := range stand.Feeds {
		p.known[f.Info.ID] = f
	}
	first, rest, err := c.open(ctx, p, done.Left, heads, broken, stand.Begun)
	if err != nil {
		return done, err
	}
	if len(first) > 0 || stand.Torn || stand.Damage != textOf(p.Err()) {
		err = c.step(ctx, p, first, &done)
	}
	for _, id := range rest {
		if err != nil {
			break
		}
		err = c.step(ctx, p, []string{id}, &done)
	}
	return done, err
}

// whole makes the index of all that there is.
func (c *CatchUp) whole(ctx context.Context, heads map[string]*corpus.Head) (done Caught, err error) {
	if len(heads) == 0 {
		return done, nil // no run was ever good; whoever asks the index is told that it was never filled
	}
	all, err := c.Open(ctx, "")
	if err == nil {
		e := New(Config{Index: c.Index, Corpus: all, Now: c.Now, Log: c.Log, Say: func(format string, a ...any) {
			c.Log.LogAttrs(ctx, slog.LevelInfo, fmt.Sprintf(format, a...))
		}})
		done.SyncStats, err = e.Sync(ctx)
	}
	if err != nil {
		done.Left = slices.Sorted(maps.Keys(heads))
	}
	return done, err
}

// noFeed is the name of none: a corpus of it is the store's and holds nothing.
const noFeed = "-"

// open opens what is behind, all of it before any is sent: what turns out to be
// damaged has to be said together with the first change. It returns what belongs
// into the first step (what a Sync that was ended by force left, what went) and
// what comes after it, one by one. What cannot be read stays in the index as it is.
func (c *CatchUp) open(ctx context.Context, p *part, behind []string, heads map[string]*corpus.Head, broken map[string]error, begun []string) (first, rest []string, err error) {
	none, err := c.Open(ctx, noFeed)
	if err != nil {
		return nil, nil, err
	}
	p.id = none.ID()
	damage := map[string]error{}
	maps.Copy(damage, broken)
	for _, id := range behind {
		if heads[id] == nil {
			first = append(first, id)
			continue
		}
		one, err := c.Open(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if err := one.Broken(id); err != nil {
			damage[id] = err
			continue
		}
		p.views[id] = one.View()
		if slices.Contains(begun, id) {
			first = append(first, id)
		} else {
			rest = append(rest, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(damage)) {
		p.damage = append(p.damage, &corpus.FeedError{Feed: id, Err: damage[id]})
	}
	return first, rest, nil
}

// step shows the index these feeds as they are now, and all others as it has them.
func (c *CatchUp) step(ctx context.Context, p *part, ids []string, done *Caught) error {
	for _, id := range ids {
		delete(p.known, id)
		if v := p.views[id]; v != nil && v.Feed(id) != nil { // else it went
			p.known[id] = feedOf(v.Feed(id))
		}
	}
	for range 2 { // what the index refuses is remembered there, and the next one is whole
		st, err := c.Index.Sync(ctx, p)
		done.SyncStats = sum(done.SyncStats, st)
		if err == nil {
			break
		}
		if !refused(err) {
			return err
		}
		c.Log.LogAttrs(ctx, slog.LevelError, "the index does not take some documents", slog.Int("documents", st.Rejected), slog.String("first", firstRefused(err).Error()))
	}
	done.Left = slices.DeleteFunc(done.Left, func(id string) bool { return slices.Contains(ids, id) })
	return ctx.Err()
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// part is a source of which only some feeds are opened: those that are sent.
type part struct {
	known  map[string]opensearch.Feed // what the index is to know
	views  map[string]*corpus.View    // of one feed each
	id     string
	damage []error
}

// Feeds implements opensearch.Source.
func (p *part) Feeds() (out []opensearch.Feed) {
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		out = append(out, p.known[id])
	}
	return out
}

// ID implements opensearch.Source.
func (p *part) ID() string { return p.id }

// Err implements opensearch.Source.
func (p *part) Err() error { return errors.Join(p.damage...) }

// Search implements opensearch.Source for the listings of one feed, which is all
// that a Sync asks for.
func (p *part) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if q, ok := s.Query.(query.Equal); ok && q.Field == query.FieldFeed {
		for id, v := range p.views {
			if strings.TrimSpace(string(query.Fold(nil, id))) == q.Value {
				return v.Search(ctx, s, emit)
			}
		}
	}
	return query.Page{}, fmt.Errorf("%v is asked of a source that has %d feeds opened", s.Query, len(p.views))
}
