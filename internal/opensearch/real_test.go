package opensearch_test

import (
	"context"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// pair is the cluster beside the corpus that it is filled from.
type pair struct{ e *engine }

// Engines implements enginetest.Pair.
func (p pair) Engines() (want, got lookup.Engine) { return p.e.corpus, p.e.Engine }

// Load implements enginetest.Filler.
func (p pair) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	return p.e.run(ctx, info, at, entries)
}

// Purge implements enginetest.Filler.
func (p pair) Purge(ctx context.Context, feed string, before time.Time) error {
	_, err := p.e.corpus.Purge(ctx, feed, before)
	return err
}

// Settle implements enginetest.Filler.
func (p pair) Settle(ctx context.Context) error { return p.e.sync(ctx) }

func (a *aliases) pair(now func() time.Time) (enginetest.Pair, error) {
	e, err := a.engine(now)
	return pair{e}, err
}

// TestRealFeeds: on real lists of many feeds and formats, with a history, both
// engines answer everything alike.
func TestRealFeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks for a minute")
	}
	for _, at := range []struct {
		version             string
		shards, each, least int
	}{{opensearchtest.V2, 1, 1300, 100_000}, {opensearchtest.V3, 3, 150, 20_000}} { // the soak has all of both
		t.Run(at.version, func(t *testing.T) {
			most, questions, every := 40_000, 120, 1
			switch {
			case raceEnabled: // scripts/unit.sh runs it whole without
				at.each, at.least, questions, every = 60, 0, 30, 8
			case soaking():
				most, at.each, at.least, questions = 30_000, 0, 100_000, 20_000
			}
			feeds, small, err := enginetest.RealFeeds(t.Context(), most, at.each)
			if err != nil {
				t.Fatal(err)
			}
			feeds = someOf(feeds, every)
			if small {
				t.Log("EI_SAMPLES is not set: the small samples of the repository serve")
				at.least = 0
			}
			a := &aliases{c: opensearchtest.Shared(t, at.version), t: t, shards: at.shards}
			enginetest.RunReal(t, a.pair, enginetest.RealConfig{Feeds: feeds, Seed: 1, Questions: questions, Least: at.least})
		})
	}
}

// someOf is one feed in every.
func someOf(feeds []enginetest.RealFeed, every int) (out []enginetest.RealFeed) {
	for i := 0; i < len(feeds); i += every {
		out = append(out, feeds[i])
	}
	return out
}
