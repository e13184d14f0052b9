package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// indexInfo is what the cluster says of an index of this alias, of any version.
type indexInfo struct {
	name    string
	pointed bool // has the alias
	made    time.Time
	shards  int
	auto    string // auto_expand_replicas
	copies  string // number_of_replicas
}

// indices returns all indices of the alias, by version and number.
func (e *Engine) indices(ctx context.Context) ([]indexInfo, error) {
	var got map[string]struct {
		Aliases  map[string]json.RawMessage `json:"aliases"`
		Settings struct {
			Index struct {
				Made   string `json:"creation_date"`
				Shards string `json:"number_of_shards"`
				Auto   string `json:"auto_expand_replicas"`
				Copies string `json:"number_of_replicas"`
			} `json:"index"`
		} `json:"settings"`
	}
	if err := e.client.call(ctx, request{method: http.MethodGet, path: "/" + url.PathEscape(e.alias+"-v*")}, &got); err != nil {
		return nil, fmt.Errorf("ask for the indices of %s: %w", e.alias, err)
	}
	var out []indexInfo
	for name, x := range got {
		if _, _, ok := e.numbered(name); !ok {
			continue // of a longer alias, maybe
		}
		set := x.Settings.Index
		_, pointed := x.Aliases[e.alias]
		made, _ := strconv.ParseInt(set.Made, 10, 64) // the cluster's own
		shards, _ := strconv.Atoi(set.Shards)
		out = append(out, indexInfo{name: name, pointed: pointed, made: time.UnixMilli(made), shards: shards, auto: set.Auto, copies: set.Copies})
	}
	slices.SortFunc(out, func(a, b indexInfo) int {
		v, n, _ := e.numbered(a.name)
		w, m, _ := e.numbered(b.name)
		return cmp.Or(cmp.Compare(v, w), cmp.Compare(n, m))
	})
	return out, nil
}

// numbered takes the name of an index of this alias apart.
func (e *Engine) numbered(name string) (version, n int, ok bool) {
	rest, ok := strings.CutPrefix(name, e.alias+"-v")
	v, number, cut := strings.Cut(rest, "-")
	version, err1 := strconv.Atoi(v)
	n, err2 := strconv.Atoi(number)
	return version, n, ok && cut && err1 == nil && err2 == nil && fmt.Sprintf("%s-v%d-%06d", e.alias, version, n) == name
}

// factsOf reads the facts of an index, whether it has the alias or not; nil where
// it has none.
func (e *Engine) factsOf(ctx context.Context, index string) (*facts, error) {
	var got struct {
		Source struct {
			Listing *facts `json:"listing"`
		} `json:"_source"`
	}
	err := e.client.call(ctx, request{method: http.MethodGet, path: "/" + url.PathEscape(index) + "/_doc/" + factsID}, &got)
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the facts of %s: %w", index, err)
	}
	return got.Source.Listing, nil
}

// feedCounts counts the documents of listings, by feed and kind.
func (e *Engine) feedCounts(ctx context.Context, p *pit) (map[string]map[string]int, error) {
	by := func(path string) clause { return clause{"field": path, "size": maxBuckets} }
	q := &question{Query: aListing(), Source: false, PIT: p, Aggs: map[string]clause{"feeds": {
		"terms": by(pathFeed), "aggs": clause{"kinds": clause{"terms": by(pathKind)}}}}}
	r, err := e.client.ask(ctx, e.alias, q)
	if err != nil {
		return nil, fmt.Errorf("count the listings: %w", err)
	}
	type counted struct {
		Key   string `json:"key"`
		Docs  int    `json:"doc_count"`
		Kinds struct {
			Buckets []struct {
				Key  string `json:"key"`
				Docs int    `json:"doc_count"`
			} `json:"buckets"`
		} `json:"kinds"`
	}
	var got struct {
		Buckets []counted `json:"buckets"`
	}
	if err := json.Unmarshal(r.Aggs["feeds"], &got); err != nil {
		return nil, fmt.Errorf("count the listings: %w", err)
	}
	out := map[string]map[string]int{}
	for _, f := range got.Buckets {
		out[f.Key] = map[string]int{}
		for _, k := range f.Kinds.Buckets {
			out[f.Key][k.Key] = k.Docs
		}
	}
	return out, nil
}

// sum adds up counts.
func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
