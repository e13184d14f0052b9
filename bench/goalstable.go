package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// goal is one line of the table: a figure and, where it is judged, its limit.
type goal struct {
	what, figure string
	show         func(float64) string
	bound        bound
	limit        float64
}

// bound says which side of the limit is met.
type bound int

const (
	reported bound = iota // beside the goals, not judged
	atMost
	atLeast
)

// goalLines are the goals of 5 million listings over 180 feeds on 2 cores, in
// the order of the table; the look-up's has another limit from 20 million on.
func goalLines(listings int) []goal {
	exact := 0.7e-6
	if listings >= 20_000_000 {
		exact = 1e-6
	}
	return []goal{
		{"open to first exact answer, warm", "warm.first", short, atMost, 0.1},
		{"– dropped cache", "dropped.first", short, atMost, 0.2},
		{"– resident then, warm", "warm.vmrss", mega, atMost, 300e6},
		{"– of that its own memory (the program's before opening included)", "warm.rssanon", mega, reported, 0},
		{"– read from disk until then, dropped cache", "dropped.read", mega, reported, 0},
		{"– first search after that, warm", "warm.search", short, reported, 0},
		{"– first search after that, dropped cache", "dropped.search", short, reported, 0},
		{"– resident after all questions below were asked in process", "read.rss", mega, reported, 0},
		{"exact look-up in process, half hits, p50 (clock included)", "exact.p50", short, atMost, exact},
		{"– p99", "exact.p99", short, reported, 0},
		{"– rate of one client", "exact.rate", rate, reported, 0},
		{"look-ups while a tenth of a big feed is replaced over and over, of the idle rate", "replace.tenth.rate", percent, atLeast, 80},
		{"– p99.99", "replace.tenth.p9999", short, atMost, 5e-3},
		{"– p99.99 of the same reader while nothing happens", "replace.tenth.idle9999", short, reported, 0},
		{"– longest", "replace.tenth.max", short, reported, 0},
		{"– one replacement, found by searches, takes meanwhile, bringing deltas together included", "replace.tenth.each", short, reported, 0},
		{"look-ups while all of a big feed is replaced over and over, of the idle rate", "replace.all.rate", percent, atLeast, 80},
		{"– p99.99", "replace.all.p9999", short, atMost, 5e-3},
		{"– longest", "replace.all.max", short, reported, 0},
		{"– one replacement, found by searches, takes meanwhile, bringing deltas together included", "replace.all.each", short, reported, 0},
		{"HTTP look-up with one listing, of a bare handler's rate, 8 clients", "single.8.share", percent, atLeast, 90},
		{"– one client", "single.1.share", percent, atLeast, 90},
		{"– rate, 8 clients", "single.8.rate", rate, reported, 0},
		{"bulk 100,000 over HTTP, fields=summary, 1 % hits", "bulk.summary1", short, atMost, 0.1},
		{"– the server's own memory (no mapped files) at most meanwhile", "bulk.summary1.memory", mega, reported, 0},
		{"– the same for 1,000 values", "bulk.few.memory", mega, reported, 0},
		{"– full answers, 1 % hits", "bulk.full1", short, reported, 0},
		{"– full answers, 50 % hits", "bulk.full50", short, reported, 0},
		{"– the server's own memory at most meanwhile, full, 50 %", "bulk.full50.memory", mega, reported, 0},
		{"one term, first 20 newest with total, p99", "term.p99", short, atMost, 0.1e-3},
		{"– p50", "term.p50", short, reported, 0},
		{"term AND term, p99", "and.p99", short, atMost, 2e-3},
		{"– p50", "and.p50", short, reported, 0},
		{"phrase, p99", "phrase.p99", short, atMost, 10e-3},
		{"– p50", "phrase.p50", short, reported, 0},
		{"prefix, p99", "prefix.p99", short, atMost, 2e-3},
		{"– p50", "prefix.p50", short, reported, 0},
		{"subdomains of a host, p50", "subdomains.p50", short, atMost, 0.1e-3},
		{"facet by feed, p50", "facet.p50", short, atMost, 0.2e-3},
		{"listed in a /16, p50", "net.p50", short, reported, 0},
		{"first ingest with text, all feeds, parsed entries to durable", "ingest", rate, atLeast, 250e3},
		{"– the big feed alone", "big.first", rate, reported, 0},
		{"– the big feed as a list without context, download to acknowledged", "pull.first", rate, reported, 0},
		{"– grouping the text indexes afterwards, in all", "group", short, reported, 0},
		{"10 % change of the big feed, parsed entries to durable", "tenth.time", short, atMost, 0.6},
		{"– written", "tenth.bytes", mega, atMost, 40e6},
		{"– until it is found, more", "tenth.refresh", short, reported, 0},
		{"– when the changes have added up: bringing them together, in the background", "tenth.fold", short, reported, 0},
		{"big feed unchanged (other bytes), download to acknowledged, lines/s", "unchanged.rate", rate, atLeast, 1e6},
		{"– segment bytes written", "unchanged.bytes", mega, atMost, 0},
		{"bytes a listing on disk without context, big feed", "bytes.plain", plain, atMost, 180},
		{"– with context", "bytes.with", plain, reported, 0},
		{"– bytes a listing of the context's values as such", "context.raw", plain, reported, 0},
		{"– the same as JSON with the names of its fields", "context.json", plain, reported, 0},
		{"– what context and its text index add, of its values' bytes", "context.cost", percent, atMost, 40},
		{"– of its bytes as JSON", "context.costjson", percent, reported, 0},
		{"bytes a listing on disk, all feeds, groups included", "store.bytes", plain, reported, 0},
	}
}

func mega(v float64) string    { return fmt.Sprintf("%.1f MB", v/1e6) }
func percent(v float64) string { return fmt.Sprintf("%.3g %%", v) }
func plain(v float64) string   { return fmt.Sprintf("%.0f", v) }
func rate(v float64) string    { return perSecond(int(v), time.Second) }

// asked is the limit in words.
func (g goal) asked() string {
	switch g.bound {
	case atMost:
		return "≤ " + g.show(g.limit)
	case atLeast:
		return "≥ " + g.show(g.limit)
	}
	return ""
}

// verdict says by how much a goal is missed.
func (g goal) verdict(v float64) string {
	switch {
	case g.bound == reported:
		return ""
	case g.bound == atMost && v <= g.limit, g.bound == atLeast && v >= g.limit:
		return "met"
	case g.limit == 0:
		return "**missed**"
	case g.bound == atMost:
		return fmt.Sprintf("**missed**, %.2g× the limit", v/g.limit)
	}
	return fmt.Sprintf("**missed**, %.0f %% of it", 100*v/g.limit)
}

func goalsReport(o goalsOptions, f figures, about, load string) string {
	var w strings.Builder
	fmt.Fprintf(&w, "%s, %s/%s, %d CPUs (%s), %s; load average %s.\n\n%s. The big feed has %d.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runtime.Version(), load, about, o.big)
	fmt.Fprintf(&w, "Measured: median of %d rounds, ± the farthest round. Building the corpus and first pulls are one round. The goals are for 5,000,000 listings over 180 feeds.\n\n", o.rounds)
	fmt.Fprint(&w, "| what | goal | measured | |\n|---|--:|--:|---|\n")
	for _, g := range goalLines(o.listings) {
		v := f[g.figure]
		if len(v) == 0 {
			fmt.Fprintf(&w, "| %s | %s | not measured | |\n", g.what, g.asked())
			continue
		}
		m := median(v)
		measured := g.show(m)
		if len(v) > 1 {
			measured += fmt.Sprintf(" ±%.0f %%", spread(v))
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %s |\n", g.what, g.asked(), measured, g.verdict(m))
	}
	fmt.Fprint(&w, "\nHits on average: ")
	for i, s := range []string{"exact", "term", "and", "phrase", "prefix", "subdomains", "net", "facet"} {
		if i > 0 {
			w.WriteString(", ")
		}
		if v := f[s+".hits"]; len(v) > 0 {
			fmt.Fprintf(&w, "%s %s", s, few(median(v)))
		}
	}
	fmt.Fprint(&w, goalNotes)
	return w.String()
}

const goalNotes = `.

Each part ran in a process of its own. All records of a feed have one time of change, which spares searches some ordering. The replacement runs in the
process that answers, as in a server; the tenth is 10 % that go and 10 % that come, and what deltas add up to is folded in between. The bare handler is
a process of its own that sends the same header and bytes; the client shares the two cores with either.
`
