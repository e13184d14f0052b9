package enginetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedsamples"
)

// RealFeed is a feed and all that it lists at one time or another.
type RealFeed struct {
	Info    intel.FeedInfo
	Entries []intel.Entry
}

// RealFeeds are the samples with at most most records, of each at most each
// entries (0 = all), with the definitions of the catalogue and their samples beside
// them. Every list goes through the parser of its format. Where EI_SAMPLES is not set
// (small) there are those of the repository.
func RealFeeds(ctx context.Context, most, each int) (out []RealFeed, small bool, err error) {
	lists, err := feedsamples.Catalogue(ctx)
	if err != nil {
		return nil, false, err
	}
	samples, small, err := feedsamples.Samples(most)
	if err != nil {
		return nil, small, err
	}
	for _, s := range samples {
		d, err := feedsamples.Define(s.File, s.Spec, "http://127.0.0.1/"+s.File)
		if err != nil {
			return nil, small, err
		}
		if d.Several() { // a list of lists
			continue
		}
		l, err := s.Parse(ctx, d)
		if err != nil {
			return nil, small, err
		}
		lists = append(lists, l)
	}
	for i, l := range lists {
		f := RealFeed{l.Def.Info(), l.Entries}
		if strings.HasPrefix(l.Def.URL, "http://127.0.0.1/") {
			variety(&f.Info, i)
		}
		if each > 0 && len(f.Entries) > each { // spread over the list
			some := make([]intel.Entry, 0, each)
			for k := range each {
				some = append(some, f.Entries[k*len(f.Entries)/each])
			}
			f.Entries = some
		}
		if len(f.Entries) > 0 {
			out = append(out, f)
		}
	}
	return append(out, oddFeed()), small, nil
}

// variety gives the feeds of samples all the properties that feeds have.
func variety(info *intel.FeedInfo, i int) {
	hours := func(n int) intel.Duration { return intel.Duration(time.Duration(n) * time.Hour) }
	switch i % 5 {
	case 0:
		info.Presence = intel.Snapshot
	case 1:
		info.Presence, info.TTL = intel.Rolling, hours(48)
	case 2:
		info.Presence, info.KindTTL = intel.Append, map[intel.Kind]intel.Duration{intel.IPv4: hours(40), intel.Domain: hours(70)}
	case 3:
		info.Presence, info.TTL, info.KindTTL = intel.Rolling, hours(100), map[intel.Kind]intel.Duration{intel.Domain: hours(20), intel.URL: 0}
	case 4:
		info.Presence, info.TTL = intel.Append, hours(30)
	}
	if info.Confidence = i * 7 % 101; strings.HasPrefix(info.Name, "misp-warninglists/") {
		info.Role, info.Confidence = intel.RoleAllow, 0
	}
	info.TLP = []string{"", "clear", "green", "amber+strict"}[i%4]
	info.ThreatType = []string{"", "phishing", "botnet_cc"}[i%3]
	if i%6 == 0 {
		info.Malware, info.Description = "Emotet", "Serves a phishing kit."
	}
	if i%2 == 0 {
		info.Tags = []string{"sample", "#Kit " + fmt.Sprint(i%8)}
	}
	if i%41 == 3 {
		info.Snapshot = "2026-02-01"
	}
}

// oddFeed lists what no parser refuses and an engine may trip over.
func oddFeed() RealFeed {
	f := RealFeed{Info: intel.FeedInfo{ID: "odd", Name: "Odd: ünïcode \u202e, \"quotes\" & 名前", Presence: intel.Rolling, TTL: intel.Duration(50 * time.Hour), Confidence: 50}}
	for i, v := range []string{"http://odd.example/" + strings.Repeat("a/%20", 1500), "http://odd.example/?q=" + strings.Repeat("é", 700), "http://odd.example/a*b?c=\\d&e=\"f\"", "xn--bcher-kva.example",
		"bücher.example", "http://[2001:db8::7]:8080/x#y", "0.0.0.0/1", "::/1", "8000::/1", "odd+kit@odd.example", "odd.example", "http://odd.example/(a)[b]{c}~^$|.+"} {
		ind, err := intel.Detect(v)
		if err != nil {
			continue
		}
		e := intel.Entry{Indicator: ind, Original: v}
		e.Fields.Add("note", []string{"tab\there", "\u0001\u007f", strings.Repeat("x", 9000), "👾 emoji", "a=b", "-", "  ", "…", "line\nbreak", "ﬁﬂ ẞ İ"}[i%10])
		e.Fields.Add([]string{"a=b", "File Name", "ключ", "*", strings.Repeat("n", 300), "x.y", "q\"uote", "(re)gex.+"}[i%8], fmt.Sprintf("value %d", i))
		f.Entries = append(f.Entries, e)
	}
	return f
}

// Filler is what a history goes into. What came by Load and Purge is answered
// with when Settle has returned.
type Filler interface {
	Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error
	Purge(ctx context.Context, feed string, before time.Time) error
	Settle(ctx context.Context) error
}

// history lets real feeds live: entries come, change, go and come again.
type history struct {
	rnd   *rand.Rand
	feeds []RealFeed
	has   [][]bool // by feed and entry: whether it is listed
	loads int
}

func newHistory(feeds []RealFeed, rnd *rand.Rand) *history {
	h := &history{rnd: rnd}
	for _, f := range feeds {
		f.Entries = slices.Clone(f.Entries)
		h.feeds = append(h.feeds, f)
		h.has = append(h.has, make([]bool, len(f.Entries)))
	}
	return h
}

// rounds is how many there are.
const rounds = 5

// pause is how long after the one before a round is.
func pause(round int) time.Duration {
	return []time.Duration{0, 26 * time.Hour, 30*time.Hour + time.Millisecond, 50 * time.Hour, 3*time.Hour + 7*time.Millisecond}[round]
}

// play does one round at the time now.
func (h *history) play(ctx context.Context, round int, now time.Time, to Filler) error {
	for i := range h.feeds {
		at, ok := now.Add(time.Duration(i%3)*time.Second-2*time.Second), true
		late := i%29 == 28
		switch round {
		case 0:
			ok = !late
			h.shuffle(i, 0.9, 0, 0.04)
		case 1:
			ok = !late && i%2 == 0
			h.shuffle(i, 0.5, 0.12, 0.04)
		case 2:
			if ok = !late && i%3 == 0; i%15 == 0 {
				h.reform(i)
			}
			h.shuffle(i, 0.8, 0.03, 0.01)
		case 3:
			if ok = late || i%11 == 0; i%22 == 0 && len(h.has[i]) < 3000 {
				clear(h.has[i])
			} else {
				h.shuffle(i, 0.9, 0.05, 0)
			}
			if i%33 == 0 {
				at = at.Add(-100 * time.Hour) // the clock was set back
			}
		case 4:
			ok = i%11 == 0 || i%7 == 0
			h.shuffle(i, 0.9, 0.02, 0.01)
		}
		if !ok {
			continue
		}
		if err := h.load(ctx, i, at, to); err != nil {
			return err
		}
		if round == 2 && i%9 == 0 || round == 4 && i%14 == 0 {
			if err := to.Purge(ctx, h.feeds[i].Info.ID, now.Add(-time.Hour)); err != nil {
				return err
			}
		}
	}
	return to.Settle(ctx)
}

func (h *history) load(ctx context.Context, i int, at time.Time, to Filler) error {
	var list []intel.Entry
	for k, e := range h.feeds[i].Entries {
		if h.has[i][k] {
			list = append(list, e)
		}
	}
	h.loads++
	info := h.feeds[i].Info
	info.Tags = slices.Clone(info.Tags)
	if err := to.Load(ctx, info, at, list); err != nil {
		return fmt.Errorf("run of %s with %d entries: %w", info.ID, len(list), err)
	}
	return nil
}

// shuffle lists, drops and changes shares of a feed's entries.
func (h *history) shuffle(i int, add, drop, change float64) {
	for k := range h.has[i] {
		x := h.rnd.Float64()
		if h.has[i][k] {
			h.has[i][k] = x >= drop
		} else {
			h.has[i][k] = x < add
		}
		if h.rnd.Float64() < change {
			e := &h.feeds[i].Entries[k]
			f := worldFields[h.rnd.IntN(len(worldFields))]
			e.Fields = slices.Clone(e.Fields) // those of the list are not ours
			for j := range e.Fields {
				e.Fields[j].Values = slices.Clone(e.Fields[j].Values)
			}
			e.Fields.Add(f.Name, f.Values[h.rnd.IntN(len(f.Values))])
		}
	}
}

// reform lets a feed say something else of itself.
func (h *history) reform(i int) {
	info := &h.feeds[i].Info
	switch i / 15 % 4 {
	case 0:
		info.Tags, info.Snapshot = append(slices.Clone(info.Tags), "reformed"), ""
	case 1:
		info.TTL += intel.Duration(9 * time.Hour)
	case 2:
		info.Confidence, info.TLP = 77*min(info.Confidence, 1), "red"
	case 3:
		info.Description, info.Malware = "Is another thing now: gate.php.", "Mirai"
	}
}

// soaking says whether the long counts are wanted.
func soaking() bool { return os.Getenv("EI_SOAK") != "" }
