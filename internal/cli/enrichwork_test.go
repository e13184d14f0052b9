package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/enrich/work"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// TestEnrichListed: one question a network and domain; answers, searches and counts
// show what was said, a backup has it, and verify looks at it.
func TestEnrichListed(t *testing.T) {
	servers := registrytest.Start(t)
	servers.Behave()
	e := servers.Endpoints()
	registrytest.SetRate(servers, &e, registry.Rate{PerMinute: 60000, Parallel: 4})
	w := newWorld(t, "names", "more")
	w.env = []string{"EI_ENRICH_ENDPOINTS=" + servers.EndpointsFile(t, e)}
	w.feeds.SetString("/names", "www.shop.com\nmail.shop.com\nother.net\n")
	w.feeds.SetString("/more", "third.org\n")
	w.must(4, "enrich") // there is no data yet
	w.must(0, "ingest", "names")
	if out, _ := w.must(1, "lookup", "-o", "ndjson", "www.shop.com"); !strings.Contains(out, `"enrichment":{}`) {
		t.Errorf("known before anybody was asked: %s", out)
	}
	report := func(args ...string) work.Report {
		t.Helper()
		out, _ := w.must(0, append([]string{"enrich", "-o", "json"}, args...)...)
		var r work.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return r
	}
	if r := report("--budget", "1"); r.Asked != 1 || r.Domains != 1 || !r.More {
		t.Errorf("%+v", r)
	}
	if r := report(); r.Asked != 1 || r.More {
		t.Errorf("%+v", r)
	}
	asked := servers.Count(registrytest.RDAPNorth) + servers.Count(registrytest.RDAPSouth)
	if r := report(); r.Asked != 0 || servers.Count(registrytest.RDAPNorth)+servers.Count(registrytest.RDAPSouth) != asked {
		t.Errorf("asked again: %+v", r)
	}
	out, talk := w.must(1, "lookup", "-o", "ndjson", "mail.shop.com")
	var a intel.Answer
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.Enrichment.Domain == nil || a.Enrichment.Domain.Name != "shop.com" || a.Enrichment.Domain.Source != "rdap" {
		t.Errorf("%v %s", err, out)
	}
	if !strings.Contains(talk, "domain   shop[.]com, Example Registrar, created 2019-01-02") {
		t.Errorf("people are not told: %s", talk)
	}
	if out, _ = w.must(0, "explain", "www.shop.com"); !strings.Contains(out, "What registries know") {
		t.Errorf("%s", out)
	}
	for q, want := range map[string]int{"enriched:false": 0, "enriched:true": 3, "registered:2019": 3, "registered:<30d": 0, "enriched:<1d feed:names": 3} {
		out, _ := w.must(0, "search", "-o", "ndjson", q)
		if n := strings.Count(out, "\n"); n != want {
			t.Errorf("%s: %d found, want %d:\n%s", q, n, want, out)
		}
	}
	w.must(0, "ingest", "more")
	if out, _ := w.must(0, "search", "-o", "ndjson", "enriched:false"); !strings.Contains(out, "third.org") {
		t.Errorf("what nobody asked about is not found: %s", out)
	}
	w.must(0, "verify")
	if out, _ := w.must(0, "doctor", "-o", "csv"); !strings.Contains(out, "registries answered about 0 networks and 2 domains") {
		t.Errorf("doctor: %s", out)
	}
	w.must(0, "backup", "copy.tar.zst")
	w.must(0, "restore", "copy.tar.zst", "--data", "again")
	if out, _ := w.must(1, "lookup", "--data", "again", "-o", "ndjson", "www.shop.com"); !strings.Contains(out, `"registrar":"Example Registrar"`) {
		t.Errorf("lost by a backup: %s", out)
	}
}

// TestEnrichmentDamaged: what registries said is damaged, and answers go on without.
func TestEnrichmentDamaged(t *testing.T) {
	servers := registrytest.Start(t)
	servers.Behave()
	e := servers.Endpoints()
	registrytest.SetRate(servers, &e, registry.Rate{PerMinute: 60000, Parallel: 4})
	w := newWorld(t, "names")
	w.env = []string{"EI_ENRICH_ENDPOINTS=" + servers.EndpointsFile(t, e)}
	w.feeds.SetString("/names", "www.shop.com\n")
	w.must(0, "ingest", "names")
	w.must(0, "enrich")
	batches, err := filepath.Glob(filepath.Join(w.dir, "data", "enrichment", "batches", "*"))
	if err != nil || len(batches) != 1 {
		t.Fatal(batches, err)
	}
	if err := os.WriteFile(batches[0], []byte("EIFB\x01not what it was, and long enough to be looked at"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, talk := w.must(1, "lookup", "-o", "ndjson", "www.shop.com")
	if !strings.Contains(out, `"found":true`) || !strings.Contains(out, `"enrichment":{}`) || !strings.Contains(talk, "checksum is wrong") {
		t.Errorf("%s%s", out, talk)
	}
	if out, _ := w.must(5, "verify"); !strings.Contains(out, filepath.Base(batches[0])) {
		t.Errorf("verify: %s", out)
	}
	if out, _ := w.must(5, "doctor", "-o", "csv"); !strings.Contains(out, "enrichment,fail") && !strings.Contains(out, "fail,enrichment") {
		t.Errorf("doctor: %s", out)
	}
	if _, talk := w.must(4, "enrich"); !strings.Contains(talk, "checksum is wrong") {
		t.Errorf("enrich: %s", talk)
	}
}

// TestServeEnriches: a server asks about what its feeds list while registries
// misbehave, and answers show it; look-ups never wait for one that is slow.
func TestServeEnriches(t *testing.T) {
	servers := registrytest.Start(t)
	servers.Misbehave(2, registrytest.Slow, registrytest.Huge, registrytest.Page)
	e := servers.Endpoints()
	registrytest.SetRate(servers, &e, registry.Rate{PerMinute: 60000, Parallel: 4})
	w := newWorld(t, "names")
	w.env = []string{"EI_ENRICH_ENDPOINTS=" + servers.EndpointsFile(t, e), "EI_ENRICH=on"}
	var list strings.Builder
	for i := range 40 {
		fmt.Fprintf(&list, "host%d.shop%d.com\n", i, i)
	}
	w.feeds.SetString("/names", list.String())
	s := w.serve()
	within(t, 30*time.Second, "the feed is read", func() bool { return s.found("host7.shop7.com") })
	within(t, 60*time.Second, "registries are asked", func() bool { return len(servers.Queries()) > 5 })
	began := time.Now()
	for i := range 40 {
		if code, _ := s.get(fmt.Sprintf("/api/v1/indicators/host%d.shop%d.com", i, i)); code != 200 {
			t.Errorf("answer %d while registries are asked", code)
		}
	}
	t.Logf("40 answers while registries are slow took %s", time.Since(began))
	s.stop(syscall.SIGTERM, 0)
	if out, _ := w.must(0, "search", "-o", "ndjson", "enriched:true"); strings.Count(out, "\n") == 0 {
		t.Error("nothing of what was found before the server stopped is kept")
	}
}
