package app

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/enrich/work"
)

// enrich asks registries, a turn every EnrichEvery once the server is ready. Answers
// never wait for it. Where there was nothing to ask, it goes on as soon as a run brings
// something.
func (a *App) enrich() {
	if a.cfg.Enrich == nil || a.cfg.Offline {
		return
	}
	tick := time.NewTicker(EnrichEvery)
	defer tick.Stop()
	for wait := time.NewTicker(refreshEvery); a.Ready() != nil; { // the first data first
		select {
		case <-a.ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
	for {
		r, err := a.cfg.Enrich(a.ctx)
		if a.ctx.Err() != nil {
			return
		}
		a.turns.add(r, a.cfg.Feeds.Now(), err)
		if err != nil {
			a.cfg.Log.Error("asking registries", "error", err)
		}
		idle := a.news
		if r.Asked > 0 || err != nil {
			idle = nil // what a run brings has time
		}
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		case <-idle:
		}
	}
}

// turns counts what was asked since the server began.
type turns struct {
	mu     sync.Mutex
	sum    work.Report
	last   time.Time // the end of the last turn
	failed int
}

func (t *turns) add(r work.Report, at time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = at
	t.sum.Asked += r.Asked
	t.sum.Networks += r.Networks
	t.sum.Domains += r.Domains
	t.sum.Nothing += r.Nothing
	t.sum.Origins += r.Origins
	t.sum.Covered += r.Covered
	if err != nil {
		t.failed++
	}
}

// writeMetrics writes them in the Prometheus text format, nothing before the first turn.
func (t *turns) writeMetrics(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.IsZero() {
		return
	}
	const name = "ei_enrich_questions_total"
	_, _ = fmt.Fprintf(w, "# HELP %s Questions to registries that came to an end, by what they gave.\n# TYPE %s counter\n", name, name)
	_, _ = fmt.Fprintf(w, "%s{gave=\"network\"} %d\n%s{gave=\"domain\"} %d\n%s{gave=\"nothing\"} %d\n", name, t.sum.Networks, name, t.sum.Domains, name, t.sum.Nothing)
	for _, m := range []struct {
		name, kind, help string
		value            float64
	}{
		{"ei_enrich_covered_total", "counter", "Addresses that needed no question of their own, since an answer covered them.", float64(t.sum.Covered)},
		{"ei_enrich_turns_failed_total", "counter", "Turns of asking registries that failed.", float64(t.failed)},
		{"ei_enrich_last_turn_timestamp_seconds", "gauge", "When the last turn of asking registries ended.", float64(t.last.Unix())},
	} {
		_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
}

// writeKnown writes how much enrichment knows.
func writeKnown(w io.Writer, b *facts.Book) {
	if b == nil {
		return
	}
	c := b.Snapshot().Counts()
	const name = "ei_enrichment_known"
	_, _ = fmt.Fprintf(w, "# HELP %s Answers of registries that are kept, and rows of offline tables.\n# TYPE %s gauge\n", name, name)
	for _, x := range []struct {
		of string
		n  int
	}{{"networks", c.Networks}, {"domains", c.Domains}, {"nothing", c.Nothing}, {"rows", c.Rows}} {
		_, _ = fmt.Fprintf(w, "%s{of=%q} %d\n", name, x.of, x.n)
	}
}
