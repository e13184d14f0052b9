package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that only waiting moves.
type clock struct {
	mu    sync.Mutex
	t     time.Time
	waits []time.Duration
}

func newClock() *clock { return &clock{t: time.Date(2026, 9, 25, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// fake is a server that does what bulk requests say, except where a fault comes first.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	docs   map[string]string
	sizes  []int              // documents of each bulk request
	faults []fault            // one for each request, then none
	always fault              // for every request that has no fault of its own
	poison func(o sent) *item // what is wrong with a document, every time
}

// fault answers a bulk request in place of the server; done says that it has.
type fault func(f *fake, w http.ResponseWriter, r *http.Request, ops []sent) (done bool)

// sent is an op as the server reads it.
type sent struct {
	action, id, routing, source string
}

type item struct {
	ID     string  `json:"_id"`
	Status int     `json:"status"`
	Error  *cause  `json:"error,omitempty"`
	Shards *shards `json:"_shards,omitempty"`
}

type shards struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

func newFake(t *testing.T, faults ...fault) *fake {
	f := &fake{docs: map[string]string{}, faults: faults}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !strings.HasSuffix(r.URL.Path, "/_bulk") {
		fmt.Fprint(w, `{"cluster_name":"fake","version":{"number":"2.19.1","distribution":"opensearch"}}`)
		return
	}
	ops, err := readBody(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes = append(f.sizes, len(ops))
	step := f.always
	if len(f.faults) > 0 {
		step, f.faults = f.faults[0], f.faults[1:]
	}
	if step == nil || !step(f, w, r, ops) {
		_, _ = w.Write(f.apply(ops))
	}
}

// readBody reads NDJSON as OpenSearch does: line by line.
func readBody(body []byte) (ops []sent, err error) {
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		var head map[string]struct {
			ID      string `json:"_id"`
			Routing string `json:"routing"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &head); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		for action, h := range head {
			o := sent{action: action, id: h.ID, routing: h.Routing}
			if action == "index" {
				i++
				o.source = lines[i]
			}
			ops = append(ops, o)
		}
	}
	return ops, nil
}

// apply does what the ops say and returns the answer.
func (f *fake) apply(ops []sent) []byte {
	errs := false
	items := []map[string]item{}
	for _, o := range ops {
		it := item{ID: o.id, Status: 201, Shards: &shards{2, 2, 0}}
		bad := (*item)(nil)
		if f.poison != nil {
			bad = f.poison(o)
		}
		switch {
		case bad != nil:
			it.Status, it.Error, it.Shards = bad.Status, bad.Error, bad.Shards
			errs = errs || bad.Error != nil
		case o.action == "delete":
			it.Status = 200
			if _, has := f.docs[o.id]; !has {
				it.Status = 404
			}
			delete(f.docs, o.id)
		default:
			f.docs[o.id] = o.source
		}
		items = append(items, map[string]item{o.action: it})
	}
	out, _ := json.Marshal(map[string]any{"errors": errs, "items": items})
	return out
}

// The faults.

func status(code int, errorType string, header ...string) fault {
	return func(_ *fake, w http.ResponseWriter, _ *http.Request, _ []sent) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":{"root_cause":[{"type":%q,"reason":"because"}],"type":%[1]q,"reason":"because"},"status":%d}`, errorType, code)
		return true
	}
}

// items applies what it does not give another result to.
func items(is func(i int, o sent) *item) fault {
	return func(f *fake, w http.ResponseWriter, _ *http.Request, ops []sent) bool {
		n := -1
		was := f.poison
		f.poison = func(o sent) *item { n++; return is(n, o) }
		_, _ = w.Write(f.apply(ops))
		f.poison = was
		return true
	}
}

// cut applies everything and gives only a part of the answer.
func cut(how func(net.Conn)) fault {
	return func(f *fake, w http.ResponseWriter, _ *http.Request, ops []sent) bool {
		answer := f.apply(ops)
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		if how == nil {
			fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer[:len(answer)/2])
			_ = buf.Flush()
		} else {
			how(conn)
		}
		_ = conn.Close()
		return true
	}
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// hang applies everything and says nothing until the client has gone.
func hang(f *fake, _ http.ResponseWriter, r *http.Request, ops []sent) bool {
	f.apply(ops)
	<-r.Context().Done()
	return true
}

// body answers 200 with this.
func body(s string) fault {
	return func(f *fake, w http.ResponseWriter, _ *http.Request, ops []sent) bool {
		f.apply(ops)
		fmt.Fprint(w, s)
		return true
	}
}

func testClient(t *testing.T, c *clock, o Options, urls ...string) *Client {
	t.Helper()
	o.URLs, o.Now, o.Wait = urls, c.now, c.wait
	cl, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// write writes n documents and returns what became of it.
func write(t *testing.T, c *Client, o BulkOptions, n int) (BulkStats, error) {
	t.Helper()
	o.Alias = "ei"
	b := c.NewBulk(t.Context(), o)
	for i := range n {
		if b.Add(doc(i)) != nil {
			for j := i + 1; j < n; j++ {
				_ = b.Add(doc(j))
			}
			break
		}
	}
	return b.Close()
}

func doc(i int) Op {
	return Op{ID: fmt.Sprintf("d%04d", i), Source: fmt.Appendf(nil, `{"v":"value%d"}`, i), Name: fmt.Sprintf("value%d of feed", i)}
}

func (f *fake) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.docs))
}

// sums returns how many requests there were, and the largest.
func (f *fake) sums() (requests, largest int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sizes), slices.Max(append(slices.Clone(f.sizes), 0))
}

func TestBodyIsLines(t *testing.T) {
	ops := []Op{{ID: `a"b`, Routing: "r\n", Source: []byte(`{"x":1}`)}, {ID: "c"}}
	got, err := readBody(bodyOf(ops))
	want := []sent{{"index", `a"b`, "r\n", `{"x":1}`}, {"delete", "c", "", ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if !bytes.HasSuffix(bodyOf(ops), []byte("\n")) {
		t.Error("the body does not end with a line end")
	}
}
