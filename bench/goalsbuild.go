package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Files of the folder that parts work in.
const (
	askedFile = "questions.json"
	builtFile = "built.json"
	bareFile  = "answer.json"
)

// built is what building says of the data and measured; it is written last.
type built struct {
	About   string
	Figures figures
}

func readBuilt(o goalsOptions) (b built, err error) {
	text, err := os.ReadFile(filepath.Join(o.work, builtFile))
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	return b, err
}

// asked is what the parts that read ask; building draws it.
type asked struct {
	Exact    []intel.Indicator
	Searches map[string][]string // by sort, in our query language
	Facets   []string
	Bulk     map[string][]string // by per cent of hits
}

func readAsked(o goalsOptions) (a asked, err error) {
	text, err := os.ReadFile(filepath.Join(o.work, askedFile))
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// openStore opens the corpus of a folder, a new one where there is none.
func openStore(ctx context.Context, dir string) (*oursPeer, error) {
	store, err := blob.NewDir(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "store.json")); err != nil {
		if err := corpus.Init(ctx, store); err != nil {
			return nil, err
		}
	}
	c, err := corpus.Open(ctx, store, corpus.Options{})
	if err != nil {
		return nil, err
	}
	return &oursPeer{dir: dir, c: c, now: time.Now().UTC()}, nil
}

// buildPart fills the store feed by feed and writes the questions beside it.
func buildPart(ctx context.Context, o goalsOptions, f figures) error {
	d, err := loadDataset(ctx, o.listings, o.feeds)
	if err != nil {
		return err
	}
	log.Printf("%d listings of %d feeds from %s", d.listings, len(d.feeds), d.source)
	if i := slices.IndexFunc(d.feeds, func(f []intel.Entry) bool { return len(f) == 0 }); i >= 0 {
		return fmt.Errorf("feed %d of %d has nothing", i, len(d.feeds))
	}
	q := newQuestionnaire(d)
	a := asked{Exact: q.exact, Searches: map[string][]string{}, Facets: q.facets}
	for sort, questions := range q.searches {
		for _, x := range questions {
			a.Searches[sort] = append(a.Searches[sort], x.spell())
		}
	}
	hits := someValues(d, 50_000)
	if err := os.RemoveAll(o.store()); err != nil { // what an interrupted run left
		return err
	}
	if err := os.MkdirAll(o.store(), 0o755); err != nil {
		return err
	}
	p, err := openStore(ctx, o.store())
	if err != nil {
		return err
	}
	p.now = p.now.Add(-time.Duration(len(d.feeds)+24) * time.Hour)
	var took time.Duration
	for i := range d.feeds {
		began := time.Now()
		if err := p.merge(ctx, i, d.feeds[i]); err != nil {
			return err
		}
		took += time.Since(began)
		d.feeds[i] = nil
	}
	f.add("ingest", float64(d.listings)/took.Seconds())
	began := time.Now()
	if err := p.ready(ctx); err != nil {
		return err
	}
	f.add("group", time.Since(began).Seconds())
	size, err := p.bytes(ctx)
	if err != nil {
		return err
	}
	f.add("store.bytes", float64(size)/float64(d.listings))
	if a.Bulk, err = bulks(ctx, p, hits); err != nil {
		return err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	about := fmt.Sprintf("%d listings over %d feeds from %s; %.1f %% of the values have a suffix or are made up to reach the size; %.0f %% have context; %d B a listing of values and context as such",
		d.listings, len(d.feeds), d.source, 100*float64(d.made)/float64(d.listings), 100*float64(d.context)/float64(d.listings), d.raw/int64(d.listings))
	if err := os.WriteFile(filepath.Join(o.work, askedFile), text, 0o600); err != nil {
		return err
	}
	if text, err = json.Marshal(built{about, f}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.work, builtFile), text, 0o600)
}

// someValues draws up to n different values of the data.
func someValues(d *dataset, n int) (out []string) {
	r := rand.New(rand.NewPCG(5, 6))
	seen := map[string]bool{}
	for range 4 * n {
		i := r.IntN(d.listings)
		for _, f := range d.feeds {
			if i < len(f) {
				if v := f[i].Indicator.Value; len(seen) < n && !seen[v] && f[i].Indicator.Kind != intel.CIDR {
					seen[v] = true
					out = append(out, v)
				}
				break
			}
			i -= len(f)
		}
	}
	return out
}

// bulks makes lists of 100,000 values of which 1 % and 50 % are listed, the
// others domains, URLs and addresses that nothing listed has to do with.
func bulks(ctx context.Context, p *oursPeer, hits []string) (map[string][]string, error) {
	const n = 100_000
	r := rand.New(rand.NewPCG(7, 8))
	var misses []string
	for i := 0; len(misses) < n; i++ {
		v := fmt.Sprintf("host-%x.no-%x.example", r.Uint32(), r.Uint32())
		switch i % 3 {
		case 1:
			v = fmt.Sprintf("http://www.no-%x.example/%x/index.html", r.Uint64(), r.Uint32())
		case 2:
			v = fmt.Sprintf("%d.%d.%d.%d", 11+r.IntN(80), r.IntN(256), r.IntN(256), 1+r.IntN(254))
		}
		ind, err := intel.Detect(v)
		if err != nil {
			continue
		}
		l, err := p.c.Find(ctx, intel.Ask(ind), time.Time{}, nil)
		if err != nil {
			return nil, err
		}
		if len(l) == 0 {
			misses = append(misses, v)
		}
	}
	out := map[string][]string{}
	for _, percent := range []int{1, 50} {
		h := min(len(hits), n*percent/100)
		list := slices.Concat(hits[:h], misses[:n-h])
		r.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
		out[fmt.Sprint(percent)] = list
	}
	return out, nil
}

// bigFeed is one feed of different real values with their context, and as many
// of the same with a suffix.
func bigFeed(ctx context.Context, n int) (entries, others []intel.Entry, err error) {
	d, err := loadDataset(ctx, n+n/2, 40)
	if err != nil {
		return nil, nil, err
	}
	all := slices.Concat(d.feeds...)
	slices.SortStableFunc(all, func(a, b intel.Entry) int { return compareIndicators(a.Indicator, b.Indicator) })
	all = slices.CompactFunc(all, func(a, b intel.Entry) bool { return a.Indicator == b.Indicator })
	rand.New(rand.NewPCG(9, 10)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	entries = all[:min(n, len(all))]
	for _, e := range entries {
		others = append(others, suffixed(e, 99))
	}
	return entries, others, nil
}

// feedPart measures one big feed: what a change and what no change costs, and its size.
func feedPart(ctx context.Context, o goalsOptions, f figures) error {
	entries, _, err := bigFeed(ctx, o.big)
	if err != nil {
		return err
	}
	plain, raw, written := make([]intel.Entry, len(entries)), 0, 0
	for i, e := range entries {
		for _, x := range e.Fields {
			raw += len(strings.Join(x.Values, ""))
		}
		if len(e.Fields) > 0 {
			written += len(e.Fields.AppendJSON(nil))
		}
		e.Fields = nil
		plain[i] = e
	}
	n := float64(len(entries))
	without, err := oneFeed(ctx, plain, nil, 0, nil)
	if err != nil {
		return err
	}
	with, err := oneFeed(ctx, entries, newFeedState(&dataset{feeds: [][]intel.Entry{entries}, listings: len(entries)}), o.rounds, f)
	if err != nil {
		return err
	}
	f.add("bytes.plain", float64(without)/n)
	f.add("bytes.with", float64(with)/n)
	f.add("context.raw", float64(raw)/n)
	f.add("context.json", float64(written)/n)
	if raw > 0 {
		f.add("context.cost", 100*float64(with-without)/float64(raw))
		f.add("context.costjson", 100*float64(with-without)/float64(written))
	}
	return unchangedPart(ctx, o.rounds, plain, f)
}

// oneFeed writes the entries as a feed of a new store and says how many bytes
// it takes; then the feed changes as often as told.
func oneFeed(ctx context.Context, entries []intel.Entry, s *feedState, rounds int, f figures) (int64, error) {
	dir, err := os.MkdirTemp("", "bench-feed-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	p, err := openStore(ctx, dir)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := p.merge(ctx, 0, entries); err != nil {
		return 0, err
	}
	if f != nil {
		f.add("big.first", float64(len(entries))/time.Since(began).Seconds())
	}
	size, err := p.bytes(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := p.c.Refresh(ctx); err != nil {
		return 0, err
	}
	for round, before := 0, size; round < rounds; round++ {
		c := s.next(round)
		runtime.GC() // what making the next state left
		began := time.Now()
		if err := p.merge(ctx, 0, c.entries); err != nil {
			return 0, err
		}
		f.add("tenth.time", time.Since(began).Seconds())
		after, err := p.bytes(ctx)
		if err != nil {
			return 0, err
		}
		f.add("tenth.bytes", float64(after-before))
		began = time.Now()
		if _, err := p.c.Refresh(ctx); err != nil {
			return 0, err
		}
		f.add("tenth.refresh", time.Since(began).Seconds())
		began = time.Now()
		folded, err := p.c.Fold(ctx, feedID(0), corpus.FoldOptions{Now: p.now})
		if err != nil {
			return 0, err
		}
		if folded {
			f.add("tenth.fold", time.Since(began).Seconds())
		}
		if before, err = p.bytes(ctx); err != nil {
			return 0, err
		}
		if _, err := p.c.Refresh(ctx); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// unchangedPart pulls a plain list again whose bytes are new and whose content is not.
func unchangedPart(ctx context.Context, rounds int, entries []intel.Entry, f figures) error {
	web := newOrigin()
	defer web.Close()
	d, err := web.definition("one")
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		list.WriteString(e.Indicator.Value)
		list.WriteByte('\n')
	}
	s, err := newOurs(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	web.lists["one"] = []byte(list.String())
	took, err := s.pull(ctx, d, intel.RunOK)
	if err != nil {
		return err
	}
	f.add("pull.first", float64(len(entries))/took.Seconds())
	for round := range rounds {
		before, err := folderBytes(s.dir, "segments")
		if err != nil {
			return err
		}
		web.lists["one"], web.tag = fmt.Appendf(nil, "# pull %d\n%s", round, list.String()), web.tag+1
		if took, err = s.pull(ctx, d, intel.RunUnchanged); err != nil {
			return err
		}
		after, err := folderBytes(s.dir, "segments")
		if err != nil {
			return err
		}
		f.add("unchanged.rate", float64(len(entries))/took.Seconds())
		f.add("unchanged.bytes", float64(after-before))
	}
	return nil
}
