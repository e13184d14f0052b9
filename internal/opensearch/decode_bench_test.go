package opensearch

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func replyOf(tb testing.TB, n int) []byte {
	info := &intel.FeedInfo{ID: "urls", Name: "Recent URLs", Provider: "abuse.ch", Presence: intel.Rolling}
	var hits []json.RawMessage
	for i := range n {
		l := mixedListing(i, info)
		op, err := ListingOp(&l, Presence{})
		if err != nil {
			tb.Fatal(err)
		}
		var d map[string]json.RawMessage
		_ = json.Unmarshal(op.Source, &d)
		src, _ := json.Marshal(map[string]any{"listing": d["listing"], "@timestamp": d["@timestamp"]})
		h, _ := json.Marshal(map[string]any{"_index": "elasticintel-listings-v1-000001", "_id": op.ID, "_score": nil, "_routing": op.Routing, "_source": json.RawMessage(src), "sort": []any{1, 2, "x"}})
		hits = append(hits, h)
	}
	b, err := json.Marshal(map[string]any{"took": 3, "timed_out": false, "_shards": map[string]int{"total": 1, "failed": 0}, "hits": map[string]any{"total": map[string]any{"value": n, "relation": "eq"}, "max_score": nil, "hits": hits}})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func BenchmarkDecode(b *testing.B) {
	body := replyOf(b, 500)
	r := reader{facts: &facts{Feeds: map[string]*feedFact{"urls": {}}}, when: time.Now()}
	b.Run("reply", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			var out reply
			if err := json.Unmarshal(body, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	var out reply
	_ = json.Unmarshal(body, &out)
	b.Run("listings", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range out.Hits.Hits {
				if _, _, err := r.listing(&out.Hits.Hits[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
