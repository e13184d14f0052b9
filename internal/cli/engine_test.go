package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// clustered is a world whose index is in a cluster, under an alias of its own.
func clustered(t *testing.T, ids ...string) (w *world, index string) {
	c := opensearchtest.Shared(t, opensearchtest.V2)
	w = newWorld(t, ids...)
	index = fmt.Sprintf("elasticintel-cli-%d", time.Now().UnixNano())
	w.env = []string{"EI_ENGINE=opensearch", "EI_OPENSEARCH_URL=" + strings.Join(c.URLs, ","), "EI_OPENSEARCH_INDEX=" + index}
	t.Cleanup(func() {
		erase(t, c.URLs[0]+"/"+index+"-*")
		erase(t, c.URLs[0]+"/_index_template/"+index+"*")
	})
	return w, c.URLs[0] + "/" + index + "-*"
}

func erase(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// TestCluster_CommandsNeedNoFolder: what one process has ingested, others answer
// from the cluster alone.
func TestCluster_CommandsNeedNoFolder(t *testing.T) {
	w, _ := clustered(t, "alpha", "beta")
	_, stderr := w.must(4, "lookup", "one.alpha.example")
	if !strings.Contains(stderr, "elasticintel ingest") || !strings.Contains(stderr, "--opensearch-index") {
		t.Errorf("no index: %s", stderr)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "data")); err == nil {
		t.Error("a look-up made a data folder")
	}
	_, stderr = w.must(0, "ingest", "--all")
	if !strings.Contains(stderr, "Index: 6 documents written") {
		t.Errorf("ingest does not say what it sent: %s", stderr)
	}
	_, stderr = w.must(0, "ingest", "--all")
	if strings.Contains(stderr, "documents written") {
		t.Errorf("an unchanged feed sends documents: %s", stderr)
	}
	folder := append([]string(nil), w.env...)
	w.env = append(w.env, "EI_DATA=elsewhere")
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{1, "lookup one.alpha.example", "one[.]alpha[.]example"},
		{0, "lookup four.alpha.example", "unknown"},
		{0, "search --json kind:domain", `"total":6`},
		{0, "explain one.beta.example", "by beta"},
		{0, "changes --limit 0 -o csv", "three.beta.example"},
		{0, "stats --json", `"listings":6`},
		{0, "feeds report --json", `"id":"alpha"`},
		{0, "doctor", "OpenSearch 2."},
	} {
		if stdout, _ := w.must(c.code, strings.Fields(c.args)...); !strings.Contains(stdout, c.want) {
			t.Errorf("%s: %s", c.args, stdout)
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "elsewhere")); err == nil {
		t.Error("a reading command made a data folder")
	}
	w.env = folder
	stdout, _ := w.must(0, "doctor")
	for _, want := range []string{"as new as the data folder", "the user may write to it", "-v"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("doctor does not say %q: %s", want, stdout)
		}
	}
	w.env = append(w.env, "EI_ENGINE=embedded")
	w.feeds.Add("/alpha", "four.alpha.example")
	w.must(0, "ingest", "alpha")
	w.env = folder
	if stdout, _ = w.must(0, "doctor"); !strings.Contains(stdout, "1 feed not as in the data folder") {
		t.Errorf("doctor does not see that the index is behind: %s", stdout)
	}
}

// TestCluster_Serve: a server answers from the cluster and lets it follow what is
// ingested beside it. Killed in the midst of that it goes on; an index that somebody
// deletes is no answer of "not listed", and comes back by itself.
func TestCluster_Serve(t *testing.T) {
	w, index := clustered(t, "alpha")
	s := w.serve()
	ready := func(s *server) func() bool {
		return func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK }
	}
	within(t, 60*time.Second, "the first pull in the index", func() bool { return ready(s)() && s.found("one.alpha.example") })
	w.feeds.Add("/alpha", "four.alpha.example")
	w.must(0, "ingest", "alpha")
	within(t, 60*time.Second, "a change made beside the server", func() bool { return s.found("four.alpha.example") })

	var big strings.Builder
	const many = 3000
	for i := range many {
		fmt.Fprintf(&big, "n%d.big.example\n", i)
	}
	w.feeds.SetString("/big", big.String())
	w.define("big", "")
	within(t, 60*time.Second, "a sync of the new feed", func() bool { return syncing(t, w) && !s.found("n0.big.example") })
	s.stop(syscall.SIGKILL, 0)

	s = w.serve()
	within(t, 60*time.Second, "everything that was ingested", func() bool {
		_, body := s.get("/api/v1/search?limit=1&q=feed:big")
		return ready(s)() && strings.Contains(body, fmt.Sprintf(`"total":%d`, many))
	})
	if _, body := s.get("/metrics"); !strings.Contains(body, "ei_index_behind_seconds 0\n") || !strings.Contains(body, "ei_index_cluster_down 0\n") {
		t.Errorf("metrics: %s", body)
	}

	erase(t, index)
	gone := false
	within(t, 60*time.Second, "the index is made anew", func() bool {
		code, body := s.get("/api/v1/indicators/one.alpha.example")
		switch {
		case code == http.StatusServiceUnavailable:
			gone = true
		case code != http.StatusOK || !strings.Contains(body, `"found":true`):
			t.Fatalf("the answer without an index: %d %s", code, body)
		}
		return gone && code == http.StatusOK
	})
	within(t, 60*time.Second, "ready again", ready(s))
	if stdout, _ := w.must(0, "stats", "--json", "--data", "elsewhere"); !strings.Contains(stdout, fmt.Sprintf(`"listings":%d`, many+4)) {
		t.Errorf("stats: %s", stdout)
	}
	s.stop(syscall.SIGTERM, 0)
}

// TestCluster_FirstStart: until the index has the starter data, a new server answers
// that it cannot, and is not ready.
func TestCluster_FirstStart(t *testing.T) {
	w, _ := clustered(t)
	w.env = append(w.env, "EI_FEEDS=")
	s := w.serve("--offline")
	var first struct{ Canonical string }
	within(t, 60*time.Second, "the starter data in the folder", func() bool {
		code, stdout, _ := w.run("search", "--engine", "embedded", "--limit", "1", "-o", "ndjson", "listed:true kind:domain")
		return code == 0 && json.Unmarshal([]byte(stdout), &first) == nil && first.Canonical != ""
	})
	within(t, 60*time.Second, "the starter data in the index", func() bool {
		ready, _ := s.get("/readyz")
		code, body := s.get("/api/v1/indicators/" + first.Canonical)
		switch found := strings.Contains(body, `"found":true`); {
		case code == http.StatusOK && !found, ready == http.StatusOK && code != http.StatusOK:
			t.Fatalf("ready %d, and the answer is %d %s", ready, code, body)
		}
		return code == http.StatusOK
	})
	s.stop(syscall.SIGTERM, 0)
}

// syncing says whether somebody writes to the index now.
func syncing(t *testing.T, w *world) bool {
	f, err := os.Open(filepath.Join(w.dir, "data", "index.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	err = blob.Lock(f, false)
	if err != nil && !errors.Is(err, blob.ErrLocked) {
		t.Fatal(err)
	}
	return err != nil
}

// TestCluster_Refuses: a cluster that cannot be reached, or wants another password,
// is exit code 4 with what to do, and nothing of what was ingested is lost.
func TestCluster_Refuses(t *testing.T) {
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, "Unauthorized %s", password)
	}))
	defer refuse.Close()
	nobody := httptest.NewServer(nil)
	nobody.Close()
	unknown := httptest.NewTLSServer(nil)
	defer unknown.Close()
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	w := newWorld(t, "alpha")
	for _, c := range []struct{ url, want string }{
		{unknown.URL, "with --opensearch-ca"},
		{nobody.URL, "Is the cluster up, and --opensearch-url right, http or https included?"},
		{refuse.URL, "Check --opensearch-user and the password (EI_SECRET_OPENSEARCH"},
	} {
		w.env = []string{"EI_ENGINE=opensearch", "EI_OPENSEARCH_URL=" + c.url, "EI_OPENSEARCH_USER=joe", "EI_SECRET_OPENSEARCH=hunter2"}
		for _, args := range []string{"lookup one.alpha.example", "search x", "explain one.alpha.example", "changes", "stats", "feeds report", "ingest alpha"} {
			if _, stderr := w.must(4, strings.Fields(args)...); !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
				t.Errorf("%s: %s", args, stderr)
			}
		}
		if stdout, _ := w.must(5, "doctor"); !strings.Contains(stdout, c.want) || strings.Contains(stdout, "hunter2") {
			t.Errorf("doctor: %s", stdout)
		}
	}
	w.env = nil
	w.must(1, "lookup", "one.alpha.example")
	w.env = []string{"EI_ENGINE=opensearch", "EI_OPENSEARCH_URL=" + nobody.URL}
	s := w.serve("--offline")
	within(t, 20*time.Second, "the server says why it is not ready", func() bool {
		code, body := s.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "the cluster cannot be reached") && strings.Contains(s.talk.String(), "The index does not follow")
	})
	if code, body := s.get("/api/v1/indicators/one.alpha.example"); code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", code, body)
	}
	s.stop(syscall.SIGTERM, 0)
}

// TestCluster_Settings: what is missing is said before anything is done.
func TestCluster_Settings(t *testing.T) {
	w := newWorld(t, "alpha")
	for args, want := range map[string]string{
		"--opensearch-url http://127.0.0.1:1": "Add --engine opensearch",
		"--engine opensearch":                 "needs the URL of a node",
		"--engine opensearch --opensearch-url http://127.0.0.1:1 --opensearch-user joe":             "Set EI_SECRET_OPENSEARCH, or write it into data/secrets/opensearch",
		"--engine opensearch --opensearch-url https://127.0.0.1:1 --opensearch-ca none.pem":         "--opensearch-ca: open none.pem",
		"--engine opensearch --opensearch-url https://127.0.0.1:1 --opensearch-ca feeds/alpha.json": "no certificate",
	} {
		for _, cmd := range []string{"lookup x.example", "serve", "ingest alpha"} {
			if _, stderr := w.must(3, strings.Fields(cmd+" "+args)...); !strings.Contains(stderr, want) {
				t.Errorf("%s %s: %s", cmd, args, stderr)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "data")); err == nil {
		t.Error("a data folder was made")
	}
	if err := os.MkdirAll(filepath.Join(w.dir, "data", "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "data", "secrets", "opensearch"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(4, strings.Fields("stats --engine opensearch --opensearch-url http://127.0.0.1:1 --opensearch-user joe")...)
	w.must(3, strings.Fields("stats --engine opensearch --opensearch-url http://192.0.2.1:1 --opensearch-user joe")...) // in clear text
}
