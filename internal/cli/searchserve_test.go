package cli

import (
	"strings"
	"testing"
	"time"
)

// Searches work beside a running server as look-ups do, and over it; both see
// what a feed's new run brings.
func TestSearch_besideTheServer(t *testing.T) {
	w := newWorld(t, "a", "b")
	s := w.serve()
	within(t, 20*time.Second, "both feeds are loaded", func() bool { return s.found("one.a.example") && s.found("one.b.example") })
	out, _ := w.must(0, "search", "-q", "-o", "ndjson", "--sort", "value", "feed:a")
	status, body := s.get("/api/v1/search?q=feed:a&sort=value", "Accept", "application/x-ndjson")
	if status != 200 || body != out || strings.Count(out, "\n") != 3 {
		t.Errorf("the command says\n%sthe server, with %d,\n%s", out, status, body)
	}
	w.feeds.SetString("/a", "one.a.example\nfour.a.example\nthree.a.example\n")
	w.must(0, "ingest", "a", "-q")
	out, errs := w.must(0, "search", "--facets", "listed", "feed:a", "example")
	if !strings.Contains(out, "four[.]a[.]example") || !strings.Contains(errs, "listed\n  3  true\n  1  false\n4 listings.\n") {
		t.Errorf("%s%s", out, errs)
	}
	within(t, 10*time.Second, "the server sees the run", func() bool {
		_, body = s.get("/iocs/search/string/four/summary")
		return strings.Contains(body, `"found":true,"hits":1,"sources":["a"]`)
	})
	if status, body = s.get("/api/v1/facets?q=*&by=feed"); status != 200 || !strings.Contains(body, `{"value":"a","count":4}`) {
		t.Errorf("%d %s", status, body)
	}
}
