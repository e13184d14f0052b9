package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// series is what one engine took in one line of the table, a value a round:
// seconds, or for rates things per second.
type series struct{ p50, p99 []float64 }

// agreement counts in how many answers a peer says the same as we do.
type agreement struct{ asked, totals, firsts int }

// bench is one run over all engines.
type bench struct {
	d        *dataset
	q        *questionnaire
	peers    []peer // the first is ours
	budget   time.Duration
	took     map[string]map[string]*series // line → engine
	agree    map[string]map[string]*agreement
	truth    map[string][]answer // our answers: line → by question
	hits     map[string]int      // line → what we found, over all its questions
	least    map[string]int      // line → questions to which our total is "at least"
	rate     map[string]float64  // of loading
	size     map[string]int64
	about    map[string]string
	feed     *feedState
	writings []string // what was wrong after the changes
}

func newBench(d *dataset, q *questionnaire, peers []peer, budget time.Duration) *bench {
	return &bench{d: d, q: q, peers: peers, budget: budget, took: map[string]map[string]*series{}, agree: map[string]map[string]*agreement{},
		truth: map[string][]answer{}, hits: map[string]int{}, least: map[string]int{}, rate: map[string]float64{}, size: map[string]int64{}, about: map[string]string{}}
}

// load fills one engine after the other, feed by feed. Making the rows is not counted.
func (b *bench) load(ctx context.Context, progress func(string, ...any)) error {
	for _, p := range b.peers {
		var took time.Duration
		seq := int64(0)
		for i, entries := range b.d.feeds {
			rows := make([]listing, len(entries))
			for j := range entries {
				seq++
				rows[j] = makeRow(seq, feedID(i), &entries[j])
			}
			began := time.Now()
			if err := p.load(ctx, i, entries, rows); err != nil {
				return fmt.Errorf("load %s: %w", p.name(), err)
			}
			took += time.Since(began)
		}
		began := time.Now()
		if err := p.ready(ctx); err != nil {
			return fmt.Errorf("load %s: %w", p.name(), err)
		}
		took += time.Since(began)
		b.rate[p.name()], b.about[p.name()] = float64(b.d.listings)/took.Seconds(), p.about()
		progress("%-16s loaded in %v", p.name(), took.Round(time.Millisecond))
	}
	return nil
}

// weigh measures the bytes on disk, after the questions: until then engines have
// deleted what merging left.
func (b *bench) weigh(ctx context.Context) error {
	for _, p := range b.peers {
		n, err := p.bytes(ctx)
		if err != nil {
			return fmt.Errorf("size of %s: %w", p.name(), err)
		}
		b.size[p.name()] = n
	}
	return nil
}

// ask runs every line once on every engine. The first round is not timed: it
// warms, and compares the answers with ours.
func (b *bench) ask(ctx context.Context, first bool) error {
	for _, p := range b.peers {
		if err := b.line(ctx, first, p, "exact", len(b.q.exact), func(i int) (answer, error) {
			n, err := p.exact(ctx, b.q.exact[i])
			return answer{total: n}, err
		}); err != nil {
			return err
		}
		if err := b.line(ctx, first, p, "bulk", 3, func(int) (answer, error) {
			n, err := p.bulk(ctx, b.q.exact)
			return answer{total: n}, err
		}); err != nil {
			return err
		}
		for _, s := range searchSorts {
			if err := b.line(ctx, first, p, s, len(b.q.searches[s]), func(i int) (answer, error) {
				return p.search(ctx, b.q.searches[s][i])
			}); err != nil {
				return err
			}
		}
		if err := b.line(ctx, first, p, "covering", len(b.q.covering), func(i int) (answer, error) {
			n, err := p.covering(ctx, b.q.covering[i])
			return answer{total: n}, err
		}); err != nil {
			return err
		}
		if err := b.line(ctx, first, p, "facet", 5*len(b.q.facets), func(i int) (answer, error) {
			counts, err := p.facet(ctx, b.q.facets[i%len(b.q.facets)])
			return facetAnswer(counts), err
		}); err != nil {
			return err
		}
	}
	return nil
}

func facetAnswer(counts map[string]int) (a answer) {
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		a.total += counts[f]
		a.first = append(a.first, fmt.Sprint(f, "=", counts[f]))
	}
	return a
}

// line asks n questions, fewer where they take longer than the budget: all
// engines get them in the same order.
func (b *bench) line(ctx context.Context, first bool, p peer, line string, n int, ask func(i int) (answer, error)) error {
	took := make([]float64, 0, n)
	began := time.Now()
	for i := range n {
		if len(took) >= 3 && time.Since(began) > b.budget {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		start := time.Now()
		a, err := ask(i)
		took = append(took, time.Since(start).Seconds())
		if errors.Is(err, errNot) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, %s %d: %w", p.name(), line, i, err)
		}
		if first {
			b.compare(p, line, i, a)
		}
	}
	if first || len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	s := entry(b.took, line, p.name())
	s.p50, s.p99 = append(s.p50, took[len(took)/2]), append(s.p99, took[min(len(took)-1, len(took)*99/100)])
	return nil
}

// compare holds an answer against ours, which is asked first.
func (b *bench) compare(p peer, line string, i int, a answer) {
	if p == b.peers[0] {
		b.truth[line] = append(b.truth[line], a)
		b.hits[line] += a.total
		if a.least {
			b.least[line]++
		}
		return
	}
	if i >= len(b.truth[line]) {
		return
	}
	x, want := entry(b.agree, line, p.name()), b.truth[line][i]
	x.asked++
	if a.total == want.total || want.least && a.total > want.total {
		x.totals++
	}
	if slices.Equal(a.first, want.first) {
		x.firsts++
	}
}

func entry[T any](m map[string]map[string]*T, a, b string) *T {
	if m[a] == nil {
		m[a] = map[string]*T{}
	}
	if m[a][b] == nil {
		m[a][b] = new(T)
	}
	return m[a][b]
}

// change brings the largest feed to its next state in every engine.
func (b *bench) change(ctx context.Context, round int) error {
	if b.feed == nil {
		b.feed = newFeedState(b.d)
	}
	c := b.feed.next(round)
	for _, p := range b.peers {
		before, told := written(p)
		began := time.Now()
		err := p.change(ctx, c)
		took := time.Since(began).Seconds()
		after, _ := written(p)
		if errors.Is(err, errNot) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change %s: %w", p.name(), err)
		}
		s := entry(b.took, "change", p.name())
		s.p50 = append(s.p50, took)
		if told {
			s = entry(b.took, "written", p.name())
			s.p50 = append(s.p50, after-before)
		}
		n, err := p.count(ctx, c.feed)
		if err == nil && n != len(c.entries) {
			b.writings = append(b.writings, fmt.Sprintf("after change %d %s has %d listings of the feed, not %d", round+1, p.name(), n, len(c.entries)))
		}
		if err != nil && !errors.Is(err, errNot) {
			return fmt.Errorf("count %s: %w", p.name(), err)
		}
	}
	return nil
}
