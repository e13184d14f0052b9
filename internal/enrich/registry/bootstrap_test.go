package registry_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// TestBootstrapIsKept: the files of IANA are fetched once a day, by the first who
// needs one, and kept for other processes; where IANA is away the last ones count.
func TestBootstrapIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Behave()
		store := crashtest.NewMem()
		k := registry.KeepIn(store)
		keep := func(c *registry.Config) { c.Keep = k }
		r := open(t, w, keep)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { r.Ask(t.Context(), addr("81.2.69.142")) })
		}
		wg.Wait()
		if got := asked(w, registrytest.Bootstrap); !slices.Equal(got, []string{"ipv4.json"}) {
			t.Errorf("fetched %q", got)
		}
		time.Sleep(23 * time.Hour)
		second := open(t, w, keep) // another process
		one(t, second, addr("81.2.69.142"))
		if n := w.Count(registrytest.Bootstrap); n != 1 {
			t.Errorf("fetched %d times within a day", n)
		}
		time.Sleep(2 * time.Hour)
		one(t, second, addr("81.2.69.142"))
		if n := w.Count(registrytest.Bootstrap); n != 2 {
			t.Errorf("fetched %d times after 25 hours, want 2", n)
		}
		time.Sleep(48 * time.Hour)
		away := open(t, w, keep, func(c *registry.Config) { c.Endpoints.Bootstrap = "http://5.9.9.9/rdap/" })
		if f := one(t, away, addr("81.2.69.142")); f.Source != "rdap" || f.Network == nil {
			t.Errorf("without IANA: %+v", f)
		}
		w.Unserved = true // so that the list to be fetched differs from the one that was kept
		for _, damaged := range []string{"<html>", "", `{"saved":"2126-01-01T00:00:00Z","file":{}}`,
			`{"saved":"2126-01-01T00:00:00Z","file":{"version":"1.0","services":[[["0.0.0.0/0"],["http://5.9.9.9/"]]]}}`, `{"saved":"x"}`} {
			if _, err := blob.Write(t.Context(), store, "enrichment/registries/ipv4.json", []byte(damaged), blob.Cond{}); err != nil {
				t.Fatal(err)
			}
			broken := open(t, w, keep)
			if f := one(t, broken, addr("81.2.69.142")); f.Source != "whois" {
				t.Errorf("kept as %q: %+v", damaged, f)
			}
			broken.Close()
		}
		for _, x := range []*registry.Registry{r, second, away} {
			x.Close()
		}
	})
}
