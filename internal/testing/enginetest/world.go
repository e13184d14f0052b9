package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// world is what random scripts are made of: few values, names and words, so that
// everything meets everything.
type world struct {
	rnd    *rand.Rand
	now    time.Time
	start  time.Time
	values []intel.Indicator
	feeds  []*worldFeed
	times  []time.Time // of the last runs
}

// worldFeed is a feed and what it lists now.
type worldFeed struct {
	info intel.FeedInfo
	pool []intel.Indicator
	list map[intel.Indicator]intel.Entry
}

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 4)), now: began, start: began, values: worldValues()}
	feed := func(i intel.FeedInfo) {
		w.feeds = append(w.feeds, &worldFeed{info: i, list: map[intel.Indicator]intel.Entry{}})
	}
	hours := func(n int) intel.Duration { return intel.Duration(time.Duration(n) * time.Hour) }
	feed(intel.FeedInfo{ID: "drop", Name: "Drop list of networks", Provider: "Example CERT", Presence: intel.Snapshot, Confidence: 90, TLP: "clear", Tags: []string{"network"}, ThreatType: "hijacked_network"})
	feed(intel.FeedInfo{ID: "phish", Name: "Fresh phishing", Provider: "abuse.ch", Presence: intel.Rolling, TTL: hours(50),
		KindTTL: map[intel.Kind]intel.Duration{intel.Domain: hours(20), intel.URL: hours(90), intel.CIDR: 0}, Confidence: 60, Tags: []string{"kit", "phishing"}, Description: "Serves a phishing kit."})
	feed(intel.FeedInfo{ID: "c2", Name: "C2 tracker", Provider: "abuse.ch", Presence: intel.Append, TTL: hours(30), Confidence: 100, TLP: "green", Malware: "Emotet"})
	feed(intel.FeedInfo{ID: "plain", Presence: intel.Append, KindTTL: map[intel.Kind]intel.Duration{intel.IPv4: hours(40)}})
	feed(intel.FeedInfo{ID: "roll.ing", Name: "ünïcode feed", Presence: intel.Rolling, Confidence: 75, Snapshot: "2026-02-01"})
	feed(intel.FeedInfo{ID: "tiny", Name: "Tiny", Provider: "Example", Presence: intel.Snapshot, Role: intel.RoleAllow, TTL: hours(5)})
	for k, f := range w.feeds {
		for i, v := range w.values {
			if k == 5 && i%20 == 0 || k != 5 && w.rnd.IntN(5) < 2 {
				f.pool = append(f.pool, v)
			}
		}
	}
	return w
}

// worldValues are indicators of every kind, many of them inside each other.
func worldValues() (out []intel.Indicator) {
	add := func(s string) {
		if i, err := intel.Detect(s); err == nil && !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	for i := range 8 {
		add(fmt.Sprintf("198.51.100.%d", i*i))
		add(fmt.Sprintf("2001:db8::%x", i+1))
		add(fmt.Sprintf("198.51.100.0/%d", 16+2*i))
		add(fmt.Sprintf("198.51.100.%d:%d", i, 440+i/2))
		add(fmt.Sprintf("d%d.example.org", i))
		add(fmt.Sprintf("http://d%d.example.org/phishing/x%d", i, i))
	}
	for _, s := range []string{"2001:db8::/32", "2001:db8::/126", "[2001:db8::1]:443", "0.0.0.0/1", "example.org", "a.b.d1.example.org", "example.co.uk", "x.example.co.uk", "bücher.example",
		"paypal-secure.example", "http://198.51.100.1:8080/gate.php?id=7", "http://[2001:db8::1]/kit", "https://paypal-secure.example:8443/", "anna@d1.example.org", "kit@example.org",
		"d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"} {
		add(s)
	}
	return out
}

// worldFields are the fields that entries have, and their values. Read-only.
var worldFields = []intel.Field{
	{Name: intel.FieldTags, Values: []string{"#Phishing", "phishing", "Cobalt_Strike", "elf", "brand:PayPal", "network", "ünïcode", "kit"}},
	{Name: intel.FieldMalware, Values: []string{"Emotet", "win.emotet", "Mirai", "Cobalt Strike"}},
	{Name: intel.FieldThreatType, Values: []string{"phishing", "botnet_cc", "malware_download"}},
	{Name: intel.FieldDescription, Values: []string{"a phishing kit", "kit of gate.php", "bad thing on port 443"}},
	{Name: intel.FieldReference, Values: []string{"https://abuse.ch/1", "https://abuse.ch/2"}},
	{Name: intel.FieldTLP, Values: []string{"red", "amber+strict", "clear"}},
	{Name: intel.FieldConfidence, Values: []string{"0", "10", "75", "100", "high", "180"}},
	{Name: intel.FieldFeedFirstSeen, Values: []string{"2026-02-27 10:00:00", "2026-03-01", "garbage"}},
	{Name: intel.FieldFeedLastSeen, Values: []string{"1772366400", "2026-03-04T00:00:00Z"}},
	{Name: "country", Values: []string{"NL", "us", "DE"}},
	{Name: "cc", Values: []string{"nl", "FR"}},
	{Name: "asn", Values: []string{"AS64500", "64501", "none"}},
	{Name: "as_name", Values: []string{"Example Hosting B.V.", "Kit Hosting"}},
	{Name: "port", Values: []string{"22", "443", "8080/tcp"}},
	{Name: "registered", Values: []string{"2026-02-20", "2025-12-24"}},
	{Name: "File Name", Values: []string{"invoice.pdf.exe", "index.html", "-"}},
	{Name: "risk", Values: []string{"7.5", "-3", "9%", "high", "2026-03-02"}},
	{Name: "reporter", Values: []string{"anna", "Anna Kit", "bob", longToken + "one", longToken + "two"}},
}

// longToken is as long as a token can be.
const longToken = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func (w *world) entry(i intel.Indicator) intel.Entry {
	e := intel.Entry{Indicator: i, Original: i.Value}
	switch w.rnd.IntN(8) {
	case 0:
		e.Original = intel.Defang(i.Value)
	case 1:
		e.Original = "  " + i.Value + " (Kit) "
	}
	for _, f := range worldFields {
		for w.rnd.IntN(6) == 0 {
			e.Fields.Add(f.Name, f.Values[w.rnd.IntN(len(f.Values))])
		}
	}
	return e
}

// load makes a run: as a rule a little is other than in the one before.
func (w *world) load() *Load {
	w.pass()
	f := w.feeds[w.rnd.IntN(len(w.feeds))]
	w.change(f)
	switch w.rnd.IntN(20) {
	case 0:
		clear(f.list)
	case 1:
		w.shuffle(f, 0.5, 0.5, 0.5)
	case 2, 3:
		w.shuffle(f, 0.9, 0.1, 0.1)
	case 4, 5: // nothing changes
	default:
		w.shuffle(f, 0.05, 0.05, 0.08)
	}
	l := &Load{Info: f.info, At: w.now}
	l.Info.Tags = slices.Clone(f.info.Tags)
	if w.rnd.IntN(15) == 0 {
		l.At = w.now.Add(-time.Duration(w.rnd.IntN(100)) * time.Hour) // the clock was set back
	}
	for _, i := range f.pool {
		if e, ok := f.list[i]; ok {
			l.Entries = append(l.Entries, e)
			if w.rnd.IntN(60) == 0 {
				l.Entries = append(l.Entries, w.entry(i)) // twice
			}
		}
	}
	if w.rnd.IntN(3) == 0 {
		w.rnd.Shuffle(len(l.Entries), func(i, j int) { l.Entries[i], l.Entries[j] = l.Entries[j], l.Entries[i] })
	}
	w.times = append(w.times[max(0, len(w.times)-20):], l.At)
	return l
}

// pass lets time pass, or not.
func (w *world) pass() {
	switch w.rnd.IntN(6) {
	case 0:
	case 1:
		w.now = w.now.Add(time.Millisecond)
	case 2:
		w.now = w.now.Add(time.Duration(w.rnd.IntN(40)) * time.Hour)
	default:
		w.now = w.now.Add(time.Duration(w.rnd.IntN(5*3600*1000)) * time.Millisecond)
	}
}

// shuffle drops, adds and changes shares of what the feed lists.
func (w *world) shuffle(f *worldFeed, add, drop, change float64) {
	for _, i := range f.pool {
		_, has := f.list[i]
		switch x := w.rnd.Float64(); {
		case !has && x < add:
			f.list[i] = w.entry(i)
		case has && x < drop:
			delete(f.list, i)
		case has && x < drop+change:
			f.list[i] = w.entry(i)
		}
	}
}

// change lets the feed say something else of itself, now and then.
func (w *world) change(f *worldFeed) {
	pick := func(s ...string) string { return s[w.rnd.IntN(len(s))] }
	switch w.rnd.IntN(60) {
	case 0:
		f.info.Name = pick("", "A new name", "Fresh kit")
	case 1:
		f.info.Description = pick("", "Serves a phishing kit.", "Other text")
	case 2:
		f.info.Malware = pick("", "Emotet", "Mirai")
	case 3:
		f.info.Tags = [][]string{nil, {"kit"}, {"kit", "phishing"}, {"new tag"}}[w.rnd.IntN(4)]
	case 4:
		f.info.TLP = pick("", "red", "green")
	case 5:
		f.info.Confidence = w.rnd.IntN(101)
	case 6:
		f.info.TTL = intel.Duration(time.Duration(w.rnd.IntN(3)) * 24 * time.Hour)
	case 11:
		f.info.KindTTL = w.kindTTL()
	case 7:
		f.info.ThreatType = pick("", "phishing", "botnet_cc")
	case 8, 9:
		f.info.Snapshot = ""
	case 10:
		f.info.Provider = pick("", "abuse.ch", "Example CERT")
	}
}

// kindTTL makes times to live by kind, or none.
func (w *world) kindTTL() map[intel.Kind]intel.Duration {
	var out map[intel.Kind]intel.Duration
	for _, k := range intel.AnyKind.Kinds() {
		if w.rnd.IntN(4) == 0 {
			if out == nil {
				out = map[intel.Kind]intel.Duration{}
			}
			out[k] = intel.Duration(time.Duration(w.rnd.IntN(4)*w.rnd.IntN(30)) * time.Hour)
		}
	}
	return out
}

// instant is one to ask about, often just when something happened.
func (w *world) instant() time.Time {
	if len(w.times) > 0 && w.rnd.IntN(2) == 0 {
		t := w.times[w.rnd.IntN(len(w.times))]
		return t.Add(time.Duration(w.rnd.IntN(3)-1) * time.Millisecond)
	}
	return w.start.Add(time.Duration(w.rnd.Int64N(int64(w.now.Sub(w.start)) + int64(time.Hour)))).Truncate(time.Millisecond)
}
