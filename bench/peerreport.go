package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// peerLines are the lines of the table: key, what it is, whether it has a p99 of its own.
var peerLines = []struct {
	key, what string
	p99       bool
	show      func(float64) string
}{
	{"exact", "exact look-up, half hits", true, short},
	{"bulk", "bulk of 100,000 look-ups (of as many as there are listings, where there are less), half hits", false, short},
	{"term", "one term", true, short},
	{"and", "term AND term", true, short},
	{"phrase", "phrase of 2 or 3 words", true, short},
	{"prefix", "prefix of 2/3 of a word", true, short},
	{"subdomains", "subdomains of a host (about 100)", true, short},
	{"net", "listed in a /16", true, short},
	{"covering", "networks listed that an address lies in", true, short},
	{"facet", "counts by feed over a word's hits", false, short},
	{"change", "a tenth of the largest feed changes", false, short},
	{"written", "– bytes that the engine's processes gave to be written until then", false, mega},
}

func (b *bench) report(o peersOptions, without []string, load string) string {
	var w strings.Builder
	d := b.d
	largest := 0
	for _, f := range d.feeds {
		largest = max(largest, len(f))
	}
	fmt.Fprintf(&w, "%s, %s/%s, %d CPUs (%s), %s; load average %s.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), cpuModel(), runtime.Version(), load)
	fmt.Fprintf(&w, "%d listings over %d feeds (the largest has %d), from %s; %.1f %% of the values have a suffix or are made up to reach the size; "+
		"%.0f %% have context; %d B a listing of values and context as such.\n\n",
		d.listings, len(d.feeds), largest, d.source, 100*float64(d.made)/float64(d.listings), 100*float64(d.context)/float64(d.listings), d.raw/int64(d.listings))
	fmt.Fprintf(&w, "Cells: median of %d rounds, ± the farthest round, and how many times ours it is (below 1×: the peer is better). – is not asked. "+
		"Searches fetch the newest 20 listings whole, and the total. One client at a time. Loading was done once. "+
		"A line got up to %v a round in each engine, slow ones fewer questions.\n\n", o.rounds, o.budget)
	b.table(&w)
	b.agreements(&w)
	fmt.Fprint(&w, "\nWho was measured:\n\n")
	for _, p := range b.peers {
		fmt.Fprintf(&w, "- %s: %s\n", p.name(), b.about[p.name()])
	}
	for _, s := range without {
		fmt.Fprintf(&w, "- left out: %s\n", s)
	}
	fmt.Fprint(&w, peerNotes)
	return w.String()
}

const peerNotes = `
How to read it:

- Peers get their rows ready-made (words cut, hosts reversed, networks parsed) before their time is taken; we take the entries as a parser gives them.
- Rows are inserted oldest first, so that "newest first" is the order of the row number for SQLite and PostgreSQL, their best case.
- In the change, peers get the difference ready-made; we are given the whole list, compare it and keep the history of what left.
  3 % leave, 4 % change a field, 3 % come (made up). Redis is not compared on the order, nor ripgrep on what it cannot say.
- Our answers carry what the others' rows do not: first and last seen, intervals, the feed's defaults.
- ElasticIntel, SQLite and bleve answer in process; Redis and PostgreSQL over a socket, which alone costs some 20-60 µs a question; ripgrep starts a process.
- Redis without modules has no text index, no ranges of networks and no facets: it is not asked. bleve has no index of covering networks.
- All engines get the questions in the same order; one that is slow gets through fewer of them in its time (the table of answers says how many), and a
  p99 over fewer than 100 is its slowest answer. Below 10 questions or so a ratio shows the size of things, no more.
- Counts by feed are our best case: a segment holds one feed, so a word's hits are counted by ranges and never looked at one by one.
`

func (b *bench) table(w *strings.Builder) {
	fmt.Fprint(w, "| what |")
	for _, p := range b.peers {
		fmt.Fprintf(w, " %s |", p.name())
	}
	fmt.Fprint(w, "\n|---|"+strings.Repeat("--:|", len(b.peers))+"\n| load, with all indexes |")
	ours := b.peers[0].name()
	for _, p := range b.peers {
		fmt.Fprintf(w, " %s%s |", perSecond(int(b.rate[p.name()]), time.Second), ratio(p == b.peers[0], b.rate[p.name()], b.rate[ours]))
	}
	fmt.Fprint(w, "\n| bytes on disk a listing |")
	for _, p := range b.peers {
		fmt.Fprintf(w, " %d%s |", b.size[p.name()]/int64(b.d.listings), ratio(p == b.peers[0], float64(b.size[p.name()]), float64(b.size[ours])))
	}
	fmt.Fprintln(w)
	for _, l := range peerLines {
		what := l.what
		if n := len(b.truth[l.key]); n > 0 && l.key != "exact" && l.key != "bulk" {
			what += fmt.Sprintf(" (%s hits on average)", few(float64(b.hits[l.key])/float64(n)))
		}
		if l.p99 {
			b.cells(w, what+", p50", l.key, l.show, func(s *series) []float64 { return s.p50 })
			b.cells(w, "– the same, p99", l.key, l.show, func(s *series) []float64 { return s.p99 })
			continue
		}
		b.cells(w, what, l.key, l.show, func(s *series) []float64 { return s.p50 })
	}
}

func (b *bench) cells(w *strings.Builder, what, key string, show func(float64) string, of func(*series) []float64) {
	fmt.Fprintf(w, "| %s |", what)
	var ours float64
	for i, p := range b.peers {
		s := b.took[key][p.name()]
		if s == nil {
			fmt.Fprint(w, " – |")
			continue
		}
		m := median(of(s))
		if i == 0 {
			ours = m
		}
		fmt.Fprintf(w, " %s ±%.0f %%%s |", show(m), spread(of(s)), ratio(i == 0, m, ours))
	}
	fmt.Fprintln(w)
}

func ratio(own bool, a, b float64) string {
	switch r := a / b; {
	case own || b == 0:
		return ""
	case r < 10:
		return fmt.Sprintf(" · %.2g×", r)
	default:
		return fmt.Sprintf(" · %.0f×", r)
	}
}

// short writes seconds with about three digits.
func short(s float64) string {
	switch {
	case s < 10e-6:
		return fmt.Sprintf("%.2f µs", s*1e6)
	case s < 1e-3:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.1f ms", s*1e3)
	}
	return fmt.Sprintf("%.1f s", s)
}

// agreements says in how many of the answers that were compared the peers said what we said.
func (b *bench) agreements(w *strings.Builder) {
	fmt.Fprint(w, "\nSame answers as ours, of those asked: the total / the first 20 in the same order (facets: every count).\n\n| what |")
	for _, p := range b.peers[1:] {
		fmt.Fprintf(w, " %s |", p.name())
	}
	fmt.Fprint(w, "\n|---|"+strings.Repeat("--:|", len(b.peers)-1)+"\n")
	for _, l := range peerLines[:len(peerLines)-2] {
		fmt.Fprintf(w, "| %s |", l.what)
		for _, p := range b.peers[1:] {
			a := b.agree[l.key][p.name()]
			switch {
			case a == nil:
				fmt.Fprint(w, " – |")
			case l.key == "exact" || l.key == "bulk" || l.key == "covering" || a.firsts == 0:
				fmt.Fprintf(w, " %d of %d |", a.totals, a.asked)
			default:
				fmt.Fprintf(w, " %d / %d of %d |", a.totals, a.firsts, a.asked)
			}
		}
		fmt.Fprintln(w)
	}
	for _, l := range peerLines {
		if n := b.least[l.key]; n > 0 {
			fmt.Fprintf(w, "\nOf %d totals of %q %d of ours say \"at least\", since we stop counting there, which the peers do not: their times for these pay for more. They count as the same where the peer's is not less.\n",
				len(b.truth[l.key]), l.what, n)
		}
	}
	for _, s := range b.writings {
		fmt.Fprintf(w, "\nWrong: %s.\n", s)
	}
	if len(b.writings) == 0 {
		fmt.Fprint(w, "\nAfter the changes every engine that can say listed the same number of entries of the feed.\n")
	}
}

// cpuModel is the processor's name, where the system says it.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "?"
	}
	_, rest, found := strings.Cut(string(b), "model name")
	if !found {
		return "?"
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(strings.Trim(line, "\t :"))
}

// few writes a number with a decimal where that is most of it.
func few(n float64) string {
	if n < 10 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
