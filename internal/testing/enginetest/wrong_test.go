package enginetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// forgetful is an engine that is wrong in one way.
type forgetful struct {
	*Model
	wrong string
}

func (f forgetful) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if f.wrong == "reverse" {
		s.Sort.Reverse = false
	}
	page, err := f.Model.Search(ctx, s, emit)
	if f.wrong == "facet" && len(page.Facets) > 0 && len(page.Facets[0].Values) > 3 {
		page.Facets[0].Values[3].Count++
	}
	return page, err
}

func (f forgetful) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	if f.wrong == "as of" && !at.IsZero() {
		at = at.Add(-time.Millisecond)
	}
	return f.Model.Find(ctx, q, at, dst)
}

func (f forgetful) Compare(ctx context.Context, aside func(string) bool) (*intel.Comparison, error) {
	if f.wrong == "aside" {
		aside = nil
	}
	c, err := f.Model.Compare(ctx, aside)
	for i := range c.Feeds {
		if f.wrong == "early" && c.Feeds[i].Early.First > 0 {
			c.Feeds[i].Early.First++
		}
	}
	return c, err
}

func (f forgetful) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	if f.wrong == "ttl" && info.Presence == intel.Append {
		info.TTL = 0
	}
	if f.wrong == "ttl by kind" {
		info.KindTTL = nil
	}
	return f.Model.Load(ctx, info, at, entries)
}

// TestRandomFindsWhatIsWrong: the generator finds engines that are wrong, and
// shows it in a short script that can be read again.
func TestRandomFindsWhatIsWrong(t *testing.T) {
	for _, wrong := range []string{"reverse", "facet", "as of", "ttl", "ttl by kind", "aside", "early"} {
		t.Run(wrong, func(t *testing.T) {
			open := func(now func() time.Time) (Loader, error) { return forgetful{NewModel(now), wrong}, nil }
			s, _, err := random(t.Context(), open, 1, 3000)
			if err == nil {
				t.Fatal("not found")
			}
			s, err = shrink(t.Context(), open, s, err, 5*time.Second)
			again, bad := ParseScript("again", s.String())
			if bad != nil {
				t.Fatalf("%v in\n%s", bad, s)
			}
			if n := strings.Count(s.String(), "\n"); n > 30 {
				t.Errorf("%d lines:\n%s", n, s)
			}
			r, _ := newRunner(t.Context(), open)
			var found error
			for _, step := range again.Steps {
				_, bad := r.step(step)
				found = errors.Join(found, bad)
			}
			if found == nil {
				t.Errorf("%v, but not when read again:\n%s", err, s)
			}
		})
	}
}
