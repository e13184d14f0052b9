package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
)

// BenchmarkSingle compares look-ups over HTTP with a bare handler that sends the
// same bytes: same client, loopback, kept-alive connections. Both are measured in
// turn, so that whatever else the machine does falls on both alike, and medians
// count. %-of-bare is the throughput of one against that of the other, with one
// client that waits for each answer and with eight.
func BenchmarkSingle(b *testing.B) {
	for _, v := range []struct {
		name, value string
		keyed       bool
		clients     int
	}{
		{"listed", "192.0.2.7", false, 8}, {"unknown", "198.51.100.1", false, 8}, {"listed with key", "192.0.2.7", true, 8},
		{"listed, one client", "192.0.2.7", false, 1}, {"unknown, one client", "198.51.100.1", false, 1},
	} {
		b.Run(v.name, func(b *testing.B) {
			f := newFixture(b, func(c *Config) { c.Log, c.Now = nil, time.Now })
			r := hammer{b: b, clients: v.clients}
			target := "/api/v1/indicators/" + v.value
			if v.keyed {
				r.key, _ = f.key(auth.Reader)
			}
			want := f.get(target, "Authorization", r.key)
			r.size = len(want.body)
			bare := httptest.NewServer(same(want))
			defer bare.Close()
			var took [2][]time.Duration
			for b.Loop() {
				took[0] = append(took[0], r.strike(bare.URL+target))
				took[1] = append(took[1], r.strike(f.url+target))
			}
			slices.Sort(took[0])
			slices.Sort(took[1])
			plain, ours := took[0][b.N/2], took[1][b.N/2]
			b.ReportMetric(perStrike*float64(r.clients)/plain.Seconds(), "bare-req/s")
			b.ReportMetric(perStrike*float64(r.clients)/ours.Seconds(), "api-req/s")
			b.ReportMetric(100*plain.Seconds()/ours.Seconds(), "%-of-bare")
			b.ReportMetric(0, "ns/op") // of both together: says nothing
		})
	}
}

// same is a handler that sends an answer again, byte for byte.
func same(a answer) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range a.header {
			if name != "Date" {
				w.Header()[name] = values
			}
		}
		_, _ = io.WriteString(w, a.body)
	}
}

// perStrike is how many requests each client sends in one measurement.
const perStrike = 25

// hammer is a number of clients that send requests at the same time.
type hammer struct {
	b       *testing.B
	client  http.Client
	clients int
	key     string // Authorization header
	size    int    // of the right answer
}

// strike sends perStrike requests from each client and returns how long all took.
func (h *hammer) strike(target string) time.Duration {
	if h.client.Transport == nil {
		t := &http.Transport{MaxIdleConnsPerHost: h.clients}
		h.client.Transport = t
		h.b.Cleanup(t.CloseIdleConnections)
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range h.clients {
		wg.Go(func() {
			for range perStrike {
				if err := h.ask(target); err != nil {
					h.b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func (h *hammer) ask(target string) error {
	req, err := http.NewRequestWithContext(h.b.Context(), "GET", target, nil)
	if err != nil {
		return err
	}
	if h.key != "" {
		req.Header.Set("Authorization", h.key)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 || int(n) != h.size {
		return fmt.Errorf("status %d, %d bytes, %w", resp.StatusCode, n, err)
	}
	return nil
}

// BenchmarkHandler is what the API itself costs, without a network.
func BenchmarkHandler(b *testing.B) {
	f := newFixture(b, func(c *Config) { c.Log = nil })
	r := httptest.NewRequest("GET", "/api/v1/indicators/192.0.2.7", nil)
	r.RemoteAddr = "127.0.0.1:1"
	b.ReportAllocs()
	for b.Loop() {
		w := discard{http.Header{}}
		f.api.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkBulk streams bulk look-ups over loopback.
func BenchmarkBulk(b *testing.B) {
	f := newFixture(b, func(c *Config) { c.Log = nil })
	const n = 20_000
	body := `{"values":[` + strings.TrimSuffix(strings.Repeat(`"http://www.evil.example/some/path",`, n), ",") + "]}"
	for b.Loop() {
		resp, err := f.client.Post(f.url+"/api/v1/lookup", typeJSON, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			b.Fatalf("status %d, %v", resp.StatusCode, err)
		}
		resp.Body.Close()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "values/s")
}
