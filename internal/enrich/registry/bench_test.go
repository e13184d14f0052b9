package registry_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// BenchmarkAsk asks servers that take 100 ms for each answer about 32 networks, by
// one or more who ask at a time; no rate stands in the way.
func BenchmarkAsk(b *testing.B) {
	for _, parallel := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			w := registrytest.Start(b)
			w.Behave()
			w.Delay = 100 * time.Millisecond
			r := open(b, w, func(c *registry.Config) {
				registrytest.SetRate(w, &c.Endpoints, registry.Rate{PerMinute: 1e6, Parallel: 16})
			})
			one(b, r, addr("81.2.69.142")) // so that the list of registries is there
			const questions = 32
			for b.Loop() {
				var next atomic.Int32
				var wg sync.WaitGroup
				for range parallel {
					wg.Go(func() {
						for i := next.Add(1); i <= questions; i = next.Add(1) {
							r.Ask(b.Context(), enrich.Subject{Addr: netip.AddrFrom4([4]byte{81, byte(i), 0, 1})})
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(questions*b.N)/b.Elapsed().Seconds(), "questions/s")
		})
	}
}
