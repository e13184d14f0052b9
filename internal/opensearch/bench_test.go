package opensearch

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
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
			l.Kind, l.Canonical = intel.IPv4, fmt.Sprintf("198.%d.%d.%d", 18+i>>16&1, i>>8&255, i&255)
			l.Context = intel.Fields{{Name: "asn", Values: []string{fmt.Sprint("AS", i%60000)}}, {Name: "country", Values: []string{"NL"}}}
		}
		l.Original = l.Canonical
	}
	return out
}

// BenchmarkRealIngest writes 200,000 listings into a real node: listings a second,
// made and acknowledged, and the bytes that each takes on disk after a merge.
func BenchmarkRealIngest(b *testing.B) {
	const n = 200_000
	s := opensearchtest.Shared(b, opensearchtest.V2)
	c, err := New(Options{URLs: s.URLs, CA: s.CA, User: s.User, Password: s.Password, Now: time.Now, Timeout: 5 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	call := func(method, path string, body []byte, out any) {
		path, args, _ := strings.Cut(path, "?")
		query, err := url.ParseQuery(args)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.call(b.Context(), request{method: method, path: path, query: query, body: body}, out); err != nil && method != http.MethodDelete {
			b.Fatal(err)
		}
	}
	template, err := Template(Alias, Shape{})
	if err != nil {
		b.Fatal(err)
	}
	const name = "bench-" + Alias
	call("PUT", "/_index_template/"+name, bytes.Replace(template, []byte(IndexPattern(Alias)), []byte(name+"-*"), 1), nil)
	ls := manyListings(n)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		call("DELETE", "/"+name+"-1", nil, nil)
		call("PUT", "/"+name+"-1", []byte(`{"aliases":{"`+name+`":{}}}`), nil)
		b.StartTimer()
		w := c.NewBulk(b.Context(), BulkOptions{Alias: name})
		for i := range ls {
			op, err := ListingOp(&ls[i], Presence{})
			if err == nil {
				err = w.Add(op)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if st, err := w.Close(); err != nil || st.Written != n {
			b.Fatal(st, err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "listings/s")
	call("POST", "/"+name+"/_forcemerge?max_num_segments=1", nil, nil)
	call("POST", "/"+name+"/_flush", nil, nil)
	var stats struct {
		All struct {
			Primaries struct {
				Store struct {
					Size float64 `json:"size_in_bytes"`
				} `json:"store"`
				Docs struct {
					Count float64 `json:"count"`
				} `json:"docs"`
			} `json:"primaries"`
		} `json:"_all"`
	}
	call("POST", "/"+name+"/_refresh", nil, nil)
	call("GET", "/"+name+"/_stats/store,docs", nil, &stats)
	b.ReportMetric(stats.All.Primaries.Store.Size/stats.All.Primaries.Docs.Count, "disk-B/listing")
	call("DELETE", "/"+name+"-1", nil, nil)
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
