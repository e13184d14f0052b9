package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// engine is what both engines are asked by.
type engine interface {
	Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error)
	Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error)
}

// most questions of a sort in a round.
const mostAsked = 100

// search asks both engines the same, in turn, and counts the answers that differ.
func (d *duel) search(ctx context.Context) error {
	now := time.Now().UTC()
	kinds := []struct {
		name, sort string
		change     func(*query.Search)
	}{
		{"term", "term", nil}, {"and", "and", nil}, {"phrase", "phrase", nil}, {"prefix", "prefix", nil}, {"subdomains", "subdomains", nil}, {"net", "net", nil},
		{"asof", "term", func(s *query.Search) { s.AsOf = now.Add(-time.Duration(d.feeds/2+24) * time.Hour) }},
		{"facet", "facet", func(s *query.Search) {
			s.Limit, s.Facets, s.FacetLimit = -1, []query.Field{query.FieldFeed}, 1000
		}},
		{"ordered", "ordered", func(s *query.Search) { s.Limit = 50_000 }},
	}
	for round := range d.rounds + 1 { // the first warms
		f := d.f
		if round == 0 {
			f = figures{}
		}
		for _, k := range kinds {
			texts := d.asked.Searches[k.sort]
			switch k.sort {
			case "facet":
				texts = nil
				for _, w := range d.asked.Facets {
					texts = append(texts, `"`+w+`"`)
				}
			case "ordered":
				texts = []string{"listed:true"}
			}
			if len(texts) > mostAsked {
				texts = texts[:mostAsked]
			}
			ask := func(e engine, text string) (said, error) {
				node, err := query.Parse(text, now)
				if err != nil {
					return said{}, err
				}
				s := query.Search{Query: node, Limit: 20}
				if k.change != nil {
					k.change(&s)
				}
				n := 0
				page, err := e.Search(ctx, s, func(*intel.Listing) error { n++; return nil })
				return said{page.Total, page.Exact, fmt.Sprint(n, page.Facets)}, err
			}
			if err := d.both(f, k.name, texts, ask); err != nil {
				return err
			}
		}
		members := func(e engine, text string) (said, error) {
			ind, err := intel.Parse(strings.TrimPrefix(text, "net:"), intel.CIDR.Set())
			if err != nil {
				return said{}, err
			}
			l, err := e.Find(ctx, intel.Ask(ind), time.Time{}, nil)
			return said{total: len(l), exact: true}, err
		}
		nets := d.asked.Searches["net"]
		if err := d.both(f, "members", nets[:min(len(nets), mostAsked)], members); err != nil {
			return err
		}
	}
	return nil
}

// said is what is compared of an answer. A total that is not exact is the least there are.
type said struct {
	total int
	exact bool
	rest  string
}

func (a said) agrees(b said) bool {
	return a.rest == b.rest && (a.total == b.total || !a.exact && a.total < b.total || !b.exact && b.total < a.total)
}

// both times a question of both engines.
func (d *duel) both(f figures, name string, texts []string, ask func(engine, string) (said, error)) error {
	var took [2][]float64
	for _, text := range texts {
		var heard [2]said
		for i, e := range []engine{d.p.c, d.index} {
			began := time.Now()
			s, err := ask(e, text)
			if err != nil {
				return fmt.Errorf("%s %s: %w", name, text, err)
			}
			took[i], heard[i] = append(took[i], time.Since(began).Seconds()), s
		}
		if !heard[0].agrees(heard[1]) {
			log.Printf("%s %s: embedded %.200v, index %.200v", name, text, heard[0], heard[1])
			f.add("differ", 1)
		}
		f.add("asked", 1)
	}
	for i, before := range []string{"", "index."} {
		slices.Sort(took[i])
		f.quantiles(before+name, took[i])
	}
	return nil
}

func (d *duel) start(ctx context.Context, args []string) (*served, error) {
	binary, err := filepath.Abs(d.binary)
	if err != nil {
		return nil, err
	}
	return startServed(exec.CommandContext(ctx, binary, args...))
}

// http asks the built program over loopback, one engine after the other, since a
// store has one server.
func (d *duel) http(ctx context.Context) error {
	for _, index := range []bool{false, true} {
		if err := d.httpOf(ctx, index); err != nil {
			return err
		}
	}
	return d.nodeMemory("index.asked")
}

func (d *duel) httpOf(ctx context.Context, index bool) error {
	s, err := d.server(ctx, index)
	if err != nil {
		return err
	}
	defer s.stop()
	before := ""
	if index {
		before = "index."
	}
	single := func(c *http.Client, i intel.Indicator) error {
		return answered(c.Get(s.url + "/api/v1/indicators/" + url.PathEscape(i.Value)))
	}
	bare := func(c *http.Client, i intel.Indicator) error {
		body := fmt.Sprintf(`{"query":{"term":{"threat.indicator.name":%q}}}`, i.Value)
		return answered(c.Post(d.node+"/"+d.alias+"/_search", "application/json", strings.NewReader(body)))
	}
	for round := range d.rounds + 1 {
		f := d.f
		if round == 0 {
			f = figures{}
		}
		for _, clients := range []int{1, 4} {
			if err := hammer(f, fmt.Sprintf("%ssingle.%d", before, clients), d.requests(), clients, d.asked.Exact, single); err != nil {
				return err
			}
			if index {
				if err := hammer(f, fmt.Sprintf("bare.%d", clients), d.requests(), clients, d.asked.Exact, bare); err != nil {
					return err
				}
			}
		}
		values := d.asked.Bulk["50"]
		took, _, err := bulkOnce(s, "", values[:min(len(values), 10_000)])
		if err != nil {
			return err
		}
		f.add(before+"bulk", took.Seconds())
	}
	rss, err := processStatus(s.cmd.Process.Pid, "VmRSS:")
	d.f.add(before+"server", rss)
	return err
}

// requests is how many look-ups are timed at once: few where the data is only a trial.
func (d *duel) requests() int { return min(d.listings/20, 2000) }

// answered reads an answer to its end.
func answered(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// hammer has each client ask for all values, each from another place on.
func hammer(f figures, name string, requests, clients int, values []intel.Indicator, ask func(*http.Client, intel.Indicator) error) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	took, failed := make([][]float64, clients), make([]error, clients)
	n := max(requests/clients, 1)
	began := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; i < n && failed[c] == nil; i++ {
				at := time.Now()
				failed[c] = ask(client, values[(i+c*n)%len(values)])
				took[c] = append(took[c], time.Since(at).Seconds())
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	f.add(name+".rate", float64(len(all))/time.Since(began).Seconds())
	slices.Sort(all)
	f.quantiles(name, all)
	return errors.Join(failed...)
}

// report is one table, the embedded engine beside.
func (d *duel) report(version, about, load string) string {
	var w strings.Builder
	fmt.Fprintf(&w, "%s, %s/%s, %d CPUs (%s), %s, OpenSearch %s (one node, one shard); load average %s.\n\n%s. The feed that changes has %d.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runtime.Version(), version, load, about, d.big)
	fmt.Fprintf(&w, "Medians of %d rounds, ± the farthest; filling and the unchanged feed are one.\n\n| what | OpenSearch | embedded |\n|---|--:|--:|\n", d.rounds)
	for _, l := range duelLines() {
		fmt.Fprintf(&w, "| %s | %s | %s |\n", l.what, d.shown(l.index, l.show), d.shown(l.ours, l.show))
	}
	fmt.Fprintf(&w, "\nAnswers of searches and of networks whose totals, lengths or facets contradict each other: %d of %d. Bare: a term query for the same values, which says nothing of feeds, networks and scores.\n",
		len(d.f["differ"]), len(d.f["asked"]))
	return w.String()
}

func (d *duel) shown(name string, show func(float64) string) string {
	v := d.f[name]
	if len(v) == 0 {
		return ""
	}
	s := show(median(v))
	if len(v) > 1 {
		s += fmt.Sprintf(" ±%.0f %%", spread(v))
	}
	return s
}

type duelLine struct {
	what, index, ours string
	show              func(float64) string
}

func duelLines() []duelLine {
	lines := []duelLine{
		{"filling: object store to index, acknowledged and visible; embedded: entries to durable", "index.ingest", "ingest", rate},
		{"bytes a listing on disk, after a flush", "index.flushed", "store.bytes", plain},
		{"– after a merge into one segment", "index.merged", "", plain},
		{"memory of the node after filling", "index.filled", "", mega},
		{"– after all questions", "index.asked", "", mega},
		{"memory of our server after its questions", "index.server", "server", mega},
		{"unchanged feed: documents sent", "index.same.sent", "", plain},
		{"– until known, from parsed entries on", "index.same.time", "same.time", short},
		{"10 % of a feed go and 10 % come: until visible, from parsed entries on", "index.tenth.time", "tenth.time", short},
		{"– documents sent", "index.tenth.sent", "", plain},
	}
	for _, c := range []string{"1", "4"} {
		clients := "clients"
		if c == "1" {
			clients = "client"
		}
		for _, x := range []struct{ what, index, ours string }{{"single look-ups over HTTP", "index.single.", "single."}, {"– bare term query to the node", "bare.", ""}} {
			ours := func(s string) string {
				if x.ours == "" {
					return ""
				}
				return x.ours + c + s
			}
			lines = append(lines, duelLine{fmt.Sprintf("%s, %s %s", x.what, c, clients), x.index + c + ".rate", ours(".rate"), rate},
				duelLine{"– p50", x.index + c + ".p50", ours(".p50"), short}, duelLine{"– p99", x.index + c + ".p99", ours(".p99"), short})
		}
	}
	lines = append(lines, duelLine{"10,000 values at once over HTTP, half of them listed", "index.bulk", "bulk", short})
	for _, x := range []struct{ what, name string }{{"one term, first 20 with total", "term"}, {"term AND term", "and"}, {"phrase", "phrase"}, {"prefix", "prefix"}, {"facet by feed", "facet"},
		{"subdomains of a host", "subdomains"}, {"one term as of a day ago", "asof"}, {"listed in a /16, first 20", "net"}, {"members of that network, all", "members"}, {"50,000 listings in order", "ordered"}} {
		lines = append(lines, duelLine{x.what + ", p50", "index." + x.name + ".p50", x.name + ".p50", short}, duelLine{"– p99", "index." + x.name + ".p99", x.name + ".p99", short})
	}
	return lines
}
