package corpus

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestSnapshotHistory(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	info := feedInfo("snap", intel.Snapshot)
	a, b := entry(t, "192.0.2.1"), entry(t, "192.0.2.2")
	steps := []struct {
		entries []intel.Entry
		want    intel.Change
		changed bool
	}{
		{[]intel.Entry{a, b}, intel.Change{New: 2, Open: 2}, true},
		{[]intel.Entry{b, a}, intel.Change{Open: 2}, false},
		{[]intel.Entry{b}, intel.Change{Removed: 1, Open: 1}, true},
		{[]intel.Entry{b}, intel.Change{Open: 1}, false},
		{[]intel.Entry{a, b}, intel.Change{Relisted: 1, Open: 2}, true},
		{[]intel.Entry{entry(t, "192.0.2.1", "tags", "x"), b}, intel.Change{Updated: 1, Open: 2}, true},
		{nil, intel.Change{Removed: 2}, true},
		{nil, intel.Change{}, false},
	}
	var keys []string
	for i, s := range steps {
		m := mustRun(t, c, info, day(i), s.entries...)
		if m.Change != s.want || m.Changed != s.changed {
			t.Errorf("run %d: %+v changed=%v, want %+v %v", i, m.Change, m.Changed, s.want, s.changed)
		}
		if key := m.Segments[0].Key; !s.changed != (i > 0 && keys[i-1] == key) {
			t.Errorf("run %d: segment %s after %v", i, key, keys)
		}
		keys = append(keys, m.Segments[0].Key)
	}
	l := one(t, c, "192.0.2.1", time.Time{})
	if got := spansOf(&l); got != "0-2 4-6" || l.Listed || !l.LastSeen.Equal(day(5)) || !l.FirstSeen.Equal(day(0)) || !reflect.DeepEqual(l.Tags, []string{"x"}) {
		t.Errorf("%s %+v", got, l)
	}
	for _, x := range []struct {
		at     time.Time
		spans  string
		listed bool
		last   time.Time
	}{
		{day(0), "0-", true, day(0)},
		{day(1), "0-", true, day(1)},
		{day(2), "0-2", false, day(2)},
		{day(3), "0-2", false, day(2)},
		{day(4), "0-2 4-", true, day(4)},
		{day(9), "0-2 4-6", false, day(5)},
	} {
		l := one(t, c, "192.0.2.1", x.at)
		if got := spansOf(&l); got != x.spans || l.Listed != x.listed || !l.LastSeen.Equal(x.last) {
			t.Errorf("at %v: %s %v last %v, want %+v", x.at, got, l.Listed, l.LastSeen, x)
		}
	}
	if ls := find(t, c.View(), "192.0.2.1", day(0).Add(-time.Millisecond)); len(ls) != 0 {
		t.Errorf("before it was listed: %+v", ls)
	}
	noProblems(t, store)
}

func TestPresence(t *testing.T) {
	for _, x := range []struct {
		name     string
		presence intel.Presence
		ttl      time.Duration
		spans    string // after it was there on day 0, absent on days 1 and 2, looked at on day 2.5
		last     int
		removed  [2]int
	}{
		{"snapshot", intel.Snapshot, 0, "0-1", 0, [2]int{1, 0}},
		{"snapshot ignores ttl", intel.Snapshot, 72 * time.Hour, "0-1", 0, [2]int{1, 0}},
		{"rolling", intel.Rolling, 0, "0-1", 0, [2]int{1, 0}},
		{"rolling ttl", intel.Rolling, 36 * time.Hour, "0-1.5", 0, [2]int{0, 1}},
		{"rolling ttl passes between runs", intel.Rolling, 54 * time.Hour, "0-2.25", 0, [2]int{0, 0}},
		{"rolling long ttl", intel.Rolling, 90 * time.Hour, "0-", 0, [2]int{0, 0}},
		{"append", intel.Append, 0, "0-", 0, [2]int{0, 0}},
		{"append ttl", intel.Append, 36 * time.Hour, "0-1.5", 0, [2]int{0, 1}},
		{"default is snapshot", "", 0, "0-1", 0, [2]int{1, 0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			store := newMemStore(t)
			c := openCorpus(t, store, Options{Now: func() time.Time { return day(2).Add(12 * time.Hour) }})
			info := feedInfo("f", x.presence)
			info.TTL = intel.Duration(x.ttl)
			stays := entry(t, "192.0.2.9")
			mustRun(t, c, info, day(0), entry(t, "192.0.2.1"), stays)
			for i, want := range x.removed {
				if m := mustRun(t, c, info, day(i+1), stays); m.Change.Removed != want {
					t.Errorf("run %d removed %d, want %d", i+1, m.Change.Removed, want)
				}
			}
			l := one(t, c, "192.0.2.1", time.Time{})
			if got := spansOf(&l); got != x.spans || !l.LastSeen.Equal(day(x.last)) || l.Listed != strings.HasSuffix(x.spans, "-") {
				t.Errorf("%s listed=%v last seen %v", got, l.Listed, l.LastSeen)
			}
			mustRun(t, c, info, day(3), entry(t, "192.0.2.1"), stays)
			l = one(t, c, "192.0.2.1", time.Time{})
			want := x.spans + " 3-"
			if strings.HasSuffix(x.spans, "-") {
				want = x.spans
			}
			if got := spansOf(&l); got != want || !l.Listed || !l.LastSeen.Equal(day(3)) {
				t.Errorf("back again: %s, want %s; last seen %v", got, want, l.LastSeen)
			}
			noProblems(t, store)
		})
	}
}

func TestAppendComesBackWithoutNewInterval(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	info := feedInfo("f", intel.Append)
	mustRun(t, c, info, day(0), entry(t, "192.0.2.1"))
	for i, changed := range []bool{true, false, false} {
		if m := mustRun(t, c, info, day(i+1)); m.Changed != changed || m.Change != (intel.Change{Open: 1}) {
			t.Errorf("absent for %d runs: %+v", i+1, m)
		}
	}
	m := mustRun(t, c, info, day(4), entry(t, "192.0.2.1"))
	if m.Change != (intel.Change{Open: 1}) || !m.Changed {
		t.Errorf("%+v", m)
	}
	if l := one(t, c, "192.0.2.1", time.Time{}); spansOf(&l) != "0-" || !l.LastSeen.Equal(day(4)) {
		t.Errorf("%+v", l)
	}
}

func TestStarterDataIsReplaced(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	starter := feedInfo("f", intel.Snapshot)
	starter.Snapshot = "2026-02-01"
	mustRun(t, c, starter, day(0), entry(t, "192.0.2.1"), entry(t, "192.0.2.2"))
	if l := one(t, c, "192.0.2.1", time.Time{}); l.Snapshot != "2026-02-01" {
		t.Errorf("snapshot %q", l.Snapshot)
	}
	m := mustRun(t, c, feedInfo("f", intel.Snapshot), day(5), entry(t, "192.0.2.2"))
	if !m.Changed || m.Change != (intel.Change{New: 1, Open: 1}) {
		t.Errorf("%+v", m)
	}
	if l := one(t, c, "192.0.2.2", time.Time{}); spansOf(&l) != "5-" || l.Snapshot != "" {
		t.Errorf("%+v", l)
	}
	if ls := find(t, c.View(), "192.0.2.1", time.Time{}); len(ls) != 0 {
		t.Errorf("starter data is still there: %+v", ls)
	}
	// A first real run that is empty replaces it too.
	mustRun(t, c, func() intel.FeedInfo { i := starter; i.ID = "g"; return i }(), day(0), entry(t, "192.0.2.3"))
	m = mustRun(t, c, feedInfo("g", intel.Snapshot), day(1))
	if !m.Changed || len(m.Segments) != 0 || len(find(t, c.View(), "192.0.2.3", time.Time{})) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestClockGoesBack(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	info := feedInfo("f", intel.Snapshot)
	mustRun(t, c, info, day(5), entry(t, "192.0.2.1"))
	m := mustRun(t, c, info, day(1), entry(t, "192.0.2.2"))
	next := day(5).Add(time.Millisecond)
	if !m.Now.Equal(next) {
		t.Errorf("time used %v, want the first after the last run's", m.Now)
	}
	if l := one(t, c, "192.0.2.1", time.Time{}); l.Listed || !l.Intervals[0].To.Equal(next) {
		t.Errorf("%s", spansOf(&l))
	}
	mustRun(t, c, info, day(5), entry(t, "192.0.2.1"))
	if l := one(t, c, "192.0.2.1", time.Time{}); !l.Listed || len(l.Intervals) != 2 || !l.Intervals[1].From.Equal(next.Add(time.Millisecond)) {
		t.Errorf("listed again: %s", spansOf(&l))
	}
}

func TestDoublesAreUnited(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	info := feedInfo("f", intel.Snapshot)
	a, b := entry(t, "192.0.2.1", "tags", "x", "port", "80"), entry(t, "192.0.2.1", "tags", "y", "seen", "often")
	m := mustRun(t, c, info, day(0), a, entry(t, "192.0.2.7"), b, a)
	if m.Change.New != 2 || m.Segments[0].Listings != 2 {
		t.Errorf("%+v", m)
	}
	l := one(t, c, "192.0.2.1", time.Time{})
	want := intel.Fields{{Name: "port", Values: []string{"80"}}, {Name: "seen", Values: []string{"often"}}}
	if !reflect.DeepEqual(l.Tags, []string{"x", "y"}) || !reflect.DeepEqual(l.Context, want) {
		t.Errorf("%+v", l)
	}
	if !reflect.DeepEqual(a.Fields.Get("tags"), []string{"x"}) {
		t.Errorf("the caller's entry was changed: %v", a.Fields)
	}
	if m := mustRun(t, c, info, day(1), b, a, entry(t, "192.0.2.7")); m.Changed {
		t.Errorf("the same in another order: %+v", m)
	}
}

func TestListingFields(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	info := feedInfo("f", intel.Snapshot)
	info.Tags, info.Malware, info.ThreatType, info.Description, info.TLP = []string{"feed"}, "M", "phishing", "what it means", "green"
	mustRun(t, c, info, day(0), entry(t, "192.0.2.1"),
		entry(t, "192.0.2.2", "confidence", "90", "tlp", "amber", "tags", "own", "malware", "mirai", "threat_type", "c2", "reference", "r",
			"feed_first_seen", "yesterday", "feed_last_seen", "today", "description", "special", "colour", "red"),
		entry(t, "192.0.2.3", "confidence", "high", "malware", "a", "malware", "b"))
	plain := one(t, c, "192.0.2.1", time.Time{})
	want := intel.Listing{Info: &c.View().Feed("f").Info, Feed: "f", Provider: "Example", Relation: intel.RelExact, Kind: intel.IPv4,
		Canonical: "192.0.2.1", Original: "192.0.2.1", Listed: true, Intervals: []intel.Interval{{From: day(0)}}, FirstSeen: day(0), LastSeen: day(0),
		Confidence: 50, TLP: "green", Tags: []string{"feed"}, Malware: "M", ThreatType: "phishing", Description: "what it means", Context: intel.Fields{}}
	if !reflect.DeepEqual(plain, want) {
		t.Errorf("plain:\n got %+v\nwant %+v", plain, want)
	}
	full := one(t, c, "192.0.2.2", time.Time{})
	want.Canonical, want.Original, want.Confidence, want.TLP, want.Tags = "192.0.2.2", "192.0.2.2", 90, "amber", []string{"feed", "own"}
	want.Malware, want.ThreatType, want.Reference, want.FeedFirstSeen, want.FeedLastSeen, want.Description = "mirai", "c2", "r", "yesterday", "today", "special"
	want.Context = intel.Fields{{Name: "colour", Values: []string{"red"}}}
	if !reflect.DeepEqual(full, want) {
		t.Errorf("full:\n got %+v\nwant %+v", full, want)
	}
	odd := one(t, c, "192.0.2.3", time.Time{})
	if odd.Confidence != 50 || odd.Malware != "a" || !reflect.DeepEqual(odd.Context, intel.Fields{
		{Name: "confidence", Values: []string{"high"}}, {Name: "malware", Values: []string{"a", "b"}}}) {
		t.Errorf("nothing the feed wrote may be lost: %+v", odd)
	}
}

func TestManyIntervalsAreCut(t *testing.T) {
	h := history{}
	for i := range int64(maxIntervals + 5) {
		h.begin(1000 + 10*i)
		h.end(1005 + 10*i)
	}
	if len(h.spans) != maxIntervals || h.firstSeen() != 1000 || h.spans[0].from != 1050 {
		t.Fatalf("%d spans, first seen %d, first span %v", len(h.spans), h.firstSeen(), h.spans[0])
	}
	h.changed = h.last().to
	rec, _ := appendRecord(nil, nil, intel.IPv4, "192.0.2.1", "192.0.2.1", &h, nil)
	c := cursor{b: rec[2:]}
	r := record{kind: intel.Kind(rec[0]), flags: rec[1]}
	if !r.texts(c.bytes(c.uvarint())) || c.bad || len(c.b) != 0 {
		t.Fatal("cannot be read")
	}
	got, _, ok := r.history(nil)
	if !ok || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v is not %+v", got, h)
	}
}

func TestOversizedRecordIsRefused(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	e := entry(t, "192.0.2.1", "note", strings.Repeat("x", maxRecord+1))
	_, err := run(context.Background(), c, feedInfo("f", intel.Snapshot), day(0), []intel.Entry{e})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1") || !strings.Contains(err.Error(), "feed f") {
		t.Errorf("%v", err)
	}
	if h, _, _ := c.Head(context.Background(), "f"); h != nil {
		t.Error("committed")
	}
}

// TestFieldNamesBeyondTheVocabulary has more names than a vocabulary keeps, and
// fields that were packed under several vocabularies.
func TestFieldNamesBeyondTheVocabulary(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	info := feedInfo("f", intel.Snapshot)
	make1 := func(round, n int) []intel.Entry {
		var es []intel.Entry
		for i := range n {
			es = append(es, entry(t, fmt.Sprintf("10.%d.0.%d", i/256+11, i%256), fmt.Sprintf("name%d", i), fmt.Sprintf("value %d", i%7), "round", fmt.Sprint(round)))
		}
		return es
	}
	first := make1(0, 100)
	mustRun(t, c, info, day(0), first...)
	more := append(append([]intel.Entry{}, first...), make1(1, 1300)[100:]...)
	mustRun(t, c, info, day(1), more...) // learns anew: most is fresh
	more = append(more, entry(t, "203.0.113.9", "quite", "new", "round", "2"))
	m := mustRun(t, c, info, day(2), more...) // adds to what was learnt
	if m.Change != (intel.Change{New: 1, Open: 1301}) {
		t.Errorf("%+v", m.Change)
	}
	for _, e := range more {
		l := one(t, c, e.Indicator.Value, time.Time{})
		if !reflect.DeepEqual(l.Context, e.Fields) {
			t.Fatalf("%s: %v, want %v", e.Indicator.Value, l.Context, e.Fields)
		}
	}
	noProblems(t, store)
}

func TestMergeStops(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Merge(ctx, nil, benchEntries(10, func(i int) uint64 { return uint64(i) }), MergeOptions{Feed: "f", Info: feedInfo("f", intel.Snapshot), Now: t0})
	wantErr(t, err, context.Canceled)
}
