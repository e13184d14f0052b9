package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

const fast = 60000 // queries a minute

// open makes a registry that asks w quickly. Change adapts its configuration.
func open(t testing.TB, w *registrytest.World, change ...func(*registry.Config)) *registry.Registry {
	t.Helper()
	c := w.Config()
	registrytest.SetRate(w, &c.Endpoints, registry.Rate{PerMinute: fast, Parallel: 4})
	for _, f := range change {
		f(&c)
	}
	r, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func addr(s string) enrich.Subject { return enrich.Subject{Addr: netip.MustParseAddr(s)} }

// one asks and expects a single finding.
func one(t testing.TB, r *registry.Registry, s enrich.Subject) enrich.Finding {
	t.Helper()
	found := r.Ask(t.Context(), s)
	if len(found) != 1 {
		t.Fatalf("%d findings about %+v: %+v", len(found), s, found)
	}
	f := found[0]
	if f.Subject != s || f.Fetched.IsZero() || (f.Negative == "") != (f.Retry.IsZero()) {
		t.Errorf("%+v", f)
	}
	if (f.Negative == "") != (f.Network != nil || f.Domain != nil) {
		t.Errorf("neither a record nor why there is none: %+v", f)
	}
	return f
}

func TestAsk(t *testing.T) {
	w := registrytest.Start(t)
	w.Behave()
	r := open(t, w)
	f := one(t, r, addr("81.2.69.142"))
	if n := f.Network; n == nil || f.Source != "rdap" || !slices.Equal(n.CIDR, []string{"81.2.64.0/20"}) || n.Org != "Holder of 81.2.64.0/20" || n.Country != "NL" ||
		n.Registry != "ripencc" || n.Abuse != "abuse@holder.example" || n.Allocated != "2011-02-03T04:05:06Z" {
		t.Errorf("%+v %+v", f, n)
	}
	f = one(t, r, addr("2a00:1450:4001::1"))
	if n := f.Network; n == nil || !slices.Equal(n.CIDR, []string{"2a00:1450::/32"}) {
		t.Errorf("%+v", f)
	}
	f = one(t, r, enrich.Subject{Domain: "shop.example"})
	if d := f.Domain; d == nil || f.Source != "rdap" || d.Name != "shop.example" || d.Registrar != "Example Registrar" || d.Created != "2019-01-02T03:04:05Z" || !slices.Equal(d.Status, []string{"active", "clientTransferProhibited"}) {
		t.Errorf("%+v %+v", f, d)
	}
	f = one(t, r, enrich.Subject{ASN: 3333})
	if n := f.Network; n == nil || n.ASN != 3333 || n.Org != "Holder of AS3333" || f.ASName != "SYSTEM-3333" {
		t.Errorf("%+v %+v", f, n)
	}
	if f = one(t, r, enrich.Subject{Domain: "free.example"}); f.Negative != registry.Unregistered || f.Retry.Sub(f.Fetched) != 24*time.Hour {
		t.Errorf("%+v", f)
	}
	for _, a := range []string{"10.1.2.3", "127.0.0.1", "fe80::1", "::ffff:192.168.1.1"} {
		f := r.Ask(t.Context(), addr(a))
		if len(f) != 1 || f[0].Negative != registry.Private {
			t.Errorf("%s: %+v", a, f)
		}
	}
	if north, south := w.Count(registrytest.RDAPNorth), w.Count(registrytest.RDAPSouth); north != 3 || south != 2 {
		t.Errorf("%d and %d queries, want 3 and 2", north, south)
	}
	for _, q := range w.Queries() {
		if !strings.HasPrefix(q.Agent, "ElasticIntel/") {
			t.Errorf("%+v does not say who asks", q)
		}
	}
}

// TestRDAPFaults: what a server does wrong is never taken for an answer, and the
// server is asked as rarely as the fault deserves. Whois is not served here.
func TestRDAPFaults(t *testing.T) {
	for fault, want := range map[registrytest.Fault]struct {
		negative string
		retry    time.Duration
		queries  int // to the server, for one question
	}{
		registrytest.TooMany:   {registry.Refused, 2 * time.Second, 3}, // it is waited for twice
		registrytest.Silent:    {registry.Refused, time.Hour, 1},
		registrytest.Slow:      {registry.Unreachable, time.Hour, 3},
		registrytest.Wrong:     {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Huge:      {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Malformed: {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Page:      {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Loop:      {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Inward:    {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Reset:     {registry.Unreachable, time.Hour, 3},
		registrytest.Empty:     {registry.Unreadable, 7 * 24 * time.Hour, 1},
		registrytest.Down:      {registry.Unreachable, time.Hour, 3},
		registrytest.Charset:   {"", 0, 1},
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := registrytest.Memory(t)
				w.Misbehave(1, fault)
				r := open(t, w, noWhois)
				f := one(t, r, addr("81.2.69.142"))
				if f.Negative != want.negative || want.negative != "" && f.Retry.Sub(f.Fetched).Round(time.Second) != want.retry {
					t.Errorf("%s, again in %v; want %s, %v", f.Negative, f.Retry.Sub(f.Fetched), want.negative, want.retry)
				}
				if n := w.Count(registrytest.RDAPNorth); n != want.queries {
					t.Errorf("%d queries, want %d", n, want.queries)
				}
				r.Close()
			})
		})
	}
}

// TestRedirect: where a registry redirects to another one that is asked, at its own rate.
func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Behave()
		w.Moved = true
		r := open(t, w, func(c *registry.Config) {
			c.Endpoints.Rates[w.Addr(registrytest.RDAPSouth).String()] = registry.Rate{PerMinute: 6}
			c.Endpoints.Rates[w.Addr(registrytest.RDAPSouth).Addr().String()] = registry.Rate{PerMinute: 6}
		})
		for range 5 {
			if f := one(t, r, addr("81.2.69.142")); f.Network == nil || f.Source != "rdap" {
				t.Errorf("%+v", f)
			}
		}
		if shortest, n := gaps(w, registrytest.RDAPSouth); n != 5 || shortest < 10*time.Second {
			t.Errorf("%d queries, shortest gap %v", n, shortest)
		}
		r.Close()
	})
}

// noWhois leaves the question to RDAP.
func noWhois(c *registry.Config) { c.Endpoints.Whois = "whois.nowhere.example" }

// TestCancelled: who gives up gets what there is, at once.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Misbehave(1, registrytest.Slow)
		r := open(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if found := r.Ask(ctx, addr("81.2.69.142")); len(found) != 0 {
			t.Errorf("%+v", found)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("after %v", d)
		}
		r.Close()
	})
}

// show is everything that findings say, as they are kept.
func show(t testing.TB, found []enrich.Finding) string {
	t.Helper()
	b, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func fields(f intel.Fields) string { return fmt.Sprint([]intel.Field(f)) }
