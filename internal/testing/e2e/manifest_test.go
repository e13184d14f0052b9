package e2e

import (
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedsamples"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// TestManifest pulls a real MISP feed event by event: together they list what the
// events' files list one by one.
func TestManifest(t *testing.T) {
	if os.Getenv("EI_SAMPLES") == "" {
		t.Skip("EI_SAMPLES is not set: no MISP feed is among the small samples")
	}
	const folder, manifest = "infoblox/misp/", "infoblox/misp/manifest.json"
	srv := feedserver.Start(t)
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), srv: srv}
	read := 0
	var events []string
	want := map[intel.Indicator]bool{}
	for _, s := range samples(t, srv, 20_000) {
		if !strings.HasPrefix(s.File, folder) || s.def.Type != "misp" {
			continue
		}
		events = append(events, "/"+folder+strings.TrimSuffix(path.Base(s.File), ".gz"))
		srv.Set(events[len(events)-1], s.Packed)
		for _, e := range entries(t, s) {
			want[e.Indicator] = true
		}
		read += s.Counts.Read
	}
	s := &sample{&feedsamples.Sample{File: manifest}, "/" + manifest, definition(t, srv, manifest, `{"type":"misp"}`)}
	var err error
	if s.Packed, err = os.ReadFile(path.Join(os.Getenv("EI_SAMPLES"), "feeds", manifest)); err != nil {
		t.Fatal(err)
	}
	s.serve(srv)
	w.samples = []*sample{s}
	w.open()
	run := w.hour()[s.def.ID]
	if len(events) < 40 || run.Status != intel.RunOK || run.Read != read || run.Open != len(want) {
		t.Errorf("%d events with %d records and %d indicators; the run %s (%s): %+v, %d open", len(events), read, len(want), run.Status, run.Reason, run.Counts, run.Open)
	}
	for ind := range want {
		if x := w.ask(s.def.ID, ind.Value, time.Time{}); x == nil || !x.Listed {
			t.Errorf("%s %q: %+v", ind.Kind, ind.Value, x)
		}
	}
	if again := w.hour()[s.def.ID]; again.Status != intel.RunUnchanged || srv.Hits(s.path) != 2 {
		t.Errorf("%s (%s), the manifest asked for %d times", again.Status, again.Reason, srv.Hits(s.path))
	}
	for _, event := range events {
		if n := srv.Hits(event); n != 1 {
			t.Errorf("%s was asked for %d times although it never changed", event, n)
		}
	}
}
