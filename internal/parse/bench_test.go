package parse

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// benchRecords is how many records the benchmarks read: a large feed.
const benchRecords = 200_000

// benchFormat is one input of the benchmark: what stands around the records, and
// what writes one, which may be the last.
type benchFormat struct {
	name       string
	spec       Spec
	head, tail string
	write      func(w *bytes.Buffer, r *rand.Rand, last bool)
}

// BenchmarkRead measures a whole Collect of each format. rec/s counts by the
// clock, rec/cpu-s by the processor time of all threads, the collector's too.
//
//	go test ./internal/parse -run '^$' -bench Read -benchtime 3x
func BenchmarkRead(b *testing.B) {
	for _, f := range benchFormats() {
		b.Run(f.name, func(b *testing.B) { benchRead(b, f) })
	}
}

// TestBenchmarksNameEveryFormat keeps the list whole.
func TestBenchmarksNameEveryFormat(t *testing.T) {
	have := map[string]bool{}
	for _, f := range benchFormats() {
		have[f.spec.Type] = true
	}
	for _, name := range Formats() {
		if !have[name] {
			t.Errorf("nothing measures %s", name)
		}
	}
}

func benchRead(b *testing.B, f benchFormat) {
	rng := rand.New(rand.NewPCG(1, 2))
	var in bytes.Buffer
	in.WriteString(f.head)
	for i := range benchRecords {
		f.write(&in, rng, i == benchRecords-1)
	}
	in.WriteString(f.tail)
	b.SetBytes(int64(in.Len()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	for b.Loop() {
		res, err := Collect(context.Background(), bytes.NewReader(in.Bytes()), f.spec, Options{})
		if err != nil || res.Read < benchRecords || res.Accepted < benchRecords*9/10 {
			b.Fatalf("%+v %v %v", res.Counts, res.Rejects, err)
		}
	}
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	n := float64(b.N) * benchRecords
	b.ReportMetric(n/b.Elapsed().Seconds(), "rec/s")
	if cpu > 0 {
		b.ReportMetric(n/cpu.Seconds(), "rec/cpu-s")
	}
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/rec")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/rec")
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

// entry writes a record as format has it, of a random name.
func entry(format string) func(*bytes.Buffer, *rand.Rand, bool) {
	return func(w *bytes.Buffer, r *rand.Rand, _ bool) { fmt.Fprintf(w, format, randomName(r)) }
}

// item is entry for elements of a list of JSON.
func item(format string) func(*bytes.Buffer, *rand.Rand, bool) {
	return func(w *bytes.Buffer, r *rand.Rand, last bool) {
		fmt.Fprintf(w, format, randomName(r))
		if !last {
			w.WriteString(",\n")
		}
	}
}

// addr is entry of a random address.
func addr(format string) func(*bytes.Buffer, *rand.Rand, bool) {
	return func(w *bytes.Buffer, r *rand.Rand, _ bool) { fmt.Fprintf(w, format, randomIP(r)) }
}

// urlColumns are the columns that the csv and JSON benchmarks map.
func urlColumns() []Column {
	return []Column{
		{Source: "id", Field: "id"}, {Source: "date", Field: "first_seen"}, {Source: "url", Field: Indicator},
		{Source: "status", Field: "status"}, {Source: "threat", Field: "threat"}, {Source: "tags", Field: "tags", Type: "list"},
	}
}

// urlRow writes the row of n, in the shape of URLhaus' export.
func urlRow(format string) func(*bytes.Buffer, *rand.Rand, bool) {
	return func(w *bytes.Buffer, rng *rand.Rand, last bool) {
		n := rng.IntN(1 << 30)
		fmt.Fprintf(w, format, n, n%28+1, n%24, randomName(rng), n, []string{"online", "offline"}[n%2], []string{"elf,mirai", "exe", "32-bit,arm,mozi"}[n%3])
	}
}

func benchFormats() []benchFormat {
	url, domain := intel.URL.Set(), intel.Domain.Set()
	four := []Column{{Source: "type", Field: "type"}, {Source: "indicator", Field: Indicator}, {Source: "class", Field: "threat_type"}, {Source: "date", Field: "first_seen"}}
	return append([]benchFormat{
		{name: "txt-ips", spec: Spec{Type: "txt", Kinds: intel.Address}, write: addr("%s\n")},
		{name: "txt-domains", spec: Spec{Type: "txt", Kinds: domain}, write: entry("%s\n")},
		{name: "csv-4", spec: Spec{Type: "csv", Kinds: intel.AnyKind, Columns: four}, write: entry("domain,%s,phishing,2026-11-07\n")},
		{name: "csv-6-quoted", spec: Spec{Type: "csv", Kinds: url, Columns: urlColumns()}, write: urlRow("\"%d\",\"2026-11-%02d %02d:00:00\",\"http://%s/bin/%d.sh\",\"%s\",\"malware_download\",\"%s\"\n")},
		{name: "json", spec: Spec{Type: "json", Kinds: url, Columns: urlColumns(), Records: "."},
			write: urlRow(`{"id":"%d","date":"2026-11-%02d %02d:00:00 UTC","url":"http:\/\/%s\/bin\/%d.sh","status":"%s","threat":"malware_download","tags":"%s"}` + "\n")},
		{name: "ndjson", spec: Spec{Type: "ndjson", Kinds: intel.Address, Columns: []Column{{Source: "ip", Field: Indicator}, {Source: "sblid", Field: "reference"}, {Source: "rir", Field: "rir"}}},
			write: addr(`{"ip":"%s","sblid":"SBL7","rir":"ripencc"}` + "\n")},
		{name: "xml", spec: Spec{Type: "xml", Kinds: url, Columns: urlColumns(), Records: "l/e"}, head: "<l>", tail: "</l>",
			write: urlRow("<e><id>%d</id><date>2026-11-%02d %02d:00:00</date><url>http://%s/bin/%d.sh</url><status>%s</status><threat>malware_download</threat><tags>%s</tags></e>\n")},
		{name: "html", spec: Spec{Type: "html", Kinds: url, Columns: urlColumns()}, tail: "</table>",
			head:  "<table><tr><th>id<th>date<th>url<th>status<th>threat<th>tags</tr>\n",
			write: urlRow("<tr><td>%d</td><td>2026-11-%02d %02d:00:00</td><td>http://%s/bin/%d.sh</td><td>%s</td><td>malware_download</td><td>%s</td></tr>\n")},
	}, fixedFormats()...)
}

// fixedFormats are the inputs of formats with a fixed layout.
func fixedFormats() []benchFormat {
	return []benchFormat{
		{name: "hosts", spec: Spec{Type: "hosts"}, write: entry("0.0.0.0 %s\n")},
		{name: "dnsmasq", spec: Spec{Type: "dnsmasq"}, write: entry("address=/%s/0.0.0.0\n")},
		{name: "unbound", spec: Spec{Type: "unbound"}, write: entry("local-zone: \"%s\" always_nxdomain\n")},
		{name: "bind", spec: Spec{Type: "bind"}, write: entry("zone \"%s\" { type master; file \"/etc/bind/blocked.zone\"; };\n")},
		{name: "adblock", spec: Spec{Type: "adblock"}, write: entry("||%s^\n")},
		{name: "ipset", spec: Spec{Type: "ipset"}, write: addr("%s\n")},
		{name: "ipset-save", spec: Spec{Type: "ipset"}, write: addr("add blocked %s\n")},
		{name: "rpz", spec: Spec{Type: "rpz"}, write: entry("%s CNAME .\n")},
		{name: "rbldnsd", spec: Spec{Type: "rbldnsd"}, head: ":127.0.0.2:listed\n", write: addr("%s\n")},
		{name: "rbldnsd-names", spec: Spec{Type: "rbldnsd"}, head: ":127.0.0.2:listed\n", write: entry("%s\n")},
		{name: "dshield", spec: Spec{Type: "dshield"}, write: func(w *bytes.Buffer, r *rand.Rand, _ bool) {
			a, b := fmt.Sprintf("%d.%d.%d", 11+r.IntN(80), r.IntN(256), r.IntN(256)), r.IntN(4)*64
			fmt.Fprintf(w, "%s.%d\t%s.%d\t26\t1234\tEXAMPLE\tUS\tabuse@example.net\n", a, b, a, b+63)
		}},
		{name: "delegated", spec: Spec{Type: "delegated"}, write: func(w *bytes.Buffer, r *rand.Rand, _ bool) {
			fmt.Fprintf(w, "ripencc|DE|ipv4|%d.%d.%d.0|256|20100712|allocated|holder\n", 11+r.IntN(80), r.IntN(256), r.IntN(256))
		}},
		{name: "ip2asn", spec: Spec{Type: "ip2asn"}, write: func(w *bytes.Buffer, r *rand.Rand, _ bool) {
			a := fmt.Sprintf("%d.%d.%d", 11+r.IntN(80), r.IntN(256), r.IntN(256))
			fmt.Fprintf(w, "%s.0\t%s.255\t%d\tDE\tEXAMPLE\n", a, a, 1+r.IntN(60000))
		}},
		{name: "rules", spec: Spec{Type: "rules"}, write: entry("alert dns $HOME_NET any -> any any (msg:\"ET MALWARE query\"; dns.query; content:\"%s\"; nocase; classtype:trojan-activity; sid:2000001; rev:1;)\n")},
		{name: "stix", spec: Spec{Type: "stix"}, head: `{"type":"bundle","id":"bundle--1","objects":[`, tail: "]}", write: stixItem},
		{name: "taxii", spec: Spec{Type: "taxii"}, head: `{"more":false,"objects":[`, tail: "]}", write: stixItem},
		{name: "misp", spec: Spec{Type: "misp"}, head: `{"Event":{"info":"a case","Attribute":[`, tail: "]}}",
			write: item(`{"uuid":"5f8a2f9c-1111-4222-8333-444455556666","type":"domain","category":"Network activity","value":"%s","to_ids":true,"timestamp":"1755849600","comment":"c2"}`)},
		{name: "misp-warninglist", spec: Spec{Type: "misp-warninglist"}, head: `{"name":"a list","type":"hostname","list":[`, tail: "]}", write: item(`"%s"`)},
		{name: "rss", spec: Spec{Type: "rss"}, head: "<rss><channel><title>t</title><link>https://feeds.example/</link>", tail: "</channel></rss>",
			write: entry("<item><title>%s</title><link>https://feeds.example/1</link><category>phishing</category><pubDate>Sat, 22 Aug 2026 10:00:00 GMT</pubDate></item>\n")},
		{name: "openioc", spec: Spec{Type: "openioc"}, head: `<ioc id="1"><short_description>a case</short_description><definition><Indicator operator="OR">`, tail: "</Indicator></definition></ioc>",
			write: entry(`<IndicatorItem id="2" condition="is"><Context document="Network" search="Network/DNS" type="mir"/><Content type="string">%s</Content></IndicatorItem>` + "\n")},
		{name: "otx", spec: Spec{Type: "otx"}, head: `{"results":[{"name":"a pulse","tags":["c2"],"indicators":[`, tail: "]}]}",
			write: item(`{"id":1,"indicator":"%s","type":"domain","created":"2026-08-22T10:00:00","content":"","title":"","description":"","expiration":null,"is_active":1}`)},
		{name: "text", spec: Spec{Type: "text"}, write: entry("The loader was seen at %s, which calls home every hour.\n")},
	}
}

func stixItem(w *bytes.Buffer, r *rand.Rand, last bool) {
	fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-%012x","created":"2026-08-22T10:00:00.000Z","modified":"2026-08-22T10:00:00.000Z",`+
		`"pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-08-22T10:00:00Z","labels":["c2"],"confidence":80}`, r.Uint32(), r.Uint32(), randomName(r))
	if !last {
		w.WriteString(",\n")
	}
}
