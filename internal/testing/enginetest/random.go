package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Config says how much is tried at random.
type Config struct {
	First, Seeds uint64        // the seeds First to First+Seeds-1; default 3
	Ops          int           // operations per seed; default 10,000
	Shrink       time.Duration // how long a failure is made short; default a minute
}

// RunRandom holds an engine against the Model in random scripts: runs of feeds
// of every presence, de-listing, purging, background work, failing stores, opening
// anew; and between them look-ups and searches. What fails is printed as a short
// script, which can be put into testdata.
func RunRandom(t *testing.T, open Opener, c Config) {
	if c.Seeds == 0 {
		c.Seeds = 3
	}
	if c.Ops == 0 {
		c.Ops = 10_000
	}
	if c.Shrink == 0 {
		c.Shrink = time.Minute
	}
	for seed := c.First; seed < c.First+c.Seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s, counts, err := random(t.Context(), open, seed, c.Ops)
			if err != nil {
				t.Logf("seed %d, operation %d: %v", seed, len(s.Steps), err)
				s, err = shrink(t.Context(), open, s, err, c.Shrink)
				t.Fatalf("seed %d: %v\nin the script\n\n%s", seed, err, s)
			}
			t.Log(counts)
		})
	}
}

// random makes and does one step after the other until the engine errs.
func random(ctx context.Context, open Opener, seed uint64, ops int) (*Script, string, error) {
	r, err := newRunner(ctx, open)
	if err != nil {
		return &Script{}, "", err
	}
	w := newWorld(seed)
	a := &asker{w, func() *intel.Listing { return w.listing(r.model) }}
	s := &Script{}
	counts := map[string]int{}
	found := 0
	for range ops {
		step, err := a.step()
		if err != nil {
			return s, "", err
		}
		s.Steps = append(s.Steps, step)
		lines, err := r.step(step)
		if err != nil {
			return s, "", err
		}
		head, _, _ := strings.Cut(step.String(), " ")
		counts[strings.TrimSpace(head)]++
		if step.Search != nil && len(lines) > 0 && lines[0] != "0 found" {
			found++
		}
	}
	return s, fmt.Sprintf("%v, %d searches found something", counts, found), nil
}

// step makes the next one.
func (a *asker) step() (*Step, error) {
	s := &Step{}
	var err error
	switch n := a.rnd.IntN(100); {
	case n < 10:
		s.Load = a.load()
	case n < 15:
		s.Keep = []string{"fold", "fold", "regroup", "sweep", "reopen"}[a.rnd.IntN(5)]
	case n < 16:
		f := a.feeds[a.rnd.IntN(len(a.feeds))]
		s.Purge = &Purge{f.info.ID, a.now.Add(-time.Duration(a.rnd.IntN(300)) * time.Hour)}
	case n < 55:
		s.Find = a.find()
	case n < 97:
		s.Search, err = a.search()
	case n < 98:
		s.Compare = &Compare{}
		for _, f := range a.feeds {
			if a.rnd.IntN(4) == 0 {
				s.Compare.Aside = append(s.Compare.Aside, f.info.ID)
			}
		}
	case n < 99:
		s.Follow = 1 + a.rnd.IntN(40)
	default:
		s.Stats = true
	}
	if (s.Load != nil || s.Keep != "" || s.Purge != nil) && a.rnd.IntN(6) == 0 {
		s.Fault = &Fault{Op: 1 + a.rnd.IntN(20), Mode: []string{"before", "after", "dead"}[a.rnd.IntN(3)], Reopen: a.rnd.IntN(2) == 0}
	}
	s.Now = a.now
	return s, err
}

func (a *asker) find() *Find {
	f := &Find{Value: a.values[a.rnd.IntN(len(a.values))].Value}
	if a.rnd.IntN(8) == 0 {
		f.Value = []string{"198.51.100.0/25", "d1.example.org", "http://d1.example.org/", "198.51.100.1:1", "2001:db8::/48", "x.y.example.co.uk", "192.0.2.1"}[a.rnd.IntN(7)]
	}
	if a.rnd.IntN(2) == 0 {
		f.AsOf = a.instant()
	}
	return f
}

// search makes one. Its query is printed and read again, which must not change it.
func (a *asker) search() (*Search, error) {
	n := a.tree(a.rnd.IntN(4))
	s := &Search{Query: n.String(), Sort: query.Sort{By: query.SortBy(a.rnd.IntN(5)), Reverse: a.rnd.IntN(2) == 0}}
	again, err := query.Parse(s.Query, a.now)
	if err != nil {
		return nil, fmt.Errorf("a query that was printed cannot be read: %s: %w", s.Query, err)
	}
	if again.String() != s.Query && query.Normal(again).String() != query.Normal(n).String() {
		return nil, fmt.Errorf("printed and read again, %s is %s", s.Query, again)
	}
	if a.rnd.IntN(2) == 0 {
		s.Sort = query.Sort{}
	}
	if a.rnd.IntN(4) == 0 {
		s.AsOf = a.instant()
	}
	s.Facts = a.rnd.IntN(2) == 0
	switch a.rnd.IntN(4) {
	case 0:
		s.Limit = 1 + a.rnd.IntN(30)
	case 1:
		s.Limit, s.Pages = 5+a.rnd.IntN(40), true
	case 2:
		s.Limit = a.rnd.IntN(2) - 1
	}
	if a.rnd.IntN(3) == 0 {
		s.Facets, s.FacetLimit = a.facets(), a.rnd.IntN(5)
	}
	return s, nil
}

func (a *asker) facets() (out []query.Field) {
	for range 1 + a.rnd.IntN(3) {
		f := query.Context(worldFields[a.rnd.IntN(len(worldFields))].Name)
		if all := query.Fields(); a.rnd.IntN(4) > 0 {
			f = all[a.rnd.IntN(len(all))]
		}
		if query.CanFacet(f) {
			out = append(out, f)
		}
	}
	return out
}
