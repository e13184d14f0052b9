package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/source"
)

// counts makes a result of accepted and rejected records.
func counts(accepted, rejected int) *parse.Result {
	r := &parse.Result{Counts: intel.Counts{Read: accepted + rejected, Accepted: accepted, Rejected: rejected}}
	if rejected > 0 {
		r.Rejects = []intel.Reject{{Line: 7, Value: "??", Reason: "not a domain"}}
	}
	return r
}

// TestJudgeNothing: nothing at all is an empty list, also in a format that must
// have something.
func TestJudgeNothing(t *testing.T) {
	broken := errors.New("parse xml: line 1: no XML")
	for head, want := range map[string]string{"": "empty", " \n": "empty", "\xef\xbb\xbf": "empty", "a": "format"} {
		res := source.Parsed{Result: &parse.Result{}, Head: []byte(head)}
		if code, reason := ingest.Judge(&feed.Definition{Type: "xml"}, 40, res, broken); code != want || reason == "" {
			t.Errorf("%q: %s: %s, want %s", head, code, reason, want)
		}
	}
}

func TestGuardsHoldForListsOfAnySize(t *testing.T) {
	type test struct {
		prev, accepted, rejected int
		code                     string
	}
	tests := []test{
		{0, 0, 0, "empty"},
		{0, 0, 1, "content"},
		{0, 0, 1_000_000, "content"},
		{0, 1, 0, ""},
		{0, 1_000_000, 0, ""}, // a first run has nothing to be compared with
		{0, 4, 1, ""},         // exactly 20 %
		{0, 3, 1, "rejects"},
		{1, 1, 0, ""},
		{2, 1, 0, ""}, // exactly half
		{3, 1, 0, "shrink"},
		{1, 5, 0, ""}, // exactly five times
		{1, 6, 0, "growth"},
	}
	for _, n := range []int{10, 1_000, 100_000, 10_000_000} {
		tests = append(tests,
			test{n, n / 2, 0, ""},
			test{n, n/2 - 1, 0, "shrink"},
			test{n, 0, 0, "empty"},
			test{n, 5 * n, 0, ""},
			test{n, 5*n + 1, 0, "growth"},
			test{n, n, n / 4, ""},
			test{n, n, n/4 + 1, "rejects"},
		)
	}
	for _, c := range tests {
		code, reason := ingest.Check(&feed.Definition{Type: "txt"}, c.prev, counts(c.accepted, c.rejected), []byte("a.example\n"))
		if code != c.code {
			t.Errorf("before %d, now %d accepted and %d rejected: %q (%s), want %q", c.prev, c.accepted, c.rejected, code, reason, c.code)
		}
		if (code == "") != (reason == "") {
			t.Errorf("code %q with reason %q", code, reason)
		}
	}
}

func TestGuardLimitsOfADefinition(t *testing.T) {
	for _, c := range []struct {
		name string
		d    feed.Definition
		prev int
		res  *parse.Result
		code string
	}{
		{"shrink looser", feed.Definition{Guards: feed.Guards{MaxShrink: 0.9}}, 100, counts(10, 0), ""},
		{"shrink tighter", feed.Definition{Guards: feed.Guards{MaxShrink: 0.1}}, 100, counts(89, 0), "shrink"},
		{"growth looser", feed.Definition{Guards: feed.Guards{MaxGrowth: 50}}, 10, counts(500, 0), ""},
		{"growth tighter", feed.Definition{Guards: feed.Guards{MaxGrowth: 1.5}}, 10, counts(16, 0), "growth"},
		{"rejects looser", feed.Definition{Guards: feed.Guards{MaxReject: 0.6}}, 0, counts(40, 60), ""},
		{"rejects tighter", feed.Definition{Guards: feed.Guards{MaxReject: 0.01}}, 0, counts(98, 2), "rejects"},
		{"expected least", feed.Definition{ExpectMin: 10}, 0, counts(9, 0), "small"},
		{"expected least kept", feed.Definition{ExpectMin: 10}, 0, counts(10, 0), ""},
		{"expected most", feed.Definition{ExpectMax: 10}, 0, counts(11, 0), "large"},
		{"expected most kept", feed.Definition{ExpectMax: 10}, 0, counts(10, 0), ""},
		{"may be empty", feed.Definition{Guards: feed.Guards{AllowEmpty: true}}, 50, counts(0, 0), ""},
		{"may be empty, is garbage", feed.Definition{Guards: feed.Guards{AllowEmpty: true}}, 50, counts(0, 3), "content"},
		{"all suppressed", feed.Definition{}, 0, &parse.Result{Counts: intel.Counts{Read: 3, Suppressed: 3}}, "empty"},
	} {
		c.d.Type = "txt"
		if code, reason := ingest.Check(&c.d, c.prev, c.res, []byte("x")); code != c.code {
			t.Errorf("%s: %q (%s), want %q", c.name, code, reason, c.code)
		}
	}
}

func TestCheckReplaced(t *testing.T) {
	for _, c := range []struct {
		limit           float64
		before, removed int
		code            string
	}{
		{0, 100, 100, ""}, // no limit unless the definition has one
		{1, 100, 100, ""},
		{0.9, 0, 0, ""},
		{0.9, 100, 90, ""},
		{0.9, 100, 91, "replaced"},
		{0.9, 1, 1, "replaced"},
		{0.9, 10_000_000, 9_000_001, "replaced"},
	} {
		d := &feed.Definition{Guards: feed.Guards{MaxReplace: c.limit}}
		if code, reason := ingest.CheckReplaced(d, c.before, intel.Change{Removed: c.removed, New: 7}); code != c.code || (code == "") != (reason == "") {
			t.Errorf("limit %g, %d of %d gone: %q (%s), want %q", c.limit, c.removed, c.before, code, reason, c.code)
		}
	}
}

// A list that a person takes for the feed's own, one that a new definition reads
// in another way, and one that nobody pulled for long are not held back.
func TestReplacedOnPurpose(t *testing.T) {
	l := newLab(t)
	d := l.def("moved", map[string]any{"guards": map[string]any{"max_replace": 0.9}})
	l.serve("moved", names("a", 10)...)
	l.want(d, intel.RunOK, "")
	l.advance(time.Minute)
	l.serve("moved", names("b", 10)...)
	run := l.want(d, intel.RunQuarantined, "replaced")
	l.wantListed(d, time.Time{}, names("a", 10), names("a", 10))
	if _, err := l.runner.Decide(t.Context(), d, run.ID, true, "anna", "they said so"); err != nil {
		t.Fatal(err)
	}
	l.advance(time.Minute)
	l.srv.SetString("/moved", "x,c0.example\nx,c1.example\nx,c2.example\nx,c3.example\nx,c4.example\nx,c5.example\n")
	d = l.def("moved", map[string]any{"guards": map[string]any{"max_replace": 0.9}, "feed_type": "csv",
		"field_mapping": map[string]any{"source": []any{nil, "domain"}, "destination": []any{nil, "indicator"}}})
	l.want(d, intel.RunOK, "")
	l.advance(8 * 24 * time.Hour)
	l.srv.SetString("/moved", "x,d0.example\nx,d1.example\nx,d2.example\nx,d3.example\nx,d4.example\nx,d5.example\n")
	l.want(d, intel.RunOK, "")
	l.verify()
}

// What publishers, proxies and CDNs send with status 200 instead of a list.
func TestGuardsKnowWhatIsNoList(t *testing.T) {
	for _, c := range []struct{ format, head, code string }{
		{"txt", "<!DOCTYPE html><html><body>Just a moment...</body></html>", "html"},
		{"txt", "\xef\xbb\xbf\n  <html lang=en>", "html"},
		{"txt", "\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00", "html"},
		{"txt", "<HEAD><TITLE>Error</TITLE>", "html"},
		{"txt", "<br />\n<b>Warning</b>: mysql_connect()", "html"},
		{"txt", "# list\n<html>\n", "html"},
		{"json", "<!doctype HTML>\n", "html"},
		{"json", "\n<html>", "html"},
		{"xml", "<!DOCTYPE html>\n<html>", "html"},
		{"txt", `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, "error"},
		{"csv", `<Error><Code>NoSuchKey</Code></Error>`, "error"},
		{"txt", `{"error":"invalid api key"}`, "error"},
		{"csv", `{"data": []}`, "error"},
		{"hosts", `{"message": "Not Found"}`, "error"},
		{"json", `{"error": {"code": 401}}`, "error"},
		{"json", `{"query_status": "no_results"}`, "error"},
		{"json", `{"request_id": "1", "message": "slow down"}`, "error"},
		{"json", `{"success": false}`, "error"},
		{"ndjson", `{"status":"error","detail":"x"}`, "error"},
		{"txt", "%PDF-1.7\n%\xe2\xe3", "binary"},
		{"txt", "\x7fELF\x02\x01\x01\x00", "binary"},
		{"txt", "\x89PNG\r\n\x1a\n", "binary"},
		{"csv", strings.Repeat("\x00", 4096), "binary"},
		{"csv", "ab\x01\x02\x03\x04\x05cd", "binary"},
	} {
		code, reason := ingest.Check(&feed.Definition{Type: c.format}, 100, counts(0, 1), []byte(c.head))
		if code != c.code {
			t.Errorf("%s %.40q: %q (%s), want %q", c.format, c.head, code, reason, c.code)
		}
	}
	for _, empty := range []string{`{"query_status": "ok", "data": []}`, `{"success": true, "error": null, "errors": [], "results": []}`, `{"error": false, "data": []}`} {
		if code, reason := ingest.Check(&feed.Definition{Type: "json"}, 0, counts(0, 0), []byte(empty)); code != "empty" {
			t.Errorf("%s: %s: %s, want empty", empty, code, reason)
		}
	}
	// The page is found even where the parser made listings of its words.
	if code, _ := ingest.Check(&feed.Definition{Type: "txt"}, 0, counts(100, 0), []byte("<html>")); code != "html" {
		t.Errorf("a page that parses is %q", code)
	}
}

func TestGuardsLetListsPass(t *testing.T) {
	for _, c := range []struct{ format, head string }{
		{"txt", "# <html> is mentioned here\nbad.example\n"},
		{"txt", "[Adblock Plus 2.0]\n||bad.example^\n"},
		{"txt", "\xef\xbb\xbfbad.example\r\n"},
		{"txt", "b\xfc\x63her.example\n"}, // latin-1
		{"txt", "bad.example\x00\n192.0.2.1\x00\n198.51.100.77\n"},
		{"txt", "\xff\xfeb\x00a\x00d\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00\n\x00"},
		{"csv", "id,url\n1,\"http://bad.example/<script>\"\n"},
		{"json", `{"status": "ok", "data": [{"ioc": "bad.example"}]}`},
		{"json", `[{"error": "is a field of this list"}]`},
		{"ndjson", `{"message": "c2", "ioc": "bad.example"}` + "\n"},
		{"rss", `<?xml version="1.0"?><rss version="2.0">`},
		{"xml", `<table><link>http://bad.example/</link></table>`},
		{"html", `<!DOCTYPE html><html><body><table>`},
		{"txt", ""},
	} {
		if code, reason := ingest.Check(&feed.Definition{Type: c.format}, 1, counts(1, 0), []byte(c.head)); code != "" {
			t.Errorf("%s %.40q: %s: %s", c.format, c.head, code, reason)
		}
	}
}

func TestGuardReasonsSayWhatAndHowMuch(t *testing.T) {
	for _, c := range []struct {
		prev int
		res  *parse.Result
		head string
		want []string
	}{
		{1200, counts(300, 0), "x", []string{"1200", "300", "75 %", "50 %"}},
		{10, counts(100, 0), "x", []string{"10 ", "100", "10.0 times", "5 times"}},
		{0, counts(50, 50), "x", []string{"50 of 100", "50 %", "20 %", "line 7", "not a domain"}},
		{0, counts(0, 2), `{"error":"key needed"}`, []string{"key needed"}},
	} {
		_, reason := ingest.Check(&feed.Definition{Type: "txt"}, c.prev, c.res, []byte(c.head))
		for _, w := range c.want {
			if !strings.Contains(reason, w) {
				t.Errorf("%q does not say %q", reason, w)
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("txt", []byte("<html>"), 1, 1, 1)
	f.Add("json", []byte(`{"error":1}`), 0, 0, 0)
	f.Fuzz(func(t *testing.T, format string, head []byte, prev, accepted, rejected int) {
		accepted, rejected = max(accepted, 0)%1e6, max(rejected, 0)%1e6
		code, reason := ingest.Check(&feed.Definition{Type: format}, prev, counts(accepted, rejected), head)
		if (code == "") != (reason == "") || len(reason) > 1000 {
			t.Errorf("code %q, reason %q", code, reason)
		}
		if strings.ContainsAny(reason, "\n\r") {
			t.Errorf("reason %q is not one line", reason)
		}
		if accepted == 0 && code == "" {
			t.Errorf("nothing accepted and let pass: %s", fmt.Sprint(prev, rejected))
		}
	})
}
