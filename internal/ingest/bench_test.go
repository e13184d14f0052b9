package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// bigList is a list of n distinct addresses and domains, as blocklists are.
func bigList(n int, seed uint64, header string) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := append(make([]byte, 0, n*20), header...)
	for i := range n {
		if i%2 == 0 {
			b = fmt.Appendf(b, "%d.%d.%d.%d\n", 1+rng.IntN(9), i>>16&255, i>>8&255, i&255)
		} else {
			b = append(b, "host-"...)
			b = strconv.AppendUint(b, rng.Uint64()>>24, 36)
			b = append(b, '.')
			b = strconv.AppendInt(b, int64(i), 36)
			b = append(b, ".bad.example\n"...)
		}
	}
	return b
}

const bigLines = 500_000

// BenchmarkFirstIngest is the whole of a first run of one feed of 500,000 lines:
// download over loopback, archive, parse, merge, commit, ledger, all of it synced.
func BenchmarkFirstIngest(b *testing.B) {
	body := bigList(bigLines, 1, "")
	var worst time.Duration
	for b.Loop() {
		b.StopTimer()
		l := newLab(b)
		d := l.def("big", map[string]any{"indicator_type": "auto"})
		l.srv.Set("/big", body)
		b.StartTimer()
		began := time.Now()
		run := l.run(d)
		worst = max(worst, time.Since(began))
		if run.Status != intel.RunOK || run.Accepted != bigLines {
			b.Fatalf("%s %s: %+v", run.Status, run.Reason, run.Counts)
		}
	}
	b.ReportMetric(float64(bigLines*b.N)/b.Elapsed().Seconds(), "listings/s")
	b.ReportMetric(worst.Seconds(), "worst-s")
}

// BenchmarkUnchangedList is a run of a list that lists the same in other bytes
// (a date in its header): everything but the segment is done.
func BenchmarkUnchangedList(b *testing.B) {
	l := newLab(b)
	d := l.def("big", map[string]any{"indicator_type": "auto"})
	l.srv.Set("/big", bigList(bigLines, 1, ""))
	if run := l.run(d); run.Status != intel.RunOK {
		b.Fatal(run.Reason)
	}
	segments := len(l.keys("segments/"))
	i := 0
	var parsing, stage time.Duration
	for b.Loop() {
		b.StopTimer()
		i++
		l.advance(time.Hour)
		l.srv.Set("/big", bigList(bigLines, 1, fmt.Sprintf("# generated %d\n", i)))
		began := time.Now()
		b.StartTimer()
		run := l.job(feed.Job{Def: d, Trigger: "schedule", Progress: func(p feed.Progress) {
			switch {
			case p.Phase == "parse" && p.Done == 0:
				stage = time.Since(began)
			case p.Phase == "store" && p.Done == 0:
				parsing += time.Since(began) - stage
			}
		}})
		if run.Status != intel.RunUnchanged || run.Accepted != bigLines {
			b.Fatalf("%s %s", run.Status, run.Reason)
		}
	}
	b.ReportMetric(float64(bigLines*b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(float64(bigLines*b.N)/parsing.Seconds(), "parsed-lines/s")
	if n := len(l.keys("segments/")); n != segments {
		b.Errorf("%d segments, %d before", n, segments)
	}
}

// BenchmarkUnchangedBytes is a run of the same bytes from a publisher without
// conditional requests: download and compare.
func BenchmarkUnchangedBytes(b *testing.B) {
	l := newLab(b)
	d := l.def("big", map[string]any{"indicator_type": "auto"})
	l.srv.SetWith("/big", bigList(bigLines, 1, ""), map[string][]string{"Etag": {""}, "Last-Modified": {""}})
	l.run(d)
	for b.Loop() {
		if run := l.run(d); run.Status != intel.RunUnchanged || run.HTTPStatus != 200 {
			b.Fatalf("%s %s", run.Status, run.Reason)
		}
	}
	b.ReportMetric(float64(bigLines*b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkNotModified is the everyday run: 304.
func BenchmarkNotModified(b *testing.B) {
	l := newLab(b)
	d := l.def("small", nil)
	l.serve("small", names("a", 1000)...)
	l.run(d)
	for b.Loop() {
		if run := l.job(feed.Job{Def: d, Trigger: "schedule"}); run.Status != intel.RunUnchanged {
			b.Fatal(run.Reason)
		}
	}
}
