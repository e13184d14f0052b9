package enginetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Loader is an engine that can be filled. Loads come one after the other.
type Loader interface {
	lookup.Engine
	// Load brings a good run of the feed info.ID: all that it lists at the instant
	// at, or a millisecond after the feed's last run where the clock was set back.
	// When it returns, the engine answers with it.
	Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error
}

// Keeper is a Loader with work to be done now and then that changes no answer.
type Keeper interface {
	// Keep does it. what is fold, regroup, sweep or reopen; what the engine does
	// not know is nothing to be done.
	Keep(ctx context.Context, what string) error
}

// Purger is a Loader that can forget.
type Purger interface {
	// Purge forgets the listings of the feed that have ended and changed before an
	// instant. An end that no run has noticed is none.
	Purge(ctx context.Context, feed string, before time.Time) error
}

// Estimator is a Loader whose totals may be marked as being too small. Those of
// others have to be exact.
type Estimator interface{ Estimates() }

// Informed is a Loader that goes by what enrichment knows, as searches bring it.
type Informed interface{ Informed() }

// Breaker is a Loader whose store can fail.
type Breaker interface {
	// Break makes the store's next operations fail as f says.
	Break(f Fault)
	// Heal ends that. What the engine shows afterwards is what is stored; with
	// reopen it forgets everything else.
	Heal(ctx context.Context, reopen bool) error
	// Version is another one after every run of the feed that was stored.
	Version(feed string) int64
}

// Model is the naive engine. Loads and questions may go on at the same time.
type Model struct {
	now func() time.Time

	mu              sync.Mutex
	feeds           map[string]*modelFeed
	last            []intel.Listing // all of them as of lastNow and lastAt; nil where something changed
	lastNow, lastAt time.Time
}

// modelFeed is all that one feed ever said.
type modelFeed struct {
	info     intel.FeedInfo
	lastGood int64
	all      map[intel.Indicator]*modelRecord
}

// modelRecord is one listing. Times are Unix milliseconds.
type modelRecord struct {
	entry   intel.Entry // as it was last there
	spans   []span
	changed int64
	gone    int64 // the last good run that had it, where the last good run has not
}

// span is half-open; to is open while it lasts.
type span struct{ from, to int64 }

const open = 1 << 62

// NewModel returns an empty one.
func NewModel(now func() time.Time) *Model {
	return &Model{now: now, feeds: map[string]*modelFeed{}}
}

// clone copies it. Entries and info are shared: they are not changed.
func (m *Model) clone() *Model {
	out := NewModel(m.now)
	for id, f := range m.feeds {
		g := *f
		g.all = make(map[intel.Indicator]*modelRecord, len(f.all))
		for i, r := range f.all {
			c := *r
			c.spans = slices.Clone(r.spans)
			g.all[i] = &c
		}
		out.feeds[id] = &g
	}
	return out
}

// Err is nil.
func (m *Model) Err() error { return nil }

func toTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Load implements Loader.
func (m *Model) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = nil
	f := m.feeds[info.ID]
	if f == nil || f.info.Snapshot != "" && info.Snapshot == "" { // starter data gives way to the feed itself
		f = &modelFeed{lastGood: -open, all: map[intel.Indicator]*modelRecord{}}
		m.feeds[info.ID] = f
	}
	now := max(at.UnixMilli(), f.lastGood+1)
	list := unite(entries)
	f.info = info
	for i, e := range list {
		if r := f.all[i]; r == nil {
			f.all[i] = &modelRecord{entry: e, spans: []span{{now, open}}, changed: now}
		} else {
			r.present(e, now, f.ttl(i.Kind))
		}
	}
	for i, r := range f.all {
		if _, has := list[i]; !has && r.isOpen() {
			r.absent(now, f, i.Kind)
		}
	}
	f.lastGood = now
	return ctx.Err()
}

// unite makes one entry of those that are about one indicator.
func unite(entries []intel.Entry) map[intel.Indicator]intel.Entry {
	out := map[intel.Indicator]intel.Entry{}
	for _, e := range entries {
		if e.Original == "" {
			e.Original = e.Indicator.Value
		}
		if first, twice := out[e.Indicator]; twice {
			var both intel.Fields
			both.Merge(first.Fields)
			both.Merge(e.Fields)
			e = first
			e.Fields = both
		}
		out[e.Indicator] = e
	}
	return out
}

// ttl is how long something absent of this kind stays listed, in milliseconds;
// 0 = no matter of time.
func (f *modelFeed) ttl(kind intel.Kind) int64 {
	if f.info.Presence == intel.Snapshot {
		return 0
	}
	d := f.info.TTL
	for k, own := range f.info.KindTTL {
		if k == kind {
			d = own
		}
	}
	return time.Duration(d).Milliseconds()
}

func (r *modelRecord) last() *span  { return &r.spans[len(r.spans)-1] }
func (r *modelRecord) isOpen() bool { return r.last().to == open }

// ends is when it ends by itself.
func (r *modelRecord) ends(ttl int64) int64 {
	if r.gone == 0 || ttl == 0 {
		return open
	}
	return max(r.gone+ttl, r.last().from)
}

// present applies a run that has it.
func (r *modelRecord) present(e intel.Entry, now, ttl int64) {
	same := e.Original == r.entry.Original && slices.EqualFunc(e.Fields, r.entry.Fields, func(a, b intel.Field) bool {
		return a.Name == b.Name && slices.Equal(a.Values, b.Values)
	})
	if end := r.ends(ttl); r.isOpen() && end <= now {
		r.last().to = end
	}
	switch {
	case !r.isOpen() && r.last().to >= now: // ended and listed in one instant
		r.last().to = open
	case !r.isOpen():
		r.spans = append(r.spans, span{now, open})
	case same && r.gone == 0:
		return
	}
	r.entry, r.gone, r.changed = e, 0, now
}

// absent applies a run that does not have it.
func (r *modelRecord) absent(now int64, f *modelFeed, kind intel.Kind) {
	first := r.gone == 0
	if first {
		r.gone = f.lastGood
	}
	keeps := f.info.Presence == intel.Append || f.info.Presence == intel.Rolling && f.ttl(kind) > 0
	if !keeps {
		r.last().to = max(now, r.last().from)
	} else if end := r.ends(f.ttl(kind)); end <= now {
		r.last().to = end
	}
	if first || !r.isOpen() {
		r.changed = now
	}
}

// Purge implements Purger.
func (m *Model) Purge(_ context.Context, feed string, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = nil
	if f := m.feeds[feed]; f != nil {
		maps.DeleteFunc(f.all, func(_ intel.Indicator, r *modelRecord) bool { return !r.isOpen() && r.changed < before.UnixMilli() })
	}
	return nil
}

// Find implements lookup.Engine by looking at everything.
func (m *Model) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.feeds {
		for _, k := range q.Keys {
			dst = m.take(dst, f, k.Indicator, k.Relation, at)
		}
		if !q.Covers.IsValid() && !q.Inside.IsValid() {
			continue
		}
		for i := range f.all {
			p, ok := query.Doc{Listing: &intel.Listing{Kind: i.Kind, Canonical: i.Value}}.Prefix()
			switch {
			case !ok || i == q.Indicator || i.Kind == intel.URL:
			case i.Kind == intel.CIDR && q.Covers.IsValid() && p.Bits() <= q.Covers.Bits() && p.Contains(q.Covers.Addr()):
				dst = m.take(dst, f, i, intel.RelNetwork, at)
			case q.Inside.IsValid() && p.Bits() >= q.Inside.Bits() && q.Inside.Contains(p.Addr()):
				dst = m.take(dst, f, i, intel.RelMember, at)
			}
		}
	}
	return dst, ctx.Err()
}

func (m *Model) take(dst []intel.Listing, f *modelFeed, i intel.Indicator, rel intel.Relation, at time.Time) []intel.Listing {
	r := f.all[i]
	if r == nil {
		return dst
	}
	l, ok := m.listing(f, i, r, at)
	if !ok {
		return dst
	}
	l.Relation = rel
	return append(dst, l)
}

// Search implements lookup.Engine by lookuptest.Run.
func (m *Model) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if err := ctx.Err(); err != nil {
		return query.Page{}, err
	}
	return lookuptest.Run(slices.Values(m.listings(s.AsOf)), s, emit)
}

// listings is everything as it stood at the instant at; zero: now.
func (m *Model) listings(at time.Time) []intel.Listing {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); m.last == nil || !now.Equal(m.lastNow) || !at.Equal(m.lastAt) {
		m.last, m.lastNow, m.lastAt = []intel.Listing{}, now, at
		for _, f := range m.feeds {
			for i, r := range f.all {
				if l, ok := m.listing(f, i, r, at); ok {
					m.last = append(m.last, l)
				}
			}
		}
	}
	return m.last
}

// Stats implements lookup.Engine. As everywhere, what is counted is what was
// listed after each feed's last run: ends that pass by themselves count with the next.
func (m *Model) Stats(ctx context.Context) (intel.Stats, error) {
	st := intel.Stats{Feeds: len(m.feeds), ByKind: map[string]int{}}
	distinct := map[intel.Indicator]bool{}
	for _, f := range m.feeds {
		for i, r := range f.all {
			if r.isOpen() {
				st.Listings++
				st.ByKind[i.Kind.String()]++
				distinct[i] = true
			}
		}
	}
	st.Indicators = len(distinct)
	return st, ctx.Err()
}
