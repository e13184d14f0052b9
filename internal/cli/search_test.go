package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/query"
)

// searching runs `search` with these arguments over an engine in memory.
func searching(t *testing.T, e *lookuptest.Engine, a ...string) (stdout, stderr string, err error) {
	t.Helper()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var out, errs bytes.Buffer
	p := &program{cfg: config.Default(), env: Env{Out: &out, Err: &errs}, now: func() time.Time { return now }}
	cmd := p.searchCmd()
	p.cfg.Bind(cmd.Flags(), "output", "quiet", "data")
	if err := cmd.ParseFlags(a); err != nil {
		return "", "", cmd.FlagErrorFunc()(cmd, err)
	}
	if err := p.setUp(cmd.Flags()); err != nil {
		t.Fatal(err)
	}
	flags := cmd.Flags()
	number := func(name string) int { n, _ := flags.GetInt(name); return n }
	text := func(name string) string { s, _ := flags.GetString(name); return s }
	facets, _ := flags.GetStringSlice("facets")
	o := lookup.SearchOptions{Limit: number("limit"), FacetLimit: number("facet-limit"), Cursor: text("cursor"), Sort: text("sort"), AsOf: text("as-of"), Facets: facets}
	if count, _ := flags.GetBool("count"); count {
		o.Limit = -1
	}
	_, err = p.showSearch(t.Context(), lookup.New(e, p.now), strings.Join(flags.Args(), " "), o, flags)
	return out.String(), errs.String(), err
}

func listed(t *testing.T) *lookuptest.Engine {
	t.Helper()
	e := &lookuptest.Engine{}
	at := time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC)
	one := &intel.FeedInfo{ID: "one", Name: "One", Tags: []string{"phishing", "kit"}, Description: "Serves a kit."}
	two := &intel.FeedInfo{ID: "two", Name: "Two", Snapshot: "2026-08-22", Malware: "Emotet"}
	for i := range 1500 {
		info, to := one, time.Time{}
		if i%3 == 0 {
			info, to = two, at
		}
		e.Add(intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("d%04d.example", i)}, info, at.Add(-time.Duration(i)*time.Minute), to)
	}
	return e
}

func TestSearch_tableAndNextPage(t *testing.T) {
	e := listed(t)
	out, errs, err := searching(t, e, "--limit", "3", "--data", "my data", "--sort", "-value", "--facets", "feed,kind", "example", "OR", "it's")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, "KIND    VALUE            FEED  LISTED  LAST-SEEN         MALWARE  TAGS\ndomain  d1499[.]example  one   yes     2026-11-18 00:01  –        phishing, kit\n") || strings.Count(out, "\n") != 4 {
		t.Errorf("stdout\n%s", out)
	}
	if !strings.Contains(errs, "feed\n  1,000  one\n    500  two\nkind\n  1,500  domain\n1,500 listings, 3 shown.\nNext page: elasticintel search --data 'my data' --limit 3 --cursor ") ||
		!strings.Contains(errs, ` 'example OR it'\''s'`) || !strings.Contains(errs, "starter data of 2026-08-22") {
		t.Errorf("stderr\n%s", errs)
	}
	_, cursor, _ := strings.Cut(errs, "--cursor ")
	cursor, _, _ = strings.Cut(cursor, " ")
	out, errs, err = searching(t, e, "--cursor", cursor, "--limit", "2", "example OR it's")
	if err != nil || !strings.Contains(out, "d1496[.]example") || strings.Contains(out, "d1497[.]example") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	if out, errs, err = searching(t, e, "--cursor", cursor, "example"); err == nil || !strings.Contains(err.Error(), "--cursor: ") || !strings.Contains(err.Error(), "another query") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}

func TestSearch_formats(t *testing.T) {
	e := listed(t)
	out, errs, err := searching(t, e, "-o", "ndjson", "--limit", "0", "--facets", "feed", "-q", "example")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 1500 || !strings.HasPrefix(lines[0], `{"value":"d`) || errs != "feed\n  1,000  one\n    500  two\n" {
		t.Errorf("%v: %d lines, first %.80s\n%s", err, len(lines), lines[0], errs)
	}
	for _, limit := range []string{"0", "2"} {
		out, errs, err = searching(t, e, "--limit", limit, "-o", "json", "--facets", "feed", "-q", "example")
		var page lookup.SearchPage
		if err = errors.Join(err, json.Unmarshal([]byte(out), &page)); err != nil || page.Total != 1500 || len(page.Results) != map[string]int{"0": 1500, "2": 2}[limit] ||
			(page.Next != nil) != (limit == "2") || page.Facets["feed"].Values[1].Count != 500 || errs != "" {
			t.Errorf("limit %s: %v %+v %s", limit, err, page.Found, errs)
		}
	}
	out, _, _ = searching(t, e, "-o", "csv", "--limit", "2", "example")
	if !strings.HasPrefix(out, lookup.CSVHeader) || strings.Count(out, "\r\n") != 3 {
		t.Errorf("CSV: %s", out)
	}
	for format, want := range map[string]string{"csv": lookup.CSVHeader, "ndjson": "", "table": "", "json": `{"results":[],"query":"nothing","total":0,"total_is":"exact","partial":false,"facets":{},"as_of":null,"next":null}` + "\n"} {
		if out, errs, err = searching(t, e, "-o", format, "nothing"); err != nil || out != want || errs != "No listing matches.\n" {
			t.Errorf("nothing as %s: %v %q %q", format, err, out, errs)
		}
	}
	if out, errs, err = searching(t, e, "--count", "--facets", "malware", "example"); err != nil || out != "" || errs != "malware\n  500  emotet\n1,500 listings.\n" {
		t.Errorf("count: %v %q %q", err, out, errs)
	}
}

func TestSearch_oneIndicatorIsForLookup(t *testing.T) {
	e := listed(t)
	_, errs, _ := searching(t, e, "hxxp://nowhere[.]example/a?b")
	if errs != "No listing matches.\n`elasticintel lookup 'hxxp://nowhere[.]example/a?b'` also finds listed networks, parent domains and hosts that cover it, and says how bad it is and why.\n" {
		t.Errorf("%s", errs)
	}
	if _, errs, _ = searching(t, e, "d0001.example"); !strings.Contains(errs, "`elasticintel lookup 'd0001[.]example'` also says") {
		t.Errorf("%s", errs)
	}
}

func TestSearch_partial(t *testing.T) {
	e := listed(t)
	e.Damage = errors.New("segment x is broken")
	out, errs, err := searching(t, e, "-q", "--limit", "1", "--facets", "feed", "example")
	if err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(errs, "This is not all: some stored data is damaged") || !strings.HasPrefix(errs, "feed (at least)\n") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	if _, errs, _ = searching(t, e, "--limit", "1", "example"); !strings.Contains(errs, "At least 1,500 listings, 1 shown.") {
		t.Errorf("%s", errs)
	}
}

func TestBrokenQuery_points(t *testing.T) {
	long := strings.Repeat("word ", 100)
	for text, want := range map[string]string{
		"phishing AND":              "  phishing AND\n              ^",
		"日本 tgg:x":                  "  日本 tgg:x\n       ^",
		"\tx \x1b[1m tgg:x":         "   x \ufffd[1m tgg:x\n          ^",
		long + "tgg:x " + long:      "  …" + long[len(long)-60:] + "tgg:x " + long[:34] + "…\n   " + strings.Repeat(" ", 60) + "^",
		"port:99999":                "  port:99999\n       ^",
		"(a OR b" + "\u202e" + "cd": "  (a OR b\ufffdcd\n  ^",
	} {
		_, err := query.Parse(text, time.Time{})
		code, hint := verdictOf(brokenQuery(text, err))
		if code != exitUsage || hint != want {
			t.Errorf("%q: exit code %d\n%s\nwant\n%s", text, code, hint, want)
		}
	}
	_, _, err := searching(t, listed(t), "-tag:test")
	if code, hint := verdictOf(err); code != exitUsage || !strings.Contains(hint, "NOT in place of the -") {
		t.Errorf("%d %s", code, hint)
	}
	for sort, want := range map[string]string{"newest": "--sort: order \"newest\": expected one of"} {
		if _, _, err := searching(t, listed(t), "--sort", sort, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

func TestSearch_completes(t *testing.T) {
	p := &program{cfg: config.Default(), now: time.Now}
	for start, want := range map[string]string{
		"last":               "last_seen:",
		"phishing -mal":      "phishing -malware:",
		"(ta":                "(tag:",
		"con":                "confidence: context.",
		"x kind:sha":         "x kind:sha1 x kind:sha256 x kind:sha512",
		"listed:t":           "listed:true",
		"tlp:amber":          "tlp:amber tlp:amber+strict",
		"malware:e":          "",
		"nothing-like-that:": "",
	} {
		got, _ := p.completeQuery(nil, nil, start)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", start, got, want)
		}
	}
	if got, _ := completeFacets(nil, nil, "feed,thr"); !slices.Equal(got, []string{"feed,threat_type"}) {
		t.Errorf("facets: %q", got)
	}
	if got, _ := completeSort(nil, nil, "-c"); !slices.Equal(got, []string{"-changed", "-confidence"}) {
		t.Errorf("sort: %q", got)
	}
}
