package opensearch_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestFacetOverShards: facets are counted to the end where each of several shards
// has more values than it tells of, and the most frequent of all may be rare in
// each of them.
func TestFacetOverShards(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t, shards: 3}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	var entries []intel.Entry
	add := func(host string, n int) {
		for i := range n {
			v := fmt.Sprintf("http://%s.example/%d", host, i)
			x := intel.Entry{Indicator: intel.Indicator{Kind: intel.URL, Value: v}, Original: v}
			x.Fields.Add("host", host)
			entries = append(entries, x)
		}
	}
	for i := range 4000 {
		add(fmt.Sprintf("a%d", i), 2)
	}
	for i := range 20 {
		add(fmt.Sprintf("z%d", i), 3)
		add(fmt.Sprintf("y%d", i), 12)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, entries); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ told, limit int }{{0, 40}, {1500, 20}} {
		if x.told > 0 {
			e.Tell(x.told)
		}
		for _, sort := range []query.Sort{{}, {By: query.ByLastSeen}} {
			s := query.Search{Query: query.All{}, Limit: 5, Sort: sort, Facets: []query.Field{query.FieldDomain, query.Context("host"), query.FieldValue}, FacetLimit: x.limit}
			_, got := all(t, e, s)
			want, err := e.corpus.Search(t.Context(), s, func(*intel.Listing) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			for i := range want.Facets[:2] {
				if !reflect.DeepEqual(got.Facets[i], want.Facets[i]) {
					t.Errorf("%+v: %+v\nwant %+v", x, got.Facets[i], want.Facets[i])
				}
			}
			// What is all of equal frequency cannot be told from a part of it.
			if v := got.Facets[2]; v.Exact != (x.told == 0) || v.Other != want.Facets[2].Other {
				t.Errorf("%+v: values exact %v, %d others, want %d", x, v.Exact, v.Other, want.Facets[2].Other)
			}
		}
	}
	e.Tell(1)
	if _, p := all(t, e, query.Search{Query: query.All{}, Limit: -1, Facets: []query.Field{query.FieldDomain}, FacetLimit: 30}); p.Facets[0].Exact {
		t.Errorf("what nobody can know is said to be exact: %+v", p.Facets[0])
	}
}
