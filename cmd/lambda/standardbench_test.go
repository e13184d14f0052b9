package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// standardFeeds times standardEach listings are in the index of BenchmarkStandard:
// few enough that a node with half a gigabyte of heap is filled in a minute.
const standardFeeds, standardEach = 10, 30_000

// standardWorld fills a store and, by the function that runs feeds, an index.
func standardWorld(b *testing.B, bin, index string) (env []string, key string) {
	b.Helper()
	cluster := opensearchtest.Shared(b, opensearchtest.V2)
	dir := b.TempDir()
	s, err := blob.NewDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	benchFill(b, s, standardFeeds, standardEach)
	if _, err := blob.Write(b.Context(), s, "feeds.d/none.json", []byte(`{"feeds":[]}`), blob.Cond{}); err != nil {
		b.Fatal(err)
	}
	if key, _, err = auth.New(s, time.Now).Create(b.Context(), "test", auth.Reader); err != nil {
		b.Fatal(err)
	}
	env = []string{"EI_DATA=" + dir, "EI_CACHE=" + b.TempDir(), goMemory, "EI_ENGINE=opensearch", "EI_OPENSEARCH_INDEX=" + index, "EI_OPENSEARCH_URL=" + cluster.URLs[0]}
	b.Cleanup(func() {
		if req, err := http.NewRequest(http.MethodDelete, cluster.URLs[0]+"/"+index+"-v*", nil); err == nil {
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}
	})
	in := launch(b, bin, "ingest", env...)
	<-in.Send(queue(b, awslambda.NewJob("none", time.Now())), 15*time.Minute) // no such feed; what follows a batch is done all the same
	in.kill()
	if want := fmt.Sprintf(`"written":%d`, standardFeeds*standardEach); !strings.Contains(in.out.String(), want) {
		b.Fatalf("the index was not filled: %s", in.out)
	}
	return env, key
}

// BenchmarkStandard measures the function of the API over an index in a real
// cluster on the same machine: from the start of a process to its first poll
// (poll) and to its first answer (first), and look-ups one after the other, half of
// them listed (warm).
//
//	go test -run - -bench 'Standard/poll|Standard/first' -benchtime 40x ./cmd/lambda
//	go test -run - -bench Standard/warm -benchtime 60s ./cmd/lambda
func BenchmarkStandard(b *testing.B) {
	bin := bootstrap(b)
	env, key := standardWorld(b, bin, fmt.Sprintf("bench-%x", time.Now().UnixNano()))
	value := func(took int) int {
		i := rand.N(standardFeeds * standardEach)
		if took%2 == 1 {
			i = -1 - i
		}
		return i
	}
	b.Run("poll", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			p := launch(b, bin, "api", env...)
			<-p.Polled()
			took = append(took, time.Since(start))
			p.kill()
		}
		b.ReportMetric(quantile(took, .5), "ms-median")
		b.ReportMetric(quantile(took, .95), "ms-p95")
	})
	b.Run("first", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			p := launch(b, bin, "api", env...)
			asks(b, p, key, value(0))
			took = append(took, time.Since(start))
			p.kill()
		}
		b.ReportMetric(quantile(took, .5), "ms-median")
		b.ReportMetric(quantile(took, .95), "ms-p95")
	})
	b.Run("warm", func(b *testing.B) {
		p := launch(b, bin, "api", env...)
		asks(b, p, key, 0)
		var took []time.Duration
		start := time.Now()
		for b.Loop() {
			took = append(took, asks(b, p, key, value(len(took))))
		}
		b.ReportMetric(float64(len(took))/time.Since(start).Seconds(), "/s")
		b.ReportMetric(quantile(took, .5), "ms-median")
		b.ReportMetric(quantile(took, .99), "ms-p99")
		b.ReportMetric(status(b, p.cmd.Process.Pid, "VmHWM"), "MB-resident")
		p.kill()
	})
}
