package work_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/enrich/work"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// lab is a store in memory and registries in memory.
type lab struct {
	t     *testing.T
	world *registrytest.World
	store blob.Store
	rate  registry.Rate
	names []string // listed, the newest first
}

func newLab(t *testing.T, rate registry.Rate, names ...string) *lab {
	return &lab{t: t, world: registrytest.Memory(t), store: crashtest.NewMem(), rate: rate, names: names}
}

func (l *lab) book() *facts.Book {
	b, err := facts.Open(l.t.Context(), l.store, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *lab) registry() *registry.Registry {
	c := l.world.Config()
	registrytest.SetRate(l.world, &c.Endpoints, l.rate)
	r, err := registry.New(c)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(r.Close)
	return r
}

// finder is a service over what is listed that goes by what the book knows.
func (l *lab) finder(b *facts.Book) *lookup.Service {
	e := &lookuptest.Engine{}
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when bubbles begin
	for i, name := range l.names {
		ind, err := intel.Detect(name)
		if err != nil {
			l.t.Fatal(err)
		}
		seen := at.Add(-time.Duration(i+1) * time.Second)
		e.Add(ind, &intel.FeedInfo{ID: "a"}, seen, time.Time{})
	}
	return lookup.New(e, time.Now).Knowing(func() lookup.Known { return b.Snapshot() })
}

func (l *lab) run(ctx context.Context, b *facts.Book, o work.Options) (work.Report, error) {
	o.Now = time.Now
	return work.Run(ctx, l.finder(b), l.registry(), b, o)
}

func (l *lab) must(b *facts.Book, o work.Options) work.Report {
	l.t.Helper()
	r, err := l.run(l.t.Context(), b, o)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// spread returns n addresses in so many networks of 4,096.
func spread(n, networks int) []string {
	out := make([]string, n)
	for i := range out {
		k := i % networks
		out[i] = fmt.Sprintf("%d.%d.%d.%d", 11+k%89, k/89*16, i/networks/250, 1+i/networks%250)
	}
	return out
}

// networkOf is the network of the world that a question is about.
func networkOf(t *testing.T, subject string) string {
	t.Helper()
	a, err := netip.ParseAddr(subject)
	if err != nil {
		return subject
	}
	bits := 20
	if a.Is6() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p.String()
}

// asked counts the questions to RDAP by network or name: those that met no fault, since
// a query that failed in passing is sent again.
func (l *lab) asked() map[string]int {
	out := map[string]int{}
	for _, q := range l.world.Queries() {
		if (q.Server == registrytest.RDAPNorth || q.Server == registrytest.RDAPSouth) && q.Fault == "" {
			out[networkOf(l.t, q.Subject)]++
		}
	}
	return out
}

// TestOneQuestionPerNetwork: 10,000 addresses in 1,400 networks take 1,400 questions, at
// the rate that both servers have together, and none over it.
func TestOneQuestionPerNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, registry.Rate{PerMinute: 120, Parallel: 4}, spread(10_000, 1_400)...)
		l.world.Behave()
		l.world.Delay = 200 * time.Millisecond
		b := l.book()
		began := time.Now()
		r := l.must(b, work.Options{Budget: 1_500, Parallel: 16})
		took := time.Since(began)
		if r.Asked != 1_400 || r.Networks != 1_400 || r.Covered != 8_600 || r.More {
			t.Errorf("%+v", r)
		}
		if len(l.asked()) != 1_400 {
			t.Errorf("%d networks were asked about", len(l.asked()))
		}
		for n, k := range l.asked() {
			if k > 1 {
				t.Errorf("%s was asked about %d times", n, k)
			}
		}
		l.within(120)
		// All of these addresses are of one server, the rate of which is 120 a minute.
		if want := 1_400 * time.Minute / 120; took < want*95/100 || took > want*105/100 {
			t.Errorf("took %s, at the rate it is %s", took, want)
		}
		for _, name := range l.names {
			a, _ := netip.ParseAddr(name)
			if b.Snapshot().State(enrich.Subject{Addr: a}, time.Now()) != facts.Fresh {
				t.Fatalf("%s is not known", name)
			}
		}
		if r := l.must(b, work.Options{Budget: 1_500, Parallel: 16}); r.Asked != 0 || r.More {
			t.Errorf("again: %+v", r)
		}
	})
}

// within checks that no server got more queries in any minute than its rate.
func (l *lab) within(rate int) {
	l.t.Helper()
	times := map[string][]time.Time{}
	for _, q := range l.world.Queries() {
		times[q.Server] = append(times[q.Server], q.Time)
	}
	for server, list := range times {
		slices.SortFunc(list, time.Time.Compare)
		for i := rate; i < len(list); i++ {
			if list[i].Sub(list[i-rate]) < time.Minute-time.Second && strings.HasPrefix(server, "rdap") {
				l.t.Errorf("%s got %d queries in %s", server, rate+1, list[i].Sub(list[i-rate]))
				return
			}
		}
	}
}

// TestPartsNeverRepeat: fifteen workers, each with a registry and a book of its own,
// work at the same time on one store, while servers misbehave.
func TestPartsNeverRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := spread(1_200, 300)
		for i := range 60 {
			names = append(names, fmt.Sprintf("www.d%d.com", i), fmt.Sprintf("http://x.d%d.com/a", i), fmt.Sprintf("2a00:%x::1", i))
		}
		l := newLab(t, registry.Rate{PerMinute: 6000, Parallel: 4}, names...)
		var wg sync.WaitGroup
		for part := range 15 {
			wg.Go(func() {
				b := l.book()
				for range 3 {
					if _, err := b.Refresh(t.Context()); err != nil {
						t.Error(err)
					}
					if _, err := l.run(t.Context(), b, work.Options{Budget: 1_000, Parallel: 3, Part: part, Parts: 15}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for n, k := range l.asked() {
			if k > 1 {
				t.Errorf("%s was asked about %d times", n, k)
			}
		}
		b := l.book()
		for _, name := range names {
			i, err := intel.Detect(name)
			if err != nil {
				t.Fatal(err)
			}
			if s, _ := enrich.SubjectOf(i); b.Snapshot().State(s, time.Now()) == facts.Unknown {
				t.Errorf("nobody was asked about %s", name)
			}
		}
	})
}

func TestBudgetTakesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, registry.Rate{PerMinute: 6000, Parallel: 4}, "11.0.0.1", "new.com", "11.0.0.2", "12.0.0.1", "d41d8cd98f00b204e9800998ecf8427e", "10.0.0.1", "192.0.2.1", "x.onion", "old.com")
		l.world.Behave()
		b := l.book()
		var seen []int
		r := l.must(b, work.Options{Budget: 3, OnAnswer: func(r work.Report) { seen = append(seen, r.Asked) }})
		if r.Asked != 3 || r.Networks != 2 || r.Domains != 1 || !r.More || !slices.Equal(seen, []int{1, 2, 3}) {
			t.Errorf("%+v %v", r, seen)
		}
		if got := l.asked(); got["11.0.0.0/20"] != 1 || got["new.com"] != 1 || got["12.0.0.0/20"] != 1 || len(got) != 3 {
			t.Errorf("asked %v", got)
		}
		if r = l.must(b, work.Options{Budget: 3}); r.Asked != 1 || r.More || len(l.asked()) != 4 {
			t.Errorf("%+v %v", r, l.asked())
		}
		time.Sleep(31 * 24 * time.Hour) // in the bubble; all of it is stale then
		if r = l.must(b, work.Options{Budget: 10}); r.Asked != 4 || l.asked()["11.0.0.0/20"] != 2 {
			t.Errorf("%+v %v", r, l.asked())
		}
	})
}

// TestStopped: what was found before is kept, and the next run asks about the rest only.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, registry.Rate{PerMinute: 60, Parallel: 1}, spread(100, 100)...)
		l.world.Behave()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second+time.Millisecond)
		defer cancel()
		b := l.book()
		r, err := l.run(ctx, b, work.Options{Budget: 100, Parallel: 4})
		if !errors.Is(err, context.DeadlineExceeded) || r.Asked < 15 || r.Asked > 25 {
			t.Fatalf("%+v, %v", r, err)
		}
		again := l.book()
		if n := again.Snapshot().Counts().Networks; n != r.Networks {
			t.Errorf("%d networks are kept, %d were found", n, r.Networks)
		}
		l.must(again, work.Options{Budget: 100, Parallel: 4})
		for n, k := range l.asked() {
			if k > 2 || k == 2 && r.Asked == 0 {
				t.Errorf("%s was asked about %d times", n, k)
			}
		}
		if n := again.Snapshot().Counts().Networks; n != 100 {
			t.Errorf("%d networks in the end", n)
		}
	})
}

// full is a store that takes nothing.
type full struct{ blob.Store }

var errFull = errors.New("no space left")

func (full) Put(context.Context, string, io.Reader, blob.Cond) (blob.Info, error) {
	return blob.Info{}, errFull
}

// TestStoreFull: a run whose findings cannot be kept ends, instead of asking on.
func TestStoreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, registry.Rate{PerMinute: 6000, Parallel: 1}, spread(300, 300)...)
		l.world.Behave()
		l.store = full{l.store}
		r, err := l.run(t.Context(), l.book(), work.Options{Budget: 300, Parallel: 2})
		if !errors.Is(err, errFull) || r.Asked > 60 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestParts: every subject is of one part, addresses of a block of the same.
func TestParts(t *testing.T) {
	count := map[int]int{}
	for i := range 256 {
		a := netip.AddrFrom4([4]byte{byte(i), 1, 2, 3})
		p := work.Part(enrich.Subject{Addr: a}, 15)
		count[p]++
		for _, b := range []netip.Addr{netip.AddrFrom4([4]byte{byte(i), 0, 0, 0}), netip.AddrFrom4([4]byte{byte(i), 255, 255, 255})} {
			if work.Part(enrich.Subject{Addr: b}, 15) != p {
				t.Errorf("%s and %s are of different parts", a, b)
			}
		}
	}
	for p := range 15 {
		if count[p] < 5 || count[p] > 40 {
			t.Errorf("part %d has %d of 256 blocks", p, count[p])
		}
	}
}
