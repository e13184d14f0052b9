package registry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// keeper keeps in memory.
type keeper struct {
	mu    sync.Mutex
	files map[string][]byte
	saved map[string]time.Time
}

func (k *keeper) Load(_ context.Context, name string) ([]byte, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files[name] == nil {
		return nil, time.Time{}, errors.New("nothing was saved")
	}
	return k.files[name], k.saved[name], nil
}

func (k *keeper) Save(_ context.Context, name string, data []byte, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[name], k.saved[name] = data, now
	return nil
}

// TestBootstrapIsKept: the files of IANA are fetched once a day, by the first who
// needs one, and kept for other processes; where IANA is away the last ones count.
func TestBootstrapIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := registrytest.Memory(t)
		w.Behave()
		k := &keeper{files: map[string][]byte{}, saved: map[string]time.Time{}}
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
		k.files["ipv4.json"] = []byte("<html>")
		w.Unserved = true
		broken := open(t, w, keep)
		if f := one(t, broken, addr("81.2.69.142")); f.Source != "whois" {
			t.Errorf("a kept file that is broken: %+v", f)
		}
		for _, x := range []*registry.Registry{r, second, away, broken} {
			x.Close()
		}
	})
}
