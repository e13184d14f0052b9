// Package registrytest has registries of our own for tests of enrichment: RDAP,
// whois with its root, the mapping of addresses to autonomous systems, DNS, and a
// service of reports. They answer about every subject, and count who asks what when.
// As long as nobody says otherwise every seventh query to a server meets a fault,
// each kind in turn.
package registrytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Fault is a way in which a server misbehaves.
type Fault string

// The faults, and what a server that does not speak HTTP makes of them.
const (
	TooMany   Fault = "too many"        // 429 with Retry-After of two seconds; words of refusal
	Silent    Fault = "too many silent" // 429 that names no time; words of refusal
	Slow      Fault = "slow"            // a byte a second, for as long as somebody reads
	Wrong     Fault = "wrong"           // a whole answer about something else
	Huge      Fault = "huge"            // more than any record has
	Malformed Fault = "malformed"       // JSON that ends too early; noise
	Page      Fault = "page"            // a page of HTML with status 200
	Loop      Fault = "loop"            // a redirect or referral to the same server
	Inward    Fault = "inward"          // a redirect or referral to 127.0.0.1
	Reset     Fault = "reset"           // the connection breaks in the answer
	Empty     Fault = "empty"           // nothing
	Charset   Fault = "charset"         // bytes that are no UTF-8, in a usable answer
	Down      Fault = "down"            // status 500; a connection that is closed at once
)

// All are the faults that servers take in turn.
var All = []Fault{TooMany, Silent, Slow, Wrong, Huge, Malformed, Page, Loop, Inward, Reset, Empty, Charset, Down}

// Names of the servers, as queries and counts have them.
const (
	RDAPNorth  = "rdap-north"  // of addresses below 128.0.0.0 and 2800::, names, and even autonomous systems
	RDAPSouth  = "rdap-south"  // of all others
	Bootstrap  = "bootstrap"   // IANA's files of who answers RDAP; it never fails
	WhoisRoot  = "whois-root"  // refers to the registry
	Whois      = "whois"       // the registry's
	WhoisNames = "whois-names" // a registrar's
	Cymru      = "cymru"
	DNS        = "dns"
	Lookup     = "lookup"
)

// Query is one that a server got.
type Query struct {
	Server, Subject string
	Time            time.Time
	Fault           Fault // that it met
	Agent           string
}

// World is all the servers. Change its fields and switches before the first query.
type World struct {
	Bits4, Bits6 int           // length of the networks that addresses belong to; default 20 and 32
	Delay        time.Duration // before every answer
	Unserved     bool          // the bootstrap files name no server, so that whois is asked
	Moved        bool          // the northern RDAP server redirects to the southern one
	Thin         bool          // the whois server for domains leaves the dates to the registrar

	stop     context.Context // ends with the test
	mu       sync.Mutex
	faults   []Fault
	every    int
	counts   map[string]int
	queries  []Query
	addrs    map[string]netip.AddrPort // of servers
	pipes    map[netip.AddrPort]*memory
	resolver registry.Resolver
}

func newWorld(t testing.TB) *World {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &World{stop: ctx, Bits4: 20, Bits6: 32, faults: All, every: 7, counts: map[string]int{}, addrs: map[string]netip.AddrPort{}}
}

// host is the address on which servers stand: loopback, but not 127.0.0.1, to
// which referrals must not lead.
const host = "127.0.0.2"

// Start serves on loopback until the test ends.
func Start(t testing.TB) *World {
	t.Helper()
	w := newWorld(t)
	w.serve(t, func(string) net.Listener {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
	pc, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	w.addrs[DNS] = netip.MustParseAddrPort(pc.LocalAddr().String())
	t.Cleanup(func() { pc.Close() })
	go w.serveDNS(pc)
	return w
}

// Memory serves in memory until the test ends, for bubbles of testing/synctest.
// Its servers have public addresses, which the guard lets pass; DNS needs no socket.
func Memory(t testing.TB) *World {
	t.Helper()
	w := newWorld(t)
	w.pipes = map[netip.AddrPort]*memory{}
	next := netip.MustParseAddr("5.0.0.1")
	w.serve(t, func(name string) net.Listener {
		port := uint16(80)
		if name == WhoisRoot || name == Whois || name == WhoisNames || name == Cymru {
			port = 43
		}
		p := newMemory()
		at := netip.AddrPortFrom(next, port)
		w.addrs[name], w.pipes[at] = at, p
		next = next.Next()
		return p
	})
	w.resolver = memoryDNS{w}
	return w
}

func (w *World) serve(t testing.TB, listen func(string) net.Listener) {
	for name, h := range map[string]http.HandlerFunc{Bootstrap: w.bootstrap, RDAPNorth: w.rdap(RDAPNorth), RDAPSouth: w.rdap(RDAPSouth), Lookup: w.lookup} {
		l := listen(name)
		w.note(name, l)
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
	}
	for name, h := range map[string]func(net.Conn){WhoisRoot: w.root, Whois: w.whois(Whois), WhoisNames: w.whois(WhoisNames), Cymru: w.cymru} {
		l := listen(name)
		w.note(name, l)
		go accept(l, h)
		t.Cleanup(func() { l.Close() })
	}
}

func (w *World) note(name string, l net.Listener) {
	if _, have := w.addrs[name]; !have {
		w.addrs[name] = netip.MustParseAddrPort(l.Addr().String())
	}
}

func accept(l net.Listener, h func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			h(c)
		}()
	}
}

// Addr is where a server listens.
func (w *World) Addr(server string) netip.AddrPort { return w.addrs[server] }

// Endpoints are what lets a registry ask these servers in place of the real ones.
func (w *World) Endpoints() registry.Endpoints {
	e := registry.Endpoints{
		Bootstrap: "http://" + w.addrs[Bootstrap].String() + "/rdap/",
		Whois:     w.addrs[WhoisRoot].String(),
		Cymru:     w.addrs[Cymru].String(),
		Servers:   map[string]string{"whois.registry.example": w.addrs[Whois].String(), "whois.registrar.example": w.addrs[WhoisNames].String()},
		Lookups:   map[string]string{},
		Rates:     map[string]registry.Rate{},
	}
	for _, name := range []string{"internetdb", "greynoise", "abuseipdb"} {
		e.Lookups[name] = "http://" + w.addrs[Lookup].String() + "/" + name + "/{addr}"
	}
	if w.pipes == nil {
		e.DNS = w.addrs[DNS].String()
		e.AllowNetworks = []netip.Prefix{netip.MustParsePrefix(host + "/32")}
	}
	return e
}

// SetRate gives all servers one rate in Endpoints.
func SetRate(w *World, e *registry.Endpoints, r registry.Rate) {
	for _, at := range w.addrs {
		e.Rates[at.String()] = r
	}
	e.Rates["*dns"], e.Rates["*bulk"] = r, r
}

// Config is what a registry needs to ask these servers.
func (w *World) Config() registry.Config {
	c := registry.Config{Endpoints: w.Endpoints(), Resolver: w.resolver}
	if w.pipes != nil {
		c.Dial = w.dial
	}
	return c
}

func (w *World) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	p := w.pipes[to]
	if p == nil {
		return nil, fmt.Errorf("nobody listens at %s", to)
	}
	return p.dial(ctx)
}

var _ fetch.Dialer = (*World)(nil).dial

// EndpointsFile writes the endpoints for the command line: EI_ENRICH_ENDPOINTS names it.
func (w *World) EndpointsFile(t testing.TB, e registry.Endpoints) string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "endpoints.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Behave lets nothing go wrong any more.
func (w *World) Behave() { w.Misbehave(0) }

// Misbehave lets every nth query to each server meet one of the faults, in turn;
// none where every is 0, or no fault is given.
func (w *World) Misbehave(every int, faults ...Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.every, w.faults = every, faults
}

// Queries are all that came, in order.
func (w *World) Queries() []Query {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Query(nil), w.queries...)
}

// Count is how many queries a server got.
func (w *World) Count(server string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[server]
}

// came counts a query and says which fault it meets.
func (w *World) came(server, subject, agent string) Fault {
	w.mu.Lock()
	n := w.counts[server]
	w.counts[server]++
	var f Fault
	if w.every > 0 && len(w.faults) > 0 && (n+1)%w.every == 0 {
		f = w.faults[n/w.every%len(w.faults)]
	}
	w.queries = append(w.queries, Query{server, subject, time.Now(), f, agent})
	w.mu.Unlock()
	if w.Delay > 0 {
		time.Sleep(w.Delay)
	}
	return f
}

// NetworkOf is the network that an address belongs to in this world.
func (w *World) NetworkOf(a netip.Addr) netip.Prefix {
	bits := w.Bits6
	if a.Is4() {
		bits = w.Bits4
	}
	p, _ := a.Prefix(bits)
	return p
}

// ASNOf is the autonomous system that announces it.
func (w *World) ASNOf(a netip.Addr) uint32 {
	b := w.NetworkOf(a).Addr().AsSlice()
	return 64512 + uint32(b[0])<<2 + uint32(b[1])&3
}

// ServerOf is the RDAP server that knows an address.
func ServerOf(a netip.Addr) string {
	if a.Is4() && a.As4()[0] < 128 || a.Is6() && a.As16()[0] < 0x28 {
		return RDAPNorth
	}
	return RDAPSouth
}
