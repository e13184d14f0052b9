package opensearch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// manyListings are n URLs, domains and addresses with the context that URLhaus gives.
func manyListings(n int) []intel.Listing {
	info := &intel.FeedInfo{ID: "urls", Name: "Recent URLs", Provider: "abuse.ch", Presence: intel.Rolling}
	out := make([]intel.Listing, n)
	for i := range out {
		l := &out[i]
		*l = intel.Listing{Info: info, Feed: "urls", Provider: "abuse.ch", Intervals: []intel.Interval{{From: t0}}, FirstSeen: t0, Changed: t0,
			Confidence: 90, TLP: "clear", ThreatType: "malware_download", Description: "Served malware when it was reported.",
			Malware: []string{"", "Mirai", "Emotet", "Cobalt Strike"}[i%4], Tags: []string{[]string{"elf", "exe", "js", "doc"}[i%4], "c2"}}
		switch host := fmt.Sprintf("host%d.zone%d.example", i, i%997); i % 3 {
		case 0:
			l.Kind, l.Canonical = intel.URL, fmt.Sprintf("http://%s/%x/gate.php", host, i*2654435761)
			l.Reference = fmt.Sprintf("https://urlhaus.abuse.ch/url/%d/", 3000000+i)
			l.Context = intel.Fields{{Name: "id", Values: []string{fmt.Sprint(3000000 + i)}}, {Name: "reporter", Values: []string{fmt.Sprint("user", i%500)}}, {Name: "url_status", Values: []string{"online"}}}
		case 1:
			l.Kind, l.Canonical = intel.Domain, host
		default:
			l.Kind, l.Canonical = intel.IPv4, fmt.Sprintf("198.%d.%d.%d", 18+i>>16&15, i>>8&255, i&255)
			l.Context = intel.Fields{{Name: "asn", Values: []string{fmt.Sprint("AS", i%60000)}}, {Name: "country", Values: []string{"NL"}}}
		}
		l.Original = l.Canonical
	}
	return out
}

// BenchmarkRealIngest writes 200,000 listings (EI_SOAK=1: a million) into a real
// node, and before and after them as many bare documents of six keywords, which is
// what the node and the machine can do at that time: documents a second, made and
// acknowledged, the processor time that the node takes for each, and the bytes
// that a listing has on disk after a merge. Once is enough: -benchtime 1x.
func BenchmarkRealIngest(b *testing.B) {
	n := 200_000
	if os.Getenv("EI_SOAK") != "" {
		n = 1_000_000
	}
	s := opensearchtest.Shared(b, opensearchtest.V2)
	c, err := New(Options{URLs: s.URLs, CA: s.CA, User: s.User, Password: s.Password, Now: time.Now, Timeout: 5 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	m := &meter{b: b, c: c, n: n}
	template, err := Template(Alias, Shape{})
	if err != nil {
		b.Fatal(err)
	}
	var t struct {
		Template struct {
			Settings struct {
				Index map[string]any `json:"index"`
			} `json:"settings"`
			Mappings json.RawMessage `json:"mappings"`
		} `json:"template"`
	}
	if err := json.Unmarshal(template, &t); err != nil {
		b.Fatal(err)
	}
	settings := t.Template.Settings.Index
	settings["refresh_interval"] = "-1"
	delete(settings, "auto_expand_replicas")
	settings["number_of_replicas"] = 0
	ls, e := manyListings(n), newEncoder(&facts{})
	whole := func(i int) (Op, error) { return e.op(&ls[i], Presence{}) }
	for range b.N {
		m.write(settings, t.Template.Mappings, whole) // so that the node has compiled what it runs
		first := m.write(clause{"refresh_interval": "-1", "number_of_replicas": 0}, bareMapping, func(i int) (Op, error) { return bareOp(&ls[i]), nil })
		ours := m.write(settings, t.Template.Mappings, whole)
		b.ReportMetric(m.disk(), "disk-B/listing")
		last := m.write(clause{"refresh_interval": "-1", "number_of_replicas": 0}, bareMapping, func(i int) (Op, error) { return bareOp(&ls[i]), nil })
		bare := 2 / (1/first.rate + 1/last.rate)
		b.ReportMetric(bare, "bare/s")
		b.ReportMetric(ours.rate, "listings/s")
		b.ReportMetric(ours.rate/bare, "of-bare")
		b.ReportMetric(ours.node, "node-µs/listing")
		b.ReportMetric((first.node+last.node)/2, "node-µs/bare")
		b.ReportMetric(0, "ns/op")
	}
	m.call("DELETE", "/"+benchIndex+"-1", nil, nil)
}

const benchIndex = "bench-listings"

// bareMapping is that of documents of six keywords.
var bareMapping = json.RawMessage(`{"properties":{"value":{"type":"keyword"},"kind":{"type":"keyword"},"feed":{"type":"keyword"},
	"provider":{"type":"keyword"},"type":{"type":"keyword"},"malware":{"type":"keyword"}}}`)

func bareOp(l *intel.Listing) Op {
	b := make([]byte, 0, 256)
	for _, m := range [][2]string{{`{"value":`, l.Canonical}, {`,"kind":`, l.Kind.String()}, {`,"feed":`, l.Feed}, {`,"provider":`, l.Provider}, {`,"type":`, l.ThreatType}, {`,"malware":`, l.Malware}} {
		b = appendText(append(b, m[0]...), m[1])
	}
	return Op{ID: DocumentID(intel.Indicator{Kind: l.Kind, Value: l.Canonical}, l.Feed), Source: append(b, '}')}
}

// meter measures the writing of n documents.
type meter struct {
	b *testing.B
	c *Client
	n int
}

// speed is documents a second, and what a document takes of the node's processors.
type speed struct{ rate, node float64 }

func (m *meter) call(method, path string, body []byte, out any) {
	m.b.Helper()
	path, args, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(args)
	if err != nil {
		m.b.Fatal(err)
	}
	if err := m.c.call(m.b.Context(), request{method: method, path: path, query: query, body: body}, out); err != nil && method != http.MethodDelete {
		m.b.Fatal(err)
	}
}

// write makes an index anew and writes the documents into it.
func (m *meter) write(settings map[string]any, mapping json.RawMessage, op func(i int) (Op, error)) speed {
	m.b.Helper()
	body, err := json.Marshal(clause{"settings": clause{"index": settings}, "mappings": mapping, "aliases": clause{benchIndex: clause{}}})
	if err != nil {
		m.b.Fatal(err)
	}
	m.call("DELETE", "/"+benchIndex+"-1", nil, nil)
	m.call("PUT", "/"+benchIndex+"-1", body, nil)
	before, start := m.processor(), time.Now()
	w := m.c.NewBulk(m.b.Context(), BulkOptions{Alias: benchIndex})
	for i := range m.n {
		o, err := op(i)
		if err == nil {
			err = w.Add(o)
		}
		if err != nil {
			m.b.Fatal(err)
		}
	}
	if st, err := w.Close(); err != nil || st.Written != m.n {
		m.b.Fatal(st, err)
	}
	took := time.Since(start)
	return speed{float64(m.n) / took.Seconds(), (m.processor() - before) / float64(m.n)}
}

// processor is the time that the node has taken of its processors, in microseconds,
// a second old at most.
func (m *meter) processor() float64 {
	var got struct {
		Nodes map[string]struct {
			Process struct {
				CPU struct {
					Millis float64 `json:"total_in_millis"`
				} `json:"cpu"`
			} `json:"process"`
		} `json:"nodes"`
	}
	m.call("GET", "/_nodes/stats/process", nil, &got)
	sum := 0.0
	for _, n := range got.Nodes {
		sum += n.Process.CPU.Millis
	}
	return sum * 1000
}

// disk merges the index and returns the bytes of a document.
func (m *meter) disk() float64 {
	for _, path := range []string{"_forcemerge?max_num_segments=1", "_flush", "_refresh"} {
		m.call("POST", "/"+benchIndex+"/"+path, nil, nil)
	}
	var stats struct {
		All struct {
			Primaries struct {
				Store struct {
					Size float64 `json:"size_in_bytes"`
				} `json:"store"`
			} `json:"primaries"`
		} `json:"_all"`
	}
	m.call("GET", "/"+benchIndex+"/_stats/store", nil, &stats)
	return stats.All.Primaries.Store.Size / float64(m.n)
}

// BenchmarkEncoder is the client's own share of that: making a document, beside the
// plain way of doing it.
func BenchmarkEncoder(b *testing.B) {
	ls := manyListings(99_999)
	e := newEncoder(&facts{})
	for name, f := range map[string]func(l *intel.Listing) (Op, error){
		"encoder": func(l *intel.Listing) (Op, error) { return e.op(l, Presence{}) },
		"plain":   func(l *intel.Listing) (Op, error) { return newDocument(l, Presence{}).op(l) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for i := range b.N {
				op, err := f(&ls[i%len(ls)])
				if err != nil {
					b.Fatal(err)
				}
				size += len(op.Source)
			}
			b.ReportMetric(float64(size)/float64(b.N), "B/document")
		})
	}
}
