package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

const (
	// benchFeeds times benchEach listings are in the bucket of BenchmarkAPI.
	benchFeeds, benchEach = 40, 50_000
	// goMemory is the limit that goes with a function of 512 MB.
	goMemory = "GOMEMLIMIT=400MiB"
)

// benchEntry is the i-th listing of all: half addresses, half names, some context.
func benchEntry(i int) intel.Entry {
	ind := intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("host-%x.bad%d.example", i*2654435761, i%9973)}
	if i%2 == 1 {
		ind = intel.Indicator{Kind: intel.IPv4, Value: fmt.Sprintf("%d.%d.%d.%d", 11+i%80, i>>16&255, i>>8&255, i&255)}
	}
	e := intel.Entry{Indicator: ind, Original: ind.Value, Line: i + 1}
	if i%4 == 0 {
		e.Fields.Add(intel.FieldMalware, fmt.Sprintf("family-%d", i%64))
	}
	return e
}

// benchFill puts feeds times each listings into a store, as runs of the feeds would.
func benchFill(b *testing.B, s blob.Store, feeds, each int) {
	b.Helper()
	if err := corpus.Init(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	c, err := corpus.Open(b.Context(), s, corpus.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for f := range feeds {
		entries := make([]intel.Entry, each)
		for i := range entries {
			entries[i] = benchEntry(f*each + i)
		}
		id := fmt.Sprintf("feed%d", f)
		m, err := c.Merge(b.Context(), nil, entries, corpus.MergeOptions{Feed: id, Info: intel.FeedInfo{ID: id}, Now: time.Now()})
		if err == nil {
			_, err = c.Commit(b.Context(), m.Next, "")
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// benchBucket fills a bucket, and returns how many bytes its segments have.
func benchBucket(b *testing.B, s *aws.Store) (segments int64) {
	b.Helper()
	benchFill(b, s, benchFeeds, benchEach)
	infos, err := s.List(b.Context(), "segments/")
	if err != nil {
		b.Fatal(err)
	}
	for _, i := range infos {
		segments += i.Size
	}
	return segments
}

// status is a line of what Linux says of a process's memory, in megabytes.
func status(b *testing.B, pid int, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("memory is read from /proc: ", err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}

// whole says whether a process has fetched all segments into its folder.
func whole(folder string, bytes int64) bool {
	folder = filepath.Join(folder, "segments")
	half, err := filepath.Glob(folder + "/*.part")
	return err == nil && len(half) == 0 && aws.Copies(folder) == bytes
}

func quantile(took []time.Duration, q float64) float64 {
	slices.Sort(took)
	return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
}

// asks wants an answer, and returns how long it took.
func asks(b *testing.B, p *process, key string, i int) time.Duration {
	b.Helper()
	value, want := benchEntry(i).Indicator.Value, `\"found\":true`
	if i < 0 {
		value, want = fmt.Sprintf("absent%d.example", -i), `\"found\":false`
	}
	start := time.Now()
	r := p.Invoke(get("/api/v1/indicators/"+value, key), limit)
	took := time.Since(start)
	if !strings.Contains(string(r.Body), want) {
		b.Fatalf("%s: %s %s\n%s", value, r.Body, r.Error, p.out)
	}
	return took
}

// distant stands before an emulator and is as far away as S3 is from a function: each
// answer takes 15 ms to begin, and all of them together get 80 MB in a second.
type distant struct {
	*httputil.ReverseProxy
	url  string
	sent atomic.Int64
	mu   sync.Mutex
	free time.Time // when the line is free again
}

const (
	distantWait = 15 * time.Millisecond
	distantRate = 80_000_000 // bytes in a second
)

func newDistant(b *testing.B, to string) *distant {
	b.Helper()
	target, err := url.Parse(to)
	if err != nil {
		b.Fatal(err)
	}
	d := &distant{ReverseProxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: log.New(io.Discard, "", 0)}}
	s := httptest.NewServer(d)
	b.Cleanup(s.Close)
	d.url = s.URL
	return d
}

func (d *distant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(distantWait)
	d.ReverseProxy.ServeHTTP(slowly{w, d}, r)
}

type slowly struct {
	http.ResponseWriter
	d *distant
}

func (s slowly) Write(p []byte) (int, error) {
	s.d.mu.Lock()
	now := time.Now()
	if s.d.free.Before(now) {
		s.d.free = now
	}
	s.d.free = s.d.free.Add(time.Duration(len(p)) * time.Second / distantRate)
	wait := s.d.free.Sub(now)
	s.d.mu.Unlock()
	time.Sleep(wait)
	s.d.sent.Add(int64(len(p)))
	return s.ResponseWriter.Write(p)
}

// BenchmarkAPI measures the function of the API over a bucket of ministack with two
// million listings: from the start of a process with nothing in its folder to its
// first answer (cold), the same where the bucket is as far away as S3 (distant) or the
// segments are in the folder (kept), and look-ups one after the other, half of them
// listed (warm).
//
//	go test -run - -bench 'API/(cold|distant|kept)' -benchtime 20x ./cmd/lambda
//	go test -run - -bench API/warm -benchtime 60s ./cmd/lambda
func BenchmarkAPI(b *testing.B) {
	bin := bootstrap(b)
	server := awstest.Ministack(b)
	server.Setenv(b)
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, server.URL+"/intel", nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	_ = res.Body.Close()
	s, err := aws.NewStore(b.Context(), aws.StoreOptions{URL: "s3://intel"})
	if err != nil {
		b.Fatal(err)
	}
	segments := benchBucket(b, s)
	if _, err := blob.Write(b.Context(), s, "feeds.d/none.json", []byte(`{"feeds":[]}`), blob.Cond{}); err != nil {
		b.Fatal(err)
	}
	key, _, err := auth.New(s, time.Now).Create(b.Context(), "test", auth.Reader)
	if err != nil {
		b.Fatal(err)
	}
	base := append(server.Env(), "EI_DATA=s3://intel", goMemory)
	start := func(b *testing.B, folder func() string, env ...string) {
		env = append(slices.Clone(base), env...)
		var took []time.Duration
		var memory float64
		for b.Loop() {
			start := time.Now()
			p := launch(b, bin, "api", append(env, "EI_CACHE="+folder())...)
			asks(b, p, key, rand.N(benchFeeds*benchEach))
			took = append(took, time.Since(start))
			memory = max(memory, status(b, p.cmd.Process.Pid, "VmHWM"))
			p.kill()
		}
		b.ReportMetric(quantile(took, .5), "ms-median")
		b.ReportMetric(quantile(took, .95), "ms-p95")
		b.ReportMetric(memory, "MB-resident")
		b.ReportMetric(float64(segments)/1e6, "MB-segments")
	}
	b.Run("cold", func(b *testing.B) { start(b, b.TempDir) })
	b.Run("distant", func(b *testing.B) {
		d := newDistant(b, server.URL)
		start(b, b.TempDir, "AWS_ENDPOINT_URL="+d.url)
		b.ReportMetric(float64(d.sent.Load())/1e6/float64(b.N), "MB-fetched")
	})
	b.Run("kept", func(b *testing.B) {
		folder := b.TempDir()
		p := launch(b, bin, "api", append(base, "EI_CACHE="+folder)...)
		for asks(b, p, key, 0); !whole(folder, segments); asks(b, p, key, 0) { // it goes on fetching between answers
		}
		p.kill()
		start(b, func() string { return folder })
	})
	b.Run("warm", func(b *testing.B) {
		p := launch(b, bin, "api", append(base, "EI_CACHE="+b.TempDir())...)
		asks(b, p, key, 0)
		var took []time.Duration
		start := time.Now()
		for b.Loop() {
			i := rand.N(benchFeeds * benchEach)
			if len(took)%2 == 1 {
				i = -1 - i
			}
			took = append(took, asks(b, p, key, i))
		}
		b.ReportMetric(float64(len(took))/time.Since(start).Seconds(), "/s")
		b.ReportMetric(quantile(took, .5), "ms-median")
		b.ReportMetric(quantile(took, .99), "ms-p99")
		b.ReportMetric(status(b, p.cmd.Process.Pid, "VmHWM"), "MB-resident")
		p.kill()
	})
}
