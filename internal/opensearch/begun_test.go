package opensearch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestBegunPhrases: a phrase whose last word is begun finds all that it means, where
// few words begin so, where more do than one clause looks for, where both words
// are there and not side by side, and turned round.
func TestBegunPhrases(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	entries := numbered(1300, "")
	for i := range entries {
		note := fmt.Sprintf("a phishing kit%04d", i)
		if i%100 == 7 {
			note = fmt.Sprintf("kit%04d is no phishing page%d", i, i)
		}
		entries[i].Fields = nil
		entries[i].Fields.Add("note", note)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, entries); err != nil {
		t.Fatal(err)
	}
	note := query.Context("note")
	for _, begun := range []string{"k", "kit", "kit01", "kit0100", "page", "p", "zzz"} {
		var n query.Node = query.Phrase{Field: note, Tokens: []string{"phishing", begun}, Prefix: true}
		for _, n := range []query.Node{n, query.Not{Node: n}, query.Or{Nodes: []query.Node{n, query.Phrase{Field: note, Tokens: []string{"no", "ph"}, Prefix: true}}}} {
			for _, s := range []query.Search{{Query: n, Sort: query.Sort{By: query.ByValue}, Facets: []query.Field{query.FieldFeed}}, {Query: n, Limit: 10, Sort: query.Sort{By: query.ByLastSeen}}} {
				var want []string
				page, err := e.corpus.View().Search(t.Context(), s, func(l *intel.Listing) error {
					want = append(want, l.Canonical)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				i := 0
				got, err := e.Search(t.Context(), s, func(l *intel.Listing) error {
					if i >= len(want) || l.Canonical != want[i] {
						return fmt.Errorf("listing %d is %s", i, l.Canonical)
					}
					i++
					return nil
				})
				if err != nil || i != len(want) || got.Total != page.Total || !got.Exact || got.More != page.More {
					t.Errorf("%q of %v: %d listings, want %d; %+v, want %+v; %v", begun, n, i, len(want), got, page, err)
				}
			}
		}
	}
}
