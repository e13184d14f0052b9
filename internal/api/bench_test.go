package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
)

// BenchmarkSingle compares a look-up over HTTP with a bare handler that sends the
// same bytes: same client, loopback, kept-alive connections, one request of each
// in turn, so that whatever else the machine does falls on both alike, and
// medians. The metric to look at is %-of-bare: the throughput of one against that
// of the other.
func BenchmarkSingle(b *testing.B) {
	for _, v := range []struct {
		name, value string
		keyed       bool
	}{{"listed", "192.0.2.7", false}, {"unknown", "198.51.100.1", false}, {"listed with key", "192.0.2.7", true}} {
		b.Run(v.name, func(b *testing.B) {
			f := newFixture(b, func(c *Config) { c.Log, c.Now = nil, time.Now })
			authorization, target := "", "/api/v1/indicators/"+v.value
			if v.keyed {
				authorization, _ = f.key(auth.Reader)
			}
			want := f.get(target, "Authorization", authorization)
			bare := httptest.NewServer(same(want))
			defer bare.Close()
			var took [2][]time.Duration
			for b.Loop() {
				took[0] = append(took[0], timed(b, bare.Client(), bare.URL+target, authorization, len(want.body)))
				took[1] = append(took[1], timed(b, f.client, f.url+target, authorization, len(want.body)))
			}
			slices.Sort(took[0])
			slices.Sort(took[1])
			plain, ours := took[0][b.N/2], took[1][b.N/2]
			b.ReportMetric(float64(plain.Nanoseconds()), "ns-p50/bare")
			b.ReportMetric(float64(ours.Nanoseconds()), "ns-p50/api")
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

// timed sends one request and returns how long it took.
func timed(b *testing.B, client *http.Client, target, authorization string, size int) time.Duration {
	start := time.Now()
	req, err := http.NewRequestWithContext(b.Context(), "GET", target, nil)
	if err != nil {
		b.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || int(n) != size {
		b.Fatalf("status %d, %d bytes, %v", resp.StatusCode, n, err)
	}
	return time.Since(start)
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
