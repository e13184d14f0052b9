package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// replacer changes a big feed over and over while somebody reads.
type replacer struct {
	p    *oursPeer
	asks []intel.Indicator
	took []uint32 // nanoseconds of each look-up, the memory for all rounds
}

// replaced is the number of the feed that is replaced: none of the others.
const replaced = 999

// replacePart reads while a big feed is replaced over and over in the same
// process: first a tenth of it each time, then all of it.
func replacePart(ctx context.Context, o goalsOptions, f figures) error {
	a, err := readAsked(o)
	if err != nil {
		return err
	}
	entries, others, err := bigFeed(ctx, o.big)
	if err != nil {
		return err
	}
	tenth := slices.Clone(entries)
	copy(tenth[:len(tenth)/10], others)
	dir := filepath.Join(o.work, "replaced")
	if err := linked(o.store(), dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := openStore(ctx, dir)
	if err != nil {
		return err
	}
	if err := p.c.View().ReadAhead(ctx); err != nil {
		return err
	}
	p.c.ReadersFirst() // as a server does
	r := &replacer{p, a.Exact, make([]uint32, 32<<20)}
	for i := range r.took {
		r.took[i] = 1 // has the memory given now
	}
	for _, way := range []struct {
		name   string
		states [2][]intel.Entry
	}{{"replace.tenth", [2][]intel.Entry{tenth, entries}}, {"replace.all", [2][]intel.Entry{others, entries}}} {
		if err := r.put(ctx, entries); err != nil {
			return err
		}
		if _, err := p.c.Regroup(ctx); err != nil {
			return err
		}
		for range o.rounds {
			if err := r.round(ctx, way.states, f, way.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// linked makes a folder with the same files, of which none is ever written to:
// so that the corpus stays as it was for another run.
func linked(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return os.Link(name, filepath.Join(to, rel))
	})
}

// put brings the feed to a state and tidies as a server does.
func (r *replacer) put(ctx context.Context, entries []intel.Entry) error {
	if err := r.p.change(ctx, &change{feed: replaced, entries: entries}); err != nil {
		return err
	}
	o := corpus.FoldOptions{Now: r.p.now}
	if !r.p.c.NeedsFold(feedID(replaced), o) {
		return nil
	}
	if _, err := r.p.c.Fold(ctx, feedID(replaced), o); err != nil {
		return err
	}
	_, err := r.p.c.Refresh(ctx)
	return err
}

// round reads for five seconds while nothing happens, and then while the feed
// goes to the other state and back, for as long as that takes and five seconds
// at least.
func (r *replacer) round(ctx context.Context, states [2][]intel.Entry, f figures, name string) error {
	const least = 5 * time.Second
	idle := make(chan error)
	time.AfterFunc(least, func() { close(idle) })
	calm, took, err := r.read(ctx, idle)
	if err != nil {
		return err
	}
	f.add(name+".idle9999", at(took, 0.9999))
	done := make(chan error, 1)
	changes, began := 0, time.Now()
	go func() {
		for i := 0; i%2 == 1 || time.Since(began) < least; i++ {
			if err := r.put(ctx, states[i%2]); err != nil {
				done <- err
				return
			}
			changes++
		}
		done <- nil
	}()
	busy, took, err := r.read(ctx, done)
	if err != nil {
		return err
	}
	f.add(name+".each", time.Since(began).Seconds()/float64(changes))
	f.add(name+".rate", 100*busy/calm)
	f.add(name+".p99", at(took, 0.99))
	f.add(name+".p9999", at(took, 0.9999))
	f.add(name+".max", at(took, 1))
	return r.p.c.Sweep(ctx, time.Now(), 0)
}

// at is a quantile of sorted nanoseconds, in seconds.
func at(took []uint32, q float64) float64 {
	return float64(took[min(len(took)-1, int(q*float64(len(took))))]) / 1e9
}

// read looks up with one client until the channel says something, and returns
// the rate and how long each look-up took, the shortest first.
func (r *replacer) read(ctx context.Context, done <-chan error) (rate float64, took []uint32, err error) {
	reader := &oursPeer{c: r.p.c} // with a buffer of its own
	began := time.Now()
	last, n := began, 0
	for ended := false; !ended; n++ {
		_, _ = reader.exact(ctx, r.asks[n%len(r.asks)])
		now := time.Now()
		r.took[n%len(r.took)] = uint32(min(now.Sub(last), 4*time.Second))
		last = now
		if n%256 == 0 {
			select {
			case err = <-done:
				ended = true
			default:
			}
		}
	}
	took = r.took[:min(n, len(r.took))]
	slices.Sort(took)
	return float64(n) / last.Sub(began).Seconds(), took, err
}
