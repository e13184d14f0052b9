package corpus

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// What a feed dropped is no longer counted, unless another feed still lists it.
func TestStats_CountsWhatIsListedNow(t *testing.T) {
	c := openCorpus(t, newStore(t), Options{})
	a, b := feedInfo("a", intel.Snapshot), feedInfo("b", intel.Snapshot)
	mustRun(t, c, a, day(0), entry(t, "198.51.100.1"), entry(t, "198.51.100.2"), entry(t, "198.51.100.3"))
	mustRun(t, c, b, day(0), entry(t, "198.51.100.2"), entry(t, "198.51.100.4"))
	want := func(listings, indicators int) {
		t.Helper()
		if st := c.View().Stats(); st.Listings != listings || st.Indicators != indicators {
			t.Errorf("%d listings of %d indicators, want %d of %d", st.Listings, st.Indicators, listings, indicators)
		}
	}
	want(5, 4)
	mustRun(t, c, a, day(1), entry(t, "198.51.100.1")) // drops .2, which b has, and .3
	want(3, 3)
	mustRun(t, c, b, day(2), entry(t, "198.51.100.4"))
	want(2, 2)
	mustRun(t, c, a, day(3), entry(t, "198.51.100.1"), entry(t, "198.51.100.3"))
	want(3, 3)
}

// What takes memory is told; it falls when deltas are folded and small segments grouped.
func TestStats_Memory(t *testing.T) {
	c := openCorpus(t, newStore(t), Options{Small: 1})
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		entries := []intel.Entry{entry(t, "203.0.113.0/24")}
		for i := range 40 {
			entries = append(entries, entry(t, fmt.Sprintf("198.51.100.%d", i+1)))
		}
		mustRun(t, c, feedInfo(id, intel.Snapshot), day(0), entries...)
		mustRun(t, c, feedInfo(id, intel.Snapshot), day(1), entries[1:]...)
	}
	st := c.View().Stats()
	if st.Segments != 10 || st.Indexes != 10 {
		t.Errorf("%d segments in %d indexes, want a base and a delta of 5 feeds, each by itself", st.Segments, st.Indexes)
	}
	m := st.Memory
	if m.Mapped != st.Bytes || m.Copied != 0 || m.Directory < 8*205 || m.Networks == 0 || m.Replaced == 0 {
		t.Errorf("%+v of %d bytes in segments", m, st.Bytes)
	}
	regroup(t, c)
	st = c.View().Stats()
	if st.Segments != 10 || st.Indexes != 1 || st.Memory.Mapped <= m.Mapped {
		t.Errorf("grouped: %d segments in %d indexes, mapped %d after %d", st.Segments, st.Indexes, st.Memory.Mapped, m.Mapped)
	}
	m = openCorpus(t, newMemStore(t), Options{}).View().Stats().Memory
	if m.Mapped != 0 || m.Networks > 100 || m.Replaced != 0 {
		t.Errorf("of nothing: %+v", m)
	}
	copied := openCorpus(t, newMemStore(t), Options{})
	mustRun(t, copied, feedInfo("a", intel.Snapshot), day(0), entry(t, "198.51.100.1"))
	if st := copied.View().Stats(); st.Memory.Copied != st.Bytes || st.Memory.Mapped != 0 {
		t.Errorf("a store that copies: %+v of %d bytes", st.Memory, st.Bytes)
	}
}

// A network with more members than one answer holds is the asker's to narrow.
func TestFind_TooManyMembers(t *testing.T) {
	c := openCorpus(t, newStore(t), Options{MaxMembers: 2})
	mustRun(t, c, feedInfo("a", intel.Snapshot), day(0), entry(t, "198.51.100.1"), entry(t, "198.51.100.2"), entry(t, "198.51.100.3"))
	_, err := c.View().Find(t.Context(), intel.Ask(ind(t, "198.51.100.0/24")), time.Time{}, nil)
	var ve *intel.ValueError
	if !errors.Is(err, ErrTooMany) || !errors.As(err, &ve) || ve.Code != "too_many" || ve.Value != "198.51.100.0/24" {
		t.Errorf("error %v, want too many inside 198.51.100.0/24", err)
	}
	if ls := find(t, c.View(), "198.51.100.0/31", time.Time{}); len(ls) != 1 {
		t.Errorf("%d listings in a smaller network, want 1", len(ls))
	}
}
