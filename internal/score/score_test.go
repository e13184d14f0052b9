package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

var at = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// listing makes an open listing of an IPv4 address, seen at the instant of asking.
func listing(provider, reliability string, confidence int, change ...func(*intel.Listing)) intel.Listing {
	l := intel.Listing{
		Info: &intel.FeedInfo{Name: "The " + provider + " list", Reliability: reliability}, Feed: provider + "-feed", Provider: provider,
		Relation: intel.RelExact, Kind: intel.IPv4, Canonical: "192.0.2.1", Listed: true, Confidence: confidence,
		Intervals: []intel.Interval{{From: at.AddDate(0, 0, -5)}}, FirstSeen: at.AddDate(0, 0, -9), LastSeen: at,
	}
	for _, c := range change {
		c(&l)
	}
	return l
}

func kind(k intel.Kind) func(*intel.Listing)    { return func(l *intel.Listing) { l.Kind = k } }
func rel(r intel.Relation) func(*intel.Listing) { return func(l *intel.Listing) { l.Relation = r } }
func aged(d time.Duration) func(*intel.Listing) {
	return func(l *intel.Listing) { l.LastSeen = at.Add(-d) }
}
func role(r string) func(*intel.Listing)      { return func(l *intel.Listing) { l.Role = r } }
func closed(l *intel.Listing)                 { l.Listed = false }
func nobody(l *intel.Listing)                 { l.Info, l.Provider = nil, "" }
func feedID(id string) func(*intel.Listing)   { return func(l *intel.Listing) { l.Feed = id } }
func list(l ...intel.Listing) []intel.Listing { return l }
func member(ip string) func(l *intel.Listing) {
	return func(l *intel.Listing) { l.Relation, l.Canonical = intel.RelMember, ip }
}

// TestScore has numbers worked out by hand; the arithmetic stands beside each.
func TestScore(t *testing.T) {
	for _, c := range []struct {
		name     string
		listings []intel.Listing
		score    int
		verdict  intel.Verdict
		points   []int
	}{
		{"nothing", nil, 0, intel.Unknown, []int{}},
		{"allow list", list(listing("p", "A", 100, role(intel.RoleAllow))), 0, intel.Unknown, []int{}},
		{"allow list beside a source: 0.8*0.9", list(listing("p", "A", 100, role(intel.RoleAllow)), listing("p", "B", 90)), 72, intel.Malicious, []int{72}},
		{"context, sure of itself", list(listing("p", "A", 100, role(intel.RoleContext))), 0, intel.Listed, []int{0}},
		{"only closed", list(listing("p", "A", 100, closed)), 0, intel.Unknown, []int{}},
		{"certain", list(listing("p", "A", 100)), 100, intel.Malicious, []int{100}},
		{"one good source: 0.8*0.9", list(listing("p", "B", 90)), 72, intel.Malicious, []int{72}},
		{"no confidence", list(listing("p", "A", 0)), 0, intel.Listed, []int{0}},
		{"confidence out of range", list(listing("p", "A", 900), listing("q", "A", -5)), 100, intel.Malicious, []int{100, 0}},
		{"C: 0.6*0.7", list(listing("p", "C", 70)), 42, intel.Suspicious, []int{42}},
		{"D: 0.4*0.5", list(listing("p", "D", 50)), 20, intel.Listed, []int{20}},
		{"E: 0.2*0.5", list(listing("p", "E", 50)), 10, intel.Listed, []int{10}},
		{"F: 0.5*0.5", list(listing("p", "F", 50)), 25, intel.Listed, []int{25}},
		{"nobody stated a reliability: 0.5*0.8", list(listing("p", "", 80, nobody)), 40, intel.Suspicious, []int{40}},
		{"two: 1-0.28*0.58 = 0.8376; 72 + 0.28*42 = 11.76", list(listing("p", "B", 90), listing("q", "C", 70)), 84, intel.Malicious, []int{72, 12}},
		{"three halves: 50 + 25 + 12.5 = 87.5", list(listing("p", "A", 50), listing("q", "A", 50), listing("r", "A", 50)), 88, intel.Malicious, []int{50, 25, 13}},
		{"thirds: 1-0.67^2 = 0.5511; 33 + 22.11", list(listing("p", "A", 33), listing("q", "A", 33)), 55, intel.Suspicious, []int{33, 22}},
		{"one provider counts once", list(listing("p", "B", 90), listing("p", "B", 50, feedID("other")), listing("q", "C", 70)), 84, intel.Malicious, []int{72, 12, 0}},
		{"feeds without provider are apart: 1-0.5*0.5", list(listing("p", "", 100, nobody), listing("q", "", 100, nobody)), 75, intel.Malicious, []int{50, 25}},
		{"malicious from 70", list(listing("p", "A", 70)), 70, intel.Malicious, []int{70}},
		{"suspicious below", list(listing("p", "A", 69)), 69, intel.Suspicious, []int{69}},
		{"suspicious from 40", list(listing("p", "A", 40)), 40, intel.Suspicious, []int{40}},
		{"listed below", list(listing("p", "A", 39)), 39, intel.Listed, []int{39}},
		{"closed ones add nothing", list(listing("p", "B", 90), listing("q", "A", 100, closed)), 72, intel.Malicious, []int{72}},
		{"address, 6 of 30 days: 0.72*0.8 = 0.576", list(listing("p", "B", 90, aged(6*day))), 58, intel.Suspicious, []int{58}},
		{"address, 30 days", list(listing("p", "A", 100, aged(30*day))), 0, intel.Listed, []int{0}},
		{"ip-port, 15 of 30 days: 0.5", list(listing("p", "A", 100, kind(intel.IPPort), aged(15*day))), 50, intel.Suspicious, []int{50}},
		{"network, 45 of 90 days: 0.5", list(listing("p", "A", 100, kind(intel.CIDR), aged(45*day))), 50, intel.Suspicious, []int{50}},
		{"url, 45 of 90 days: 1-0.5^2 = 0.75", list(listing("p", "A", 100, kind(intel.URL), aged(45*day))), 75, intel.Malicious, []int{75}},
		{"domain, 18 of 180 days: 1-0.1^2 = 0.99", list(listing("p", "A", 100, kind(intel.Domain), aged(18*day))), 99, intel.Malicious, []int{99}},
		{"domain, a year", list(listing("p", "A", 100, kind(intel.Domain), aged(365*day))), 0, intel.Listed, []int{0}},
		{"email, 90 of 180 days: 0.75", list(listing("p", "A", 100, kind(intel.Email), aged(90*day))), 75, intel.Malicious, []int{75}},
		{"hash, ten years", list(listing("p", "A", 90, kind(intel.SHA256), aged(3650*day))), 90, intel.Malicious, []int{90}},
		{"seen after the instant asked for", list(listing("p", "B", 90, aged(-5*day))), 72, intel.Malicious, []int{72}},
		{"last seen unknown", list(listing("p", "B", 90, func(l *intel.Listing) { l.LastSeen = time.Time{} })), 72, intel.Malicious, []int{72}},
		{"network: 0.8", list(listing("p", "A", 100, kind(intel.CIDR), rel(intel.RelNetwork))), 80, intel.Malicious, []int{80}},
		{"host: 0.72*0.9 = 0.648", list(listing("p", "B", 90, rel(intel.RelHost))), 65, intel.Suspicious, []int{65}},
		{"parent: 0.72*0.7 = 0.504", list(listing("p", "B", 90, kind(intel.Domain), rel(intel.RelParent))), 50, intel.Suspicious, []int{50}},
		{"member: 0.72*0.3 = 0.216", list(listing("p", "B", 90, rel(intel.RelMember))), 22, intel.Listed, []int{22}},
		{"port at the address: 0.648", list(listing("p", "B", 90, kind(intel.IPPort), rel(intel.RelMember))), 65, intel.Suspicious, []int{65}},
		{"exact beats network of one provider", list(listing("p", "A", 90, kind(intel.CIDR), rel(intel.RelNetwork)), listing("p", "A", 80)), 80, intel.Malicious, []int{80, 0}},
	} {
		got := Score(c.listings, at)
		points := []int{}
		for _, r := range got.Reasons {
			points = append(points, r.Points)
		}
		if got.Score != c.score || got.Verdict != c.verdict || !slices.Equal(points, c.points) || got.Reasons == nil {
			t.Errorf("%s: %d %s %v, want %d %s %v", c.name, got.Score, got.Verdict, points, c.score, c.verdict, c.points)
		}
	}
}

func TestReasonText(t *testing.T) {
	snapshot := func(l *intel.Listing) { l.Snapshot = "2026-11-01" }
	value := func(v string) func(*intel.Listing) { return func(l *intel.Listing) { l.Canonical = v } }
	for _, c := range []struct {
		listing intel.Listing
		want    string
	}{
		{listing("URLhaus", "B", 90), "The URLhaus list (reliability B, confidence 90) lists it since 2026-11-20"},
		{listing("p", "B", 90, nobody), "p-feed (reliability unknown, confidence 90) lists it since 2026-11-20"},
		{listing("p", "B", 90, func(l *intel.Listing) { l.Intervals = nil }), "The p list (reliability B, confidence 90) lists it since 2026-11-16"},
		{listing("p", "A", 100, rel(intel.RelNetwork), value("192.0.2.0/24")),
			"The p list (reliability A, confidence 100) lists the network 192.0.2[.]0/24 around it since 2026-11-20 (counts 80 %)"},
		{listing("p", "A", 100, rel(intel.RelHost), value("evil.example")),
			"The p list (reliability A, confidence 100) lists its host evil[.]example since 2026-11-20 (counts 90 %)"},
		{listing("p", "A", 100, rel(intel.RelParent), value("evil.example")),
			"The p list (reliability A, confidence 100) lists the domain evil[.]example above it since 2026-11-20 (counts 70 %)"},
		{listing("p", "A", 100, rel(intel.RelMember)), "The p list (reliability A, confidence 100) lists 192.0.2[.]1 inside it since 2026-11-20 (counts 30 %)"},
		{listing("p", "A", 100, rel(intel.RelMember), kind(intel.IPPort), value("192.0.2.1:80")),
			"The p list (reliability A, confidence 100) lists the port 192.0.2[.]1:80 at it since 2026-11-20 (counts 90 %)"},
		{listing("p", "A", 100, aged(6*day)), "The p list (reliability A, confidence 100) lists it since 2026-11-20, not confirmed for 6 days (decayed to 80 %)"},
		{listing("p", "A", 100, aged(36*time.Hour)), "The p list (reliability A, confidence 100) lists it since 2026-11-20, not confirmed for 36 hours (decayed to 95 %)"},
		{listing("p", "A", 100, aged(time.Hour)), "The p list (reliability A, confidence 100) lists it since 2026-11-20"},
		{listing("p", "A", 100, snapshot), "The p list (reliability A, confidence 100) lists it since 2026-11-20 in its data of 2026-11-01"},
	} {
		if got := Score(list(c.listing), at).Reasons[0].Text; got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	got := Score(list(listing("abuse.ch", "B", 90), listing("abuse.ch", "B", 50, feedID("x"))), at).Reasons[1].Text
	if want := "The abuse.ch list (reliability B, confidence 50) lists it since 2026-11-20; abuse.ch counts once"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestManyReasonsAreSummedUp(t *testing.T) {
	var many []intel.Listing
	for i := range 500 {
		many = append(many, listing(fmt.Sprint("p", i%30), "E", 10, member(fmt.Sprint("192.0.2.", i%256))))
	}
	got := Score(many, at)
	last := got.Reasons[len(got.Reasons)-1]
	if len(got.Reasons) != 20 || last.Text != "481 further listings" {
		t.Errorf("%d reasons, the last %+v", len(got.Reasons), last)
	}
	if sum := total(got); sum != got.Score {
		t.Errorf("the points add up to %d, the score is %d", sum, got.Score)
	}
	if n := len(Score(many[:20], at).Reasons); n != 20 {
		t.Errorf("%d reasons for 20 listings", n)
	}
}

func TestDecay(t *testing.T) {
	for _, k := range intel.AnyKind.Kinds() {
		last := 1.0
		for age := time.Duration(0); age < 400*day; age += 6 * time.Hour {
			d := Decay(k, age)
			if d < 0 || d > last || math.IsNaN(d) {
				t.Fatalf("%v aged %v keeps %v, before that %v", k, age, d, last)
			}
			last = d
		}
		if intel.Hashes.Has(k) != (last == 1) || !intel.Hashes.Has(k) && last != 0 {
			t.Errorf("%v keeps %v in the end", k, last)
		}
	}
}

// total adds up the points of a result.
func total(r Result) (sum int) {
	for _, x := range r.Reasons {
		sum += x.Points
	}
	return sum
}

// random makes n listings of few providers.
func random(r *rand.Rand, n int) []intel.Listing {
	relations := []intel.Relation{intel.RelExact, intel.RelNetwork, intel.RelHost, intel.RelParent, intel.RelMember}
	var out []intel.Listing
	for range n {
		out = append(out, listing(fmt.Sprint("p", r.IntN(6)), string("ABCDEFX"[r.IntN(7)]), r.IntN(120)-10,
			kind(intel.Kind(1+r.IntN(11))), rel(relations[r.IntN(5)]), aged(time.Duration(r.Int64N(int64(100*day)))-day),
			feedID(fmt.Sprint("f", r.IntN(9))), func(l *intel.Listing) { l.Listed = r.IntN(4) > 0 }))
	}
	return out
}

// check fails where a score breaks what must hold for every score.
func check(t *testing.T, listings []intel.Listing, shuffle *rand.Rand) {
	t.Helper()
	got := Score(listings, at)
	if got.Score < 0 || got.Score > 100 || got.Reasons == nil {
		t.Fatalf("score %d, reasons %v", got.Score, got.Reasons)
	}
	if sum := total(got); sum != got.Score {
		t.Fatalf("the points add up to %d, the score is %d: %v", sum, got.Score, got.Reasons)
	}
	best := map[string]float64{} // the formula once more, in the plainest way
	for i := range listings {
		if l := &listings[i]; l.Listed {
			c := math.Max(0, math.Min(100, float64(l.Confidence))) / 100
			best[l.Provider] = max(best[l.Provider], Reliability(l.Info.Reliability)*c*Relation(l)*Decay(l.Kind, at.Sub(l.LastSeen)))
		}
	}
	rest := 1.0
	for _, x := range best {
		rest *= 1 - x
	}
	if want := 100 * (1 - rest); math.Abs(float64(got.Score)-want) > 0.5+1e-6 {
		t.Fatalf("score %d, by the formula %v", got.Score, want)
	}
	for n := range listings {
		if less := Score(listings[:n], at); less.Score > got.Score {
			t.Fatalf("%d listings score %d, all %d score %d", n, less.Score, len(listings), got.Score)
		}
	}
	mixed := slices.Clone(listings)
	shuffle.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if other := Score(mixed, at); !reflect.DeepEqual(other, got) {
		t.Fatalf("in another order %v, before %v", other, got)
	}
}

func TestProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		check(t, random(r, r.IntN(12)), r)
	}
}

func FuzzScore(f *testing.F) {
	f.Add(uint64(1), 5)
	f.Fuzz(func(t *testing.T, seed uint64, n int) {
		r := rand.New(rand.NewPCG(seed, 0))
		check(t, random(r, min(30, max(0, n))), r)
	})
}

func TestScoreLeavesListingsAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	listings := random(r, 20)
	before := slices.Clone(listings)
	Score(listings, at)
	if !reflect.DeepEqual(listings, before) {
		t.Error("Score changed its input")
	}
	if got := Score(listings, at); strings.Contains(fmt.Sprint(got), "%!") {
		t.Error(got)
	}
}

func BenchmarkScore(b *testing.B) {
	for _, n := range []int{0, 1, 3, 20} {
		var in []intel.Listing
		for i := range n {
			in = append(in, listing(fmt.Sprint("p", i), "B", 90))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Score(in, at)
			}
		})
	}
}
