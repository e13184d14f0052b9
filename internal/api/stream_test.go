package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Values that do not fit into memory wait in a file, which is gone afterwards.
func TestBulk_spoolsToAFile(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, func(c *Config) { c.Limits.TempDir = dir })
	const n = 2_000
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, "http://host%d.example/%s\n", i, strings.Repeat("p", 1000))
	}
	seen := atomic.Bool{}
	f.engine.Fail = func(intel.Question) error {
		if files, _ := os.ReadDir(dir); len(files) == 1 {
			seen.Store(true)
		}
		return nil
	}
	values, summary := results(t, f.post("/api/v1/lookup?fields=summary", typeText, body.String()))
	if summary != fmt.Sprintf(`{"asked":%d,"found":0,"errors":0}`, n) {
		t.Errorf("summary %s", summary)
	}
	for i, v := range values {
		if want := fmt.Sprintf("http://host%d.example/", i); !strings.HasPrefix(v, want) {
			t.Fatalf("result %d is %s", i, v)
		}
	}
	if files, err := os.ReadDir(dir); len(files) != 0 || err != nil || !seen.Load() {
		t.Errorf("files left: %v, %v; a file was seen: %v", files, err, seen.Load())
	}
}

func TestBulk_noRoomToSpool(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits.TempDir = "/nonexistent/secret/place" })
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7"), 200, "")
	a := f.post("/api/v1/lookup", typeText, strings.Repeat("192.0.2.7\n", 200_000))
	f.want(a, 503, "no_room")
	if strings.Contains(a.body, "secret") {
		t.Errorf("the answer shows a path: %s", a.body)
	}
}

func TestBulk_engineFails(t *testing.T) {
	f := newFixture(t)
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			return errBoom
		}
		return nil
	}
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7\n203.0.113.1\n"), 503, "engine") // nothing was sent yet
	body := strings.Repeat("192.0.2.7\n", 5000) + "203.0.113.1\n"
	for _, accept := range []string{typeJSON, typeNDJSON} { // half of it was
		req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/lookup", strings.NewReader(body))
		req.Header.Set("Content-Type", typeText)
		req.Header.Set("Accept", accept)
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: status %d, %v; want a cut connection", accept, resp.StatusCode, err)
		}
	}
	if !strings.Contains(f.log.String(), "boom") {
		t.Errorf("the log does not say why:\n%s", f.log)
	}
}

// A client that only reads when it has sent everything, as most do, must get a
// large answer to a large question.
func TestBulk_halfDuplexClient(t *testing.T) {
	f := newFixture(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 200_000
	body := strings.Repeat("192.0.2.200\n", n)
	fmt.Fprintf(conn, "POST /api/v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nAccept: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		lines++
	}
	if lines != n {
		t.Errorf("%d answers to %d values", lines, n)
	}
}

// 100,000 values must not need more memory than 1,000.
func TestBulk_memoryIsFlat(t *testing.T) {
	f := newFixture(t)
	for i := range 20_000 {
		f.engine.Add(intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("h%d.example", i)}, info("d"), now, time.Time{}, "note", "some words of context")
	}
	f.client.Timeout = time.Minute
	ask := func(n int) (peak uint64) {
		pr, pw := io.Pipe()
		go func() {
			w := bufio.NewWriter(pw)
			for i := range n {
				fmt.Fprintf(w, "h%d.example\n", i%40_000)
			}
			_ = w.Flush()
			_ = pw.Close()
		}()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/lookup", pr)
		req.Header.Set("Content-Type", typeText)
		req.Header.Set("Accept", typeNDJSON)
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := 0
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); lines++ {
			if lines%(n/5) == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		if lines != n || resp.StatusCode != 200 {
			t.Fatalf("%d answers to %d values, status %d", lines, n, resp.StatusCode)
		}
		return peak
	}
	small, large := ask(1000), ask(100_000)
	t.Logf("peak of the live heap: %d KiB for 1,000 values, %d KiB for 100,000", small>>10, large>>10)
	if int64(large)-int64(small) > 8<<20 {
		t.Errorf("the live heap peaks at %d KiB for 1,000 values and at %d KiB for 100,000", small>>10, large>>10)
	}
}

// A bulk request may take longer than the server's limits for one request, as
// long as it moves; one that does not move is cut off.
func TestBulk_timeLimits(t *testing.T) {
	f := newFixture(t)
	srv := httptest.NewUnstartedServer(f.api)
	srv.Config = NewServer(f.api)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
	srv.Start()
	defer srv.Close()

	gate := make(chan struct{})
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			<-gate
		}
		return nil
	}
	pr, pw := io.Pipe()
	go func() {
		_, _ = io.WriteString(pw, "192.0.2.7\n")
		<-time.After(300 * time.Millisecond) // the network's time cannot be faked
		_, _ = io.WriteString(pw, "203.0.113.1\n")
		_ = pw.Close()
		<-time.After(300 * time.Millisecond)
		close(gate)
	}()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/api/v1/lookup", pr)
	req.Header.Set("Content-Type", typeText)
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"asked":2`) {
		t.Errorf("got %d %s %v", resp.StatusCode, body, err)
	}

	f.feeds.hook = func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
			return nil
		}
	}
	resp, err = srv.Client().Post(srv.URL+"/api/v1/feeds/good/run", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("a long run: got %d %s %v", resp.StatusCode, body, err)
	}
}

func TestBulk_slowOrBrokenBodies(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err    error
		status int
	}{{os.ErrDeadlineExceeded, 408}, {io.ErrUnexpectedEOF, 400}, {errBoom, 400}} {
		r := httptest.NewRequest("POST", "/api/v1/lookup", io.MultiReader(strings.NewReader("192.0.2.7\n"), failing{tt.err}))
		r.RemoteAddr, r.ContentLength = "127.0.0.1:1", -1
		r.Header.Set("Content-Type", typeText)
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		if err := checkAnswer(f.api, r, a); err != nil || a.status != tt.status {
			t.Errorf("%v: got %d %s, %v", tt.err, a.status, a.body, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBulk_clientGoesAway(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits.Bulk = 1 })
	started, gate := make(chan struct{}), make(chan struct{})
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			close(started)
			<-gate
		}
		return nil
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /api/v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n203.0.113.1\n")
	<-started
	conn.Close()
	close(gate)
	// The one place for bulk requests is free again, and the server well.
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7"), 200, "")
}
