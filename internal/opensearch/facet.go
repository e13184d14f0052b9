package opensearch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/query"
)

// How many values the cluster counts for a facet: of texts those that are shown
// and then some, so that shards agree; of numbers all, since it would put those
// with equal counts in another order than ours.
const (
	spareBuckets = 1000
	maxBuckets   = 65_535
)

// aggName is how the counts of the ith facet are called in a request.
func aggName(i int) string { return "f" + strconv.Itoa(i) }

// aggs are the counts of the facets wanted; false where the cluster cannot count
// one of them as we do.
func (r *searching) aggs(c *compiler) (map[string]clause, bool) {
	out := map[string]clause{}
	for i, f := range r.s.Facets {
		a, ok := r.agg(c, f)
		if !ok {
			return nil, false
		}
		out[aggName(i)] = a
	}
	return out, true
}

func (r *searching) agg(c *compiler, f query.Field) (clause, bool) {
	size := r.s.FacetLimit
	if size <= 0 {
		size = 10
	}
	if name, ok := f.Context(); ok {
		key := contextKey(name)
		a := termsAgg(contextWhole, size)
		// Written so that it is not taken for a plain prefix: 2.19 answers those with
		// index_out_of_bounds_exception where no value of the index begins so.
		a["terms"].(clause)["include"] = escapeRegexp(key) + "(.*)"
		return a, !r.facts.longIn(key) && len(key) <= maxRegexp
	}
	switch f {
	case query.FieldKind, query.FieldValue:
		return termsAgg(places[f].exact, size), true
	case query.FieldPort, query.FieldASN, query.FieldConfidence:
		return termsAgg(places[f].exact, maxBuckets), true
	case query.FieldListed:
		open := c.open()
		return clause{"filters": clause{"filters": clause{"true": open.c, "false": allOf(aListing(), noneOf(open.c))}}}, open.exact
	case query.FieldLastSeen:
		return clause{"filter": matchAll(), "aggs": clause{"gone": daysAgg(pathGone), presentName: presentAgg()}}, !c.asOf
	case query.FieldFirstSeen, query.FieldFeedFirstSeen, query.FieldFeedLastSeen, query.FieldRegistered:
		return daysAgg(places[f].exact), true
	}
	path := places[f].whole
	return termsAgg(path, size), path != "" && !r.facts.Long[path]
}

func daysAgg(path string) clause {
	return clause{"date_histogram": clause{"field": path, "calendar_interval": "day", "format": "yyyy-MM-dd", "min_doc_count": 1}}
}

func termsAgg(path string, size int) clause {
	return clause{"terms": clause{"field": path, "size": size, "shard_size": min(size+spareBuckets, maxBuckets),
		"order": []clause{{"_count": "desc"}, {"_key": "asc"}}}}
}

// maxRegexp is the longest key of a context field that is made a pattern: the
// cluster takes a thousand characters.
const maxRegexp = 200

// escapeRegexp makes a Lucene regular expression that matches s alone.
func escapeRegexp(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < 0x80 && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// buckets are the counts of a facet in an answer.
type buckets struct {
	Error   int `json:"doc_count_error_upper_bound"`
	Other   int `json:"sum_other_doc_count"`
	Buckets json.RawMessage
}

type bucket struct {
	Key  json.RawMessage `json:"key"`
	Text string          `json:"key_as_string"`
	Docs int             `json:"doc_count"`
}

// count reads the facets of an answer.
func (r *searching) count(got *reply) error {
	for i, f := range r.s.Facets {
		var b buckets
		raw, ok := got.Aggs[aggName(i)]
		if !ok {
			return fmt.Errorf("facet %s: %w", f, errFacet)
		}
		if f == query.FieldLastSeen {
			facet, err := r.lastSeen(raw)
			if err != nil {
				return fmt.Errorf("facet %s: %w", f, err)
			}
			r.page.Facets = append(r.page.Facets, facet)
			continue
		}
		if err := json.Unmarshal(raw, &b); err != nil {
			return fmt.Errorf("facet %s: %w", f, err)
		}
		facet, err := r.facet(f, &b)
		if err != nil {
			return fmt.Errorf("facet %s: %w", f, err)
		}
		r.page.Facets = append(r.page.Facets, facet)
	}
	return nil
}

func (r *searching) facet(f query.Field, b *buckets) (query.Facet, error) {
	counts := map[string]int{}
	if f == query.FieldListed {
		var by map[string]bucket
		if err := json.Unmarshal(b.Buckets, &by); err != nil {
			return query.Facet{}, err
		}
		for name, n := range by {
			if n.Docs > 0 {
				counts[name] = n.Docs
			}
		}
		return query.NewFacet(f, counts, r.s.FacetLimit), nil
	}
	var list []bucket
	if err := json.Unmarshal(b.Buckets, &list); err != nil {
		return query.Facet{}, err
	}
	name, _ := f.Context()
	for _, n := range list {
		v, err := n.value(f)
		if err != nil {
			return query.Facet{}, err
		}
		if name != "" {
			v = strings.TrimPrefix(v, contextKey(name))
		}
		counts[v] += n.Docs
	}
	out := query.NewFacet(f, counts, r.s.FacetLimit)
	out.Other += b.Other
	out.Exact = b.Error == 0
	return out, nil
}

// lastSeen counts the days of what is gone, and of what feeds have those of their
// last good runs.
func (r *searching) lastSeen(raw json.RawMessage) (query.Facet, error) {
	var got struct {
		Gone struct {
			Buckets []bucket `json:"buckets"`
		} `json:"gone"`
		Present json.RawMessage `json:"present"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		return query.Facet{}, err
	}
	counts := map[string]int{}
	for _, b := range got.Gone.Buckets {
		counts[b.Text] += b.Docs
	}
	feeds, err := present(got.Present)
	for id, n := range feeds {
		if f := r.facts.Feeds[id]; f != nil {
			counts[time.UnixMilli(f.LastGood).UTC().Format(time.DateOnly)] += n
		}
	}
	return query.NewFacet(query.FieldLastSeen, counts, r.s.FacetLimit), err
}

// value is the value of a bucket, as facets have it.
func (b *bucket) value(f query.Field) (string, error) {
	switch f {
	case query.FieldFirstSeen, query.FieldFeedFirstSeen, query.FieldFeedLastSeen, query.FieldRegistered:
		if b.Text != "" {
			return b.Text, nil
		}
		var ms int64
		err := json.Unmarshal(b.Key, &ms)
		return time.UnixMilli(ms).UTC().Format(time.DateOnly), err
	case query.FieldPort, query.FieldASN, query.FieldConfidence:
		return string(b.Key), nil
	}
	var s string
	err := json.Unmarshal(b.Key, &s)
	return s, err
}
