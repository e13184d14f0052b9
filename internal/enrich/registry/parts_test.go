package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

func TestLeaveAlone(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "120", 2 * time.Minute}, {"Retry-After", " 1 ", time.Second}, {"Retry-After", "0", 0}, {"Retry-After", "-5", 0}, {"Retry-After", "soon", 0},
		{"Retry-After", "99999999999999999999", 0}, {"Retry-After", "9999999999", 7 * 24 * time.Hour}, {"Retry-After", "Fri, 02 Jan 2026 03:14:05 GMT", 10 * time.Minute},
		{"Retry-After", "Fri, 02 Jan 2026 03:04:00 GMT", 0}, {"Retry-After", "Sat, 02 Jan 2027 03:14:05 GMT", 7 * 24 * time.Hour},
		{"X-RateLimit-Remaining", "0", 0}, {"X-RateLimit-Reset", "60", 0},
	} {
		if got := leaveAlone(http.Header{http.CanonicalHeaderKey(c.name): {c.value}}, now); got != c.want {
			t.Errorf("%s: %s: %v, want %v", c.name, c.value, got, c.want)
		}
	}
	for _, c := range []struct {
		remaining, reset string
		want             time.Duration
	}{{"0", "60", time.Minute}, {"1", "60", 0}, {"0", "1767323105", time.Minute}, {"0", "1767000000", 0}, {"0", "x", 0}, {"0", "-1", 0}} {
		for _, prefix := range []string{"X-RateLimit-", "RateLimit-", "X-Rate-Limit-"} {
			h := http.Header{}
			h.Set(prefix+"Remaining", c.remaining)
			h.Set(prefix+"Reset", c.reset)
			if got := leaveAlone(h, now); got != c.want {
				t.Errorf("%s %+v: %v", prefix, c, got)
			}
		}
	}
}

func TestHostPort(t *testing.T) {
	for in, want := range map[string]string{
		"whois.example.net": "whois.example.net:43", "WHOIS.Example.Net.": "whois.example.net:43", "whois.example.net:4321": "whois.example.net:4321", "192.0.2.1": "192.0.2.1:43",
		"2001:db8::1": "[2001:db8::1]:43", "[2001:db8::1]:44": "[2001:db8::1]:44", "127.0.0.1:80": "127.0.0.1:80",
		"": "", "localhost": "", "a b.example": "", "https:": "", "x@whois.example": "", "whois.example:http": "", "whois.example:": "", "whois.example:123456": "", strings.Repeat("a.", 200) + "b": "",
	} {
		if got, ok := hostPort(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", in, got, ok, want)
		}
	}
}

func TestReferral(t *testing.T) {
	network, domain := enrich.Subject{Addr: netip.MustParseAddr("192.0.2.1")}, enrich.Subject{Domain: "shop.example"}
	for _, c := range []struct {
		text string
		of   enrich.Subject
		want string
	}{
		{"NetRange: 1\nReferralServer:  whois://whois.ripe.net\n", network, "whois.ripe.net:43"},
		{"ReferralServer: whois://whois.example.net:4321/\r\n", network, "whois.example.net:4321"},
		{"ReferralServer: rwhois://rwhois.example.net:4321\n", network, ""},
		{"ReferralServer: https://rdap.example.net/ip\n", network, ""},
		{"refer:        whois.apnic.net\n", network, "whois.apnic.net:43"},
		{"remarks: refer: whois.evil.example\n", network, ""},
		{"Registrar WHOIS Server: whois.registrar.example\n", network, ""},
		{"   Registrar WHOIS Server: whois.registrar.example\n", domain, "whois.registrar.example:43"},
		{"Whois Server: http://www.registrar.example\n", domain, ""},
		{"Registrar WHOIS Server:\nName Server: ns1.example\n", domain, ""},
		{"WHOIS Server: NIC .PE\n", domain, ""},
	} {
		if got := referral(c.text, c.of); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestQuestion: each server is asked in its own form, without persons where it has one.
func TestQuestion(t *testing.T) {
	known, err := readServers()
	if err != nil {
		t.Fatal(err)
	}
	w := &whois{forms: known.Forms}
	a, d, n := enrich.Subject{Addr: netip.MustParseAddr("192.0.2.1")}, enrich.Subject{Domain: "shop.example"}, enrich.Subject{ASN: 3333}
	for _, c := range []struct {
		server string
		of     enrich.Subject
		want   string
	}{
		{"whois.arin.net:43", a, "n + 192.0.2.1"}, {"whois.arin.net:43", n, "a + 3333"}, {"whois.ripe.net:43", a, "-r 192.0.2.1"}, {"whois.ripe.net:43", n, "-r AS3333"},
		{"whois.apnic.net:43", a, "-r 192.0.2.1"}, {"whois.afrinic.net:43", a, "-r 192.0.2.1"}, {"whois.lacnic.net:43", a, "192.0.2.1"}, {"whois.nic.ad.jp:43", a, "192.0.2.1/e"},
		{"whois.denic.de:43", d, "-T dn,ace shop.example"}, {"whois.verisign-grs.com:43", d, "domain shop.example"}, {"whois.jprs.jp:43", d, "shop.example/e"}, {"whois.nic.fr:43", d, "shop.example"},
		{"whois.example.net:43", n, "AS3333"},
	} {
		if got := w.question(c.server, c.of); got != c.want {
			t.Errorf("%s: %q, want %q", c.server, got, c.want)
		}
	}
}

// TestKnownServers: the rates that come with the program are usable, and those of
// who publishes a limit are below it.
func TestKnownServers(t *testing.T) {
	known, err := readServers()
	if err != nil {
		t.Fatal(err)
	}
	for host, r := range known.Rates {
		if err := r.check(); err != nil || r.PerMinute > 60 && host != "*dns" {
			t.Errorf("%s: %+v, %v", host, r, err)
		}
	}
	s := servers{rates: []map[string]Rate{nil, {"whois.ripe.net": {PerMinute: 1}}, known.Rates}}
	for address, want := range map[string]float64{"whois.ripe.net:43": 1, "whois.denic.de:43": 6, "whois.example.net:43": 20, "rdap.arin.net": 60, "whois.iana.org:43": 12} {
		kind := "*whois"
		if address == "rdap.arin.net" {
			kind = "*rdap"
		}
		if r := s.rate(address, kind); r.PerMinute != want {
			t.Errorf("%s: %+v, want %v", address, r, want)
		}
	}
}

func TestBlocks(t *testing.T) {
	a, six := enrich.Subject{Addr: netip.MustParseAddr("8.8.8.8")}, enrich.Subject{Addr: netip.MustParseAddr("2a00:1450::1")}
	for in, has := range map[string][]bool{
		"8.0.0.0 - 8.255.255.255": {true, false, false}, "2a00::/12": {false, true, false}, "15000-16000": {false, false, true}, "AS15169": nil, "9.0.0.0 - 8.0.0.0": {false, false, false},
		"8.0.0.0 - ::1": nil, "8.0.0.0": nil, "": nil, "as15169 - as15169": {false, false, true}, "0.0.0.0/0": {true, false, false},
	} {
		b, ok := readBlock(in)
		if ok != (has != nil) {
			t.Errorf("%q: %+v, %t", in, b, ok)
			continue
		}
		for i, s := range []enrich.Subject{a, six, {ASN: 15169}} {
			if ok && b.has(s) != has[i] {
				t.Errorf("%q has %+v: %t", in, s, !has[i])
			}
		}
	}
}

// TestEmbeddedBootstrap: the copies in the program know all registries of addresses.
func TestEmbeddedBootstrap(t *testing.T) {
	b, err := newBootstrap(&Registry{})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{"8.8.8.8": "rdap.arin.net", "1.1.1.1": "rdap.apnic.net", "193.0.6.139": "rdap.db.ripe.net", "41.0.0.1": "rdap.afrinic.net", "200.57.141.161": "rdap.lacnic.net",
		"2001:4860:4860::8888": "rdap.arin.net", "2a00:1450::1": "rdap.db.ripe.net", "2001:43f8:7b0::": "rdap.afrinic.net", "2801:10:c000::": "rdap.lacnic.net", "2001:240::1": "rdap.apnic.net"} {
		name := "ipv4"
		if strings.Contains(a, ":") {
			name = "ipv6"
		}
		if got := b.files[name].table.network(netip.MustParseAddr(a)); !strings.HasPrefix(got, "https://"+want+"/") || !strings.HasSuffix(got, "/") {
			t.Errorf("%s: %q, want %s", a, got, want)
		}
	}
	if got := b.files["asn"].table.system(3333); got != "https://rdap.db.ripe.net/" {
		t.Errorf("AS3333: %q", got)
	}
	dns := b.files["dns"].table
	if dns.name("example.com") != "https://rdap.verisign.com/com/v1/" || dns.name("example.cz") != "https://rdap.nic.cz/" || dns.name("example.test") != "" {
		t.Error(dns.names)
	}
}

func TestReadBootstrap(t *testing.T) {
	for in, ok := range map[string]bool{
		`{"version":"1.0","services":[[["com"],["https://a.example/"]]]}`:                            true,
		`{"version":"1.0","services":[[["com"],["ftp://a.example/","https://u:p@a.example/","x"]]]}`: false,
		`{"version":"2.0","services":[[["com"],["https://a.example/"]]]}`:                            false,
		`{"version":"1.0","services":[]}`:                                                            false,
		`{"version":"1.0","services":[[["com"]],[[],[],[]]]}`:                                        false,
		`<html>`: false,
		`{"version":"1.0","services":[[["x"],["http://a.example"]],[["10.0.0.0/8","5-1"],["https://b.example"]]]}`: true,
	} {
		if tab, err := readBootstrap([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: %+v, %v", in, tab, err)
		}
	}
	if got := bases([]string{"http://a.example", "https://b.example/x"}); !slices.Equal(got, []string{"https://b.example/x/", "http://a.example/"}) {
		t.Errorf("%q", got)
	}
}

func TestFollow(t *testing.T) {
	for _, c := range [][3]string{
		{"https://a.example/ip/1", "https://b.example/ip/1", "https://b.example/ip/1"}, {"https://a.example/ip/1", "/ip/2", "https://a.example/ip/2"},
		{"https://a.example/ip/1", "http://b.example/ip/1", ""}, {"http://a.example/ip/1", "https://u:p@b.example/ip/1#x", "https://b.example/ip/1"},
		{"https://a.example/", "", ""}, {"https://a.example/", "file:///etc/passwd", ""}, {"https://a.example/", "%zz", ""}, {"https://a.example/", "https://b.example/" + strings.Repeat("x", 2000), ""},
	} {
		if got := follow(c[0], c[1]); got != c[2] {
			t.Errorf("%q to %.60q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestReadEndpoints(t *testing.T) {
	for in, ok := range map[string]bool{
		`{}`: true, `{"bootstrap":"http://127.0.0.2:1/x","whois":"127.0.0.2:43","cymru":"whois.example","dns":"127.0.0.2:53","allow_networks":["127.0.0.2/32"],"rates":{"127.0.0.2:43":{"per_minute":5}}}`: true,
		`{"bootstrap":"ftp://x"}`: false, `{"whois":"a b"}`: false, `{"dns":"127.0.0.2"}`: false, `{"who":"x"}`: false, `{"rates":{"x":{"per_minute":0}}}`: false, `{"lookups":{"x":"y"}}`: false,
		`{"whois_servers":{"a":"b"}}`: false, `[]`: false, ``: false, `{"allow_networks":["x"]}`: false,
	} {
		if e, err := ReadEndpoints([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: %+v, %v", in, e, err)
		}
	}
}

func TestFits(t *testing.T) {
	a, six := enrich.Subject{Addr: netip.MustParseAddr("8.8.8.8")}, enrich.Subject{Addr: netip.MustParseAddr("2a00:1450::1")}
	net := func(c ...string) *enrich.Record { return &enrich.Record{Network: &enrich.Network{CIDR: c}} }
	for _, c := range []struct {
		of   enrich.Subject
		rec  *enrich.Record
		want string
	}{
		{a, net("8.8.8.0/24"), ""}, {a, net("8.8.0.0/24", "8.8.8.0/25"), ""}, {a, net("8.8.4.0/24"), Unreadable}, {a, net("8.0.0.0/8"), ""}, {a, net("8.0.0.0/7"), Unassigned}, {a, net("0.0.0.0/0"), Unassigned},
		{a, net(), Unreadable}, {a, net("x"), Unreadable}, {six, net("2a00::/12"), Unassigned}, {six, net("2a00:1450::/32"), ""}, {six, net("::/0"), Unassigned},
		{a, &enrich.Record{Domain: &enrich.Domain{Name: "a.example"}}, Unreadable}, {enrich.Subject{Domain: "a.example"}, &enrich.Record{Domain: &enrich.Domain{Name: "a.example"}}, ""},
		{enrich.Subject{Domain: "a.example"}, &enrich.Record{Domain: &enrich.Domain{Name: "example"}}, Unreadable}, {enrich.Subject{Domain: "a.example"}, net("8.8.8.0/24"), Unreadable},
		{enrich.Subject{ASN: 5}, &enrich.Record{Network: &enrich.Network{ASN: 5}}, ""}, {enrich.Subject{ASN: 5}, &enrich.Record{Network: &enrich.Network{ASN: 6}}, Unreadable}, {enrich.Subject{ASN: 5}, net("8.8.8.0/24"), Unreadable},
	} {
		if got := fits(c.of, c.rec); got != c.want {
			t.Errorf("%+v, %+v: %q, want %q", c.of, c.rec, got, c.want)
		}
	}
}

// FuzzOriginRow: no row gives more than a prefix around the address and short text.
func FuzzOriginRow(f *testing.F) {
	f.Add("15169   | 8.8.8.8          | 8.8.8.0/24          | US | arin     | 2023-12-28 | GOOGLE - Google LLC, US")
	f.Add("NA      | 9.9.9.9          | NA                  |    | other    |            | NA")
	f.Add("13335 38803 | 1.1.1.1 | 1.1.1.0/24 | AU | apnic | 2011-08-11 | CLOUDFLARENET, US")
	f.Add("1|8.8.8.8|0.0.0.0/0|||||||")
	r := &Registry{cfg: Config{Now: time.Now}}
	f.Fuzz(func(t *testing.T, line string) {
		a, got, ok := r.originRow(line)
		if !ok || got.Negative != "" {
			return
		}
		p := netip.MustParsePrefix(got.Network.CIDR[0])
		if !p.Contains(a) || p.Bits() < enrich.HolderBits(a) || got.Network.ASN == 0 || len(got.ASName) > 256 || strings.ContainsAny(got.ASName, " \n\x00") {
			t.Errorf("%q: %+v %+v", line, got, got.Network)
		}
	})
}

// FuzzReport: a report has bounded fields, and only of an answer about the address.
func FuzzReport(f *testing.F) {
	var defs map[string]lookupDef
	raw, err := data.ReadFile("data/lookups.json")
	if err != nil || json.Unmarshal(raw, &defs) != nil {
		f.Fatal(err)
	}
	f.Add(`{"ip":"8.8.8.8","ports":[53,443],"tags":["x"],"vulns":[],"cpes":null,"hostnames":["dns.google"]}`, "internetdb")
	f.Add(`{"data":{"ipAddress":"8.8.8.8","abuseConfidenceScore":1e300,"isTor":true}}`, "abuseipdb")
	f.Add(`{"ip":["8.8.8.8"],"noise":{"a":[[[]]]}}`, "greynoise")
	f.Fuzz(func(t *testing.T, body, name string) {
		report, ok := defs[name].read([]byte(body), enrich.Subject{Addr: netip.MustParseAddr("8.8.8.8")})
		if !ok {
			return
		}
		if !strings.Contains(body, "8") {
			t.Errorf("%q is about another address", body)
		}
		for _, field := range report {
			if len(field.Values) > maxValues {
				t.Errorf("%d values", len(field.Values))
			}
			for _, v := range field.Values {
				if len(v) > 400 || strings.ContainsAny(v, "\n\x00\x1b") {
					t.Errorf("%q", v)
				}
			}
		}
	})
}

// TestServersAreForgotten: hosts that others make up fill no memory, and a server
// that is to be left alone is not forgotten for them.
func TestServersAreForgotten(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := servers{now: func() time.Time { return now }, rand: func() float64 { return 0 }, all: map[string]*server{}}
	ask := func(host string, e ending, after time.Duration) {
		srv := s.get(host, "*whois")
		if err := srv.enter(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		srv.leave(e, after)
	}
	ask("kept.example:43", refusal, 48*time.Hour)
	kept := s.all["kept.example:43"]
	for i := range 3 * maxServers {
		ask(fmt.Sprintf("h%d.example:43", i), []ending{served, failure}[i%2], 0)
		now = now.Add(4 * time.Second)
	}
	if len(s.all) > maxServers || s.all["kept.example:43"] != kept {
		t.Errorf("%d servers, kept %t", len(s.all), s.all["kept.example:43"] == kept)
	}
}
