package corpus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// model keeps every run of every feed and derives each listing from them, with
// maps and loops and nothing else.
type model struct {
	feeds map[string]*modelFeed
}

type modelFeed struct {
	info   intel.FeedInfo
	forgot map[intel.Indicator]int // so many runs are forgotten of what was purged
	runs   []modelRun
	all    map[intel.Indicator]netip.Prefix // what it ever listed; the network or address, if it is one
}

type modelRun struct {
	at   int64
	list map[intel.Indicator]intel.Entry
}

func (m *model) run(info intel.FeedInfo, now time.Time, entries []intel.Entry) {
	f := m.feeds[info.ID]
	if f == nil {
		f = &modelFeed{all: map[intel.Indicator]netip.Prefix{}, forgot: map[intel.Indicator]int{}}
		m.feeds[info.ID] = f
	}
	f.info = info
	r := modelRun{now.UnixMilli(), map[intel.Indicator]intel.Entry{}}
	if n := len(f.runs); n > 0 {
		r.at = max(r.at, f.runs[n-1].at+1)
	}
	for _, e := range entries {
		if first, twice := r.list[e.Indicator]; twice {
			united := slices.Clone(first.Fields)
			for i := range united {
				united[i].Values = slices.Clone(united[i].Values)
			}
			united.Merge(e.Fields)
			e = first
			e.Fields = united
		}
		r.list[e.Indicator] = e
		f.all[e.Indicator], _ = e.Indicator.Prefix()
		if a, ok := e.Indicator.Addr(); ok && e.Indicator.Kind == intel.IPPort {
			f.all[e.Indicator] = netip.PrefixFrom(a, a.BitLen())
		}
	}
	f.runs = append(f.runs, r)
}

// ttl is how long something of this kind stays listed when it is absent.
func (f *modelFeed) ttl(k intel.Kind) int64 {
	d := f.info.TTL
	for kind, own := range f.info.KindTTL {
		if kind == k {
			d = own
		}
	}
	return time.Duration(d).Milliseconds()
}

// listing derives what the feed says of i as of at (0: now).
func (f *modelFeed) listing(i intel.Indicator, at, now int64) (intel.Listing, bool) {
	var ivs [][2]int64 // end -1: open
	var last intel.Entry
	lastHad, ttl := int64(0), f.ttl(i.Kind)
	keeps := f.info.Presence == intel.Append || f.info.Presence == intel.Rolling && ttl > 0
	missed := false // a run since lastHad did not have it
	for _, r := range f.runs[f.forgot[i]:] {
		e, has := r.list[i]
		isOpen := len(ivs) > 0 && ivs[len(ivs)-1][1] < 0
		if isOpen && !has {
			missed = true
		}
		if isOpen && missed && keeps && ttl > 0 && lastHad+ttl <= r.at {
			ivs[len(ivs)-1][1] = lastHad + ttl
			isOpen = false
		}
		switch {
		case has && !isOpen:
			if n := len(ivs); n > 0 && ivs[n-1][1] == r.at {
				ivs[n-1][1] = -1
			} else {
				ivs = append(ivs, [2]int64{r.at, -1})
			}
		case !has && isOpen && !keeps:
			ivs[len(ivs)-1][1] = r.at
		}
		if has {
			last, lastHad, missed = e, r.at, false
		}
	}
	if len(ivs) == 0 {
		return intel.Listing{}, false
	}
	when := now
	if at != 0 {
		when = at
	}
	if n := len(ivs); ivs[n-1][1] < 0 && missed && ttl > 0 && lastHad+ttl <= when {
		ivs[n-1][1] = lastHad + ttl
	}
	first, seen := ivs[0][0], lastHad
	if at != 0 {
		var kept [][2]int64
		for _, iv := range ivs {
			if iv[0] <= at {
				kept = append(kept, iv)
			}
		}
		if len(kept) == 0 {
			return intel.Listing{}, false
		}
		if n := len(kept); kept[n-1][1] > at {
			kept[n-1][1] = -1
		} else if n < len(ivs) {
			seen = min(seen, kept[n-1][1])
		}
		ivs, seen = kept, min(seen, at)
	}
	l := intel.Listing{Feed: f.info.ID, Kind: i.Kind, Canonical: i.Value, Original: last.Original,
		FirstSeen: toTime(first), LastSeen: toTime(seen), Listed: ivs[len(ivs)-1][1] < 0, Context: last.Fields}
	for _, iv := range ivs {
		x := intel.Interval{From: toTime(iv[0])}
		if iv[1] >= 0 {
			to := toTime(iv[1])
			x.To = &to
		}
		l.Intervals = append(l.Intervals, x)
	}
	return l, true
}

// state says whether i is open as of the last run, and when that changed, or
// what the feed says of it.
func (f *modelFeed) state(i intel.Indicator) (isOpen bool, changed int64) {
	var last intel.Entry
	lastHad, ttl := int64(0), f.ttl(i.Kind)
	keeps := f.info.Presence == intel.Append || f.info.Presence == intel.Rolling && ttl > 0
	missed := false
	for _, r := range f.runs[f.forgot[i]:] {
		e, has := r.list[i]
		aged := isOpen && (missed || !has) && keeps && ttl > 0 && lastHad+ttl <= r.at
		switch {
		case has && (!isOpen || missed || !reflect.DeepEqual(e.Fields, last.Fields) || e.Original != last.Original),
			!has && isOpen && (!missed || aged):
			changed = r.at
		}
		if has {
			isOpen, missed, last, lastHad = true, false, e, r.at
		} else if isOpen {
			missed, isOpen = true, keeps && !aged
		}
	}
	return isOpen, changed
}

// purge forgets what is closed and did not change since.
func (f *modelFeed) purge(before int64) (n int) {
	for i := range f.all {
		isOpen, changed := f.state(i)
		if changed > 0 && !isOpen && changed < before {
			f.forgot[i] = len(f.runs)
			n++
		}
	}
	return n
}

// find answers a question by looking at everything.
func (m *model) find(q intel.Question, at, now int64) (out []intel.Listing) {
	for _, f := range m.feeds {
		add := func(i intel.Indicator, rel intel.Relation) {
			if l, ok := f.listing(i, at, now); ok {
				l.Relation = rel
				out = append(out, l)
			}
		}
		for _, k := range q.Keys {
			add(k.Indicator, k.Relation)
		}
		for i, p := range f.all {
			if i == q.Indicator || !p.IsValid() {
				continue
			}
			if i.Kind == intel.CIDR && q.Covers.IsValid() && p.Bits() <= q.Covers.Bits() && p.Contains(q.Covers.Addr()) {
				add(i, intel.RelNetwork)
			}
			if q.Inside.IsValid() && p.Bits() >= q.Inside.Bits() && q.Inside.Contains(p.Addr()) {
				add(i, intel.RelMember)
			}
		}
	}
	return out
}

// comparable reduces listings to what the model knows, in an order of its own.
func comparable(ls []intel.Listing) []string {
	out := make([]string, 0, len(ls))
	var b []byte
	for _, l := range ls {
		b = append(b[:0], l.Feed+" "+string(l.Relation)+" "+l.Kind.String()+" "+l.Canonical+" "+l.Original...)
		b = strconv.AppendBool(append(b, ' '), l.Listed)
		b = strconv.AppendInt(append(b, ' '), l.FirstSeen.UnixMilli(), 10)
		b = strconv.AppendInt(append(b, ' '), l.LastSeen.UnixMilli(), 10)
		for _, iv := range l.Intervals {
			b = append(strconv.AppendInt(append(b, ' '), iv.From.UnixMilli(), 10), '-')
			if iv.To != nil {
				b = strconv.AppendInt(b, iv.To.UnixMilli(), 10)
			}
		}
		for _, f := range l.Context {
			b = append(b, " "+f.Name+"="+strings.Join(f.Values, "|")...)
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

// universe is what random feeds list: few enough that everything meets everything.
func universe(t testing.TB) (out []intel.Indicator) {
	add := func(format string, args ...any) { out = append(out, ind(t, fmt.Sprintf(format, args...))) }
	for i := range 40 {
		add("198.51.100.%d", i)
		add("198.51.100.%d:%d", i%10, 80+i)
		add("2001:db8::%x", i+1)
	}
	for bits := 8; bits <= 31; bits++ {
		add("198.51.100.0/%d", bits)
		add("198.51.%d.0/%d", 100+bits%3, min(bits, 24))
		add("2001:db8::/%d", bits*4)
	}
	add("[2001:db8::1]:443")
	add("0.0.0.0/1")
	for i := range 20 {
		add("d%d.example.org", i)
		add("a.d%d.example.org", i)
		add("http://a.d%d.example.org/x%d", i, i)
		add("http://198.51.100.%d/p", i)
		add("user%d@d%d.example.org", i, i)
		add("%064x", i)
		add("%032x", i)
	}
	add("example.org")
	slices.SortFunc(out, func(a, b intel.Indicator) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(out)
}

// randomEntries lists a part of the universe with changing context.
func randomEntries(r *rand.Rand, all []intel.Indicator, share float64) (out []intel.Entry) {
	for _, i := range all {
		if r.Float64() > share {
			continue
		}
		for range 1 + max(0, r.IntN(20)-18) {
			e := intel.Entry{Indicator: i, Original: i.Value}
			if r.IntN(4) == 0 {
				e.Original = fmt.Sprintf(" %s[%d] ", i.Value, r.IntN(2))
			}
			for k := range r.IntN(4) {
				e.Fields.Add(fmt.Sprintf("field%d", k), fmt.Sprintf("value %d", r.IntN(3)))
				if r.IntN(3) == 0 {
					e.Fields.Add(fmt.Sprintf("field%d", k), fmt.Sprintf("%d", r.IntN(3)))
				}
			}
			out = append(out, e)
		}
	}
	return out
}

func TestAgainstModel(t *testing.T) {
	seeds, steps := 8, 120
	if soak() {
		seeds, steps = 60, 2000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			mask, o := ^uint64(0), Options{Workers: 2}
			if seed%2 == 1 {
				mask = 7<<61 | 7 // hashes that collide all the time
			}
			if seed%8 == 7 {
				mask = 0 // all of them
			}
			if seed%4 >= 2 { // many shards, deltas and history segments
				o.ShardSize, o.Small, o.Live = 20+30*seed%100, 1+seed%20, 60*time.Hour
			}
			againstModel(t, uint64(seed), steps, mask, o)
		})
	}
}

func againstModel(t *testing.T, seed uint64, steps int, mask uint64, o Options) {
	r := rand.New(rand.NewPCG(seed, 1))
	store := newMemStore(t)
	now := t0
	o.Now = func() time.Time { return now }
	broken := &breaking{memStore: store}
	c := openMasked(t, broken, mask, o)
	reader := openMasked(t, store, mask, o)
	m := &model{feeds: map[string]*modelFeed{}}
	infos := []intel.FeedInfo{feedInfo("a-snapshot", intel.Snapshot), feedInfo("b-rolling", intel.Rolling), feedInfo("c-append", intel.Append),
		feedInfo("d-rolling-ttl", intel.Rolling), feedInfo("e-append-ttl", intel.Append), feedInfo("f-empty", intel.Snapshot)}
	infos[3].TTL = intel.Duration(50 * time.Hour)
	infos[4].TTL = intel.Duration(30 * time.Hour)
	if seed%2 == 1 { // by kind: longer, shorter, and left to the presence model
		day := intel.Duration(24 * time.Hour)
		infos[1].KindTTL = map[intel.Kind]intel.Duration{intel.Domain: 2 * day, intel.CIDR: day / 2}
		infos[2].KindTTL = map[intel.Kind]intel.Duration{intel.IPv4: day}
		infos[3].KindTTL = map[intel.Kind]intel.Duration{intel.IPv4: 0, intel.URL: 5 * day}
		infos[4].KindTTL = map[intel.Kind]intel.Duration{intel.Domain: 0, intel.IPv4: day / 4}
	}
	all := universe(t)
	asked := 0
	var had SegmentRef // whether there were shards, deltas and history
	for step := range steps {
		now = now.Add(time.Duration(r.IntN(24*3600*1000)) * time.Millisecond)
		info := infos[r.IntN(len(infos))]
		at := now
		if r.IntN(10) == 0 {
			at = now.Add(-time.Duration(r.IntN(200)) * time.Hour) // the clock was set back
		}
		share := []float64{0, 0.1, 0.5, 0.9}[r.IntN(4)]
		if info.ID == "f-empty" {
			share = 0
		}
		entries := randomEntries(r, all, share)
		if r.IntN(3) == 0 {
			runInParts(t, c, broken, r, info, at, entries)
		} else if _, err := run(t.Context(), c, info, at, entries); err != nil {
			t.Fatal(err)
		}
		m.run(info, at, entries)
		if r.IntN(3) == 0 {
			tidyModel(t, r, m, c, now)
		}
		if _, err := reader.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range reader.View().Feeds() {
			for _, ref := range h.Segments {
				had.Shard = max(had.Shard, h.Shards-1)
				had.Delta, had.History = had.Delta || ref.Delta, had.History || ref.History
			}
		}
		if r.IntN(10) == 0 {
			reader = openMasked(t, store, mask, o)
		}
		if r.IntN(5) == 0 {
			if err := c.Sweep(t.Context(), time.Now(), 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 6 {
			asked++
			q := intel.Ask(all[r.IntN(len(all))])
			var at time.Time
			ms := int64(0)
			if r.IntN(2) == 0 {
				at = t0.Add(time.Duration(r.Int64N(int64(now.Sub(t0)) + int64(time.Hour))))
				ms = at.UnixMilli()
			}
			got, err := reader.Find(t.Context(), q, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := comparable(m.find(q, ms, now.UnixMilli()))
			if g := comparable(got); !slices.Equal(g, want) {
				t.Fatalf("seed %d step %d: %v at %v\n got %q\nwant %q", seed, step, q.Indicator, at, g, want)
			}
		}
	}
	checkStats(t, m, reader, now.UnixMilli())
	for _, h := range reader.View().Feeds() {
		for _, p := range verifyFeed(t.Context(), store, c.hash, h.Feed) {
			t.Errorf("verify: %+v", p)
		}
	}
	if o.ShardSize > 0 && broken.broke == 0 {
		t.Error("no run was broken off")
	}
	if tiny := o.ShardSize > 0; tiny != had.Delta || tiny != had.History || tiny != (had.Shard > 0) {
		t.Errorf("not what was to be tested: %+v", had)
	}
	t.Logf("%d runs, %d questions", steps, asked)
}

// tidyModel folds a feed, and purges it now and then.
func tidyModel(t *testing.T, r *rand.Rand, m *model, c *Corpus, now time.Time) {
	t.Helper()
	ids := slices.Sorted(maps.Keys(m.feeds))
	id := ids[r.IntN(len(ids))]
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	needs := c.NeedsFold(id, FoldOptions{Now: now})
	changed, err := c.Fold(t.Context(), id, FoldOptions{Now: now})
	if err != nil || changed != needs {
		t.Fatalf("fold %s: %v %v, needed %v", id, changed, err, needs)
	}
	for turn := 0; changed; turn++ { // first other shards, then what is in them
		if changed, err = c.Fold(t.Context(), id, FoldOptions{Now: now}); err != nil || changed && turn == 2 {
			t.Fatalf("fold %s again: %v %v", id, changed, err)
		}
	}
	if r.IntN(3) == 0 {
		before := now.Add(-time.Duration(r.IntN(2000)) * time.Hour)
		n, err := c.Purge(t.Context(), id, before)
		if want := m.feeds[id].purge(before.UnixMilli()); err != nil || n != want {
			t.Fatalf("purge %s before %v: %d %v, want %d", id, before, n, err, want)
		}
	}
}

// checkStats compares counts; open ones only where no time to live passes.
func checkStats(t *testing.T, m *model, c *Corpus, now int64) {
	t.Helper()
	distinct := map[intel.Indicator]bool{}
	byKind := map[string]int{}
	for id, f := range m.feeds {
		last := f.runs[len(f.runs)-1].at
		openNow := 0
		for i := range f.all {
			// Counts are as of the feed's last run.
			if l, _ := f.listing(i, 0, last); l.Listed {
				distinct[i] = true
				openNow++
				byKind[i.Kind.String()]++
			}
		}
		if got := c.View().Feed(id).Open(); got != openNow {
			t.Errorf("%s: %d open, want %d", id, got, openNow)
		}
	}
	st := c.View().Stats()
	if c.hash.mask == ^uint64(0) && st.Indicators != len(distinct) {
		t.Errorf("%d indicators, want %d", st.Indicators, len(distinct))
	}
	if !reflect.DeepEqual(st.ByKind, byKind) {
		t.Errorf("by kind %v, want %v", st.ByKind, byKind)
	}
}

// openMasked opens a store with hashes narrowed by mask.
func openMasked(t testing.TB, store blob.Store, mask uint64, o Options) *Corpus {
	t.Helper()
	h, err := readStore(context.Background(), store)
	if err != nil {
		t.Fatal(err)
	}
	h.mask = mask
	c, err := openWith(context.Background(), store, o, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
