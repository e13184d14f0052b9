package intel

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// must parses a value of any kind.
func must(t testing.TB, s string) Indicator {
	t.Helper()
	i, err := Detect(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAsk(t *testing.T) {
	for _, c := range []struct {
		value, keys, covers, inside string
	}{
		{"192.0.2.1", "exact ipv4 192.0.2.1", "192.0.2.1/32", "192.0.2.1/32"},
		{"2001:db8::1", "exact ipv6 2001:db8::1", "2001:db8::1/128", "2001:db8::1/128"},
		{"192.0.2.0/24", "exact cidr 192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/24"},
		{"192.0.2.1:443", "exact ip-port 192.0.2.1:443, host ipv4 192.0.2.1", "192.0.2.1/32", ""},
		{"[2001:db8::1]:443", "exact ip-port [2001:db8::1]:443, host ipv6 2001:db8::1", "2001:db8::1/128", ""},
		{"a.b.evil.co.uk", "exact domain a.b.evil.co.uk, parent domain b.evil.co.uk, parent domain evil.co.uk", "", ""},
		{"evil.github.io", "exact domain evil.github.io", "", ""},
		{"http://www.evil.example:8080/x", "exact url http://www.evil.example:8080/x, host domain www.evil.example, parent domain evil.example", "", ""},
		{"http://evil.example./x", "exact url http://evil.example./x, host domain evil.example", "", ""},
		{"http://u:p@192.0.2.1:8080/x", "exact url http://u:p@192.0.2.1:8080/x, host ipv4 192.0.2.1", "192.0.2.1/32", ""},
		{"http://[2001:db8::1]:8080/x", "exact url http://[2001:db8::1]:8080/x, host ipv6 2001:db8::1", "2001:db8::1/128", ""},
		{"http://[::ffff:192.0.2.1]/", "exact url http://[::ffff:c000:201]/, host ipv4 192.0.2.1", "192.0.2.1/32", ""},
		{"tcp://192.0.2.1:443", "exact url tcp://192.0.2.1:443, host ipv4 192.0.2.1", "192.0.2.1/32", ""},
		{"ssh://WWW.Evil.Example", "exact url ssh://WWW.Evil.Example, host domain www.evil.example, parent domain evil.example", "", ""},
		{"http://./", "exact url http://./", "", ""},
		{"a@mail.evil.example", "exact email a@mail.evil.example", "", ""},
		{"d41d8cd98f00b204e9800998ecf8427e", "exact md5 d41d8cd98f00b204e9800998ecf8427e", "", ""},
	} {
		i := must(t, c.value)
		q := Ask(i)
		var keys []string
		for _, k := range q.Keys {
			keys = append(keys, string(k.Relation)+" "+k.Kind.String()+" "+k.Value)
		}
		if got := strings.Join(keys, ", "); got != c.keys || q.Indicator != i {
			t.Errorf("Ask(%s) looks up %s, want %s", c.value, got, c.keys)
		}
		for _, p := range []struct {
			got  netip.Prefix
			want string
		}{{q.Covers, c.covers}, {q.Inside, c.inside}} {
			if p.got.IsValid() != (p.want != "") || p.want != "" && p.got.String() != p.want {
				t.Errorf("Ask(%s): prefix %v, want %q", c.value, p.got, p.want)
			}
		}
	}
}

func TestParents(t *testing.T) {
	for domain, want := range map[string]string{
		"evil.example":              "",
		"www.evil.example":          "evil.example",
		"a.b.c.evil.com":            "b.c.evil.com c.evil.com evil.com",
		"evil.co.uk":                "",
		"www.evil.co.uk":            "evil.co.uk",
		"co.uk":                     "",
		"com":                       "",
		"evil.github.io":            "", // a private suffix: neighbours there are strangers
		"a.evil.github.io":          "evil.github.io",
		"x.bucket.s3.amazonaws.com": "bucket.s3.amazonaws.com", // and nothing above the suffix
		"a.evil.xn--p1ai":           "evil.xn--p1ai",
		"a.b.www.ck":                "b.www.ck www.ck", // an exception to *.ck
		"localhost":                 "",
		"a.b.notatld":               "b.notatld",
	} {
		got := Parents(domain)
		if strings.Join(got, " ") != want {
			t.Errorf("Parents(%s) = %v, want %s", domain, got, want)
		}
	}
}

func TestReserved(t *testing.T) {
	for value, want := range map[string]string{
		"0.1.2.3":                          "this network",
		"10.255.255.255":                   "private",
		"11.0.0.0":                         "",
		"100.63.255.255":                   "",
		"100.64.0.1":                       "carriers",
		"100.128.0.0":                      "",
		"127.0.0.1":                        "loopback",
		"169.254.169.254":                  "link-local",
		"172.15.255.255":                   "",
		"172.16.0.1":                       "private",
		"172.31.255.255":                   "private",
		"172.32.0.0":                       "",
		"192.168.1.1":                      "private",
		"192.0.2.1":                        "", // documentation networks are kept
		"198.51.100.1":                     "",
		"203.0.113.1":                      "",
		"198.18.0.1":                       "",
		"223.255.255.255":                  "",
		"224.0.0.1":                        "multicast",
		"239.255.255.255":                  "multicast",
		"240.0.0.1":                        "future use",
		"255.255.255.255":                  "future use",
		"8.8.8.8":                          "",
		"::":                               "unspecified",
		"::1":                              "loopback",
		"::2":                              "",
		"fc00::1":                          "unique local",
		"fdff::1":                          "unique local",
		"fe80::1":                          "link-local",
		"fec0::1":                          "site-local",
		"ff02::1":                          "multicast",
		"2001:db8::1":                      "",
		"2606:4700::1":                     "",
		"::ffff:10.0.0.1":                  "private",
		"10.0.0.0/8":                       "private",
		"10.1.0.0/16":                      "private",
		"10.0.0.0/7":                       "",
		"8.0.0.0/5":                        "", // holds 10.0.0.0/8 and more
		"224.0.0.0/4":                      "multicast",
		"224.0.0.0/3":                      "multicast (224.0.0.0/4) and reserved for future use (240.0.0.0/4)",
		"192.0.0.0/2":                      "",
		"128.0.0.0/1":                      "",
		"192.0.2.0/24":                     "",
		"fc00::/7":                         "unique local",
		"fe80::/9":                         "link-local (fe80::/10) and site-local",
		"fe00::/7":                         "",
		"::/127":                           "unspecified (::) and loopback",
		"::/126":                           "",
		"10.0.0.1:80":                      "private",
		"[::1]:80":                         "loopback",
		"8.8.8.8:53":                       "",
		"http://127.1/":                    "loopback",
		"http://[::ffff:a00:1]":            "private",
		"http://u@[fe80::1]:8/":            "link-local",
		"http://localhost:80/":             "localhost",
		"http://localhost./":               "localhost",
		"http://8.8.8.8/":                  "",
		"http://evil.example/":             "",
		"tcp://10.0.0.1:4444":              "private",
		"localhost":                        "localhost",
		"a.localhost":                      "localhost",
		"printer.local":                    ".local",
		"local.example":                    "",
		"notlocal.com":                     "",
		"evil.example":                     "",
		"example.com":                      "",
		"a@printer.local":                  ".local",
		"a@evil.example":                   "",
		"d41d8cd98f00b204e9800998ecf8427e": "",
	} {
		got := Reserved(must(t, value))
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("Reserved(%s) = %q, want %q", value, got, want)
		}
	}
}

// TestReservedPrefixCounts compares networks with all their addresses.
func TestReservedPrefixCounts(t *testing.T) {
	for _, s := range []string{"172.16.0.0/11", "172.16.0.0/12", "100.64.0.0/9", "169.254.0.0/15", "192.168.0.0/15", "0.0.0.0/7", "223.0.0.0/8", "224.0.0.0/3"} {
		p := netip.MustParsePrefix(s)
		all := true
		step := netip.PrefixFrom(p.Addr(), 24) // no reserved network is smaller
		for p.Contains(step.Addr()) && step.Addr().IsValid() && all {
			all = reservedAddr(step.Addr()) != ""
			b := step.Addr().As4()
			n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8
			if n += 256; n == 0 {
				break
			}
			step = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), 0}), 24)
		}
		if got := reservedPrefix(p) != ""; got != all {
			t.Errorf("%s: reserved %v, its addresses %v", s, got, all)
		}
	}
}

func TestIndicatorParts(t *testing.T) {
	for _, c := range []struct{ value, host, addr, prefix string }{
		{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1/32"},
		{"2001:db8::1", "2001:db8::1", "2001:db8::1", "2001:db8::1/128"},
		{"192.0.2.0/24", "", "", "192.0.2.0/24"},
		{"192.0.2.1:80", "192.0.2.1", "192.0.2.1", ""},
		{"[2001:db8::1]:80", "2001:db8::1", "2001:db8::1", ""},
		{"a.example", "a.example", "", ""},
		{"1.2.3.example", "1.2.3.example", "", ""},
		{"a@b.example", "b.example", "", ""},
		{"http://b.example?x", "b.example", "", ""},
		{"http://a:b@b.example:8080/c@d", "b.example", "", ""},
		{"http://intranet/", "intranet", "", ""},
		{"ssh://[2001:db8::1]:22", "2001:db8::1", "2001:db8::1", ""},
		{"d41d8cd98f00b204e9800998ecf8427e", "", "", ""},
	} {
		i := must(t, c.value)
		if got := i.Host(); got != c.host {
			t.Errorf("%s: host %q, want %q", c.value, got, c.host)
		}
		if a, ok := i.Addr(); ok != (c.addr != "") || ok && a.String() != c.addr {
			t.Errorf("%s: address %v %v, want %q", c.value, a, ok, c.addr)
		}
		if p, ok := i.Prefix(); ok != (c.prefix != "") || ok && p.String() != c.prefix {
			t.Errorf("%s: prefix %v %v, want %q", c.value, p, ok, c.prefix)
		}
	}
}

func TestFields(t *testing.T) {
	var f Fields
	f.Add("b", "2")
	f.Add("a", "1")
	f.Add("b", "1")
	f.Add("b", "2")
	f.Add("", "x")
	f.Add("c", "")
	f.Merge(Fields{{"a", []string{"0", "1"}}, {"d", []string{"9"}}})
	if got, want := encode(t, f), `{"a":["0","1"],"b":["1","2"],"d":"9"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if f.First("a") != "0" || f.First("x") != "" || !slices.Equal(f.Get("b"), []string{"1", "2"}) || f.Get("x") != nil {
		t.Errorf("wrong values in %v", f)
	}
}

func TestRegistrable(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.com": "example.com", "example.com": "example.com", "com": "", "co.uk": "", "a.b.example.co.uk": "example.co.uk",
		"a.github.io": "github.io", "github.io": "github.io", "bucket.s3.amazonaws.com": "amazonaws.com", "x.y.unknowntld": "y.unknowntld", "unknowntld": "", "": "",
	} {
		if got := Registrable(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// TestLastAddr: the one after it, if any, is the first that the network does not have.
func TestLastAddr(t *testing.T) {
	for _, s := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/8", "10.1.2.0/31", "10.1.2.3/32", "::/0", "2001:db8::/32", "2001:db8::/127", "2001:db8::1/128"} {
		p := netip.MustParsePrefix(s)
		last := LastAddr(p)
		if next := last.Next(); !p.Contains(last) || next.IsValid() && p.Contains(next) {
			t.Errorf("%s: %s", s, last)
		}
	}
}
