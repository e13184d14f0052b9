package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// asked are the questions about values that must be usable.
func asked(t testing.TB, values ...string) (out []intel.Question) {
	t.Helper()
	for _, v := range values {
		i, err := intel.Detect(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, intel.Ask(i))
	}
	return out
}

// sameAsFind asks for all at once and holds it against one by one.
func sameAsFind(t *testing.T, e *engine, qs []intel.Question) {
	t.Helper()
	n := 0
	err := e.FindMany(t.Context(), qs, time.Time{}, func(i int, got []intel.Listing, err error) error {
		want, wantErr := e.Find(t.Context(), qs[i], time.Time{}, nil)
		var refused, wantRefused *intel.ValueError
		if errors.As(err, &refused) != errors.As(wantErr, &wantRefused) || i != n || len(got) != len(want) && err == nil {
			return fmt.Errorf("number %d, %s: %d listings, %v, want %d, %v", i, qs[i].Indicator.Value, len(got), err, len(want), wantErr)
		}
		n++
		return nil
	})
	if err != nil || n != len(qs) {
		t.Errorf("%d of %d answers, %v", n, len(qs), err)
	}
}

// TestFindMany: more values than a request may have, more listings than an answer
// may have, networks among them and one that has too many members.
func TestFindMany(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t, members: 100}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	entries := numbered(1500, "x")
	for port := range 3000 { // at one address
		v := fmt.Sprintf("203.0.113.%d:%d", 5+port/90, port+1)
		entries = append(entries, intel.Entry{Indicator: intel.Indicator{Kind: intel.IPPort, Value: v}, Original: v})
	}
	for _, v := range []string{"198.51.0.0/30", "198.51.0.0/22", "198.48.0.0/13", "0.0.0.0/0", "2001:db8::/32", "2001:db8:0:1::/64"} {
		entries = append(entries, intel.Entry{Indicator: intel.Indicator{Kind: intel.CIDR, Value: v}, Original: v})
	}
	for _, id := range []string{"a", "b"} {
		if err := e.Load(t.Context(), intel.FeedInfo{ID: id, Presence: intel.Snapshot}, began, entries); err != nil {
			t.Fatal(err)
		}
	}
	var values []string
	for i := range 1400 {
		values = append(values, fmt.Sprintf("198.51.%d.%d", i/200, i%256))
	}
	for i := range 60 {
		values = append(values, fmt.Sprintf("203.0.113.%d", i), fmt.Sprintf("http://198.51.1.%d/x", i), fmt.Sprintf("2001:db8::%d", i+1))
	}
	values = append(values, "198.51.0.0/30", "198.51.0.0/24", "2001:db8:0:1::/64", "nobody.example", "http://www.nobody.example/", "2001:db8:0:1::7", "198.51.0.1", "198.51.0.1")
	sameAsFind(t, e, asked(t, values...))
	sameAsFind(t, e, asked(t, "198.51.0.1"))
	sameAsFind(t, e, nil)
	stop := errors.New("enough")
	if err := e.FindMany(t.Context(), asked(t, values...), time.Time{}, func(i int, _ []intel.Listing, _ error) error {
		if i == 3 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.FindMany(ctx, asked(t, "198.51.0.1", "198.51.0.2"), time.Time{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestFindManySeesSyncs: an engine that knows an older state takes up the one that is shown.
func TestFindManySeesSyncs(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	info := intel.FeedInfo{ID: "a", Presence: intel.Snapshot}
	qs := asked(t, "198.51.0.1", "198.51.0.2", "198.51.7.9")
	reader := e.second(t)
	for round := range 3 {
		now = now.Add(time.Hour)
		entries := numbered(2, "x")
		v := fmt.Sprintf("198.51.0.0/%d", 19+round) // a length that was not there before
		entries = append(entries, intel.Entry{Indicator: intel.Indicator{Kind: intel.CIDR, Value: v}, Original: v})
		if err := e.Load(t.Context(), info, now, entries); err != nil {
			t.Fatal(err)
		}
		want := []int{2 + round, 1 + round, 1 + round}
		if err := reader.FindMany(t.Context(), qs, time.Time{}, func(i int, ls []intel.Listing, err error) error {
			fresh := slices.ContainsFunc(ls, func(l intel.Listing) bool { return l.LastSeen.Equal(now) })
			if err != nil || len(ls) != want[i] || !fresh {
				t.Errorf("round %d, %s: %d listings, want %d, %v", round, qs[i].Indicator.Value, len(ls), want[i], err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
