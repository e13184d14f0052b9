package soak

import (
	"fmt"
	"math"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// made is a feed that is made up. In every hour it lists a window of numbers,
// which moves on by what is new and gone; some of them say something new.
type made struct {
	info intel.FeedInfo
	kind int
	size int
	step int // numbers that come and go in an hour
	turn int // one in turn of the others changes in an hour; 0 = none
}

// makeFeeds makes n feeds whose sizes are spread as those of real ones (reference: 5
// million listings in 180 feeds, half of which have less than 8,000, and one of a
// million), times scale.
func makeFeeds(n int, scale float64) []*made {
	var out []*made
	for i := range n {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(n)-1)
		size := min(8000*math.Exp(1.45*z), 400_000)
		if i == n-1 {
			size = 1_000_000
		}
		f := &made{kind: i % 5, size: max(int(size*scale), 20)}
		rate := 0.005 * math.Pow(10, float64(i*7%20)/20) // 0.5 to 5 % an hour
		switch {
		case i%20 == 3:
			rate = 0.3
		case i%7 == 2:
			rate = 0 // changes once a day, if at all
		}
		f.step = int(math.Ceil(rate / 2 * float64(f.size)))
		if rate > 0 {
			f.turn = int(1/rate) + 1
		}
		f.info = intel.FeedInfo{ID: fmt.Sprintf("feed-%03d", i), Name: fmt.Sprintf("Feed number %d", i), Provider: fmt.Sprintf("Provider %d", i%30), Presence: intel.Snapshot,
			Confidence: 50 + i%50, TLP: "clear", Tags: []string{"soak"}, Description: "Was made up."}
		switch i % 5 {
		case 1:
			f.info.Presence, f.info.TTL = intel.Rolling, intel.Duration(12*time.Hour)
		case 2:
			f.info.Presence, f.info.TTL = intel.Append, intel.Duration(4*time.Hour)
		}
		out = append(out, f)
	}
	return out
}

// first is the first number listed in an hour, the last but size-1.
func (f *made) first(hour int) int { return hour * f.step }

// families are words that listings have in common. Read-only.
var families = []string{"Emotet", "Mirai", "Qakbot", "Cobalt Strike", "AgentTesla", "Formbook", "njRAT", "Remcos", "RedLine", "Gafgyt", "Lokibot", "XWorm"}

// value is the indicator with a number.
func (f *made) value(n int) intel.Indicator {
	x := mix(uint64(n)<<10 | uint64(len(f.info.ID))<<3 | uint64(f.kind))
	switch f.kind {
	case 0:
		return intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("h%x.d%d.example", x>>36, n%997)}
	case 1:
		return intel.Indicator{Kind: intel.IPv4, Value: fmt.Sprintf("%d.%d.%d.%d", 1+x>>8%200, x>>16&255, n>>8&255, n&255)}
	case 2:
		return intel.Indicator{Kind: intel.URL, Value: fmt.Sprintf("http://h%x.d%d.example/%x/%s.php", x>>40, n%997, n, families[x%12])}
	case 3:
		return intel.Indicator{Kind: intel.IPPort, Value: fmt.Sprintf("%d.%d.%d.%d:%d", 1+x>>8%200, x>>16&255, n>>8&255, n&255, 1+x>>24&4095)}
	}
	return intel.Indicator{Kind: intel.SHA256, Value: fmt.Sprintf("%016x%016x%016x%016x", x, mix(x), n, mix(uint64(n)))}
}

// mix spreads numbers (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// list is all that the feed lists in an hour. The entries are put into dst.
func (f *made) list(hour int, dst []intel.Entry) []intel.Entry {
	for n := f.first(hour); n < f.first(hour)+f.size; n++ {
		i := f.value(n)
		e := intel.Entry{Indicator: i, Original: i.Value, Fields: make(intel.Fields, 0, 3)}
		rev := 0
		if f.turn > 0 {
			rev = (hour + n%f.turn) / f.turn
		}
		e.Fields.Add("seen", fmt.Sprintf("round %d", rev))
		e.Fields.Add(intel.FieldMalware, families[mix(uint64(n))%12])
		e.Fields.Add(intel.FieldTags, fmt.Sprintf("campaign%d", mix(uint64(n))%1000))
		dst = append(dst, e)
	}
	return dst
}
