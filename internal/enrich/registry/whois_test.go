package registry_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// asked returns the subjects that a server was asked about.
func asked(w *registrytest.World, server string) []string {
	var all []string
	for _, q := range w.Queries() {
		if q.Server == server {
			all = append(all, q.Subject)
		}
	}
	return all
}

func TestWhois(t *testing.T) {
	w := registrytest.Start(t)
	w.Behave()
	w.Unserved = true
	r := open(t, w)
	for range 2 { // the second time the root is not asked
		f := one(t, r, addr("81.2.69.142"))
		if n := f.Network; n == nil || f.Source != "whois" || !slices.Equal(n.CIDR, []string{"81.2.64.0/20"}) || n.Org != "Holder of 81.2.64.0/20" || n.Abuse != "abuse@holder.example" || n.Registry != "ripencc" {
			t.Errorf("%+v %+v", f, n)
		}
	}
	if f := one(t, r, addr("2a00:1450:4001::1")); f.Network == nil || !slices.Equal(f.Network.CIDR, []string{"2a00:1450::/32"}) {
		t.Errorf("%+v", f)
	}
	if f := one(t, r, enrich.Subject{ASN: 3333}); f.Network == nil || f.Network.ASN != 3333 || f.ASName != "SYSTEM-3333" {
		t.Errorf("%+v", f)
	}
	f := one(t, r, enrich.Subject{Domain: "shop.example"})
	if d := f.Domain; d == nil || d.Registrar != "Example Registrar" || d.Expires != "2029-01-02T03:04:05Z" || !slices.Equal(d.NameServers, []string{"ns1.shop.example", "ns2.shop.example"}) {
		t.Errorf("%+v %+v", f, d)
	}
	if f := one(t, r, enrich.Subject{Domain: "free.example"}); f.Negative != registry.Unregistered {
		t.Errorf("%+v", f)
	}
	if f := one(t, r, enrich.Subject{Domain: "shop.nowhois"}); f.Negative != registry.Unserved {
		t.Errorf("%+v", f)
	}
	if got, want := asked(w, registrytest.WhoisRoot), []string{"81.2.69.142", "2a00:1450:4001::1", "AS3333", "example", "nowhois"}; !slices.Equal(got, want) {
		t.Errorf("the root was asked %q, want %q", got, want)
	}
	if n := w.Count(registrytest.WhoisNames); n != 0 {
		t.Errorf("the registrar was asked %d times for what the registry said", n)
	}
}

// TestRegistrar: a registrar is asked for what the registry leaves out.
func TestRegistrar(t *testing.T) {
	w := registrytest.Start(t)
	w.Behave()
	w.Unserved, w.Thin = true, true
	r := open(t, w)
	f := one(t, r, enrich.Subject{Domain: "shop.example"})
	if d := f.Domain; d == nil || d.Created != "2019-01-02T03:04:05Z" || d.Updated != "2024-01-02T03:04:05Z" || w.Count(registrytest.WhoisNames) != 1 {
		t.Errorf("%+v %+v, registrar asked %d times", f, d, w.Count(registrytest.WhoisNames))
	}
}

// TestWhoisFaults: as TestRDAPFaults, of port 43.
func TestWhoisFaults(t *testing.T) {
	for fault, want := range map[registrytest.Fault]struct {
		negative string
		root     int // queries to the root and
		queries  int // to the registry, where only that misbehaves
	}{
		registrytest.TooMany:   {registry.Refused, 1, 1},
		registrytest.Slow:      {registry.Unreachable, 1, 3},
		registrytest.Wrong:     {registry.Unreadable, 1, 1},
		registrytest.Huge:      {registry.Unreadable, 1, 1},
		registrytest.Malformed: {registry.Unreadable, 1, 1},
		registrytest.Page:      {registry.Unreadable, 1, 1},
		registrytest.Loop:      {registry.Unreadable, 1, 1},
		registrytest.Inward:    {registry.Unreadable, 1, 1},
		registrytest.Reset:     {registry.Unreachable, 1, 3},
		registrytest.Empty:     {registry.Unreachable, 1, 3},
		registrytest.Charset:   {"", 1, 1},
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := registrytest.Memory(t)
				w.Behave()
				w.Unserved = true
				r := open(t, w)
				one(t, r, addr("81.2.69.142")) // so that the root is known
				w.Misbehave(1, fault)
				f := one(t, r, addr("81.3.69.142"))
				if f.Negative != want.negative {
					t.Errorf("%q, want %q: %+v", f.Negative, want.negative, f)
				}
				if root, n := w.Count(registrytest.WhoisRoot), w.Count(registrytest.Whois)-1; root != want.root || n != want.queries {
					t.Errorf("%d and %d queries, want %d and %d", root, n, want.root, want.queries)
				}
				if fault == registrytest.Charset && f.Network != nil && f.Network.Org != "Holder ü of 81.3.64.0/20" {
					t.Errorf("%q", f.Network.Org)
				}
				r.Close()
			})
		})
	}
}

// TestFallsBack: where RDAP has no answer whois is asked, and where neither has, the
// finding says why RDAP has none.
func TestFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Misbehave(2, registrytest.Page) // the second query to each server
		r := open(t, w)
		if f := one(t, r, addr("81.2.69.142")); f.Source != "rdap" || f.Network == nil {
			t.Errorf("%+v", f)
		}
		if f := one(t, r, addr("81.3.69.142")); f.Source != "whois" || f.Network == nil {
			t.Errorf("%+v", f)
		}
		w.Misbehave(1, registrytest.Page)
		if f := one(t, r, addr("81.4.69.142")); f.Source != "rdap" || f.Negative != registry.Unreadable {
			t.Errorf("%+v", f)
		}
		r.Close()
	})
}

// TestPersons: no finding has any of the persons that every answer here has.
func TestPersons(t *testing.T) {
	for _, unserved := range []bool{false, true} {
		w := registrytest.Start(t)
		w.Behave()
		w.Unserved, w.Thin = unserved, true
		r := open(t, w, func(c *registry.Config) { c.Reverse = true })
		for _, s := range []enrich.Subject{addr("81.2.69.142"), {Domain: "shop.example"}, {ASN: 3333}} {
			found := r.Ask(t.Context(), s)
			text := strings.ToLower(show(t, found))
			if len(found) == 0 || found[0].Negative != "" || strings.Contains(text, "jane") || strings.Contains(text, "road") {
				t.Errorf("%s", text)
			}
		}
	}
}

func TestOrigins(t *testing.T) {
	for name, n := range map[string]int{"by dns": 12, "in bulk": 6000} {
		t.Run(name, func(t *testing.T) {
			w := registrytest.Start(t)
			w.Behave()
			r := open(t, w)
			var addrs []netip.Addr
			for i := range n - 3 {
				addrs = append(addrs, netip.AddrFrom4([4]byte{81, byte(i >> 8), byte(i), 1}))
			}
			addrs = append(addrs, netip.MustParseAddr("2a00:1450:4001::1"), netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("10.0.0.1"))
			addrs[0] = netip.AddrFrom16(addrs[0].As16()) // written as IPv6, which is the caller's
			found, err := r.Origins(t.Context(), addrs)
			if !addrs[0].Is4In6() {
				t.Error("the caller's addresses were changed")
			}
			addrs[0] = addrs[0].Unmap()
			if err != nil || len(found) != n {
				t.Fatalf("%d findings, %v", len(found), err)
			}
			for i, f := range found {
				if f.Subject.Addr != addrs[i] || f.Source != "cymru" {
					t.Fatalf("%d: %+v", i, f)
				}
				switch {
				case i == n-2 && f.Negative != registry.Unannounced, i == n-1 && f.Negative != registry.Private:
					t.Errorf("%+v", f)
				case i < n-2 && (f.Network == nil || f.Network.CIDR[0] != w.NetworkOf(addrs[i]).String() || f.Network.ASN != w.ASNOf(addrs[i]) || f.Network.Registry != "ripencc" ||
					f.Network.Country != "NL" || f.Network.Allocated != "2011-02-03T00:00:00Z" || !strings.HasPrefix(f.ASName, "SYSTEM-") || strings.Contains(f.ASName, " ")):
					t.Fatalf("%+v %+v", f, f.Network)
				}
			}
			if bulk := asked(w, registrytest.Cymru); name == "in bulk" && !slices.Equal(bulk, []string{"5000", "999"}) || name != "in bulk" && len(bulk) != 0 {
				t.Errorf("bulk queries of %q", bulk)
			}
		})
	}
}

func TestOriginsFaults(t *testing.T) {
	for fault, want := range map[registrytest.Fault]string{
		registrytest.TooMany: registry.Refused, registrytest.Slow: registry.Unreachable, registrytest.Wrong: registry.Unreadable, registrytest.Huge: registry.Unreadable,
		registrytest.Malformed: registry.Unreadable, registrytest.Page: registry.Unreadable, registrytest.Reset: registry.Unreachable, registrytest.Empty: registry.Unreachable,
		registrytest.Charset: "",
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := registrytest.Memory(t)
				w.Misbehave(1, fault)
				r := open(t, w)
				var addrs []netip.Addr
				for i := range 100 {
					addrs = append(addrs, netip.AddrFrom4([4]byte{81, byte(i), 1, 1}))
				}
				found, err := r.Origins(t.Context(), addrs)
				if err != nil || len(found) != 100 {
					t.Fatalf("%d findings, %v", len(found), err)
				}
				for _, f := range found {
					if f.Negative != want || want != "" && !f.Retry.After(f.Fetched) {
						t.Fatalf("%+v, want %q", f, want)
					}
				}
				r.Close()
			})
		})
	}
}

// TestExtras: names by reverse DNS and reports of services, where they are switched on.
func TestExtras(t *testing.T) {
	w := registrytest.Start(t)
	w.Behave()
	keys := map[string]string{"GREYNOISE_KEY": registrytest.Key, "ABUSEIPDB_KEY": registrytest.Key}
	r := open(t, w, func(c *registry.Config) {
		c.Reverse, c.Lookups, c.Keys = true, []string{"internetdb", "greynoise", "abuseipdb"}, keys
	})
	found := r.Ask(t.Context(), addr("81.2.69.142"))
	if len(found) != 5 {
		t.Fatalf("%+v", found)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Source)
	}
	if !slices.Equal(got, []string{"rdap", "dns", "internetdb", "greynoise", "abuseipdb"}) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(found[1].Names, []string{"host-81-2-69-142.holder.example"}) {
		t.Errorf("%+v", found[1])
	}
	for i, want := range map[int]string{
		2: `[{hostnames [host.example]} {ports [22 443]} {tags [cloud]} {vulnerabilities [CVE-2021-44228]}]`,
		3: `[{classification [malicious]} {last_seen [2026-01-02]} {name [unknown]} {noise [true]} {reference [https://viz.example/ip/81.2.69.142]} {riot [false]}]`,
		4: `[{confidence [87]} {last_reported [2026-01-02T03:04:05+00:00]} {reports [12]} {tor [false]} {usage [Data Center/Web Hosting/Transit]}]`,
	} {
		if got := fields(found[i].Report); got != want {
			t.Errorf("%s: %s\nwant %s", found[i].Source, got, want)
		}
	}
	if f := r.Ask(t.Context(), addr("81.2.69.143"))[1]; f.Negative != registry.Unnamed || f.Retry.Sub(f.Fetched) != 7*24*time.Hour {
		t.Errorf("%+v", f)
	}
	for _, s := range asked(w, registrytest.Lookup) {
		if strings.Contains(s, registrytest.Key) {
			t.Errorf("the key is in %q", s)
		}
	}
	w.Misbehave(1, registrytest.Wrong)
	if f := r.Ask(t.Context(), addr("81.2.69.142")); f[2].Negative != registry.Unreadable || f[4].Negative != registry.Unreadable {
		t.Errorf("a report about another address: %+v", f)
	}
}

func TestExtrasConfig(t *testing.T) {
	for _, c := range []registry.Config{{Lookups: []string{"nobody"}}, {Lookups: []string{"greynoise"}}, {Lookups: []string{"abuseipdb"}, Keys: map[string]string{"GREYNOISE_KEY": "x"}}} {
		if _, err := registry.New(c); err == nil || strings.Contains(err.Error(), "x\"") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := registry.New(registry.Config{Lookups: []string{"internetdb"}}); err != nil {
		t.Error(err)
	}
	w := registrytest.Start(t)
	w.Behave()
	r := open(t, w, func(c *registry.Config) {
		c.Lookups, c.Keys = []string{"greynoise"}, map[string]string{"GREYNOISE_KEY": "wrong-key-for-tests"}
	})
	if f := r.Ask(t.Context(), addr("81.2.69.142")); f[1].Negative != registry.Refused {
		t.Errorf("%+v", f[1])
	}
}

// TestOriginsWithoutDNS: where DNS does not answer the bulk query does.
func TestOriginsWithoutDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Behave()
		r := open(t, w, func(c *registry.Config) { c.Resolver = deaf{c.Resolver} })
		found, err := r.Origins(t.Context(), []netip.Addr{netip.MustParseAddr("81.2.69.142"), netip.MustParseAddr("9.9.9.9")})
		if err != nil || len(found) != 2 || found[0].Network == nil || found[1].Negative != registry.Unannounced || w.Count(registrytest.Cymru) != 1 {
			t.Errorf("%+v, %v", found, err)
		}
		r.Close()
	})
}

// deaf is a resolver that fails for all texts.
type deaf struct{ registry.Resolver }

func (deaf) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}
}

// TestNothingWrongIsBelieved: whatever goes wrong with every third query, what is
// found is right, and everything else is a finding of why there is nothing.
func TestNothingWrongIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Misbehave(3, registrytest.All...)
		r := open(t, w, func(c *registry.Config) { c.Reverse = true })
		known := map[string]int{}
		for i := range 400 {
			a := netip.AddrFrom4([4]byte{byte(20 + i%200), byte(i), 16, byte(i)})
			if fetch.Reserved(a) != "" {
				continue
			}
			found := r.Ask(t.Context(), enrich.Subject{Addr: a})
			if len(found) != 2 {
				t.Fatalf("%+v", found)
			}
			switch f := found[0]; {
			case f.Network != nil:
				known[f.Source]++
				if !slices.Equal(f.Network.CIDR, []string{w.NetworkOf(a).String()}) || f.Network.Country != "NL" {
					t.Errorf("%s: %+v", a, f.Network)
				}
			case f.Negative == "" || f.Negative == registry.Unregistered || !f.Retry.After(f.Fetched):
				t.Errorf("%+v", f)
			default:
				known[f.Negative]++
			}
			time.Sleep(3 * time.Minute) // for who wants to be left alone
		}
		t.Logf("%v", known)
		if known["rdap"] < 200 || known["whois"] < 40 {
			t.Errorf("%v", known)
		}
		r.Close()
	})
}

// TestRootIsNotBelievedBlindly: an answer of the root that is about something else
// is not remembered for all domains of a top level domain.
func TestRootIsNotBelievedBlindly(t *testing.T) {
	for _, fault := range []registrytest.Fault{registrytest.Inward, registrytest.Page, registrytest.Malformed} {
		synctest.Test(t, func(t *testing.T) {
			w := registrytest.Memory(t)
			w.Unserved = true
			w.Misbehave(1, fault)
			r := open(t, w)
			if f := one(t, r, enrich.Subject{Domain: "shop.example"}); f.Negative != registry.Unreadable {
				t.Errorf("%s: %+v", fault, f)
			}
			w.Behave()
			if f := one(t, r, enrich.Subject{Domain: "other.example"}); f.Domain == nil {
				t.Errorf("%s is remembered: %+v", fault, f)
			}
			r.Close()
		})
	}
}

// TestReferralsEnd: a chain of servers that each refer to another one is followed
// for five of them.
func TestReferralsEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var asked atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			fmt.Fprintf(c, "%% IANA\nrefer: h%d.example\nReferralServer: whois://h%d.example\n", asked.Load(), asked.Load())
			asked.Add(1)
			c.Close()
		}
	}()
	w := registrytest.Start(t)
	w.Behave()
	w.Unserved = true
	r := open(t, w, func(c *registry.Config) {
		c.Endpoints.Whois = l.Addr().String()
		c.Endpoints.Rates[l.Addr().String()] = registry.Rate{PerMinute: fast}
		for i := range 20 {
			c.Endpoints.Servers[fmt.Sprintf("h%d.example", i)] = l.Addr().String()
		}
	})
	if f := one(t, r, addr("81.2.69.142")); f.Negative != registry.Unreadable || asked.Load() != 6 {
		t.Errorf("%+v after %d servers, want the root and five", f, asked.Load())
	}
}
