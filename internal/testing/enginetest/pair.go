package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Pair are two engines that are filled with the same.
type Pair interface {
	Filler
	// Engines returns the one that is taken to be right, and the one under test.
	Engines() (want, got lookup.Engine)
}

// OpenPair makes two empty engines that take now for the time.
type OpenPair func(now func() time.Time) (Pair, error)

// RealConfig says what is asked.
type RealConfig struct {
	Feeds     []RealFeed
	Seed      uint64
	Questions int // all together; half of them after the last round
	Least     int // how many listings both must have held after some round
	Workers   int // questions asked at the same time; default 4
	Log       func(format string, a ...any)
}

// RunReal lets real feeds live for some days, and after each round asks both
// engines the same of every kind of question: whole answers have to be equal. The
// first difference is made small and reported.
func RunReal(t *testing.T, open OpenPair, c RealConfig) {
	t.Helper()
	p, err := newPairRun(t.Context(), open, c)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(c.Feeds, rand.New(rand.NewPCG(c.Seed, 5)))
	for round := range rounds {
		p.world.now = p.world.now.Add(pause(round))
		p.world.times = append(p.world.times, p.world.now)
		began := time.Now()
		if err := h.play(t.Context(), round, p.world.now, p.pair); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		p.world.now = p.world.now.Add(time.Minute)
		filled := time.Now()
		n := c.Questions / 2
		if round < rounds-1 {
			n /= rounds - 1
		}
		if err := p.round(n, round == rounds-1); err != nil {
			t.Fatalf("round %d, at %s: %v", round, stamp(p.world.now), err)
		}
		t.Logf("round %d: %d runs so far, %d listings, filled in %s, asked for %s", round, h.loads, p.held, filled.Sub(began).Round(time.Second/10), time.Since(filled).Round(time.Second/10))
	}
	if p.most < c.Least {
		t.Errorf("at most %d listings were held, wanted are %d: the samples have become fewer", p.most, c.Least)
	}
	st, err := p.sides[0].plain.Stats(t.Context())
	t.Logf("%d feeds, %d listings, %d indicators (%v); %s", st.Feeds, st.Listings, st.Indicators, err, p.seen())
}

// side is one engine, and how it is asked.
type side struct {
	engine lookup.Engine
	plain  *lookup.Service
	calm   *lookup.Service // without budgets, which a slow machine would use up
	cursor string          // of changes
}

// calm is an engine that is given all the time it takes.
type calm struct{ lookup.Engine }

func (c calm) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	s.Budget = 0
	return c.Engine.Search(ctx, s, emit)
}

// pairRun asks both sides.
type pairRun struct {
	ctx    context.Context
	pair   Pair
	sides  [2]side // want, got
	world  *world
	pool   []intel.Listing
	guide  []string // queries of the guide
	config RealConfig
	held   int // listings that both hold, those that have ended too
	most   int // and at most after a round

	mu     sync.Mutex
	counts map[string]int
}

func newPairRun(ctx context.Context, open OpenPair, c RealConfig) (*pairRun, error) {
	if c.Workers == 0 {
		c.Workers = 4
	}
	p := &pairRun{ctx: ctx, config: c, counts: map[string]int{}, world: &world{rnd: rand.New(rand.NewPCG(c.Seed, 6)), now: began, start: began}}
	clock := func() time.Time { return p.world.now }
	var err error
	if p.pair, err = open(clock); err != nil {
		return nil, err
	}
	want, got := p.pair.Engines()
	for i, e := range []lookup.Engine{want, got} {
		p.sides[i] = side{engine: e, plain: lookup.New(e, clock), calm: lookup.New(calm{e}, clock)}
	}
	p.guide, err = guideQueries()
	return p, err
}

// round asks n random questions and those that are asked once.
func (p *pairRun) round(n int, last bool) error {
	if err := p.gather(); err != nil {
		return err
	}
	a := &asker{p.world, func() *intel.Listing {
		if len(p.pool) == 0 {
			return nil
		}
		return &p.pool[p.world.rnd.IntN(len(p.pool))]
	}}
	qs := p.fixed(a, last)
	for range n {
		qs = append(qs, p.random(a))
	}
	if err := p.askAll(qs); err != nil {
		return err
	}
	return p.follow(last)
}

// gather samples the listings: of each feed some, and of all of them more.
func (p *pairRun) gather() error {
	const perFeed, more = 12, 3000
	p.pool = p.pool[:0]
	per, n := map[string]int{}, 0
	rest := make([]intel.Listing, 0, more)
	_, err := p.sides[0].engine.Search(p.ctx, query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}, func(l *intel.Listing) error {
		n++
		switch k := per[l.Feed]; {
		case k < perFeed:
			per[strings.Clone(l.Feed)]++
			p.pool = append(p.pool, cloneListing(l))
		case len(rest) < more:
			rest = append(rest, cloneListing(l))
		default:
			if j := p.world.rnd.IntN(n); j < more {
				rest[j] = cloneListing(l)
			}
		}
		return nil
	})
	p.pool = append(p.pool, rest...)
	if err != nil {
		return err
	}
	page, err := p.sides[1].engine.Search(p.ctx, query.Search{Query: query.All{}, Limit: -1}, func(*intel.Listing) error { return nil })
	if err == nil && page.Total != n {
		err = fmt.Errorf("%d listings are held, want %d", page.Total, n)
	}
	p.held, p.most = n, max(p.most, n)
	return err
}

func cloneListing(l *intel.Listing) intel.Listing {
	c := *l
	for _, s := range []*string{&c.Feed, &c.Provider, &c.Canonical, &c.Original, &c.TLP, &c.Malware, &c.ThreatType, &c.Reference, &c.Description, &c.FeedFirstSeen, &c.FeedLastSeen} {
		*s = strings.Clone(*s)
	}
	c.Tags, c.Intervals, c.Context = slices.Clone(l.Tags), slices.Clone(l.Intervals), slices.Clone(l.Context)
	for i := range c.Tags {
		c.Tags[i] = strings.Clone(c.Tags[i])
	}
	for i := range c.Context {
		f := &c.Context[i]
		f.Name, f.Values = strings.Clone(f.Name), slices.Clone(f.Values)
		for j := range f.Values {
			f.Values[j] = strings.Clone(f.Values[j])
		}
	}
	return c
}

// askAll asks all questions, several at a time.
func (p *pairRun) askAll(qs []question) error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	next := make(chan question)
	var wg sync.WaitGroup
	for range p.config.Workers {
		wg.Go(func() {
			for q := range next {
				if err := p.ask(ctx, q); err != nil {
					cancel(err) // the first one counts
				}
			}
		})
	}
	for _, q := range qs {
		select {
		case next <- q:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	var d *differs
	if err := context.Cause(ctx); errors.As(err, &d) {
		return p.shrink(d)
	} else if ctx.Err() != nil {
		return err
	}
	return nil
}

// differs is a question that the two answer in different ways.
type differs struct {
	q   question
	err error
}

func (d *differs) Error() string { return fmt.Sprintf("%s\n%v", d.q, d.err) }

// ask asks both and compares.
func (p *pairRun) ask(ctx context.Context, q question) error {
	var answers [2]reply
	for i := range p.sides {
		var err error
		if answers[i], err = q.ask(ctx, &p.sides[i]); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s\nis no answer (engine %d): %w", q, i, err)
		}
	}
	p.note(q, &answers[0])
	if err := sameReply(&answers[1], &answers[0]); err != nil {
		return &differs{q, err}
	}
	return nil
}

// shrink makes a question that is answered differently smaller.
func (p *pairRun) shrink(d *differs) error {
	for tries := 0; tries < 300; {
		smaller := false
		for _, q := range d.q.simpler() {
			var next *differs
			if tries++; errors.As(p.ask(p.ctx, q), &next) {
				d, smaller = next, true
				break
			}
		}
		if !smaller {
			break
		}
	}
	return d
}

func (p *pairRun) note(q question, r *reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind, _, _ := strings.Cut(q.String(), " ")
	p.counts[kind]++
	if b, ok := q.(bulkQuestion); ok {
		p.counts["values in bulk"] += len(b.values)
	}
	if len(r.lines) > 0 {
		p.counts[kind+" with answer"]++
	}
	for _, f := range r.found {
		if f.TotalIs != lookup.TotalExact {
			p.counts["not counted to the end by the first"]++
		}
	}
}

func (p *pairRun) seen() string {
	var parts []string
	for k, n := range p.counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, k))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
