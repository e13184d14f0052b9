package corpus_test

import (
	"os"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest/embedded"
)

// plain is as a server has it; all feeds of the tests are small.
func plain() embedded.Config { return embedded.Config{Options: corpus.Options{Workers: 1}} }

// tiny cuts feeds into many shards, writes deltas and moves what is closed to the
// history whenever it can, and takes the ways of large data in searches.
func tiny() embedded.Config {
	return embedded.Config{
		Options: corpus.Options{Workers: 1, ShardSize: 8, Small: 1, Live: 60 * time.Hour},
		Prepare: func(c *corpus.Corpus) { c.SetLimits(4096, 4, 6); c.Defer() },
	}
}

// TestEngine holds the corpus against the suite of all engines.
func TestEngine(t *testing.T) {
	t.Run("plain", func(t *testing.T) { enginetest.Run(t, embedded.Open(plain())) })
	t.Run("tiny", func(t *testing.T) { enginetest.Run(t, embedded.Open(tiny())) })
}

// TestEngineRandom holds it against the naive engine. Under the race detector, which
// takes ten times as long, it does a fifth; scripts/unit.sh runs it whole without.
func TestEngineRandom(t *testing.T) {
	large, small := enginetest.Config{First: 0, Seeds: 1}, enginetest.Config{First: 1, Seeds: 2}
	if os.Getenv("EI_SOAK") != "" {
		large, small = enginetest.Config{First: 100, Seeds: 10, Shrink: 5 * time.Minute}, enginetest.Config{First: 110, Seeds: 40, Shrink: 5 * time.Minute}
	}
	if raceEnabled {
		large.Ops, small.Ops = 2000, 2000
	}
	percent := debug.SetGCPercent(400) // the heap is so small that collecting took a third of the time
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	seen := sights{what: map[string]int{}}
	config := tiny()
	config.Prepare = func(c *corpus.Corpus) {
		c.SetLimits(4096, 4, 6)
		c.Defer()
		seen.look(c)
	}
	t.Cleanup(func() { seen.check(t) })
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		enginetest.RunRandom(t, embedded.Open(plain()), large)
	})
	t.Run("tiny", func(t *testing.T) {
		t.Parallel()
		enginetest.RunRandom(t, embedded.Open(config), small)
	})
	t.Run("guess", func(t *testing.T) { // searches read no more than the page takes
		t.Parallel()
		c := tiny()
		c.Guess, c.Prepare = true, func(c *corpus.Corpus) { c.SetLimits(2, 4, 6) }
		enginetest.RunRandom(t, embedded.Open(c), enginetest.Config{First: 3, Seeds: 1, Ops: 2000})
	})
}

// sights are what was met in the corpora that were opened.
type sights struct {
	mu   sync.Mutex
	what map[string]int

	opened int
}

func (s *sights) look(c *corpus.Corpus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	count := func(what string, is bool) {
		if is {
			s.what[what]++
		}
	}
	count("groups", c.View().Groups() > 0)
	for _, h := range c.View().Feeds() {
		count("shards", h.Shards > 1)
		count("purged", !h.Purged.IsZero())
		for _, r := range h.Segments {
			count("delta", r.Delta)
			count("history", r.History)
			count("replaced", r.Replaces > 0)
		}
	}
}

func (s *sights) check(t *testing.T) {
	if s.opened < 500 {
		return // a part of the test, or it failed early
	}
	for _, what := range []string{"groups", "shards", "purged", "delta", "history", "replaced"} {
		if s.what[what] == 0 {
			t.Errorf("%s: never seen, so not tested", what)
		}
	}
	t.Log(s.what)
}
