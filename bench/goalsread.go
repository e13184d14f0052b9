package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// firstPart opens the corpus and asks one listed value.
func firstPart(ctx context.Context, o goalsOptions, f figures) error {
	a, err := readAsked(o)
	if err != nil {
		return err
	}
	listed := a.Exact[0]
	a = asked{Searches: a.Searches}
	debug.FreeOSMemory() // the questions are not what is measured
	base, err := processStatus(os.Getpid(), "RssAnon:")
	if err != nil {
		return err
	}
	read := bytesRead()
	began := time.Now()
	p, err := openStore(ctx, o.store())
	if err != nil {
		return err
	}
	n, _ := p.exact(ctx, listed)
	f.add("first", time.Since(began).Seconds())
	if n == 0 {
		return fmt.Errorf("%v is not found", listed)
	}
	f.add("read", bytesRead()-read)
	for _, name := range []string{"VmRSS:", "RssAnon:"} {
		v, err := processStatus(os.Getpid(), name)
		if err != nil {
			return err
		}
		f.add(strings.ToLower(strings.Trim(name, ":")), v)
	}
	f.add("base", base)
	began = time.Now()
	if _, err := p.searchText(ctx, a.Searches["term"][0]); err != nil {
		return err
	}
	f.add("search", time.Since(began).Seconds())
	return nil
}

// processStatus is a line of a process's status, in bytes.
func processStatus(pid int, name string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(b), "\n"+name)
	if !found {
		return 0, errors.New("the system does not say " + name)
	}
	n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return n * 1024, err
}

// bytesRead is what this process had to read from disk, 0 where the system does not say.
func bytesRead() float64 {
	b, _ := os.ReadFile("/proc/self/io")
	_, rest, found := strings.Cut(string(b), "\nread_bytes:")
	if !found {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return n
}

// searchText asks for the newest 20 listings and the total.
func (p *oursPeer) searchText(ctx context.Context, text string) (query.Page, error) {
	node, err := query.Parse(text, p.now)
	if err != nil {
		return query.Page{}, err
	}
	return p.c.Search(ctx, query.Search{Query: node, Limit: 20}, func(*intel.Listing) error { return nil })
}

// readPart measures what is asked in process, one client, warm.
func readPart(ctx context.Context, o goalsOptions, f figures) error {
	a, err := readAsked(o)
	if err != nil {
		return err
	}
	p, err := openStore(ctx, o.store())
	if err != nil {
		return err
	}
	if err := p.c.View().ReadAhead(ctx); err != nil {
		return err
	}
	for round := range o.rounds + 1 {
		into := f
		if round == 0 {
			into = figures{} // warms
		}
		if err := readRound(ctx, p, &a, into); err != nil {
			return err
		}
	}
	rss, err := processStatus(os.Getpid(), "VmRSS:")
	f.add("read.rss", rss)
	return err
}

// readRound asks everything several times over: a look-up is faster than the
// clock's grain is fine.
func readRound(ctx context.Context, p *oursPeer, a *asked, f figures) error {
	hits := 0
	took := timed(10*len(a.Exact), func(i int) {
		n, _ := p.exact(ctx, a.Exact[i%len(a.Exact)])
		hits += n
	})
	f.quantiles("exact", took)
	var all float64
	for _, t := range took {
		all += t
	}
	f.add("exact.rate", float64(len(took))/all)
	f.add("exact.hits", float64(hits)/float64(len(took)))
	for sort, texts := range a.Searches {
		var failed error
		total := 0
		f.quantiles(sort, timed(5*len(texts), func(i int) {
			page, err := p.searchText(ctx, texts[i%len(texts)])
			failed = errors.Join(failed, err)
			total += page.Total
		}))
		if failed != nil {
			return fmt.Errorf("%s: %w", sort, failed)
		}
		f.add(sort+".hits", float64(total)/float64(5*max(1, len(texts))))
	}
	var failed error
	total := 0
	f.quantiles("facet", timed(20*len(a.Facets), func(i int) {
		counts, err := p.facet(ctx, a.Facets[i%len(a.Facets)])
		failed = errors.Join(failed, err)
		for _, n := range counts {
			total += n
		}
	}))
	f.add("facet.hits", float64(total)/float64(20*len(a.Facets)))
	return failed
}

// timed calls f n times and returns how long each took, the shortest first.
func timed(n int, f func(i int)) []float64 {
	took := make([]float64, n)
	for i := range took {
		began := time.Now()
		f(i)
		took[i] = time.Since(began).Seconds()
	}
	slices.Sort(took)
	return took
}

func (f figures) quantiles(name string, took []float64) {
	if len(took) == 0 {
		return
	}
	f.add(name+".p50", took[len(took)/2])
	f.add(name+".p99", took[len(took)*99/100])
}
