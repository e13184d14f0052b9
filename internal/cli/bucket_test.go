package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// bucketWorld is a world whose data is a bucket of ministack that has the definition
// of the feed a among its objects, and no other.
func bucketWorld(t *testing.T) (*world, *aws.Store) {
	t.Helper()
	awstest.Ministack(t).Setenv(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, os.Getenv("AWS_ENDPOINT_URL")+"/intel", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	store, err := aws.NewStore(t.Context(), aws.StoreOptions{URL: "s3://intel"})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "a")
	def, err := os.ReadFile(filepath.Join(w.dir, "feeds", "a.json"))
	if err == nil {
		_, err = blob.Write(t.Context(), store, "feeds.d/a.json", def, blob.Cond{})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.env = []string{"EI_DATA=s3://intel", "EI_FEEDS=", "EI_CACHE=" + t.TempDir()}
	return w, store
}

// TestBucket: on a bucket look-ups, searches and all that only reads answer as on a
// folder, from any machine, and ingest may run on several at once; what counts on a
// folder says so.
func TestBucket(t *testing.T) {
	w, store := bucketWorld(t)
	if _, said := w.must(exitUnreachable, "lookup", "one.a.example"); !strings.Contains(said, "s3://intel: no threat data here yet") {
		t.Errorf("an empty bucket: %s", said)
	}
	var wg sync.WaitGroup
	for range 2 { // two machines at once: one run takes effect
		wg.Go(func() {
			if code, _, said := w.run("ingest", "a"); code != 0 {
				t.Errorf("ingest: %d %s", code, said)
			}
		})
	}
	wg.Wait()
	other := *w // another machine: it has no copies
	other.env = append(append([]string{}, w.env...), "EI_CACHE="+t.TempDir())
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{1, []string{"lookup", "one.a.example", "-o", "ndjson"}, `"found":true`},
		{0, []string{"lookup", "four.a.example"}, "unknown"},
		{0, []string{"search", "one.a.example", "-o", "ndjson"}, "one.a.example"},
		{0, []string{"explain", "one.a.example"}, "one[.]a[.]example"},
		{0, []string{"changes", "-o", "ndjson"}, `"two.a.example"`},
		{0, []string{"stats", "-o", "ndjson"}, `"listings":3`},
		{0, []string{"feeds", "list", "-o", "ndjson"}, `"id":"a"`},
		{0, []string{"feeds", "status"}, "a "},
		{0, []string{"feeds", "report"}, "a "},
		{0, []string{"verify"}, ""},
		{0, []string{"feeds", "approve", "a"}, ""},
		{0, []string{"keys", "create", "splunk"}, "ei_"},
		{0, []string{"keys", "list"}, "splunk"},
	} {
		if out, said := other.must(c.code, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("%v: %s%s", c.args, out, said)
		}
	}
	out, _ := w.must(0, "feeds", "runs", "a", "-o", "ndjson")
	if strings.Count(out, `"status":"ok"`) != 1 || strings.Count(out, "\n") != 2 {
		t.Errorf("of two runs at once: %s", out)
	}
	out, _ = w.must(0, "feeds", "list", "-o", "ndjson")
	if strings.Count(out, "\n") != 1 {
		t.Errorf("other feeds than the bucket's: %s", out)
	}
	restored(t, w)
	if infos, err := store.List(t.Context(), "segments/"); err != nil || len(infos) == 0 {
		t.Errorf("%v, %v", infos, err)
	}
	for _, args := range [][]string{{"serve"}, {"doctor"}, {"feeds", "enable", "a"}, {"migrate", "--to", "embedded"}, {"restore", "x.tar"}} {
		began := time.Now()
		if _, said := w.must(exitUsage, args...); !strings.Contains(said, "does not work on the bucket s3://intel: ") || !strings.Contains(said, "Give a folder with --data") {
			t.Errorf("%v after %s: %s", args, time.Since(began), said)
		}
	}
	w.must(0, "serve", "--help")
	w.env = append(w.env, "EI_DATA=s3://I N")
	if _, said := w.must(exitConfig, "lookup", "one.a.example"); !strings.Contains(said, "want s3://BUCKET") {
		t.Errorf("no bucket's name: %s", said)
	}
	w.env = append(w.env, "EI_DATA=s3://not-there")
	if _, said := w.must(exitUnreachable, "lookup", "one.a.example"); !strings.Contains(said, "there is no bucket not-there") {
		t.Errorf("no bucket: %s", said)
	}
}

// restored wants a backup of the bucket to be a data folder that answers alike.
func restored(t *testing.T, w *world) {
	t.Helper()
	w.must(0, "backup", "all.tar")
	w.must(0, "restore", "all.tar", "--data", "copy")
	if out, _ := w.must(1, "lookup", "--data", "copy", "one.a.example", "-o", "ndjson"); !strings.Contains(out, `"found":true`) {
		t.Errorf("restored: %s", out)
	}
}
