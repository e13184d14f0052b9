package opensearch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// speedListings is how many listings look-ups are measured among.
const speedListings = 1_000_000

// mixedIndicator is the ith of the listed indicators: URLs, domains, addresses,
// hashes, and now and then a network or a port at an address.
func mixedIndicator(i int) intel.Indicator {
	spread := uint32(i) * 2654435761
	host := fmt.Sprintf("host%d.zone%d.example", i, i%997)
	addr := fmt.Sprintf("%d.%d.%d.%d", 11+spread>>24%200, spread>>16&255, spread>>8&255, spread&255)
	switch {
	case i%50 == 49:
		bits := 16 + i/50%13
		mask := ^uint32(0) << (32 - bits)
		n := (11+spread>>24%200)<<24 | spread&0xffffff
		n &= mask
		return intel.Indicator{Kind: intel.CIDR, Value: fmt.Sprintf("%d.%d.%d.%d/%d", n>>24, n>>16&255, n>>8&255, n&255, bits)}
	case i%50 == 48:
		return intel.Indicator{Kind: intel.IPPort, Value: addr + ":443"}
	}
	switch i % 4 {
	case 0:
		return intel.Indicator{Kind: intel.URL, Value: fmt.Sprintf("http://%s/%x/gate.php", host, spread)}
	case 1:
		return intel.Indicator{Kind: intel.Domain, Value: host}
	case 2:
		return intel.Indicator{Kind: intel.IPv4, Value: addr}
	}
	sum := sha256.Sum256([]byte(host))
	return intel.Indicator{Kind: intel.SHA256, Value: hex.EncodeToString(sum[:])}
}

// mixedListing is what a feed says of the ith indicator, with the context that feeds give.
func mixedListing(i int, info *intel.FeedInfo) intel.Listing {
	ind := mixedIndicator(i)
	l := intel.Listing{Info: info, Feed: info.ID, Provider: info.Provider, Kind: ind.Kind, Canonical: ind.Value, Original: ind.Value,
		Intervals: []intel.Interval{{From: t0}}, FirstSeen: t0, Changed: t0.Add(time.Duration(i%5000) * time.Minute), Confidence: 90, TLP: "clear", ThreatType: "malware_download",
		Malware: []string{"", "Mirai", "Emotet", "Cobalt Strike"}[i%4], Tags: []string{[]string{"elf", "exe", "js", "doc"}[i/4%4], "c2"},
		Description: fmt.Sprintf("Served a phishing kit or malware when it was reported, word%d.", i)}
	switch ind.Kind {
	case intel.URL:
		l.Reference = fmt.Sprintf("https://urlhaus.abuse.ch/url/%d/", 3000000+i)
		l.Context = intel.Fields{{Name: "id", Values: []string{fmt.Sprint(3000000 + i)}}, {Name: "reporter", Values: []string{fmt.Sprint("user", i%500)}}, {Name: "url_status", Values: []string{"online"}}}
	case intel.IPv4:
		l.Context = intel.Fields{{Name: "asn", Values: []string{fmt.Sprint("AS", i%60000)}}, {Name: "country", Values: []string{"NL"}}}
	}
	return l
}

// speedEngine is an engine over so many listings, in an index that is made once
// for each node.
func speedEngine(b testing.TB, n int) *Engine {
	s := opensearchtest.Shared(b, opensearchtest.V2)
	c, err := New(Options{URLs: s.URLs, CA: s.CA, User: s.User, Password: s.Password, Now: time.Now, Timeout: 5 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	alias := fmt.Sprintf("%s-speed%d", Alias, n)
	e := NewEngine(c, EngineOptions{Alias: alias, Now: time.Now})
	ctx := b.Context()
	if index, err := e.current(ctx); err != nil {
		b.Fatal(err)
	} else if index != "" {
		if p, err := c.open(ctx, alias); err == nil {
			f, err := e.read(ctx, p)
			c.close(ctx, p)
			if err == nil && f.Filled {
				return e
			}
		}
		_ = c.call(ctx, request{method: http.MethodDelete, path: "/" + index}, nil)
	}
	index, err := e.create(ctx, 1)
	if err != nil {
		b.Fatal(err)
	}
	info := intel.FeedInfo{ID: "urls", Name: "Recent URLs", Provider: "abuse.ch", Presence: intel.Rolling}
	f := &facts{Filled: true, Feeds: map[string]*feedFact{"urls": {Info: info, LastGood: t0.Add(1000 * time.Hour).UnixMilli()}}}
	w := c.NewBulk(ctx, BulkOptions{Alias: writeAlias(index)})
	enc := newEncoder(f)
	for i := range n {
		l := mixedListing(i, &info)
		op, err := enc.op(&l, Presence{})
		if err == nil {
			err = w.Add(op)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if st, err := w.Close(); err != nil {
		b.Fatal(st, err)
	}
	if err := errors.Join(e.publish(ctx, index, f), e.point(ctx, index, "")); err != nil {
		b.Fatal(err)
	}
	_ = c.call(ctx, request{method: http.MethodPost, path: "/" + index + "/_forcemerge", query: map[string][]string{"max_num_segments": {"1"}}}, nil)
	return e
}

// mixedValues are n values of all kinds, every other one listed.
func mixedValues(n int) []string {
	out := make([]string, n)
	for i := range out {
		at := i / 2 * (speedListings / n)
		if i%2 == 1 {
			at += speedListings * 10 // the same kind, and nobody lists it
		}
		for mixedIndicator(at).Kind == intel.CIDR {
			at += 2
		}
		out[i] = mixedIndicator(at).Value
	}
	return out
}

// BenchmarkRealMany looks 10,000 values up among a million listings, as a bulk
// request does, and beside it what the cluster alone takes to give as many documents,
// asked for by 1,000 names in one request.
func BenchmarkRealMany(b *testing.B) {
	e := speedEngine(b, speedListings)
	values := mixedValues(10_000)
	b.Run("answers", func(b *testing.B) {
		for b.Loop() {
			s, at, found := lookup.New(e, time.Now), 0, 0
			err := s.Answers(b.Context(), func() (string, bool, error) {
				if at == len(values) {
					return "", false, nil
				}
				at++
				return values[at-1], true, nil
			}, lookup.Options{}, func(a *intel.Answer) error {
				if a.Found {
					found++
				}
				return nil
			})
			if err != nil || found < len(values)/2 || found > len(values)*2/3 {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			for part := range slices.Chunk(values, maxKeys) {
				r, err := e.client.ask(b.Context(), e.alias, &question{Query: terms(pathName, part), Size: maxKeys, Sort: inDocOrder(), Source: true})
				if err != nil || len(r.Hits.Hits) < maxKeys/3 {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkRealFind looks single values up, several clients at once, and beside it
// asks for a term in the barest way.
func BenchmarkRealFind(b *testing.B) {
	e := speedEngine(b, speedListings)
	values := mixedValues(10_000)
	clients := func(b *testing.B, n int, f func(i int) error) {
		took := make([]time.Duration, b.N)
		var next atomic.Int64
		var wg sync.WaitGroup
		b.ResetTimer()
		for range n {
			wg.Go(func() {
				for {
					i := int(next.Add(1)) - 1
					if i >= b.N {
						return
					}
					began := time.Now()
					if err := f(i * 7919); err != nil {
						b.Error(err)
						return
					}
					took[i] = time.Since(began)
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		slices.Sort(took)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	}
	s := lookup.New(e, time.Now)
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("answer/%d", n), func(b *testing.B) {
			clients(b, n, func(i int) error {
				_, err := s.Answer(b.Context(), values[i%len(values)], lookup.Options{})
				return err
			})
		})
		b.Run(fmt.Sprintf("bare/%d", n), func(b *testing.B) {
			clients(b, n, func(i int) error {
				_, err := e.client.ask(b.Context(), e.alias, &question{Query: term(pathName, values[i%len(values)]), Size: 10, Source: true})
				return err
			})
		})
	}
}
