package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asking asks a server the same again and again, from several sides, until stop is
// called, and reports what is no right answer.
func (s *server) asking(right map[string]string) (stop func() int) {
	var asked atomic.Int64
	var end atomic.Bool
	var wg sync.WaitGroup
	for path, want := range right {
		wg.Go(func() {
			for !end.Load() {
				if code, body := s.get(path); code != http.StatusOK || !strings.Contains(body, want) {
					s.t.Errorf("%s: %d %.300s, want %s", path, code, body, want)
					return
				}
				asked.Add(1)
			}
		})
	}
	return func() int { end.Store(true); wg.Wait(); return int(asked.Load()) }
}

// said waits until the server has said something.
func (s *server) said(what string) {
	s.t.Helper()
	within(s.t, time.Minute, "the server says: "+what, func() bool { return strings.Contains(s.talk.String(), what) })
}

// TestMigrate: a running server changes over to a cluster and back, and nobody who
// asks meanwhile gets an error or a wrong answer; commands follow the choice.
func TestMigrate(t *testing.T) {
	w, index := clustered(t, "alpha", "beta")
	flags := []string{"--opensearch-url", strings.TrimPrefix(w.env[1], "EI_OPENSEARCH_URL="), "--opensearch-index", strings.TrimPrefix(w.env[2], "EI_OPENSEARCH_INDEX=")}
	w.env = nil
	if _, stderr := w.must(2, "migrate", "--to", "opensearch"); !strings.Contains(stderr, "--opensearch-url") {
		t.Error(stderr)
	}
	if _, stderr := w.must(2, "reindex"); !strings.Contains(stderr, "--engine opensearch") {
		t.Error(stderr)
	}
	w.must(0, "ingest", "--all")
	s := w.serve()
	within(t, time.Minute, "ready", func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	stop := s.asking(map[string]string{
		"/api/v1/indicators/one.alpha.example":     `"found":true`,
		"/api/v1/indicators/nothing.alpha.example": `"found":false`,
		"/api/v1/search?q=feed:beta":               `"total":3`,
	})
	_, stderr := w.must(0, append([]string{"migrate", "--to", "opensearch"}, flags...)...)
	for _, want := range []string{"may do what is needed", "2 of 2 feeds, 6 of 6 listings", "6 listings of 2 feeds", "takes it up by itself"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("migrate does not say %q: %s", want, stderr)
		}
	}
	s.said("from now on, which follows")
	if _, body := s.get("/metrics"); !strings.Contains(body, "ei_index_syncs_total") {
		t.Error("the metrics are not those of an index")
	}
	w.feeds.Add("/alpha", "four.alpha.example")
	w.must(0, "ingest", "alpha")
	within(t, time.Minute, "a change in the cluster", func() bool { return s.found("four.alpha.example") })
	if stdout, _ := w.must(0, "doctor"); !strings.Contains(stdout, "OpenSearch 2.") {
		t.Errorf("doctor does not look at the cluster: %s", stdout)
	}
	if _, stderr := w.must(0, "verify"); !strings.Contains(stderr, "7 listings of 2 feeds, 7 compared") {
		t.Errorf("verify: %s", stderr)
	}
	if _, stderr := w.must(0, "reindex"); !strings.Contains(stderr, "is whole: 7 documents written") {
		t.Errorf("reindex: %s", stderr)
	}
	w.must(0, "migrate", "--to", "embedded")
	s.said("by the data folder itself from now on")
	erase(t, index)
	if !s.found("four.alpha.example") {
		t.Error("the data folder does not answer")
	}
	if n := stop(); n < 100 {
		t.Errorf("only %d answers during all of it", n)
	}
	if stdout, _ := w.must(1, "lookup", "four.alpha.example"); !strings.Contains(stdout, "four") {
		t.Error(stdout)
	}
}

// TestMigrateKilled: killed in the midst of the filling, migrate goes on where it
// was, and nothing is switched before it is through. What is wrong in the index
// afterwards is found by verify, with its exit code.
func TestMigrateKilled(t *testing.T) {
	w, index := clustered(t, "big")
	args := []string{"migrate", "--to", "opensearch", "--opensearch-url", strings.TrimPrefix(w.env[1], "EI_OPENSEARCH_URL="),
		"--opensearch-index", strings.TrimPrefix(w.env[2], "EI_OPENSEARCH_INDEX=")}
	w.env = nil
	var big strings.Builder
	const many = 45_000
	for i := range many {
		fmt.Fprintf(&big, "host%d.big.example\n", i)
	}
	w.feeds.SetString("/big", big.String())
	w.must(0, "ingest", "big")
	cmd := w.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := strings.TrimSuffix(index, "*") + "v1-000001"
	within(t, 2*time.Minute, "a mark within the feed", func() bool {
		var got struct {
			Source struct {
				Listing struct {
					Feeds map[string]struct {
						After *struct{ Key int64 }
					}
				}
			} `json:"_source"`
		}
		res, err := http.Get(first + "/_doc/facts")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		_ = json.Unmarshal(b, &got) // there may be none yet
		after := got.Source.Listing.Feeds["big"].After
		return after != nil && after.Key > 0
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if stdout, _ := w.must(0, "doctor"); strings.Contains(stdout, "OpenSearch 2.") {
		t.Error("the cluster was chosen before it was full")
	}
	_, stderr := w.must(0, args...)
	if !strings.Contains(stderr, "of them were there") || !strings.Contains(stderr, "v1-000001: 1 of 1 feeds, 45000 of 45000 listings") {
		t.Errorf("it did not go on: %s", stderr)
	}
	w.must(1, "lookup", "host44999.big.example")
	res, err := http.Post(strings.TrimSuffix(first, "/")+"/_delete_by_query?refresh=true&q=threat.indicator.name:host7.big.example", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if stdout, stderr := w.must(5, "verify", "--sample", "100"); !strings.Contains(stdout, "feed big: 44999 listings of kind domain in the index, 45000 in the data folder") || !strings.Contains(stderr, "elasticintel reindex") {
		t.Errorf("%.1000s%s", stdout, stderr)
	}
	w.must(0, "reindex")
	w.must(0, "verify", "--sample", "100")
}
