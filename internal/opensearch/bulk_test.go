package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func mapping(string) *cause {
	return &cause{Type: "mapper_parsing_exception", Reason: "failed to parse field [ip]", By: &cause{Type: "illegal_argument_exception", Reason: "'not-ip' is not an IP string literal."}}
}

// TestBulkFaults: whatever goes wrong once, in the end everything is there and
// was acknowledged, or the error says what was not.
func TestBulkFaults(t *testing.T) {
	busy := &cause{Type: "rejected_execution_exception", Reason: "queue is full"}
	for name, c := range map[string]struct {
		faults   []fault
		opt      BulkOptions
		timeout  time.Duration
		requests int // 0: not looked at
		retried  bool
	}{
		"nothing wrong":      {nil, BulkOptions{Docs: 50, Lanes: 1}, 0, 2, false},
		"items 429":          {[]fault{items(every(2, item{Status: 429, Error: busy}))}, BulkOptions{Lanes: 1}, 0, 0, true},
		"items 503":          {[]fault{items(every(3, item{Status: 503, Error: busy}))}, BulkOptions{Lanes: 1}, 0, 0, true},
		"items 409":          {[]fault{items(every(3, item{Status: 409, Error: &cause{Type: "version_conflict_engine_exception"}}))}, BulkOptions{Lanes: 1}, 0, 0, true},
		"a copy failed":      {[]fault{items(every(1, item{Status: 201, Shards: &shards{2, 1, 1}}))}, BulkOptions{Lanes: 1}, 0, 0, true},
		"too few copies":     {[]fault{items(every(5, item{Status: 201, Shards: &shards{2, 1, 0}}))}, BulkOptions{Lanes: 1, Copies: 2}, 0, 0, true},
		"one copy is enough": {[]fault{items(every(5, item{Status: 201, Shards: &shards{2, 1, 0}}))}, BulkOptions{Lanes: 1}, 0, 1, false},
		"no word of copies":  {[]fault{items(every(5, item{Status: 201}))}, BulkOptions{Lanes: 1}, 0, 0, true},
		"429 storm":          {[]fault{status(429, "es_rejected"), status(429, "es_rejected"), status(429, "es_rejected")}, BulkOptions{Lanes: 1}, 0, 0, true},
		"503":                {[]fault{status(503, "cluster_block_exception")}, BulkOptions{Lanes: 1}, 0, 0, true},
		"502 of a balancer":  {[]fault{body502}, BulkOptions{Lanes: 1}, 0, 0, true},
		"truncated":          {[]fault{cut(nil), cut(nil)}, BulkOptions{Lanes: 1}, 0, 0, true},
		"reset after apply":  {[]fault{cut(reset)}, BulkOptions{Lanes: 1}, 0, 0, true},
		"slow":               {[]fault{hang}, BulkOptions{Lanes: 1}, 500 * time.Millisecond, 0, true},
		"no items":           {[]fault{body(`{"errors":false,"items":[]}`)}, BulkOptions{Lanes: 1}, 0, 0, true},
		"empty object":       {[]fault{body(`{}`), body(``), body(`<html>ok</html>`)}, BulkOptions{Lanes: 1}, 0, 0, true},
		"results of others":  {[]fault{others}, BulkOptions{Lanes: 1}, 0, 0, true},
		"two lanes":          {[]fault{status(429, "x"), cut(reset), items(every(2, item{Status: 429, Error: busy}))}, BulkOptions{Docs: 10}, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.faults...)
			st, err := write(t, testClient(t, newClock(), Options{Timeout: c.timeout}, f.URL), c.opt, 100)
			if err != nil || st.Written != 100 || len(f.ids()) < 100 && name != "one copy is enough" {
				t.Fatalf("%+v, %d there, %v", st, len(f.ids()), err)
			}
			if requests, _ := f.sums(); c.requests > 0 && requests != c.requests {
				t.Errorf("%d requests, want %d", requests, c.requests)
			}
			if (st.Retried > 0) != c.retried {
				t.Errorf("%+v, want some sent again: %v", st, c.retried)
			}
		})
	}
}

func body502(_ *fake, w http.ResponseWriter, _ *http.Request, _ []sent) bool {
	w.WriteHeader(502)
	fmt.Fprint(w, "<html>Bad Gateway</html>")
	return true
}

// others writes nothing and says of as many other documents that they are there.
func others(f *fake, w http.ResponseWriter, _ *http.Request, ops []sent) bool {
	kept := f.docs
	f.docs = map[string]string{}
	for i := range ops {
		ops[i].id = fmt.Sprint("other", i)
	}
	_, _ = w.Write(f.apply(ops))
	f.docs = kept
	return true
}

// every gives each nth document this result.
func every(n int, it item) func(int, sent) *item {
	return func(i int, o sent) *item {
		if i%n != 0 {
			return nil
		}
		it := it
		it.ID = o.id
		return &it
	}
}

// TestBulkReportsWhatIsRefused: a document that the index will not take is named
// with its value, sent once, and keeps no other out.
func TestBulkReportsWhatIsRefused(t *testing.T) {
	for name, bad := range map[string]item{
		"mapping":    {Status: 400, Error: mapping("")},
		"forbidden":  {Status: 403, Error: &cause{Type: "security_exception", Reason: "no permissions for [indices:data/write/bulk[s]]"}},
		"no success": {Status: 202, Shards: &shards{2, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.poison = func(o sent) *item {
				if o.id == "d0007" || o.id == "d0042" {
					return &bad
				}
				return nil
			}
			st, err := write(t, testClient(t, newClock(), Options{}, f.URL), BulkOptions{Lanes: 1}, 100)
			var e *BulkError
			if !errors.As(err, &e) || st.Written != 98 || st.Rejected != 2 || len(e.Rejected) != 2 || e.OpenAll != 0 || e.Err != nil {
				t.Fatalf("%+v, %+v", st, e)
			}
			if requests, _ := f.sums(); requests != 1 || len(f.ids()) != 98 {
				t.Errorf("%d requests, %d documents", requests, len(f.ids()))
			}
			if said := e.Error(); !strings.Contains(said, "d0007 (value7 of feed)") || !strings.Contains(said, `{"v":"value7"}`) || !strings.Contains(said, fmt.Sprint(bad.Status)) {
				t.Error(said)
			}
		})
	}
}

// TestBulkIsolates: where a whole request is refused, all is written but the
// document that is to blame.
func TestBulkIsolates(t *testing.T) {
	for _, code := range []int{400, 413} {
		f := newFake(t)
		f.always = func(f *fake, w http.ResponseWriter, r *http.Request, ops []sent) bool {
			for _, o := range ops {
				if o.id == "d0777" {
					return status(code, "illegal_argument_exception")(f, w, r, ops)
				}
			}
			return false
		}
		st, err := write(t, testClient(t, newClock(), Options{}, f.URL), BulkOptions{Lanes: 1, Docs: 1000}, 1000)
		var e *BulkError
		if !errors.As(err, &e) || st.Written != 999 || len(f.ids()) != 999 || len(e.Rejected) != 1 || e.Rejected[0].Op.ID != "d0777" || e.Rejected[0].Status != code {
			t.Fatalf("%+v, %v", st, err)
		}
		if requests, _ := f.sums(); requests > 80 {
			t.Errorf("%d requests", requests)
		}
	}
}

// TestBulkGivesUp: what it cannot write it names, and keeps nothing back.
func TestBulkGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		always fault
		want   string
		most   int // requests
	}{
		"always 429":       {status(429, "es_rejected"), "4 tries in a row brought nothing", 4},
		"always truncated": {cut(nil), "4 tries in a row brought nothing", 4},
		"copies fail":      {items(every(1, item{Status: 201, Shards: &shards{2, 1, 1}})), "1 of 2 copies failed", 4},
		"others answer":    {body(`{"errors":false,"items":[{"index":{"_id":"x","status":201,"_shards":{"total":1,"successful":1,"failed":0}}}]}`), "the answer has results for 1 documents", 4},
		"closed":           {items(every(1, item{Status: 400, Error: &cause{Type: "index_closed_exception", Reason: "closed"}})), "index_closed_exception", 1},
		"read-only":        {items(every(1, item{Status: 403, Error: &cause{Type: "cluster_block_exception", Reason: "index [ei] blocked"}})), "cluster_block_exception", 1},
		"401":              {status(401, ""), "were refused", 1},
		"403":              {status(403, "security_exception"), "lacks a permission", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.always = c.always
			clock := newClock()
			st, err := write(t, testClient(t, clock, Options{}, f.URL), BulkOptions{Lanes: 1, Docs: 100, Tries: 4}, 250)
			var e *BulkError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || st.Written != 0 || st.Rejected != 0 || e.OpenAll != 250 || len(e.Open) != maxNamed {
				t.Fatalf("%+v, %+v: %v", st, e, err)
			}
			if requests, _ := f.sums(); requests > c.most {
				t.Errorf("%d requests, want at most %d", requests, c.most)
			}
			for i := 1; i < len(clock.waits); i++ {
				if clock.waits[i] < clock.waits[i-1] {
					t.Errorf("waits %v do not grow", clock.waits)
				}
			}
		})
	}
}

// TestBulkShrinks: a cluster that has enough is sent less, and after as long as it asks.
func TestBulkShrinks(t *testing.T) {
	f := newFake(t)
	f.always = func(f *fake, w http.ResponseWriter, r *http.Request, ops []sent) bool {
		return len(ops) > 30 && status(429, "es_rejected", "Retry-After", "7")(f, w, r, ops)
	}
	clock := newClock()
	st, err := write(t, testClient(t, clock, Options{}, f.URL), BulkOptions{Lanes: 1, Docs: 200}, 400)
	if err != nil || st.Written != 400 || len(f.ids()) != 400 {
		t.Fatalf("%+v, %v", st, err)
	}
	for _, d := range clock.waits {
		if d < 7*time.Second {
			t.Errorf("waited %v", clock.waits)
		}
	}
}

// TestBulkSizes: requests keep to the documents and bytes that were asked for.
func TestBulkSizes(t *testing.T) {
	f := newFake(t)
	st, err := write(t, testClient(t, newClock(), Options{}, f.URL), BulkOptions{Lanes: 1, Bytes: 10 * opSize(&Op{ID: "d0000", Source: doc(10).Source})}, 90)
	if _, largest := f.sums(); err != nil || st.Written != 90 || largest > 11 || st.Requests < 9 {
		t.Errorf("%+v, largest %d: %v", st, largest, err)
	}
	f = newFake(t) // a document larger than a request goes alone
	c := testClient(t, newClock(), Options{}, f.URL)
	b := c.NewBulk(t.Context(), BulkOptions{Alias: "ei", Bytes: 100, Lanes: 1})
	for i := range 3 {
		op := doc(i)
		op.Source = fmt.Appendf(nil, `{"v":%q}`, strings.Repeat("x", 500))
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := b.Close(); err != nil || st.Written != 3 || st.Requests != 3 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestBulkOrder: ops of one ID take effect in order, whatever has to be sent again.
func TestBulkOrder(t *testing.T) {
	busy := item{Status: 429, Error: &cause{Type: "rejected"}}
	f := newFake(t, items(every(2, busy)), items(every(3, busy)), cut(reset), items(every(2, busy)))
	b := testClient(t, newClock(), Options{}, f.URL).NewBulk(t.Context(), BulkOptions{Alias: "ei", Docs: 7})
	for round := range 5 {
		for i := range 20 {
			op := Op{ID: fmt.Sprint("d", i), Source: fmt.Appendf(nil, `{"n":%d}`, round)}
			if round == 4 && i%2 == 0 {
				op.Source = nil
			}
			if err := b.Add(op); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if len(f.docs) != 10 {
		t.Errorf("%d documents are left, want 10", len(f.docs))
	}
	for id, source := range f.docs {
		if source != `{"n":4}` {
			t.Errorf("%s is %s", id, source)
		}
	}
}

// TestBulkLastOneCounts: of one document many versions are under way, in one
// request and in many; the last one stays, also where an earlier one has to be sent again.
func TestBulkLastOneCounts(t *testing.T) {
	for name, o := range map[string]BulkOptions{"one request": {Lanes: 1}, "a request each": {Lanes: 4, Docs: 1}} {
		t.Run(name, func(t *testing.T) {
			first := true
			f := newFake(t)
			f.poison = func(o sent) *item {
				if o.id == "a" && first {
					first = false
					return &item{Status: 429, Error: &cause{Type: "rejected"}}
				}
				return nil
			}
			o.Alias = "ei"
			b := testClient(t, newClock(), Options{}, f.URL).NewBulk(t.Context(), o)
			for i := range 200 {
				_ = b.Add(Op{ID: "a", Source: fmt.Appendf(nil, `{"n":%d}`, i)})
			}
			if _, err := b.Close(); err != nil || f.docs["a"] != `{"n":199}` {
				t.Errorf("%s, %v", f.docs["a"], err)
			}
		})
	}
}

// TestBulkDeletes: what is gone already counts as deleted; twice is as once.
func TestBulkDeletes(t *testing.T) {
	f := newFake(t)
	c := testClient(t, newClock(), Options{}, f.URL)
	for range 2 {
		b := c.NewBulk(t.Context(), BulkOptions{Alias: "ei"})
		_ = b.Add(Op{ID: "a"})
		_ = b.Add(doc(1))
		_ = b.Add(Op{ID: "b"})
		if st, err := b.Close(); err != nil || st.Deleted != 2 || st.Written != 1 || len(f.docs) != 1 {
			t.Errorf("%+v, %v, %v", st, err, f.docs)
		}
	}
}

// TestBulkLines: no document cuts the request anew.
func TestBulkLines(t *testing.T) {
	f := newFake(t)
	b := testClient(t, newClock(), Options{}, f.URL).NewBulk(t.Context(), BulkOptions{Alias: "ei", Lanes: 1})
	_ = b.Add(doc(1))
	_ = b.Add(Op{ID: "pretty", Source: []byte("{\n \"a\": 1\n}\n")})
	_ = b.Add(Op{ID: "evil", Source: []byte("{}\n{\"delete\":{\"_id\":\"d0001\"}}"), Name: "evil"})
	st, err := b.Close()
	var e *BulkError
	if !errors.As(err, &e) || st.Written != 2 || len(e.Rejected) != 1 || e.Rejected[0].Op.ID != "evil" || f.docs["pretty"] != `{"a":1}` || f.docs["d0001"] == "" {
		t.Errorf("%+v, %v, %v", st, err, f.docs)
	}
}

// TestBulkCancelled: what was not acknowledged then is counted.
func TestBulkCancelled(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := testClient(t, newClock(), Options{}, f.URL).NewBulk(ctx, BulkOptions{Alias: "ei", Docs: 10, Lanes: 1})
	cancel()
	for i := range 30 {
		_ = b.Add(doc(i))
	}
	st, err := b.Close()
	var e *BulkError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || st.Written+e.OpenAll != 30 {
		t.Errorf("%+v, %v", st, err)
	}
}
