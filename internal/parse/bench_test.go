package parse

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// benchLines is how many lines the benchmarks read: a large feed.
const benchLines = 500_000

// benchRead measures a whole Collect. Lines are what lines/s counts.
func benchRead(b *testing.B, spec Spec, write func(*bytes.Buffer, *rand.Rand)) {
	rng := rand.New(rand.NewPCG(1, 2))
	var in bytes.Buffer
	for range benchLines {
		write(&in, rng)
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		res, err := Collect(context.Background(), bytes.NewReader(in.Bytes()), spec, Options{})
		if err != nil || res.Read != benchLines || res.Rejected > 0 {
			b.Fatalf("%+v %v %v", res.Counts, res.Rejects, err)
		}
	}
	b.ReportMetric(float64(b.N)*benchLines/b.Elapsed().Seconds(), "lines/s")
}

func randomIP(rng *rand.Rand) string {
	return fmt.Sprintf("%d.%d.%d.%d", 11+rng.IntN(80), rng.IntN(256), rng.IntN(256), rng.IntN(256))
}

func randomName(rng *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := make([]byte, 6+rng.IntN(12))
	for i := range name {
		name[i] = letters[rng.IntN(len(letters))]
	}
	return "x" + string(name) + []string{".com", ".net", ".top", ".co.uk", ".pages.dev"}[rng.IntN(5)]
}

func BenchmarkTextIPs(b *testing.B) {
	benchRead(b, Spec{Type: "txt", Kinds: intel.Address}, func(w *bytes.Buffer, rng *rand.Rand) {
		fmt.Fprintln(w, randomIP(rng))
	})
}

func BenchmarkTextDomains(b *testing.B) {
	benchRead(b, Spec{Type: "txt", Kinds: intel.Domain.Set()}, func(w *bytes.Buffer, rng *rand.Rand) {
		fmt.Fprintln(w, randomName(rng))
	})
}

func BenchmarkHosts(b *testing.B) {
	benchRead(b, Spec{Type: "hosts"}, func(w *bytes.Buffer, rng *rand.Rand) {
		fmt.Fprintln(w, "0.0.0.0", randomName(rng))
	})
}

// urlColumns are the columns that the csv and JSON benchmarks map.
var urlColumns = []Column{
	{Source: "id", Field: "id"}, {Source: "date", Field: "first_seen"}, {Source: "url", Field: Indicator},
	{Source: "status", Field: "status"}, {Source: "threat", Field: "threat"}, {Source: "tags", Field: "tags", Type: "list"},
}

// urlRow is the row of n, in the shape of URLhaus' export.
func urlRow(w *bytes.Buffer, rng *rand.Rand, format string) {
	n := rng.IntN(1 << 30)
	fmt.Fprintf(w, format, n, n%28+1, n%24, randomName(rng), n, []string{"online", "offline"}[n%2], []string{"elf,mirai", "exe", "32-bit,arm,mozi"}[n%3])
}

func BenchmarkCSVQuoted(b *testing.B) {
	benchRead(b, Spec{Type: "csv", Kinds: intel.URL.Set(), Columns: urlColumns}, func(w *bytes.Buffer, rng *rand.Rand) {
		urlRow(w, rng, "\"%d\",\"2026-11-%02d %02d:00:00\",\"http://%s/bin/%d.sh\",\"%s\",\"malware_download\",\"%s\"\n")
	})
}

func BenchmarkCSVPlain(b *testing.B) {
	columns := []Column{{Source: "type", Field: "type"}, {Source: "indicator", Field: Indicator}, {Source: "class", Field: "threat_type"}, {Source: "date", Field: "first_seen"}}
	benchRead(b, Spec{Type: "csv", Kinds: intel.AnyKind, Columns: columns}, func(w *bytes.Buffer, rng *rand.Rand) {
		fmt.Fprintf(w, "domain,%s,phishing,2026-11-%02d\n", randomName(rng), 1+rng.IntN(28))
	})
}

func BenchmarkJSON(b *testing.B) {
	benchRead(b, Spec{Type: "json", Kinds: intel.URL.Set(), Columns: urlColumns, Records: "."}, func(w *bytes.Buffer, rng *rand.Rand) {
		urlRow(w, rng, `{"id":"%d","date":"2026-11-%02d %02d:00:00 UTC","url":"http:\/\/%s\/bin\/%d.sh","status":"%s","threat":"malware_download","tags":"%s"}`+"\n")
	})
}

func BenchmarkNDJSON(b *testing.B) {
	columns := []Column{{Source: "cidr", Field: Indicator}, {Source: "sblid", Field: "reference"}, {Source: "rir", Field: "rir"}}
	benchRead(b, Spec{Type: "ndjson", Kinds: intel.Networks, Columns: columns}, func(w *bytes.Buffer, rng *rand.Rand) {
		fmt.Fprintf(w, `{"cidr":"%d.%d.%d.0/24","sblid":"SBL%d","rir":"ripencc"}`+"\n", 11+rng.IntN(80), rng.IntN(256), rng.IntN(256), rng.IntN(1<<20))
	})
}
