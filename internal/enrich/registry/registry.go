// Package registry asks who registered a domain or was given a network: by RDAP
// where IANA's bootstrap files name a server (RFC 9224), else by whois from IANA's
// root on; and, for autonomous systems of addresses, Team Cymru's mapping. Reverse
// DNS and look-ups of services are added where they are switched on.
//
// Whoever is asked is asked politely: no server gets more queries than its rate, nor
// one before the time that it named, and one that fails is left alone for a while.
package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Why there is nothing, as [enrich.Finding] has it in Negative.
const (
	Unregistered = enrich.Unregistered // the registry says that there is no such registration
	Unassigned   = "unassigned"        // the block belongs to a registry and was given to nobody
	Unannounced  = "unannounced"       // no autonomous system announces the address
	Unnamed      = "unnamed"           // reverse DNS has no name for the address
	Unserved     = "unserved"          // no server is known that could be asked
	Refused      = enrich.Refused      // asked too often, or not served
	Unreachable  = enrich.Unreachable  // nobody answered, or the server has failed too often to be asked now
	Unreadable   = enrich.Unreadable   // what was answered is no answer to the question
	Private      = "private"           // the address is nobody's: of a private network or reserved
)

// How long nobody asks again.
const (
	day           = 24 * time.Hour
	retryAbsent   = day              // unregistered, unassigned, unannounced
	retryRefused  = time.Hour        // where the server named no time
	retryDown     = time.Hour        // at first; as long as the server has been down already, at most a day
	retryNonsense = 7 * day          // unreadable, unserved, unnamed
	retryPrivate  = 30 * day         // what is reserved stays so
	maxPatience   = 30 * time.Second // for a server that wants to be left alone
	queryTime     = 30 * time.Second // one query with its answer
	maxHops       = 5                // redirects or referrals of one question
	maxTries      = 3                // of one query that fails in passing
	firstPause    = time.Second      // before the second try, doubled before the third
)

// Keeper keeps the bootstrap files between processes.
type Keeper interface {
	// Load returns what was saved last under the name and when; an error where there is nothing.
	Load(ctx context.Context, name string) (data []byte, saved time.Time, err error)
	// Save replaces it.
	Save(ctx context.Context, name string, data []byte, now time.Time) error
}

// Config says who is asked and how. The zero value asks the registries themselves
// at the rates in data/servers.json, without reverse DNS and look-ups.
type Config struct {
	Endpoints Endpoints
	UserAgent string            // who asks; default fetch.UserAgent("dev")
	Rates     map[string]Rate   // by host name, or by "*rdap", "*whois", "*lookup", "*dns", "*bulk" for all others; before those of data/servers.json
	Reverse   bool              // ask reverse DNS for the names of addresses
	Lookups   []string          // names of the look-ups to ask about addresses, of data/lookups.json
	Keys      map[string]string // the secrets of look-ups, by the name of the secret
	Keep      Keeper            // default: the bootstrap files are kept in memory only

	Resolver Resolver       // default Endpoints.DNS, else the system's
	Dial     fetch.Dialer   // default TCP; for tests that bring their own network
	RootCAs  *x509.CertPool // default: the system's
	Now      func() time.Time
	Rand     func() float64 // in [0,1), for the jitter
	Log      *slog.Logger   // default: discard
}

// Resolver is what is asked of DNS. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Registry asks. It is safe for concurrent use; all who ask the same servers
// should share one, since it is what keeps their rates.
type Registry struct {
	cfg     Config
	net     *fetch.Guarded
	servers servers
	boot    *bootstrap

	registrations []enrich.Source // the next is asked where the one before has no answer
	extras        []enrich.Source // all of them are asked about addresses
}

// New makes a Registry. It asks nobody yet. The error names what cannot be used in
// the configuration.
func New(cfg Config) (*Registry, error) {
	setDefault(&cfg.UserAgent, fetch.UserAgent("dev"))
	cfg.Endpoints = cfg.Endpoints.withDefaults()
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
		if cfg.Endpoints.DNS != "" {
			cfg.Resolver = fetch.NewResolver(cfg.Endpoints.DNS)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{cfg: cfg}
	r.net = fetch.NewGuarded(fetch.GuardOptions{Allow: cfg.Endpoints.AllowNetworks, Ports: []uint16{whoisPort}, Resolver: cfg.Resolver, Dial: cfg.Dial, RootCAs: cfg.RootCAs})
	known, err := readServers()
	if err != nil {
		return nil, err
	}
	r.servers = servers{rates: []map[string]Rate{cfg.Rates, cfg.Endpoints.Rates, known.Rates}, now: cfg.Now, rand: cfg.Rand, all: map[string]*server{}}
	if r.boot, err = newBootstrap(r); err != nil {
		return nil, err
	}
	r.registrations = []enrich.Source{&rdap{r}, &whois{r: r, forms: known.Forms}}
	if cfg.Reverse {
		r.extras = append(r.extras, &reverse{r})
	}
	services, err := r.lookups()
	r.extras = append(r.extras, services...)
	return r, err
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Close lets go of the connections that are kept for further queries.
func (r *Registry) Close() { r.net.Close() }

// Ask asks the registries about one subject, and everybody else who is switched on
// about an address. It waits until the servers' rates let it. There is one finding
// of the registries, with what is known or why there is nothing, and one of each
// other; those that ctx did not let come to an end are absent.
func (r *Registry) Ask(ctx context.Context, s enrich.Subject) []enrich.Finding {
	if s.Addr.IsValid() {
		s.Addr = s.Addr.Unmap().WithZone("")
		if fetch.Reserved(s.Addr) != "" {
			return []enrich.Finding{r.negative(s, "rdap", Private, retryPrivate)}
		}
	}
	found := make([]*enrich.Finding, 1+len(r.extras))
	var wg sync.WaitGroup
	if s.Addr.IsValid() {
		for i, x := range r.extras {
			wg.Go(func() {
				if f, err := x.Ask(ctx, s); err == nil {
					found[1+i] = &f
				}
			})
		}
	}
	if f, err := r.registration(ctx, s); err == nil {
		found[0] = &f
	}
	wg.Wait()
	var all []enrich.Finding
	for _, f := range found {
		if f != nil {
			all = append(all, *f)
		}
	}
	return all
}

// registration asks one source after the other until one has an answer. Where none
// has, what the first says that could be asked counts.
func (r *Registry) registration(ctx context.Context, s enrich.Subject) (enrich.Finding, error) {
	var best enrich.Finding
	for i, source := range r.registrations {
		f, err := source.Ask(ctx, s)
		if err != nil {
			return f, err
		}
		if f.Negative == "" || f.Negative == Unregistered || f.Negative == Unassigned {
			return f, nil
		}
		r.cfg.Log.InfoContext(ctx, "no answer of a registry", "source", f.Source, "subject", describe(s), "why", f.Negative)
		if i == 0 || best.Negative == Unserved {
			best = f
		}
	}
	return best, nil
}

// negative is a finding of why there is nothing.
func (r *Registry) negative(s enrich.Subject, source, why string, retry time.Duration) enrich.Finding {
	now := r.cfg.Now()
	return enrich.Finding{Subject: s, Source: source, Fetched: now, Negative: why, Retry: now.Add(retry)}
}

// describe names a subject in logs.
func describe(s enrich.Subject) string {
	switch {
	case s.Addr.IsValid():
		return s.Addr.String()
	case s.Domain != "":
		return s.Domain
	}
	return fmt.Sprintf("AS%d", s.ASN)
}
