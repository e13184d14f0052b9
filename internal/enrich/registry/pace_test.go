package registry_test

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// gaps returns the shortest time between two queries to a server, and how many there were.
func gaps(w *registrytest.World, server string) (shortest time.Duration, n int) {
	shortest = time.Hour
	var last time.Time
	for _, q := range w.Queries() {
		if q.Server != server {
			continue
		}
		if n++; n > 1 {
			shortest = min(shortest, q.Time.Sub(last))
		}
		last = q.Time
	}
	return shortest, n
}

// TestNeverOverTheRate: however many ask at once, and whatever goes wrong, no two
// queries of a server are nearer to each other than its rate says; and where
// nothing goes wrong the whole takes just as long as the rate makes it.
func TestNeverOverTheRate(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*registrytest.World)
		least int // queries to each server
	}{
		"well":  {(*registrytest.World).Behave, 90},
		"badly": {func(w *registrytest.World) {}, 10}, // until a refusal that names no time
		"in passing": {func(w *registrytest.World) {
			w.Misbehave(7, registrytest.TooMany, registrytest.Wrong, registrytest.Reset, registrytest.Page, registrytest.Down)
		}, 90},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := registrytest.Memory(t)
				c.set(w)
				w.Delay = 150 * time.Millisecond
				r := open(t, w, noWhois, func(c *registry.Config) {
					registrytest.SetRate(w, &c.Endpoints, registry.Rate{PerMinute: 600, Parallel: 8})
				})
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 300 {
					wg.Go(func() {
						a := netip.AddrFrom4([4]byte{byte(20 + i%200), byte(i), 16, 1}) // two thirds of them in the north
						r.Ask(t.Context(), enrich.Subject{Addr: a})
					})
				}
				wg.Wait()
				for _, server := range []string{registrytest.RDAPNorth, registrytest.RDAPSouth} {
					shortest, n := gaps(w, server)
					t.Logf("%s: %d queries, shortest gap %v, %v in all", server, n, shortest, time.Since(began))
					if shortest < 100*time.Millisecond {
						t.Errorf("%s: two queries within %v", server, shortest)
					}
					if n < c.least {
						t.Errorf("%s: only %d queries", server, n)
					}
				}
				if _, n := gaps(w, registrytest.RDAPNorth); name == "well" {
					want := time.Duration(n) * 100 * time.Millisecond
					if took := time.Since(began); took < want*95/100 || took > want*105/100 {
						t.Errorf("%d queries took %v, want %v within 5 %%", n, took, want)
					}
				}
				r.Close()
			})
		})
	}
}

// TestCircuit: after five failures in a row a server is left alone; one trial a
// time tells whether it is back.
func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Misbehave(1, registrytest.Down)
		r := open(t, w, noWhois)
		for range 20 {
			if f := one(t, r, addr("81.2.69.142")); f.Negative != registry.Unreachable {
				t.Fatalf("%+v", f)
			}
		}
		if n := w.Count(registrytest.RDAPNorth); n != 5 {
			t.Errorf("%d queries, want 5", n)
		}
		if f := one(t, r, addr("181.2.69.142")); f.Negative != registry.Unreachable || w.Count(registrytest.RDAPSouth) != 3 {
			t.Errorf("another server: %+v, %d queries", f, w.Count(registrytest.RDAPSouth))
		}
		time.Sleep(2 * time.Minute) // longer than it is left alone, at most 90 s
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { r.Ask(t.Context(), addr("81.2.69.142")) })
		}
		wg.Wait()
		if n := w.Count(registrytest.RDAPNorth); n != 6 {
			t.Errorf("%d queries after a trial, want 6", n)
		}
		time.Sleep(4 * time.Minute) // the second time it is twice as long
		w.Behave()
		if f := one(t, r, addr("81.2.69.142")); f.Network == nil {
			t.Errorf("not back: %+v", f)
		}
		if f := one(t, r, addr("81.2.69.142")); f.Network == nil || w.Count(registrytest.RDAPNorth) != 8 {
			t.Errorf("not closed: %+v, %d queries", f, w.Count(registrytest.RDAPNorth))
		}
		r.Close()
	})
}

// TestUnreachableForLonger: the longer a server is down, the later its subjects
// are tried again, up to a day.
func TestUnreachableForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Misbehave(1, registrytest.Down)
		r := open(t, w, noWhois)
		var waits []time.Duration
		for range 8 {
			f := one(t, r, addr("81.2.69.142"))
			wait := f.Retry.Sub(f.Fetched).Round(time.Hour)
			waits = append(waits, wait)
			time.Sleep(time.Until(f.Retry))
		}
		for i, want := range []time.Duration{1, 1, 2, 4, 8, 16, 24, 24} {
			if waits[i] != want*time.Hour {
				t.Fatalf("waits %v, want %d h at %d", waits, want, i)
			}
		}
		r.Close()
	})
}
