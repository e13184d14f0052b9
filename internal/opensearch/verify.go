package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// VerifyOptions say how closely an index is looked at.
type VerifyOptions struct {
	Sample int    // listings, and documents, that are compared, about; 0 = 1,000, at most 10,000 documents; negative: none
	Seed   uint64 // which ones; the same ones of the same state for the same seed
}

// Classes of problems that Verify finds.
const (
	ProblemCount   = "count"   // a feed has more or fewer listings of a kind than the store
	ProblemMissing = "missing" // the store has it, the index has not
	ProblemRefused = "refused" // so, since the index would not take it
	ProblemSurplus = "surplus" // the index has it, the store has not
	ProblemDiffers = "differs" // they say different things
)

// Problem is something that an index has wrong.
type Problem struct {
	Class  string // one of those above
	Object string // "feed ID", or "KIND VALUE of feed ID"
	Detail string
}

// Report is what Verify found.
type Report struct {
	Index     string
	Feeds     int       // that were compared
	Behind    []string  // feeds of which the index has another state than the source, and which were not compared
	Listings  int       // of the source
	Documents int       // of the index
	Compared  int       // listings and documents that were held against each other
	Problems  []Problem // by class and object
}

// Verify compares the index, as of one point in time, with the source: how many
// listings of each kind every feed has, and what a sample of them says, taken from
// either side. It writes nothing. An error means that it is not known.
func (e *Engine) Verify(ctx context.Context, src Source, o VerifyOptions) (*Report, error) {
	if o.Sample == 0 {
		o.Sample = 1000
	}
	index, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	if index == "" {
		return nil, fmt.Errorf("no index has the alias %s: %w", e.alias, ErrUnsynced)
	}
	if err := e.versioned(index); err != nil {
		return nil, err
	}
	v := &verifying{e: e, src: src, o: o, enc: newEncoder(&facts{}), out: &Report{Index: index}}
	if v.pit, err = e.client.open(ctx, index); err != nil {
		return nil, err
	}
	defer e.client.close(ctx, v.pit)
	v.reader = e.reading(time.Time{})
	if v.facts, err = e.read(ctx, v.pit); err != nil {
		return nil, err
	}
	if err := v.facts.owned(index, src); err != nil {
		return nil, err
	}
	if err := v.run(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(v.out.Problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Object, b.Object)) })
	return v.out, nil
}

// verifying is one Verify under way.
type verifying struct {
	reader
	enc *encoder
	e   *Engine
	src Source
	o   VerifyOptions
	pit *pit
	out *Report

	skip    map[string]bool           // feeds that are behind
	sampled map[string]stored         // of the index, by id
	picked  []expected                // of the source, not yet held against the index
	has     map[string]map[string]int // of the source, by feed and kind
}

func (v *verifying) run(ctx context.Context) error {
	v.behind()
	got, err := v.e.feedCounts(ctx, v.pit)
	if err != nil {
		return err
	}
	for _, kinds := range got {
		v.out.Documents += sum(kinds)
	}
	if err := v.sample(ctx); err != nil {
		return err
	}
	if err := v.walk(ctx); err != nil {
		return err
	}
	for _, d := range v.sampled {
		v.out.Compared++
		v.problem(ProblemSurplus, d.name(), "the index has it, the data folder has not")
	}
	v.counts(got)
	return nil
}

func (v *verifying) problem(class, object, format string, a ...any) {
	v.out.Problems = append(v.out.Problems, Problem{class, object, fmt.Sprintf(format, a...)})
}

// behind finds the feeds of which the index has another state.
func (v *verifying) behind() {
	v.skip = map[string]bool{}
	known := map[string]bool{}
	for _, x := range v.src.Feeds() {
		known[x.Info.ID] = true
		if f := v.facts.Feeds[x.Info.ID]; f == nil || !sameJSON(f, x.fact()) {
			v.skip[x.Info.ID] = true
		}
	}
	for id := range v.facts.Feeds {
		v.skip[id] = v.skip[id] || !known[id]
	}
	maps.DeleteFunc(v.skip, func(_ string, behind bool) bool { return !behind })
	v.out.Behind = slices.Sorted(maps.Keys(v.skip))
	v.out.Feeds = len(known) - len(v.skip)
	v.out.Feeds = max(v.out.Feeds, 0)
}

// stored is what the index has under an id.
type stored struct {
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
}

// sample takes documents of the index at random.
func (v *verifying) sample(ctx context.Context) error {
	v.sampled = map[string]stored{}
	if v.o.Sample < 0 {
		return nil
	}
	random := clause{"function_score": clause{"query": aListing(), "boost_mode": "replace",
		"random_score": clause{"seed": int64(v.o.Seed & math.MaxInt64), "field": "_seq_no"}}}
	all, err := v.documents(ctx, random, min(v.o.Sample, 10_000))
	for _, d := range all {
		if l, err := d.listing(); err != nil {
			v.problem(ProblemDiffers, "document "+d.ID, "it cannot be read: %v", err)
		} else if !v.skip[l.Feed] {
			v.sampled[d.ID] = d
		}
	}
	return err
}

// documents returns whole documents of the point in time.
func (v *verifying) documents(ctx context.Context, q clause, size int) ([]stored, error) {
	body, err := json.Marshal(&question{Query: q, Size: size, Source: true, PIT: v.pit})
	if err != nil {
		return nil, err
	}
	var got struct {
		TimedOut bool `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Hits []stored `json:"hits"`
		} `json:"hits"`
	}
	r := request{method: http.MethodPost, path: "/_search", query: url.Values{"allow_partial_search_results": {"false"}}, body: body}
	if err := v.e.client.call(ctx, r, &got); err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	if got.TimedOut || got.Shards.Failed > 0 {
		return nil, fmt.Errorf("read documents: %d shards did not answer", got.Shards.Failed)
	}
	return got.Hits.Hits, nil
}

// listing is what the document is of; only what names it is read.
func (d stored) listing() (l intel.Listing, err error) {
	var s struct {
		Listing json.RawMessage `json:"listing"`
	}
	if err = json.Unmarshal(d.Source, &s); err == nil {
		err = json.Unmarshal(s.Listing, &l)
	}
	return l, err
}

func (d stored) name() string {
	l, err := d.listing()
	if err != nil {
		return "document " + d.ID
	}
	return nameOf(&l)
}

func nameOf(l *intel.Listing) string {
	return fmt.Sprintf("%s %s of feed %s", l.Kind, short(l.Canonical, 200), l.Feed)
}

// walk goes through the source, counts, and holds what it picks against the index.
func (v *verifying) walk(ctx context.Context) error {
	v.has = map[string]map[string]int{}
	pick := v.picker()
	_, err := v.src.Search(ctx, query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}, func(l *intel.Listing) error {
		v.out.Listings++
		if v.has[l.Feed] == nil {
			v.has[l.Feed] = map[string]int{}
		}
		v.has[l.Feed][l.Kind.String()]++
		if v.skip[l.Feed] || v.o.Sample < 0 {
			return nil
		}
		id := DocumentID(intel.Indicator{Kind: l.Kind, Value: l.Canonical}, l.Feed)
		d, sampled := v.sampled[id]
		if !sampled && !pick(id) {
			return nil
		}
		x, err := v.expect(id, l)
		if err != nil {
			return err
		}
		if sampled {
			delete(v.sampled, id)
			v.compare(&x, d)
			return nil
		}
		if v.picked = append(v.picked, x); len(v.picked) < pageSize {
			return nil
		}
		return v.look(ctx)
	})
	if err != nil {
		return err
	}
	return v.look(ctx)
}

// picker picks about as many ids as are wanted, the same ones each time.
func (v *verifying) picker() func(id string) bool {
	share := uint64(math.MaxUint64)
	if v.o.Sample < v.out.Documents {
		share = uint64(float64(v.o.Sample) / float64(v.out.Documents) * math.MaxUint64)
	}
	seed := strconv.FormatUint(v.o.Seed, 10)
	return func(id string) bool {
		h := fnv.New64a()
		h.Write([]byte(seed))
		h.Write([]byte(id))
		return h.Sum64() <= share
	}
}

// counts compares how many listings each feed has of each kind.
func (v *verifying) counts(got map[string]map[string]int) {
	feeds := map[string]bool{}
	for id := range got {
		feeds[id] = true
	}
	for id := range v.has {
		feeds[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(feeds)) {
		kinds := map[string]bool{}
		for _, m := range []map[string]int{got[id], v.has[id]} {
			for k := range m {
				kinds[k] = true
			}
		}
		for _, k := range slices.Sorted(maps.Keys(kinds)) {
			is, want := got[id][k], v.has[id][k]
			if is == want || v.skip[id] {
				continue
			}
			hint := ""
			if is < want && v.facts.Rejected > 0 {
				hint = fmt.Sprintf("; %d documents were refused since the index was made, the first: %s", v.facts.Rejected, v.facts.Reject)
			}
			v.problem(ProblemCount, "feed "+id, "%d listings of kind %s in the index, %d in the data folder%s", is, k, want, hint)
		}
	}
}
