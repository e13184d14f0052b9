package intel

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// benchValues is what feeds have a line of: canonical already, or nearly so.
var benchValues = []struct {
	name, value string
	kinds       KindSet
}{
	{"ipv4", "203.0.113.217", Networks},
	{"ipv6", "2001:db8:85a3::8a2e:370:7334", Networks},
	{"cidr", "198.51.100.0/24", Networks},
	{"ip-port", "203.0.113.217:8080", IPPort.Set()},
	{"domain", "login.secure-bank.example.com", Domain.Set()},
	{"domain-upper", "Login.Secure-Bank.Example.COM", Domain.Set()},
	{"domain-fanged", "login[.]secure-bank[.]example[.]com", Domain.Set()},
	{"domain-idn", "münchen-bank.example.com", Domain.Set()},
	{"url", "http://203.0.113.217:8080/bins/mirai.arm7?id=1", URL.Set()},
	{"url-odd", "http://Evil.example.com/a/../b c?x='y'#z", URL.Set()},
	{"url-fanged", "hxxp://evil[.]example[.]com/bins/mirai.arm7", URL.Set()},
	{"email", "billing@secure-bank.example.com", Email.Set()},
	{"md5", "d41d8cd98f00b204e9800998ecf8427e", Hashes},
	{"sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Hashes},
	{"auto-ipv4", "203.0.113.217", AnyKind},
	{"auto-domain", "login.secure-bank.example.com", AnyKind},
	{"refused", "not an indicator", AnyKind},
}

func BenchmarkParse(b *testing.B) {
	for _, v := range benchValues {
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(v.value)))
			for b.Loop() {
				_, _ = Parse(v.value, v.kinds)
			}
		})
	}
}

func BenchmarkReserved(b *testing.B) {
	for _, v := range []string{"203.0.113.217", "http://203.0.113.217/x", "http://evil.example.com/x", "198.51.100.0/24"} {
		i := must(b, v)
		b.Run(i.Kind.String()+"/"+strings.ReplaceAll(i.Host(), "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Reserved(i)
			}
		})
	}
}

func BenchmarkAsk(b *testing.B) {
	for _, v := range []string{"203.0.113.217", "login.secure-bank.example.com", "http://evil.example.com/x"} {
		i := must(b, v)
		b.Run(i.Kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Ask(i)
			}
		})
	}
}

// benchAnswer is an answer with three listings, as a look-up gives it.
func benchAnswer() *Answer {
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	l := Listing{Feed: "urlhaus", Provider: "abuse.ch", Relation: RelExact, Kind: URL, Canonical: "http://bad.example/x",
		Original: "hxxp://bad[.]example/x", Listed: true, Intervals: []Interval{{From: at}}, FirstSeen: at, LastSeen: at,
		Confidence: 90, TLP: "clear", Tags: []string{"elf", "mirai"}, Malware: "mirai", Reference: "https://urlhaus.abuse.ch/url/1/",
		Context: Fields{{"id", []string{"3145926"}}, {"reporter", []string{"somebody"}}, {"url_status", []string{"online"}}}}
	return &Answer{Value: "hxxp://bad[.]example/x", Kind: URL, Canonical: "http://bad.example/x", Found: true, Verdict: Malicious,
		Score: 83, Reasons: []Reason{{"URLhaus (reliability B, confidence 90) lists it since 2026-11-20", 71}}, Listings: []Listing{l, l, l}}
}

func BenchmarkAppendJSON(b *testing.B) {
	a := benchAnswer()
	buf := a.AppendJSON(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = a.AppendJSON(buf[:0])
	}
}

// BenchmarkEncodingJSON is what AppendJSON is measured against.
func BenchmarkEncodingJSON(b *testing.B) {
	m := mirror(benchAnswer())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(m); err != nil {
			b.Fatal(err)
		}
	}
}
