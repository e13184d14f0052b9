package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// midnight is when the day begins.
var midnight = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// day is a server's day that is going on.
type day struct {
	c     *corpus.Corpus
	dir   string
	pause time.Duration // between questions
	feeds []*made
	now   atomic.Int64 // Unix nanoseconds
	hour  atomic.Int64 // whose runs are all done

	lookups, queries, slowest atomic.Int64
	entries                   []intel.Entry // memory for a run's
}

// TestDay: 24 hours of all feeds, and a part of that in make test. The
// scale of EI_SOAK_SCALE is that of the 5 million listings.
func TestDay(t *testing.T) {
	feeds, hours, scale, pause := 20, 12, 0.004, time.Millisecond // leaves the machine to other tests
	if os.Getenv("EI_SOAK") != "" {
		feeds, hours, scale, pause = 180, 24, 1, 0 // full speed
		if s, err := strconv.ParseFloat(os.Getenv("EI_SOAK_SCALE"), 64); err == nil {
			scale = s
		}
	}
	d := begin(t, feeds, scale)
	d.pause = pause
	stop, errs := d.readers(t)
	rows := make([]figures, 0, hours)
	t.Log(header)
	for hour := range hours {
		d.lookups.Store(0)
		d.queries.Store(0)
		d.slowest.Store(0)
		start := time.Now()
		if err := d.run(t.Context(), hour); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		f := measure(d.dir)
		f.took, f.listings, f.slowest = took, d.c.View().Stats().Listings, time.Duration(d.slowest.Load())
		f.lookups, f.queries = int64(float64(d.lookups.Load())/took.Seconds()), int64(float64(d.queries.Load())/took.Seconds())
		rows = append(rows, f)
		t.Log(f.row(hour))
	}
	stop()
	for err := range errs {
		t.Error(err)
	}
	flat(t, rows, d)
}

func begin(t *testing.T, feeds int, scale float64) *day {
	t.Helper()
	d := &day{dir: t.TempDir(), feeds: makeFeeds(feeds, scale)}
	d.hour.Store(-1)
	d.now.Store(midnight.UnixNano())
	store, err := blob.NewDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := corpus.Init(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	part := func(n float64) int { return max(int(n*scale), 1) }
	d.c, err = corpus.Open(t.Context(), store, corpus.Options{Now: func() time.Time { return time.Unix(0, d.now.Load()) },
		ShardSize: part(500_000), Small: part(10_000), Live: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run does an hour: every feed's run and what a server does behind it.
func (d *day) run(ctx context.Context, hour int) error {
	for i, f := range d.feeds {
		now := midnight.Add(time.Duration(hour)*time.Hour + time.Duration(i)*time.Second)
		d.now.Store(now.UnixNano())
		d.entries = f.list(hour, d.entries[:0])
		prev, etag, err := d.c.Head(ctx, f.info.ID)
		if err != nil {
			return err
		}
		m, err := d.c.Merge(ctx, prev, d.entries, corpus.MergeOptions{Feed: f.info.ID, Info: f.info, Now: now})
		if err != nil {
			return err
		}
		if m.Damage != nil {
			return m.Damage
		}
		if _, err := d.c.Commit(ctx, m.Next, etag); err != nil {
			return err
		}
		if i%15 == 14 || i == len(d.feeds)-1 {
			if _, err := d.c.Refresh(ctx); err != nil {
				return err
			}
		}
	}
	d.hour.Store(int64(hour))
	return d.tidy(ctx, hour)
}

// tidy folds, purges what has been closed for six hours, groups and sweeps.
func (d *day) tidy(ctx context.Context, hour int) error {
	now := midnight.Add(time.Duration(hour+1) * time.Hour)
	for _, f := range d.feeds {
		if o := (corpus.FoldOptions{Now: now}); d.c.NeedsFold(f.info.ID, o) {
			if _, err := d.c.Fold(ctx, f.info.ID, o); err != nil {
				return err
			}
		}
		if hour%3 == 2 {
			if _, err := d.c.Purge(ctx, f.info.ID, now.Add(-6*time.Hour)); err != nil {
				return err
			}
		}
	}
	if _, err := d.c.Refresh(ctx); err != nil {
		return err
	}
	d.now.Store(now.UnixNano())
	if _, err := d.c.Regroup(ctx); err != nil {
		return err
	}
	if err := d.date(now); err != nil {
		return err
	}
	return d.c.Sweep(ctx, time.Now().Add(time.Hour), 0)
}

// date gives groups the time of the day that goes on: what is replaced stays for a
// quarter of an hour.
func (d *day) date(now time.Time) error {
	files, err := filepath.Glob(filepath.Join(d.dir, "groups", "*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		if info.ModTime().Before(now) {
			continue // of an hour before
		}
		if err := os.Chtimes(f, now, now); err != nil {
			return err
		}
	}
	return nil
}

// readers ask until stop is called; then errs gives what went wrong.
func (d *day) readers(t *testing.T) (stop func(), errs chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	errs = make(chan error, 3)
	var wg sync.WaitGroup
	for i := range 3 {
		ask := d.lookUp
		if i == 2 {
			ask = d.search
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 9))
			for ctx.Err() == nil {
				if d.pause > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(d.pause):
					}
				}
				start := time.Now()
				if err := ask(ctx, rnd); err != nil && ctx.Err() == nil {
					errs <- err
					return
				}
				if took := int64(time.Since(start)); i == 2 && took > d.slowest.Load() {
					d.slowest.Store(took)
				}
			}
		})
	}
	return func() { cancel(); wg.Wait(); close(errs) }, errs
}

// lookUp asks for what is certainly listed, and for what is not.
func (d *day) lookUp(ctx context.Context, rnd *rand.Rand) error {
	hour := int(d.hour.Load())
	f := d.feeds[rnd.IntN(len(d.feeds))]
	if hour < 0 || rnd.IntN(2) == 0 {
		i := f.value(-1 - rnd.IntN(1000))
		_, err := d.c.Find(ctx, intel.Ask(i), time.Time{}, nil)
		d.lookups.Add(1)
		return err
	}
	// Another hour's runs may be under way: what is in the windows of both.
	n := f.first(hour+1) + rnd.IntN(max(f.size-f.step, 1))
	i := f.value(n)
	ls, err := d.c.Find(ctx, intel.Ask(i), time.Time{}, nil)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ls, func(l intel.Listing) bool { return l.Feed == f.info.ID && l.Relation == intel.RelExact && l.Listed }) {
		if now := int(d.hour.Load()); now == hour { // else the question was too slow
			return fmt.Errorf("%s %s of hour %d is not listed", f.info.ID, i.Value, hour)
		}
	}
	d.lookups.Add(1)
	return nil
}

// search asks one of the questions that people ask.
func (d *day) search(ctx context.Context, rnd *rand.Rand) error {
	family := families[rnd.IntN(12)]
	text := []string{fmt.Sprintf("campaign%d", rnd.IntN(1000)), "malware:mirai tag:campaign7*", `"cobalt strike" kind:domain`, fmt.Sprintf("domain:*.d%d.example", rnd.IntN(997)),
		fmt.Sprintf("campaign%d -kind:url", rnd.IntN(1000)), "net:10.0.0.0/12", fmt.Sprintf("malware:=%q first_seen:<2h", family), "listed:false last_seen:>3h"}[rnd.IntN(8)]
	n, err := query.Parse(text, time.Unix(0, d.now.Load()))
	if err != nil {
		return err
	}
	s := query.Search{Query: n, Limit: 20, Sort: query.Sort{By: query.SortBy(rnd.IntN(2))}}
	if rnd.IntN(20) == 0 {
		s.Facets = []query.Field{query.FieldFeed, query.FieldMalware}
	}
	var last *query.Position
	page, err := d.c.Search(ctx, s, func(l *intel.Listing) error {
		p := s.Sort.Position(l)
		if last != nil && s.Sort.Compare(*last, p) >= 0 {
			return fmt.Errorf("%s: %v stands behind %v", text, p, *last)
		}
		last = &p
		return nil
	})
	if err == nil && last != nil && page.Total == 0 {
		err = fmt.Errorf("%s: nothing found, and yet %v", text, *last)
	}
	d.queries.Add(1)
	return err
}

// flat checks that nothing grows once what is old is purged: the last quarter
// of the day is held against the third before.
func flat(t *testing.T, rows []figures, d *day) {
	t.Helper()
	n := len(rows)
	early, late := rows[n*5/12:n*9/12], rows[n*9/12:]
	check := func(what string, slack float64, get func(f *figures) int) {
		a, b := median(early, get), median(late, get)
		if float64(b) > 1.25*float64(a)+slack {
			t.Errorf("%s grew from %d to %d", what, a, b)
		}
	}
	check("heap", 4e6, func(f *figures) int { return f.heap })
	check("anonymous memory", 40e6, func(f *figures) int { return f.anon })
	check("files", 20, func(f *figures) int { return f.files })
	check("groups", 1, func(f *figures) int { return f.groups })
	check("bytes of the store", 1e6, func(f *figures) int { return int(f.bytes) })
	check("descriptors", 3, func(f *figures) int { return f.descriptors })
	check("mapped files", 20, func(f *figures) int { return f.mapped })
	check("goroutines", 3, func(f *figures) int { return f.goroutines })
	last := &rows[n-1]
	if most := 12 * len(d.feeds); last.files > most {
		t.Errorf("%d files for %d feeds", last.files, len(d.feeds))
	}
	if last.descriptors > 100 {
		t.Errorf("%d descriptors are open", last.descriptors)
	}
}

func median(rows []figures, get func(f *figures) int) int {
	var all []int
	for i := range rows {
		all = append(all, get(&rows[i]))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
