package enginetest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest/embedded"
)

// full is an engine that can do everything.
type full interface {
	enginetest.Loader
	enginetest.Purger
	lookup.Follower
	lookup.Comparer
}

// one is a pair of the embedded engine with itself, one side of which is wrong in one way.
type one struct {
	full
	wrong string
}

func (o one) Engines() (want, got lookup.Engine) { return o.full, wrongly(o) }
func (o one) Settle(context.Context) error       { return nil }

type wrongly struct {
	full
	wrong string
}

func (w wrongly) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	if w.wrong == "parents" && len(q.Keys) > 2 {
		q.Keys = q.Keys[:2]
	}
	if w.wrong == "as of" && !at.IsZero() {
		at = at.Add(-time.Millisecond)
	}
	return w.full.Find(ctx, q, at, dst)
}

func (w wrongly) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if w.wrong == "cursor" && s.After != nil {
		a := *s.After
		a.Feed += "\x00"
		s.After = &a
	}
	p, err := w.full.Search(ctx, s, emit)
	for i := range p.Facets {
		if w.wrong == "facet" && p.Facets[i].Field == query.FieldRegistered && len(p.Facets[i].Values) > 0 {
			p.Facets[i].Other++
		}
	}
	return p, err
}

func (w wrongly) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (string, bool, error) {
	n := 0
	return w.full.Changes(ctx, since, limit, func(e *intel.Event) error {
		if n++; w.wrong == "changes" && since != "" && n == 3 {
			return nil
		}
		return emit(e)
	})
}

func openOne(wrong string) enginetest.OpenPair {
	return func(now func() time.Time) (enginetest.Pair, error) {
		e, err := embedded.Open(embedded.Config{Options: corpus.Options{Workers: 1}})(now)
		if err != nil {
			return nil, err
		}
		return one{e.(full), wrong}, nil
	}
}

func realRun(t *testing.T, wrong string) {
	feeds, _, err := enginetest.RealFeeds(t.Context(), 300, 20)
	if err != nil {
		t.Fatal(err)
	}
	enginetest.RunReal(t, openOne(wrong), enginetest.RealConfig{Feeds: feeds, Seed: 2, Questions: 300})
}

// TestRealFeeds: two of the same engine answer alike, however many questions of
// either come in between. The other process is for TestRealFindsWhatIsWrong.
func TestRealFeeds(t *testing.T) { realRun(t, os.Getenv(envWrong)) }

const envWrong = "EI_ENGINETEST_WRONG"

// TestRealFindsWhatIsWrong: an engine that is wrong in one way fails.
func TestRealFindsWhatIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts five processes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for wrong, says := range map[string]string{"parents": "above it since", "as of": "AsOf", "cursor": "search", "facet": "registered", "changes": "changes"} {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestRealFeeds$")
		cmd.Env = append(os.Environ(), envWrong+"="+wrong, "EI_SAMPLES=", "EI_SOAK=")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--- FAIL: TestRealFeeds") || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v\n%.3000s", wrong, err, out)
		}
	}
}
