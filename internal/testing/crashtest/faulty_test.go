package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/blobtest"
)

func TestMemAndFaultyAreStores(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return &Faulty{Store: NewMem()} })
}

// sweep goes through all kinds of steps on a store of which one operation
// fails, as often as there are operations.
func sweep(t *testing.T, mode Mode, wrap func(blob.Store) blob.Store) (ops int, wrong []string) {
	t.Helper()
	for at := 1; ; at++ {
		mem := NewMem()
		if err := corpus.Init(t.Context(), mem); err != nil {
			t.Fatal(err)
		}
		f := &Faulty{Store: wrap(mem), At: at, Mode: mode}
		s := Script{"tiny", 12}
		acks := &Acks{Step: -1, Runs: map[string]intel.RunStatus{}}
		steps(t, f, s, acks)
		if f.Hit() == "" {
			return at - 1, wrong
		}
		for _, finding := range Check(t.Context(), mem, []Script{s}, map[string]*Acks{s.Feed: acks}) {
			wrong = append(wrong, fmt.Sprintf("operation %d (%s) fails %s: %s", at, f.Hit(), mode, finding))
		}
	}
}

// steps opens the store and does the script's period once. A step that fails is
// tried again, unless the store is gone for good.
func steps(t *testing.T, store *Faulty, s Script, acks *Acks) {
	t.Helper()
	var r *ingest.Runner
	open := func() error {
		o := manySegments()
		o.ShardSize, o.Small, o.Live = 20, 2, time.Nanosecond
		c, err := corpus.Open(t.Context(), store, o)
		if err != nil {
			return err
		}
		r = ingest.New(ingest.Config{Store: store, Corpus: c, TempDir: t.TempDir(), KeepRaw: 1})
		return r.Repair(t.Context())
	}
	if err := open(); err != nil && (store.Mode == Dead || open() != nil) {
		return
	}
	for step := range period {
		for try := 0; ; try++ {
			run, err := s.Do(t.Context(), r, step)
			odd, recorded := errors.AsType[*OddError](err)
			if err == nil || recorded {
				acks.Runs[run.ID] = run.Status
			}
			if err == nil {
				acks.Step = step
				if err := r.Tidy(t.Context(), s.Feed); err != nil && store.Hit() == "" {
					t.Errorf("tidy: %v", err)
				}
				break
			}
			if recorded && odd.Run.Status != intel.RunFailed && odd.Run.Status != intel.RunSuperseded {
				t.Errorf("fault at %s: %v", store.Hit(), err)
			}
			if store.Mode == Dead {
				return
			}
			if try == 1 {
				t.Errorf("fault at %s: step %d fails again with a healthy store: %v", store.Hit(), step, err)
				return
			}
		}
	}
}

func same(s blob.Store) blob.Store { return s }

// Whatever operation of the store fails, and however, no acknowledged run is lost.
func TestEveryOperationFails(t *testing.T) {
	for _, mode := range []Mode{Before, After, Dead} {
		ops, wrong := sweep(t, mode, same)
		if len(wrong) > 0 {
			t.Errorf("%s: %d findings:\n%s", mode, len(wrong), strings.Join(wrong[:min(len(wrong), 20)], "\n"))
		}
		t.Logf("%s: %d operations failed in turn", mode, ops)
		if ops < 100 {
			t.Errorf("only %d operations: the sweep does not see the pipeline's", ops)
		}
	}
}

// forgetful is a store that acknowledges objects under a prefix and keeps none.
type forgetful struct {
	blob.Store
	prefix string
}

func (f forgetful) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	if strings.HasPrefix(key, f.prefix) {
		n, err := io.Copy(io.Discard, r)
		return blob.Info{Key: key, Size: n, ETag: "gone"}, err
	}
	return f.Store.Put(ctx, key, r, c)
}

// The checks must be able to fail.
func TestCheckFindsWhatIsLost(t *testing.T) {
	for _, prefix := range []string{"runs/", "segments/", "heads/", "raw/"} {
		mem := NewMem()
		if err := corpus.Init(t.Context(), mem); err != nil {
			t.Fatal(err)
		}
		s := Script{"tiny", 12}
		acks := &Acks{Step: -1, Runs: map[string]intel.RunStatus{}}
		c, err := corpus.Open(t.Context(), mem, corpus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		good := ingest.New(ingest.Config{Store: mem, Corpus: c, TempDir: t.TempDir()})
		for step := range 2 {
			run, err := s.Do(t.Context(), good, step)
			if err != nil {
				t.Fatal(err)
			}
			acks.Step, acks.Runs[run.ID] = step, run.Status
		}
		bad := forgetful{mem, prefix}
		if c, err = corpus.Open(t.Context(), bad, corpus.Options{}); err != nil {
			t.Fatal(err)
		}
		r := ingest.New(ingest.Config{Store: bad, Corpus: c, TempDir: t.TempDir()})
		for step := 3; step < 5; step++ { // two steps that bring a list
			run, err := s.Do(t.Context(), r, step)
			if err != nil {
				break // it notices by itself
			}
			acks.Step, acks.Runs[run.ID] = step, run.Status
		}
		if wrong := Check(t.Context(), mem, []Script{s}, map[string]*Acks{s.Feed: acks}); len(wrong) == 0 {
			t.Errorf("a store that forgets %s passes", prefix)
		} else {
			t.Logf("%s: %s", prefix, wrong[0])
		}
	}
}
