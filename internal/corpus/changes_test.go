package corpus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// changesOf reads one page.
func changesOf(t testing.TB, c *Corpus, since string, limit int) (events []intel.Event, next string, more bool) {
	t.Helper()
	next, more, err := c.Changes(t.Context(), since, limit, func(e *intel.Event) error {
		events = append(events, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, next, more
}

// told writes events in short: day, event, feed, value.
func told(events []intel.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%g %s %s %s", e.At.Sub(t0).Hours()/24, e.Type, e.Listing.Feed, e.Listing.Canonical))
	}
	return out
}

func wantTold(t testing.TB, c *Corpus, since string, want ...string) (next string) {
	t.Helper()
	events, next, more := changesOf(t, c, since, 0)
	if d := cmp.Diff(want, told(events)); d != "" || more {
		t.Errorf("more %v, events (-want +got)\n%s", more, d)
	}
	return next
}

func TestChanges(t *testing.T) {
	now := day(0)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	at := func(d int) time.Time { now = day(d); return now }
	one, two, three := entry(t, "one.example"), entry(t, "two.example"), entry(t, "3.3.3.3")
	none := wantTold(t, c, "")
	mustRun(t, c, feedInfo("s", intel.Snapshot), at(1), one, two)
	first := wantTold(t, c, none, "1 listed s one.example", "1 listed s two.example")
	mustRun(t, c, feedInfo("a", intel.Snapshot), at(1), three)
	mustRun(t, c, feedInfo("s", intel.Snapshot), at(2), entry(t, "one.example", "x", "y"), three)
	want := []string{"1 listed a 3.3.3.3", "2 listed s 3.3.3.3", "2 updated s one.example", "2 de-listed s two.example"}
	second := wantTold(t, c, first, want...)
	wantTold(t, c, none, want...) // of several changes the last
	wantTold(t, c, "", want...)
	wantTold(t, c, second)
	mustRun(t, c, feedInfo("s", intel.Snapshot), at(3), entry(t, "one.example", "x", "y"), two, three)
	events, third, _ := changesOf(t, c, second, 0)
	if d := cmp.Diff([]string{"3 listed s two.example"}, told(events)); d != "" {
		t.Error(d)
	}
	l := events[0].Listing
	if spansOf(&l) != "1-2 3-" || l.Relation != intel.RelExact || !l.Listed || l.Info == nil || !l.Changed.Equal(day(3)) {
		t.Errorf("listing %+v", l)
	}
	mustRun(t, c, feedInfo("s", intel.Snapshot), at(4), entry(t, "one.example", "x", "y"), two, three)
	wantTold(t, c, third)
}

// A listing that is absent within its time to live is updated; it ends by itself
// or in a run, and is told once in either case.
func TestChanges_timeToLive(t *testing.T) {
	now := day(0)
	info := feedInfo("r", intel.Rolling)
	info.TTL = intel.Duration(72 * time.Hour)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	at := func(d int) time.Time { now = day(d); return now }
	one, two := entry(t, "one.example"), entry(t, "two.example")
	mustRun(t, c, info, at(1), one, two)
	next := wantTold(t, c, "", "1 listed r one.example", "1 listed r two.example")
	mustRun(t, c, info, at(2), one)
	absent := wantTold(t, c, next, "2 updated r two.example")
	at(3)
	next = wantTold(t, c, absent)
	at(5) // no run notes it
	ended := []string{"4 aged-out r two.example"}
	next = wantTold(t, c, next, ended...)
	wantTold(t, c, absent, ended...)
	wantTold(t, c, "", "1 listed r one.example", ended[0])
	wantTold(t, c, next)
	mustRun(t, c, info, at(6), one) // notes it: told again, which does no harm
	next = wantTold(t, c, next, "6 aged-out r two.example")
	mustRun(t, c, info, at(7), one, two)
	wantTold(t, c, next, "7 listed r two.example")
}

// What a late run leaves out, and what has ended by itself by then, is told.
func TestChanges_endedBeforeItsRunCommitted(t *testing.T) {
	now := day(0)
	info := feedInfo("r", intel.Rolling)
	info.TTL = intel.Duration(48 * time.Hour)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	now = day(1)
	mustRun(t, c, info, now, entry(t, "one.example"), entry(t, "two.example"))
	now = day(4)
	_, next, _ := changesOf(t, c, "", 0)
	mustRun(t, c, info, day(2), entry(t, "one.example"))
	wantTold(t, c, next, "3 aged-out r two.example")
}

func TestChanges_starterDataIsNotTold(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return day(9) }})
	starter := feedInfo("s", intel.Snapshot)
	starter.Snapshot = "2026-02-01"
	mustRun(t, c, starter, day(0), entry(t, "one.example"), entry(t, "old.example"))
	next := wantTold(t, c, "")
	mustRun(t, c, feedInfo("s", intel.Snapshot), day(1), entry(t, "one.example"))
	wantTold(t, c, next, "1 listed s one.example")
}

// A run that began before others and committed after the cursor was given is told.
func TestChanges_lateCommit(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return day(9) }})
	mustRun(t, c, feedInfo("a", intel.Snapshot), day(5), entry(t, "one.example"))
	_, next, _ := changesOf(t, c, "", 0)
	mustRun(t, c, feedInfo("b", intel.Snapshot), day(3), entry(t, "two.example"))
	next = wantTold(t, c, next, "3 listed b two.example")
	mustRun(t, c, feedInfo("b", intel.Snapshot), day(4))
	wantTold(t, c, next, "4 de-listed b two.example")
}

// What a run changes is told although the clock was set back before it.
func TestChanges_clockSetBack(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return day(9) }})
	mustRun(t, c, feedInfo("a", intel.Snapshot), day(5), entry(t, "one.example"))
	_, next, _ := changesOf(t, c, "", 0)
	for i, at := range []int{4, 5, 3} {
		mustRun(t, c, feedInfo("a", intel.Snapshot), day(at), entry(t, fmt.Sprintf("n%d.example", i)))
		events, n, _ := changesOf(t, c, next, 0)
		if len(events) != 2 {
			t.Errorf("run at %d: told %v", at, told(events))
		}
		next = n
	}
}

func TestChanges_badCursors(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{Now: func() time.Time { return day(9) }})
	mustRun(t, c, feedInfo("a", intel.Snapshot), day(1), entry(t, "one.example"), entry(t, "two.example"))
	_, good, _ := changesOf(t, c, "", 1)
	refused := func(c *Corpus, since, why string) {
		t.Helper()
		_, _, err := c.Changes(t.Context(), since, 0, func(*intel.Event) error { t.Error("an event"); return nil })
		if !errors.Is(err, intel.ErrCursor) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "begin anew") {
			t.Errorf("%s: %v", since, err)
		}
	}
	for i := 1; i < len(good); i++ {
		refused(c, good[:i], "cut off")
		b := []byte(good)
		if b[i] = 'A'; good[i] == 'A' {
			b[i] = 'B'
		}
		refused(c, string(b), "")
	}
	refused(c, "nonsense!", "not one")
	other := openCorpus(t, newMemStore(t), Options{})
	refused(other, good, "another data folder")
	if err := store.Delete(t.Context(), headDir+"a"+headExt); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused(c, good, "removed")
}

func TestChanges_stopsWhenAsked(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return day(9) }})
	mustRun(t, c, feedInfo("a", intel.Snapshot), day(1), entry(t, "one.example"), entry(t, "two.example"))
	boom := errors.New("boom")
	if _, _, err := c.Changes(t.Context(), "", 0, func(*intel.Event) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Changes(ctx, "", 0, func(*intel.Event) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMark_roundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	h := hasher{1, 2, ^uint64(0)}
	for range 500 {
		m := &mark{swept: r.Int64N(1 << 42), feeds: map[uint64]*feedTold{}}
		if r.IntN(5) == 0 {
			m.swept = never
		}
		for range r.IntN(9) {
			m.feeds[feedHash(fmt.Sprint(r.Int()))] = &feedTold{r.Int64N(1 << 42), r.Int64N(1 << 42), uint16(r.Int())}
		}
		if r.IntN(2) == 0 {
			m.at = &spotTold{r.Int64N(1 << 42), feedHash("x"), intel.Indicator{Kind: intel.URL, Value: strings.Repeat("é", r.IntN(900))}}
		}
		got, err := readMark(m.encode(h), h)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got, cmp.AllowUnexported(mark{}, feedTold{}, spotTold{})); d != "" {
			t.Fatal(d)
		}
	}
}

func FuzzReadMark(f *testing.F) {
	h := hasher{1, 2, ^uint64(0)}
	m := &mark{swept: 7, feeds: map[uint64]*feedTold{3: {4, 5, 6}}, at: &spotTold{6, 3, intel.Indicator{Kind: intel.URL, Value: "x"}}}
	f.Add(m.encode(h), []byte{})
	f.Add("", []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, s string, body []byte) {
		if _, err := readMark(s, h); err != nil && !errors.Is(err, intel.ErrCursor) {
			t.Error(err)
		}
		if m, err := parseMark(body); err == nil {
			if again, err := readMark(m.encode(h), h); err != nil || len(again.feeds) != len(m.feeds) {
				t.Errorf("%v: %v", m, err)
			}
		}
	})
}

// Where hardly any past is kept, reading page by page comes to an end all the same,
// and is refused only where something was purged meanwhile.
func TestChanges_purgedToNow(t *testing.T) {
	now := day(1)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	info, list := feedInfo("s", intel.Snapshot), []intel.Entry{entry(t, "a.example"), entry(t, "b.example"), entry(t, "c.example"), entry(t, "d.example")}
	purge := func() {
		t.Helper()
		if n, err := c.Purge(t.Context(), "s", now); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run := func(entries []intel.Entry) {
		now = now.Add(time.Hour)
		mustRun(t, c, info, now, entries...)
		now = now.Add(time.Minute)
	}
	mustRun(t, c, info, now, list...)
	run(list[:3])
	purge()
	_, first, more := changesOf(t, c, "", 1)
	events, _, _ := changesOf(t, c, first, 0)
	if len(events) != 2 || !more {
		t.Errorf("page by page: more %v, then %v", more, told(events))
	}
	run(list[1:3])
	purge() // of the listing that was told as open
	if _, _, err := c.Changes(t.Context(), first, 0, func(*intel.Event) error { return nil }); !errors.Is(err, intel.ErrCursor) {
		t.Errorf("an end was purged between two pages: %v", err)
	}
}

// A cursor from before what was purged is refused; one that was told of it, and
// one of a follower who began later, are not.
func TestChanges_purged(t *testing.T) {
	now := day(1)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	info := feedInfo("s", intel.Snapshot)
	at := func(d int) time.Time { now = day(d); return now }
	one, two := entry(t, "one.example"), entry(t, "two.example")
	mustRun(t, c, info, at(1), one, two)
	_, old, _ := changesOf(t, c, "", 0)
	mustRun(t, c, info, at(5), one)
	_, knows, _ := changesOf(t, c, old, 0)
	now = day(40)
	if n, err := c.Purge(t.Context(), "s", day(10)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTold(t, c, knows)
	refused := func(since string) {
		t.Helper()
		_, _, err := c.Changes(t.Context(), since, 0, func(*intel.Event) error { return nil })
		if !errors.Is(err, intel.ErrCursor) || !strings.Contains(err.Error(), "changes before 2026-03-06T08:00:00Z were purged") {
			t.Errorf("got %v", err)
		}
	}
	refused(old)
	mustRun(t, c, info, at(41), one, two, entry(t, "three.example"))
	_, part, more := changesOf(t, c, "", 1)
	if events, _, _ := changesOf(t, c, part, 0); !more || len(events) != 2 {
		t.Errorf("a follower who began after it: %v", told(events))
	}
}

// An end that is dated far back, since the clock was, and purged before it was
// told is not missed in silence.
func TestChanges_purgedWithTheClockBack(t *testing.T) {
	now := day(1)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	info := feedInfo("s", intel.Snapshot)
	one, two := entry(t, "one.example"), entry(t, "two.example")
	mustRun(t, c, info, now, one, two)
	now = day(9)
	_, next, _ := changesOf(t, c, "", 0)
	now = day(5)
	mustRun(t, c, info, now, one)
	if n, err := c.Purge(t.Context(), "s", day(6)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Changes(t.Context(), next, 0, func(*intel.Event) error { return nil }); !errors.Is(err, intel.ErrCursor) {
		t.Errorf("an end that nobody is told: %v", err)
	}
}

// Another time to live ends other listings, in the past as well: who follows has
// to begin anew.
func TestChanges_otherTimeToLive(t *testing.T) {
	now := day(1)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	info := feedInfo("r", intel.Rolling)
	info.TTL = intel.Duration(20 * 24 * time.Hour)
	one, two := entry(t, "one.example"), entry(t, "two.example")
	mustRun(t, c, info, now, one, two)
	now = day(2)
	mustRun(t, c, info, now, one)
	next := wantTold(t, c, "", "1 listed r one.example", "2 updated r two.example")
	now = day(9)
	other := info
	other.KindTTL = map[intel.Kind]intel.Duration{intel.Domain: intel.Duration(5 * 24 * time.Hour)}
	mustRun(t, c, other, now, one)
	if _, _, err := c.Changes(t.Context(), next, 0, func(*intel.Event) error { return nil }); !errors.Is(err, intel.ErrCursor) || !strings.Contains(err.Error(), "time to live") {
		t.Errorf("another one for the kind: got %v", err)
	}
	info.TTL = intel.Duration(5 * 24 * time.Hour)
	mustRun(t, c, info, now, one)
	if _, _, err := c.Changes(t.Context(), next, 0, func(*intel.Event) error { return nil }); !errors.Is(err, intel.ErrCursor) || !strings.Contains(err.Error(), "time to live") {
		t.Errorf("got %v", err)
	}
}

// What ends by itself at a time of its kind is told once, page by page as well:
// that another kind lives shorter is no reason to tell it again.
func TestChanges_timesToLiveByKind(t *testing.T) {
	now := day(1)
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }})
	info := feedInfo("r", intel.Rolling)
	info.KindTTL = map[intel.Kind]intel.Duration{intel.IPv4: intel.Duration(30 * time.Hour), intel.Domain: intel.Duration(5 * 24 * time.Hour)}
	stays, name, addr := entry(t, "stays.example"), entry(t, "name.example"), entry(t, "192.0.2.1")
	mustRun(t, c, info, now, stays, name, addr)
	now = day(2)
	mustRun(t, c, info, now, stays)
	first := wantTold(t, c, "", "1 listed r stays.example", "2 updated r 192.0.2.1", "2 updated r name.example")
	now = day(3)
	next := wantTold(t, c, first, "2.25 aged-out r 192.0.2.1")
	wantTold(t, c, next)
	samePaged(t, c, first, 1)
	now = day(7)
	end := wantTold(t, c, next, "6 aged-out r name.example")
	wantTold(t, c, end)
	samePaged(t, c, "", 1)
	samePaged(t, c, first, 1)
}

// The same rule in other words is the same; another time for a kind that may be
// absent is not.
func TestRuleHash(t *testing.T) {
	day := intel.Duration(24 * time.Hour)
	info := func(ttl intel.Duration, kinds map[intel.Kind]intel.Duration) *intel.FeedInfo {
		return &intel.FeedInfo{Presence: intel.Append, TTL: ttl, KindTTL: kinds}
	}
	base := ruleHash(info(day, nil))
	// What earlier programs have in their cursors.
	if want := uint16(xxhash.Sum64(binary.BigEndian.AppendUint64(nil, uint64(86_400_000)))); base != want {
		t.Errorf("a day is %d, was %d", base, want)
	}
	if got := ruleHash(info(day, map[intel.Kind]intel.Duration{intel.URL: day})); got != base {
		t.Errorf("a day for URLs, too: %d, want %d", got, base)
	}
	seen := map[uint16]bool{base: true}
	for _, i := range []*intel.FeedInfo{
		info(day, map[intel.Kind]intel.Duration{intel.URL: 2 * day}),
		info(day, map[intel.Kind]intel.Duration{intel.Domain: 2 * day}),
		info(day, map[intel.Kind]intel.Duration{intel.URL: 0}),
		info(2*day, map[intel.Kind]intel.Duration{intel.URL: day}),
		info(0, map[intel.Kind]intel.Duration{intel.URL: day}),
	} {
		if h := ruleHash(i); seen[h] {
			t.Errorf("%+v has the hash of another", i)
		} else {
			seen[h] = true
		}
	}
	if s := (&intel.FeedInfo{Presence: intel.Snapshot, TTL: day, KindTTL: map[intel.Kind]intel.Duration{intel.URL: day}}); ruleHash(s) != ruleHash(info(0, nil)) {
		t.Error("a snapshot has times to live")
	}
}
