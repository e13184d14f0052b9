package opensearch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// endless is a source of one feed that makes its listings as they are asked for.
type endless struct {
	Source
	n    int
	most uint64 // bytes of the heap that were in use
}

func (s *endless) Search(_ context.Context, q query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if q.Sort != (query.Sort{}) || q.Limit != 0 {
		return query.Page{}, errors.New("too many to sort") // as the embedded engine says from two millions on
	}
	info := &intel.FeedInfo{ID: "endless", Name: "Endless", Presence: intel.Snapshot}
	for i := range s.n {
		v := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		l := intel.Listing{Info: info, Feed: "endless", Kind: intel.IPv4, Canonical: v, Original: v, Intervals: []intel.Interval{{From: t0}}, FirstSeen: t0, LastSeen: t0, Changed: t0,
			Context: intel.Fields{{Name: "n", Values: []string{fmt.Sprint(i)}}}}
		if err := emit(&l); err != nil {
			return query.Page{}, err
		}
		if i%10_000 == 0 {
			live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			metrics.Read(live)
			s.most = max(s.most, live[0].Value.Uint64())
		}
	}
	return query.Page{Total: s.n}, nil
}

// taker acknowledges what is written and keeps nothing of it.
func taker(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, out := bufio.NewScanner(r.Body), bytes.NewBufferString(`{"errors":false,"items":[`)
		in.Buffer(nil, 1<<20)
		for first := true; in.Scan(); first = false {
			_, id, _ := bytes.Cut(in.Bytes(), []byte(`"_id":"`))
			id, _, _ = bytes.Cut(id, []byte{'"'})
			if !first {
				out.WriteByte(',')
			}
			fmt.Fprintf(out, `{"index":{"_id":"%s","_shards":{"total":1,"successful":1,"failed":0},"status":201}}`, id)
			in.Scan()
		}
		out.WriteString("]}")
		_, _ = io.Copy(w, out)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestSendingHoldsNothing: a feed of any size is sent in the memory of a few
// requests. EI_SOAK=1: three million listings.
func TestSendingHoldsNothing(t *testing.T) {
	src := &endless{n: 100_000}
	if os.Getenv("EI_SOAK") != "" {
		src.n = 3_000_000
	}
	e := NewEngine(testClient(t, newClock(), Options{}, taker(t)), EngineOptions{Now: time.Now})
	f := &facts{}
	s := &sending{e: e, src: src, bulk: e.client.NewBulk(t.Context(), BulkOptions{Alias: "x"}), feed: &feedFact{Info: intel.FeedInfo{ID: "endless"}, LastGood: t0.UnixMilli()}, facts: f, enc: newEncoder(f)}
	if err := s.since(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if st, err := s.bulk.Close(); err != nil || st.Written != src.n {
		t.Fatalf("%+v, %v", st, err)
	}
	t.Logf("%d listings, at most %d MB in use", src.n, src.most>>20)
	if src.most > 48<<20 { // the documents are twice as much and more
		t.Errorf("%d MB", src.most>>20)
	}
}
