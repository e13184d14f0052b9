package fetch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// forbidden are destinations that a feed must not make this program connect
// to: addresses of every special block and the ways to hide them. The test's
// resolver takes each name for the address after it.
var forbidden = []struct{ host, resolvesTo string }{
	// IPv4, plain
	{"127.0.0.1", ""}, {"127.1.2.3", ""}, {"127.255.255.254", ""}, {"0.0.0.0", ""}, {"0.1.2.3", ""},
	{"10.0.0.1", ""}, {"10.255.255.255", ""}, {"172.16.0.1", ""}, {"172.31.255.255", ""}, {"192.168.1.1", ""},
	{"100.64.0.1", ""}, {"100.100.100.200", ""}, {"100.127.255.255", ""}, {"169.254.169.254", ""}, {"169.254.170.2", ""},
	{"192.0.0.1", ""}, {"192.0.0.192", ""}, {"198.18.0.1", ""}, {"198.19.255.255", ""}, {"192.88.99.1", ""},
	{"192.0.2.1", ""}, {"198.51.100.1", ""}, {"203.0.113.1", ""}, {"224.0.0.1", ""}, {"239.255.255.255", ""},
	{"240.0.0.1", ""}, {"255.255.255.255", ""}, {"168.63.129.16", ""}, {"192.31.196.1", ""}, {"192.52.193.1", ""}, {"192.175.48.1", ""},
	// IPv4, in other clothes
	{"2130706433", ""}, {"0x7f000001", ""}, {"0x7f.0.0.1", ""}, {"0177.0.0.1", ""}, {"017700000001", ""}, {"127.1", ""}, {"127.0.1", ""},
	{"0", ""}, {"127.0.0.1.", ""}, {"127.0.0.01", ""}, {"0xa9fea9fe", ""}, {"2852039166", ""}, {"169.254.43518", ""},
	{"①②⑦.⓪.⓪.①", ""}, {"１２７.０.０.１", ""}, {"127。0。0。1", ""},
	// IPv6
	{"[::]", ""}, {"[::1]", ""}, {"[::ffff:127.0.0.1]", ""}, {"[::ffff:a9fe:a9fe]", ""}, {"[::127.0.0.1]", ""}, {"[::a00:1]", ""},
	{"[64:ff9b::7f00:1]", ""}, {"[64:ff9b::10.0.0.1]", ""}, {"[64:ff9b:1::1]", ""}, {"[2002:7f00:1::1]", ""}, {"[2002:c0a8:101::]", ""},
	{"[2001::1]", ""}, {"[2001:0:4136:e378:8000:63bf:3fff:fdd2]", ""}, {"[fc00::1]", ""}, {"[fd00:ec2::254]", ""}, {"[fe80::1]", ""},
	{"[fe80::1%25eth0]", ""}, {"[::1%25lo]", ""}, {"[fec0::1]", ""}, {"[ff02::1]", ""}, {"[3fff::1]", ""}, {"[5f00::1]", ""},
	{"[100::1]", ""}, {"[100:0:0:1::1]", ""}, {"[2001:db8::1]", ""}, {"[2620:4f:8000::1]", ""}, {"[4000::1]", ""}, {"[2a00::5efe:10.0.0.1]", ""},
	// names
	{"localhost", "127.0.0.1"}, {"LOCALHOST", "127.0.0.1"}, {"localhost.", "::1"}, {"feed.localhost", "127.0.0.1"},
	{"metadata.google.internal", "169.254.169.254"}, {"instance-data", "169.254.169.254"}, {"metadata.azure.com", "168.63.129.16"},
	{"127.0.0.1.nip.test", "127.0.0.1"}, {"v6.test", "fd00::1"}, {"mapped.test", "::ffff:10.1.2.3"}, {"nat64.test", "64:ff9b::a9fe:a9fe"},
	{"xn--inside-test", "192.168.0.1"}, {"zoned.test", "fe80::1%eth0"},
	// who looks like somebody else
	{"feed.test@127.0.0.1", ""}, {"127.0.0.1#@feed.test", ""}, {"feed.test:80@169.254.169.254", ""},
	// ports of other services at a public address
	{"198.41.0.4:22", ""}, {"198.41.0.4:25", ""}, {"198.41.0.4:6379", ""}, {"198.41.0.4:9200", ""}, {"198.41.0.4:11211", ""}, {"198.41.0.4:2375", ""}, {"feed.test:0", ""},
}

// unusable are URLs that cannot even be asked.
var unusable = []string{
	"", "feed.test", "/etc/passwd", "file:///etc/passwd", "gopher://feed.test/_x", "ftp://feed.test/x", "data:text/plain,x", "unix:///run/docker.sock",
	"dict://feed.test:11211/stat", "ldap://feed.test", "jar:http://feed.test!/", "javascript:alert(1)", "http://", "http:///x", "http:feed.test",
	"http://[::1", "http://feed.test:port/", "http://feed.test\r\nHost: inside/", "http://feed\x00.test/", "http://fe ed.test/", "http://feed.test/a b\r\nX: y",
}

func forbiddenNames(t *testing.T) map[string][]netip.Addr {
	t.Helper()
	names := map[string][]netip.Addr{"feed.test": {publicIP}}
	for _, f := range forbidden {
		if f.resolvesTo != "" {
			names[f.host] = []netip.Addr{netip.MustParseAddr(f.resolvesTo)}
		}
	}
	return names
}

// TestSSRF asks for every forbidden destination in every way in which a feed
// can name one, and counts the connects.
func TestSSRF(t *testing.T) {
	n, s, h := newInternet(t, Options{})
	n.names = forbiddenNames(t)
	denied := 0
	for _, f := range forbidden {
		target := "http://" + f.host + "/latest/meta-data/"
		s.Redirect("/redirect", 302, target)
		for _, u := range []string{target, strings.Replace(target, "http:", "https:", 1), "http://feed.test/redirect"} {
			before := n.blocked()
			_, _, e := h.getPublic(t, u)
			if e == nil || e.Code != CodeBlocked && e.Code != CodeURL && e.Code != CodeRedirect && e.Code != CodeDNS || e.Attempts > 1 || n.blocked() != before {
				t.Errorf("%s to %s: %v, %d connects", u, f.host, e, n.blocked()-before)
				continue
			}
			denied++
		}
	}
	if denied < 3*70 {
		t.Errorf("%d destinations, want at least 210", denied)
	}
	for _, u := range unusable {
		_, _, e := h.getPublic(t, u)
		wantCode(t, u, e, CodeURL)
	}
	if bad := n.blocked(); bad != 0 {
		t.Errorf("%d connects to what is not public: %v", bad, n.connects)
	}
	s.SetString("/fine", "x")
	if _, body, e := h.getPublic(t, "http://feed.test/fine"); e != nil || body != "x" {
		t.Errorf("the public origin: %q %v", body, e)
	}
}

// getPublic fetches without exceptions to the guard.
func (h *harness) getPublic(t *testing.T, u string) (*Result, string, *Error) {
	t.Helper()
	return h.get(t, Request{URL: u, AllowNetworks: []netip.Prefix{}})
}

// TestLoopbackForReal: without the test's own network, a listener counts.
func TestLoopbackForReal(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", "x")
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0", "2130706433"} {
		if _, _, e := h.getPublic(t, "http://"+host+":"+port+"/a"); e == nil {
			t.Errorf("%s was fetched", host)
		}
	}
	if n := s.Hits("/a"); n != 0 {
		t.Errorf("%d requests", n)
	}
	if _, body, e := h.get(t, Request{URL: "http://localhost:" + port + "/a"}); e != nil || body != "x" {
		t.Errorf("allowed by the definition: %q %v", body, e)
	}
	if _, _, e := h.get(t, Request{URL: s.URL("/a"), AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}); e == nil || e.Code != CodeBlocked {
		t.Errorf("another network allowed: %v", e)
	}
}

func TestAllowNetworks(t *testing.T) {
	for allow, c := range map[string]struct{ yes, no string }{
		"10.1.0.0/16":            {"10.1.2.3:9200", "10.2.0.1:80"},
		"10.1.2.3/32":            {"10.1.2.3:22", "10.1.2.4:80"},
		"10.1.2.3/8":             {"10.200.0.1:80", "11.0.0.1:22"}, // host bits do not matter
		"::ffff:10.0.0.0/104":    {"10.0.0.1:80", "192.168.0.1:80"},
		"fd00:1::/32":            {"[fd00:1::1]:80", "[fd00:2::1]:80"},
		"127.0.0.0/8":            {"[::ffff:127.0.0.1]:80", "[::1]:80"},
		"fe80::/10":              {"[fe80::1%eth0]:80", "[fec0::1]:80"},
		"169.254.169.254/32":     {"169.254.169.254:80", "169.254.169.253:80"},
		"2001:db8:1:2::/64":      {"[2001:db8:1:2::9]:443", "[2001:db8:1:3::9]:443"},
		"::/0":                   {"[::1]:80", "127.0.0.1:80"}, // all of IPv6 is not IPv4
		"0.0.0.0/0":              {"127.0.0.1:80", "[::1]:80"},
		"::ffff:127.0.0.1/128":   {"127.0.0.1:8080", "127.0.0.2:8080"},
		"198.51.100.0/24":        {"198.51.100.1:80", "203.0.113.1:80"},
		"255.255.255.255/32":     {"255.255.255.255:80", "255.255.255.254:80"},
		"224.0.0.0/4":            {"224.0.0.1:80", "240.0.0.1:80"},
		"64:ff9b::10.0.0.0/104":  {"[64:ff9b::a00:1]:80", "10.0.0.1:80"},
		"2002:a00::/24":          {"[2002:a00:1::1]:80", "10.0.0.1:80"},
		"100.64.0.0/10":          {"100.100.100.200:80", "100.128.0.1:6379"},
		"::1/128":                {"[::1]:11211", "127.0.0.1:11211"},
		"172.16.0.0/12":          {"172.31.0.1:80", "172.32.0.1:25"},
		"192.168.0.0/16":         {"192.168.255.255:5432", "192.169.0.1:5432"},
		"fc00::/7":               {"[fdff::1]:80", "[fe00::1]:80"},
		"2001::/32":              {"[2001::1]:80", "[2001:1::1]:80"},
		"0.0.0.0/8":              {"0.0.0.0:80", "127.0.0.1:80"},
		"198.41.0.4/32":          {"198.41.0.4:22", "198.41.0.5:22"}, // a public one on any port
		"::ffff:192.168.1.0/120": {"192.168.1.7:80", "192.168.2.7:80"},
	} {
		g := newGuard([]netip.Prefix{netip.MustParsePrefix(allow)})
		yes, no := netip.MustParseAddrPort(c.yes), netip.MustParseAddrPort(c.no)
		if why := g.check(yes.Addr(), yes.Port()); why != "" {
			t.Errorf("%s does not allow %s: %s", allow, yes, why)
		}
		if why := g.check(no.Addr(), no.Port()); why == "" {
			t.Errorf("%s allows %s", allow, no)
		}
	}
	if g := newGuard([]netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.1"), 90)}); g.check(netip.MustParseAddr("10.0.0.1"), 80) == "" || g.check(netip.Addr{}, 80) == "" {
		t.Error("prefixes that are none allow something")
	}
}

// TestRebinding: a name that changes its answer at every look-up never leads inside.
func TestRebinding(t *testing.T) {
	n, s, h := newInternet(t, Options{Retries: 2})
	s.SetString("/a", "x")
	s.Redirect("/again", 302, "http://rebind.test/a")
	rng := rand.New(rand.NewPCG(1, 2))
	inside := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fd00::1")}
	h.opts.Resolver = lookup(func(_ context.Context, host string) ([]netip.Addr, error) {
		switch rng.IntN(4) {
		case 0:
			return []netip.Addr{publicIP}, nil
		case 1: // both, in either order
			both := []netip.Addr{publicIP, inside[rng.IntN(len(inside))]}
			rng.Shuffle(2, func(i, j int) { both[i], both[j] = both[j], both[i] })
			return both, nil
		default:
			return []netip.Addr{inside[rng.IntN(len(inside))]}, nil
		}
	})
	fetched, refused := 0, 0
	for i := range 1000 {
		u := "http://rebind.test/a"
		if i%2 == 1 {
			u = "http://rebind.test/again"
		}
		switch _, _, e := h.getPublic(t, u); {
		case e == nil:
			fetched++
		case e.Code == CodeBlocked:
			refused++
		default:
			t.Errorf("%v", e)
		}
	}
	if n.blocked() != 0 || fetched < 200 || refused < 200 {
		t.Errorf("%d fetched, %d refused, connected to inside %d times", fetched, refused, n.blocked())
	}
	for _, to := range n.connects {
		if to.Addr() != publicIP {
			t.Errorf("connected to %v, which no look-up gave as public", to)
		}
	}
}

// TestControl: the last check sees the socket's own address.
func TestControl(t *testing.T) {
	d := &dialer{guard: newGuard(nil)}
	for address, ok := range map[string]bool{"198.41.0.4:80": true, "127.0.0.1:80": false, "[::1]:80": false, "[fe80::1%eth0]:80": false, "198.41.0.4:25": false, "nonsense": false} {
		if err := d.control("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dialTCP(t.Context(), d.netDialer(), "tcp", netip.MustParseAddrPort(l.Addr().String()))
	if err == nil {
		conn.Close()
		t.Error("the real dialer connected to loopback")
	}
}

// TestReserved goes along the edges of every block.
func TestReserved(t *testing.T) {
	for _, table := range [][]special{specials4, specials6} {
		for _, s := range table {
			if s.prefix != s.prefix.Masked() {
				t.Errorf("%v has host bits", s.prefix)
			}
			for _, ip := range []netip.Addr{s.prefix.Addr(), last(s.prefix)} {
				if Reserved(ip) == "" {
					t.Errorf("%v of %v passes for public", ip, s.prefix)
				}
			}
		}
	}
	for _, ip := range []string{"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "2400::", "3ffe:ffff::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2a00::5efe:8.8.8.8"} {
		if why := Reserved(netip.MustParseAddr(ip)); why != "" {
			t.Errorf("%s: %s", ip, why)
		}
	}
	if Reserved(netip.Addr{}) == "" {
		t.Error("no address passes for public")
	}
	if why := Reserved(netip.MustParseAddr("fe80::1%eth0")); why != "link-local" {
		t.Errorf("with a zone: %q", why)
	}
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func TestNumericHosts(t *testing.T) {
	for host, want := range map[string]bool{"1": true, "1.2.3.4.5": true, "0x7f": true, "a.0X1F": true, "256.1.1.1": true, "1.2.3.": true,
		"feed.test": false, "0xfg": false, "a1": false, "1a.test": false, "": false, ".": false, "0x": true, "1.2.3.com": false} {
		if got := numericHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	_, _, e := newHarness(t, Options{}).getPublic(t, "http://2130706433/")
	wantCode(t, "a number for a host", e, CodeURL)
}

func ExampleReserved() {
	for _, ip := range []string{"10.1.2.3", "64:ff9b::7f00:1", "8.8.8.8"} {
		fmt.Printf("%s: %q\n", ip, Reserved(netip.MustParseAddr(ip)))
	}
	// Output:
	// 10.1.2.3: "private"
	// 64:ff9b::7f00:1: "NAT64 of an address that is loopback"
	// 8.8.8.8: ""
}
