package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// began is when the promises are tested.
var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// promises are what lookup.Engine says that scripts cannot ask for.
func promises(t *testing.T, open Opener) {
	t.Run("context", func(t *testing.T) { canceled(t, open) })
	t.Run("in part", func(t *testing.T) { inPart(t, open) })
	t.Run("emit", func(t *testing.T) { emitFails(t, open) })
	t.Run("one state", func(t *testing.T) { oneState(t, open) })
	t.Run("at once", func(t *testing.T) { atOnce(t, open) })
}

// numbered lists the domains from to end, each with its number as context.
func numbered(from, end int, note string) []intel.Entry {
	var out []intel.Entry
	for i := from; i < end; i++ {
		e := intel.Entry{Indicator: intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("d%03d.example", i)}}
		e.Original = e.Indicator.Value
		e.Fields.Add("note", note)
		out = append(out, e)
	}
	return out
}

func opened(t *testing.T, open Opener, n int) (Loader, intel.FeedInfo) {
	t.Helper()
	e, err := open(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	info := intel.FeedInfo{ID: "feed", Name: "Feed", Presence: intel.Snapshot}
	if err := e.Load(t.Context(), info, began, numbered(0, n, "old")); err != nil {
		t.Fatal(err)
	}
	return e, info
}

func canceled(t *testing.T, open Opener) {
	e, _ := opened(t, open, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Search(ctx, query.Search{Query: query.All{}}, func(*intel.Listing) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("search: %v", err)
	}
}

// inPart: a question may lack any of its parts.
func inPart(t *testing.T, open Opener) {
	e, _ := opened(t, open, 10)
	info := intel.FeedInfo{ID: "networks", Presence: intel.Snapshot}
	var entries []intel.Entry
	for _, v := range []string{"198.51.100.0/24", "198.51.100.7", "198.51.100.8", "203.0.113.1"} {
		i, err := intel.Detect(v)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, intel.Entry{Indicator: i, Original: v})
	}
	if err := e.Load(t.Context(), info, began, entries); err != nil {
		t.Fatal(err)
	}
	narrow, wide := netip.MustParsePrefix("198.51.100.0/28"), netip.MustParsePrefix("198.51.100.8/32")
	key := intel.Key{Indicator: entries[3].Indicator, Relation: intel.RelExact}
	for name, x := range map[string]struct {
		q    intel.Question
		want []string
	}{
		"nothing":       {intel.Question{}, nil},
		"inside":        {intel.Question{Inside: narrow}, []string{"198.51.100.7", "198.51.100.8"}},
		"covers":        {intel.Question{Covers: wide}, []string{"198.51.100.0/24"}},
		"key":           {intel.Question{Keys: []intel.Key{key}}, []string{"203.0.113.1"}},
		"key and cover": {intel.Question{Keys: []intel.Key{key}, Covers: wide}, []string{"198.51.100.0/24", "203.0.113.1"}},
	} {
		found, err := e.Find(t.Context(), x.q, time.Time{}, nil)
		var got []string
		for i := range found {
			got = append(got, found[i].Canonical)
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q (%v)", name, got, x.want, err)
		}
	}
}

// emitFails: an error of emit ends the search and is returned.
func emitFails(t *testing.T, open Opener) {
	e, _ := opened(t, open, 10)
	enough := errors.New("enough")
	n := 0
	_, err := e.Search(t.Context(), query.Search{Query: query.All{}}, func(*intel.Listing) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%d listings, %v", n, err)
	}
}

// oneState: what is loaded while a search runs is not seen by it.
func oneState(t *testing.T, open Opener) {
	const n = 300
	for _, by := range []query.SortBy{query.ByChanged, query.ByValue, query.ByLastSeen} {
		e, info := opened(t, open, n)
		got := 0
		page, err := e.Search(t.Context(), query.Search{Query: query.All{}, Sort: query.Sort{By: by}}, func(l *intel.Listing) error {
			if got++; got == 5 {
				return e.Load(t.Context(), info, began.Add(time.Hour), numbered(n/2, n+n/2, "new"))
			}
			if note := l.Context.First("note"); note != "old" || !l.Listed {
				return fmt.Errorf("%s: note %q, listed %v, by a run that came later", l.Canonical, note, l.Listed)
			}
			return nil
		})
		if err != nil || got != n || page.Total != n {
			t.Errorf("%v: %d listings, total %d, %v", by, got, page.Total, err)
		}
	}
}

// atOnce: many ask while somebody loads. Each answer is of one state.
func atOnce(t *testing.T, open Opener) {
	const n, rounds = 50, 20
	e, info := opened(t, open, n)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := oneNote(t.Context(), e, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range rounds {
		if err := e.Load(t.Context(), info, began.Add(time.Duration(i+1)*time.Hour), numbered(0, n, fmt.Sprint("round", i))); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// oneNote checks that all listings have the same note, in order and once.
func oneNote(ctx context.Context, e Loader, n int) error {
	var notes, values []string
	page, err := e.Search(ctx, query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}, func(l *intel.Listing) error {
		notes, values = append(notes, l.Context.First("note")), append(values, l.Canonical)
		return nil
	})
	if err != nil {
		return err
	}
	if page.Total != n || len(values) != n || !slices.IsSorted(values) || len(slices.Compact(values)) != n || len(slices.Compact(notes)) != 1 {
		return fmt.Errorf("total %d, %d listings with the notes %q", page.Total, len(values), notes)
	}
	return nil
}
