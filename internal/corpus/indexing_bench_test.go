package corpus

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// plainEntries reads the values of plain feeds from EI_SAMPLES, those of the kinds
// only, until there are n; nil where there are no samples.
func plainEntries(b *testing.B, n int, kinds intel.KindSet) (out []intel.Entry) {
	b.Helper()
	root := os.Getenv("EI_SAMPLES")
	index, err := os.ReadFile(filepath.Join(root, "feeds", "INDEX.tsv"))
	if root == "" || err != nil {
		b.Skip("EI_SAMPLES is not set: no real values")
	}
	seen := map[intel.Indicator]bool{}
	for line := range strings.Lines(string(index)) {
		cols := strings.Split(line, "\t")
		if len(cols) < 7 || !strings.HasPrefix(cols[6], "plain txt") || len(out) >= n {
			continue
		}
		for _, s := range plainLines(b, filepath.Join(root, "feeds", filepath.FromSlash(cols[0]))) {
			i, err := intel.Detect(s)
			if err != nil || !kinds.Has(i.Kind) || seen[i] || len(out) >= n {
				continue
			}
			seen[i] = true
			out = append(out, intel.Entry{Indicator: i, Original: s})
		}
	}
	return out
}

func plainLines(b *testing.B, name string) []string {
	b.Helper()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			b.Fatal(err)
		}
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return strings.Fields(string(raw))
}

// BenchmarkIndexReal indexes real values, as many as there are up to 500k.
func BenchmarkIndexReal(b *testing.B) {
	for _, x := range []struct {
		name  string
		kinds intel.KindSet
	}{
		{"all", intel.AnyKind}, {"ipv4", intel.IPv4.Set()}, {"domain", intel.Domain.Set()}, {"url", intel.URL.Set()}, {"sha256", intel.SHA256.Set()},
	} {
		b.Run(x.name, func(b *testing.B) { benchIndex(b, plainEntries(b, 500_000, x.kinds)) })
	}
}

// BenchmarkIndex500k indexes the made-up entries of the other benchmarks.
func BenchmarkIndex500k(b *testing.B) {
	benchIndex(b, benchEntries(500_000, func(i int) uint64 { return uint64(i) }))
}

func benchIndex(b *testing.B, entries []intel.Entry) {
	h := &history{spans: []span{{t0.UnixMilli(), open}}, changed: t0.UnixMilli()}
	post, fst := 0, 0
	for b.Loop() {
		x := newIndexer(len(entries))
		for i := range entries {
			e := &entries[i]
			x.add(e.Indicator.Kind, e.Indicator.Value, e.Original, h, e.Fields)
		}
		p, f, err := x.finish()
		if err != nil {
			b.Fatal(err)
		}
		post, fst = len(p), len(f)
	}
	n := float64(len(entries))
	b.ReportMetric(n, "listings")
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "listings/s")
	b.ReportMetric(float64(post)/n, "post-B/listing")
	b.ReportMetric(float64(fst)/n, "fst-B/listing")
}

// BenchmarkRegroup puts 60 feeds into groups.
func BenchmarkRegroup(b *testing.B) {
	store := newMemStore(b)
	benchCorpus(b, store, 300_000, 60)
	c := openCorpus(b, store, Options{})
	docs := 0
	for b.Loop() {
		infos, err := store.List(b.Context(), groupStore)
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range infos {
			_ = store.Delete(b.Context(), i.Key)
		}
		if changed, err := c.Regroup(b.Context()); !changed || err != nil {
			b.Fatal(changed, err)
		}
	}
	groups, err := c.openGroups(b.Context(), c.View().segs, nil)
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for _, g := range groups {
		docs += g.docs()
		size += len(g.file.data)
	}
	b.ReportMetric(float64(docs)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(size)/float64(docs), "B/record")
}
