package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
)

// from gives the values of a slice.
func from(values []string) func() (string, bool, error) {
	i := 0
	return func() (string, bool, error) {
		if i == len(values) {
			return "", false, nil
		}
		i++
		return values[i-1], true, nil
	}
}

// engines are an engine that is asked one by one, and one that is asked many at once.
func engines(t testing.TB) map[string]lookup.Engine {
	return map[string]lookup.Engine{"one": world(t), "many": &lookuptest.Many{Engine: world(t)}}
}

func TestAnswers_equalsAnswerOneByOne(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) { equalsOneByOne(t, e) })
	}
}

func equalsOneByOne(t *testing.T, e lookup.Engine) {
	s := lookup.New(e, clock)
	pool := []string{"192.0.2.7", "hxxp://www.bad.example[.]com/x", "192.0.2.0/24", "nonsense here", "198.51.100.9", "192.0.2.7:443", "", "www.bad.example.com", "0.0.0.0/1"}
	for _, n := range []int{0, 1, 31, 32, 33, 64, 1000} {
		for _, o := range []lookup.Options{{}, {AsOf: days(-6)}, {Summary: true}} {
			var values []string
			for i := range n {
				values = append(values, pool[(i*7+i/5)%len(pool)])
			}
			i := 0
			err := s.Answers(t.Context(), from(values), o, func(got *intel.Answer) error {
				want, err := s.Answer(t.Context(), values[i], o)
				if err != nil {
					return err
				}
				if g, w := string(got.AppendJSON(nil)), string(want.AppendJSON(nil)); g != w {
					return fmt.Errorf("answer %d:\ngot  %s\nwant %s", i, g, w)
				}
				i++
				return nil
			})
			if err != nil || i != n {
				t.Fatalf("%d values, %+v: %d answers, %v", n, o, i, err)
			}
		}
	}
}

// TestAnswers_asksTogether: what has come while others were worked on is asked for
// at once, and a value that is refused is the only one that has no answer.
func TestAnswers_asksTogether(t *testing.T) {
	e := &lookuptest.Many{Engine: world(t)}
	e.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "192.0.2.200" {
			return fmt.Errorf("no: %w", &intel.ValueError{Code: "too_many", Reason: "more than I like"})
		}
		return nil
	}
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("192.0.2.%d", i%256)
	}
	n, refused := 0, 0
	err := lookup.New(e, clock).Answers(t.Context(), from(many), lookup.Options{}, func(a *intel.Answer) error {
		if a.Value != many[n] {
			t.Errorf("answer %d is of %s, want %s", n, a.Value, many[n])
		}
		n++
		if a.Error != nil {
			refused++
		}
		return nil
	})
	if err != nil || n != 5000 || refused != 19 || e.Largest() < 100 {
		t.Errorf("%d answers, %d refused, at most %d asked together, %v", n, refused, e.Largest(), err)
	}
}

func TestAnswers_answersWhileNextWaits(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) { answersWhileNextWaits(t, e) })
	}
}

func answersWhileNextWaits(t *testing.T, e lookup.Engine) {
	s := lookup.New(e, clock)
	values, answers := make(chan string), make(chan string)
	done := make(chan error)
	go func() {
		done <- s.Answers(t.Context(), func() (string, bool, error) {
			v, ok := <-values
			return v, ok, nil
		}, lookup.Options{}, func(a *intel.Answer) error {
			answers <- a.Value
			return nil
		})
	}()
	for i := range 100 { // one at a time, as from a person or a log being written
		v := fmt.Sprintf("192.0.2.%d", i)
		values <- v
		if got := <-answers; got != v {
			t.Fatalf("got %s, want %s", got, v)
		}
	}
	close(values)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAnswers_errors(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("192.0.2.%d", i%256)
	}
	boom := errors.New("boom")
	t.Run("next", func(t *testing.T) {
		next, n, emitted := from(many), 0, 0
		err := lookup.New(world(t), clock).Answers(t.Context(), func() (string, bool, error) {
			if n++; n > 500 {
				return "", false, boom
			}
			return next()
		}, lookup.Options{}, func(*intel.Answer) error { emitted++; return nil })
		if !errors.Is(err, boom) || emitted != 500 {
			t.Errorf("got %v after %d answers, want boom after 500", err, emitted)
		}
	})
	t.Run("emit", func(t *testing.T) {
		emitted := 0
		err := lookup.New(world(t), clock).Answers(t.Context(), from(many), lookup.Options{}, func(*intel.Answer) error {
			if emitted++; emitted == 100 {
				return boom
			}
			return nil
		})
		if !errors.Is(err, boom) || emitted != 100 {
			t.Errorf("got %v after %d answers, want boom after 100", err, emitted)
		}
	})
	t.Run("engine", func(t *testing.T) {
		e := world(t)
		e.Fail = func(q intel.Question) error {
			if q.Indicator.Value == "192.0.2.200" {
				return boom
			}
			return nil
		}
		for _, e := range []lookup.Engine{e, &lookuptest.Many{Engine: e}} {
			emitted := 0
			err := lookup.New(e, clock).Answers(t.Context(), from(many), lookup.Options{}, func(a *intel.Answer) error {
				if want := fmt.Sprintf("192.0.2.%d", emitted); a.Value != want {
					t.Errorf("got %s, want %s", a.Value, want)
				}
				emitted++
				return nil
			})
			if !errors.Is(err, lookup.ErrEngine) || emitted != 200 {
				t.Errorf("got %v after %d answers, want ErrEngine after 200", err, emitted)
			}
		}
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // fails if anything is left waiting
			ctx, cancel := context.WithCancel(t.Context())
			stop := make(chan struct{})
			done := make(chan error)
			go func() {
				done <- lookup.New(world(t), clock).Answers(ctx, func() (string, bool, error) {
					<-stop // a terminal at which nobody types
					return "", false, nil
				}, lookup.Options{}, func(*intel.Answer) error { return nil })
			}()
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			close(stop)
		})
	})
}

// Twenty thousand values, some of them networks that hold hundreds of
// listings, must not need more memory than a few answers do.
func TestAnswers_memoryIsFlat(t *testing.T) {
	e := &lookuptest.Engine{}
	for i := range 256 {
		e.Add(ind(t, fmt.Sprintf("192.0.2.%d", i)), info("a"), days(-3), days(-1), "note", "a text of some length that a feed wrote")
	}
	t.Run("one", func(t *testing.T) { memoryIsFlat(t, e) })
	t.Run("many", func(t *testing.T) { memoryIsFlat(t, &lookuptest.Many{Engine: e}) })
}

func memoryIsFlat(t *testing.T, e lookup.Engine) {
	s := lookup.New(e, clock)
	n := 0
	next := func() (string, bool, error) {
		n++
		switch {
		case n > 20_000:
			return "", false, nil
		case n%97 == 0:
			return "192.0.2.0/24", true, nil
		}
		return fmt.Sprintf("192.0.2.%d", n%256), true, nil
	}
	base, peak, got := heap(), uint64(0), 0
	err := s.Answers(t.Context(), next, lookup.Options{}, func(*intel.Answer) error {
		if got++; got%2000 == 0 {
			peak = max(peak, heap())
		}
		return nil
	})
	if err != nil || got != 20_000 {
		t.Fatalf("%d answers, %v", got, err)
	}
	if grown := int64(peak) - int64(base); grown > 8<<20 {
		t.Errorf("the live heap grew by %d KiB", grown>>10)
	}
}

// heap is what is live after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAnswers_concurrently(t *testing.T) {
	s := lookup.New(world(t), clock)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			n := 0
			if err := s.Answers(t.Context(), from([]string{"192.0.2.7", "bad.example.com", "x y"}), lookup.Options{}, func(*intel.Answer) error { n++; return nil }); err != nil || n != 3 {
				t.Errorf("%d answers, %v", n, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkAnswer(b *testing.B) {
	s := lookup.New(world(b), clock)
	for b.Loop() {
		if _, err := s.Answer(b.Context(), "192.0.2.7", lookup.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswers(b *testing.B) {
	s := lookup.New(world(b), clock)
	n := 0
	next := func() (string, bool, error) {
		n++
		return "198.51.100.7", n <= b.N, nil
	}
	if err := s.Answers(b.Context(), next, lookup.Options{}, func(*intel.Answer) error { return nil }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
