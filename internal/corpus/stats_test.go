package corpus

import (
	"errors"
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
