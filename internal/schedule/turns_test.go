package schedule

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// shop runs feeds of which those called keyed… share a key; a run takes a minute.
type shop struct {
	mu    sync.Mutex
	due   []string
	now   int // keyed runs under way
	most  int
	ended []string
}

func (s *shop) job(id string) feed.Job {
	d := &feed.Definition{ID: id}
	if strings.HasPrefix(id, "keyed") {
		d.Auth = &feed.Auth{Secret: "K", In: feed.InHeader, Name: "X"}
	}
	return feed.Job{Def: d}
}

func (s *shop) Due(context.Context, time.Time) ([]feed.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var jobs []feed.Job
	for _, id := range s.due {
		jobs = append(jobs, s.job(id))
	}
	return jobs, nil
}

func (s *shop) Run(ctx context.Context, j feed.Job) (intel.Run, error) {
	keyed := 0
	if j.Def.NeedsKey() {
		keyed = 1
	}
	s.mu.Lock()
	s.now += keyed
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	if strings.HasSuffix(j.Def.ID, "panic") {
		defer func() {
			s.mu.Lock()
			s.now -= keyed
			s.due = slices.DeleteFunc(s.due, func(d string) bool { return d == j.Def.ID })
			s.mu.Unlock()
		}()
		panic("a feed that breaks the parser")
	}
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now -= keyed
	s.ended = append(s.ended, j.Def.ID)
	s.due = slices.DeleteFunc(s.due, func(d string) bool { return d == j.Def.ID })
	return intel.Run{Feed: j.Def.ID, Status: intel.RunOK}, nil
}

func (s *shop) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.ended))
}

// Feeds that share a key take turns, and those behind them overtake.
func TestFeedsOfOneKeyTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &shop{due: []string{"keyed1", "keyed2", "keyed-panic", "keyed3", "free1", "free2", "free3"}}
		s := New(Config{Source: w, Runner: w, Parallel: 4, Every: time.Hour, Jitter: -1})
		stop := running(t, s)
		time.Sleep(90 * time.Second)
		if got := w.done(); !slices.Equal(got, []string{"free1", "free2", "free3", "keyed1"}) {
			t.Errorf("after the first minute %q ended", got)
		}
		// One that is asked for by hand does not wait; the others then wait for it, too.
		if _, err := s.Trigger(t.Context(), w.job("keyed3")); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		if got := w.done(); !slices.Equal(got, []string{"free1", "free2", "free3", "keyed1", "keyed2", "keyed3"}) {
			t.Errorf("%q ended", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most != 2 { // the one by hand
			t.Errorf("%d feeds of one key at a time", w.most)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.turns) != 0 || len(s.active) != 0 {
			t.Errorf("left: turns %v, active %v", s.turns, s.active)
		}
	})
}
