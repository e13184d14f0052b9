package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
	"github.com/elasticintel/elasticintel/internal/testing/savedobjects"
)

// boards is a real cluster, filled as in production with six weeks of four feeds,
// and the saved objects that ask it.
type boards struct {
	t       *testing.T
	url     string
	engine  *engine
	now     time.Time
	objects []savedobjects.Object
	times   map[string]string // the time field of each index pattern
}

func newBoards(t *testing.T, version string) *boards {
	t.Helper()
	a := &aliases{c: opensearchtest.Shared(t, version), t: t}
	c := &boards{t: t, url: a.c.URLs[0], now: time.Now().UTC().Truncate(time.Millisecond), times: map[string]string{}}
	var err error
	if c.engine, err = a.engine(func() time.Time { return c.now }); err != nil {
		t.Fatal(err)
	}
	c.objects = savedobjects.Read(t, "../../deploy/opensearch/dashboards.ndjson")
	for _, o := range c.objects {
		if o.Type == "index-pattern" {
			c.times[o.ID], _ = o.Attributes["timeFieldName"].(string)
		}
	}
	c.runs()
	return c
}

// runs are those of the feeds, a day apart or more: each has entries that come,
// stay and go, and addresses that another feed has, too.
func (c *boards) runs() {
	ends := c.now
	load := func(at time.Time, info intel.FeedInfo, list []intel.Entry) {
		c.t.Helper()
		c.now = at
		if err := c.engine.Load(c.t.Context(), info, at, list); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, days := range []int{40, 20, 10, 5, 3, 1, 0} {
		at := ends.AddDate(0, 0, -days).Add(-time.Minute)
		n := 40 - days // what is new moves on
		load(at, intel.FeedInfo{ID: "c2", Name: "C2 list", Presence: intel.Snapshot, Confidence: 90, ThreatType: "botnet_cc", Malware: "Emotet", Tags: []string{"c2", "botnet"}, TLP: "clear"},
			entries(n, n+60, func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, "country", "NL"))
		load(at, intel.FeedInfo{ID: "drop", Name: "Networks", Presence: intel.Snapshot, Confidence: 70, ThreatType: "spam"},
			append(entries(n/2, n/2+8, func(i int) string { return fmt.Sprintf("203.0.%d.0/24", i) }, "asn", "64500"),
				entries(n+20, n+40, func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, "country", "DE")...))
		load(at, intel.FeedInfo{ID: "phish", Name: "Phishing", Presence: intel.Rolling, TTL: intel.Duration(48 * time.Hour), Confidence: 55, ThreatType: "phishing", Tags: []string{"phishing"}},
			append(entries(n, n+30, func(i int) string { return fmt.Sprintf("https://login%d.example/a", i) }, "target", "a bank"),
				entries(n, n+20, func(i int) string { return fmt.Sprintf("login%d.example", i) }, "target", "a shop")...))
		load(at, intel.FeedInfo{ID: "files", Name: "Samples", Presence: intel.Append, Confidence: 80, ThreatType: "payload", TLP: "amber"},
			append(entries(n, n+25, func(i int) string { return fmt.Sprintf("%064x", i+1) }, "malware", "AgentTesla"),
				entries(n, n+5, func(i int) string { return fmt.Sprintf("mail%d@bad.example", i) }, "tags", "sender")...))
	}
	c.now = ends
}

func entries(from, to int, value func(int) string, field, says string) (out []intel.Entry) {
	for i := from; i < to; i++ {
		ind, err := intel.Detect(value(i))
		if err != nil {
			continue
		}
		e := intel.Entry{Indicator: ind, Original: value(i)}
		e.Fields.Add(field, says)
		out = append(out, e)
	}
	return out
}

// ask asks the cluster, and returns what it says.
func (c *boards) ask(method, path string, body any) map[string]any {
	c.t.Helper()
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+path, send) // in a Cleanup, too
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil || r.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s: %.2000s", method, path, r.Status, raw)
	}
	return out
}

// TestDashboards asks a real cluster what each panel asks, as Dashboards would, and
// each part of each answer has something in it.
func TestDashboards(t *testing.T) {
	for _, version := range []string{opensearchtest.V2, opensearchtest.V3} {
		t.Run(version, func(t *testing.T) {
			c := newBoards(t, version)
			asked := 0
			for _, o := range c.objects {
				if o.Source.IndexRef == "" && o.Controls() == nil {
					continue // it asks nothing
				}
				asked++
				t.Run(o.ID, func(t *testing.T) { c.panel(t, o) })
			}
			if asked < 20 {
				t.Errorf("%d asked", asked)
			}
			c.figures(t)
			c.fieldList(t)
		})
	}
}

// panel holds one panel's answer.
func (c *boards) panel(t *testing.T, l savedobjects.Object) {
	for _, control := range l.Controls() { // each makes its list like this
		terms := map[string]any{"field": control["fieldName"], "size": 50, "order": map[string]any{"_count": "desc"}}
		out := c.ask(http.MethodPost, "/"+c.engine.alias+"/_search", map[string]any{"size": 0, "aggs": map[string]any{"termsAgg": map[string]any{"terms": terms}}})
		if len(buckets(dig(out, "aggregations", "termsAgg"))) == 0 {
			t.Errorf("nothing to pick in %v", control["fieldName"])
		}
	}
	if l.Source.IndexRef == "" {
		return
	}
	body := c.body(t, l)
	out := c.ask(http.MethodPost, "/"+c.engine.alias+"/_search", body)
	if total(out) == 0 {
		t.Fatalf("nothing found: %v", body)
	}
	if l.Type == "search" {
		columns(t, l, out)
		return
	}
	holds(t, out["aggregations"].(map[string]any), nested(t, l.Vis.Aggs), out)
}

// body is the request that Dashboards makes of a panel.
func (c *boards) body(t *testing.T, l savedobjects.Object) map[string]any {
	t.Helper()
	filter, not := []any{map[string]any{"match_all": map[string]any{}}}, []any{}
	for _, f := range l.Source.Filter {
		if f.Meta["negate"] == true {
			not = append(not, f.Query)
		} else {
			filter = append(filter, f.Query)
		}
	}
	i := slices.IndexFunc(l.References, func(r savedobjects.Reference) bool { return r.Name == l.Source.IndexRef })
	if field := c.times[l.References[i].ID]; field != "" { // of the dashboards: now-30d to now
		filter = append(filter, map[string]any{"range": map[string]any{field: map[string]any{
			"gte": time.Now().AddDate(0, 0, -30).UTC().Format(time.RFC3339), "lte": time.Now().UTC().Format(time.RFC3339), "format": "strict_date_optional_time"}}})
	}
	out := map[string]any{"size": 0, "track_total_hits": true, "query": map[string]any{
		"bool": map[string]any{"must": []any{}, "filter": filter, "should": []any{}, "must_not": not},
	}}
	if l.Type == "search" {
		out["size"], out["sort"] = 500, []any{map[string]any{l.Sort[0][0]: map[string]any{"order": l.Sort[0][1], "unmapped_type": "boolean"}}}
	} else if a := nested(t, l.Vis.Aggs); len(a) > 0 {
		out["aggs"] = a
	}
	return out
}

// nested are the aggregations as they are sent: buckets inside each other in their
// order, metrics innermost. Counts are there without being asked.
func nested(t *testing.T, list []savedobjects.Agg) map[string]any {
	t.Helper()
	out := map[string]any{}
	level := out
	for _, a := range list {
		if a.Schema == "metric" {
			continue
		}
		inner := map[string]any{}
		kind, params := sent(t, a, list)
		level[a.ID] = map[string]any{kind: params, "aggs": inner}
		level = inner
	}
	for _, a := range list {
		if a.Schema == "metric" && a.Type != "count" {
			level[a.ID] = map[string]any{a.Type: map[string]any{"field": a.Params["field"]}}
		}
	}
	return out
}

// sent is a bucket as it is sent.
func sent(t *testing.T, a savedobjects.Agg, all []savedobjects.Agg) (kind string, params map[string]any) {
	t.Helper()
	params = map[string]any{}
	switch a.Type {
	case "terms":
		by := fmt.Sprint(a.Params["orderBy"])
		i := slices.IndexFunc(all, func(m savedobjects.Agg) bool { return m.ID == by && m.Schema == "metric" })
		if i < 0 {
			t.Fatalf("ordered by %s, which is no metric", by)
		}
		if all[i].Type == "count" {
			by = "_count"
		}
		params["field"], params["size"], params["order"] = a.Params["field"], a.Params["size"], map[string]any{by: a.Params["order"]}
	case "date_histogram":
		if a.Params["interval"] != "d" {
			t.Fatalf("interval %v: the test knows days", a.Params["interval"])
		}
		params["field"], params["calendar_interval"], params["time_zone"], params["min_doc_count"] = a.Params["field"], "1d", "Europe/Amsterdam", a.Params["min_doc_count"]
	case "histogram":
		params["field"], params["interval"], params["min_doc_count"] = a.Params["field"], a.Params["interval"], 1
	case "filters":
		named := map[string]any{}
		for _, f := range a.Named(t) {
			if f.Input.Language != "lucene" {
				t.Fatalf("a query in %s: the test knows lucene", f.Input.Language)
			}
			named[f.Label] = map[string]any{"query_string": map[string]any{"query": f.Input.Query, "analyze_wildcard": true, "time_zone": "Europe/Amsterdam"}}
		}
		params["filters"] = named
	default:
		t.Fatalf("the test does not know %s", a.Type)
	}
	if more, ok := a.Params["json"].(string); ok {
		if err := json.Unmarshal([]byte(more), &params); err != nil {
			t.Fatal(err)
		}
	}
	return a.Type, params
}

// holds: every bucket aggregation has buckets, every named one was found somewhere,
// every metric has a value.
func holds(t *testing.T, got, asked map[string]any, whole map[string]any) {
	t.Helper()
	for id, a := range asked {
		answer, _ := got[id].(map[string]any)
		inner, isBucket := a.(map[string]any)["aggs"].(map[string]any)
		if !isBucket {
			if answer["value"] == nil {
				t.Errorf("%s has no value: %v", id, whole)
			}
			continue
		}
		list := buckets(answer)
		if len(list) == 0 {
			t.Errorf("%s has no bucket: %v", id, whole)
		}
		for _, b := range list {
			if _, named := a.(map[string]any)["filters"]; !named && b["doc_count"] == 0.0 {
				t.Errorf("%s: an empty bucket: %v", id, b)
			}
			if b["doc_count"] != 0.0 {
				holds(t, b, inner, whole)
			}
		}
	}
}

// buckets are those of an answer; keyed ones in the order of their keys.
func buckets(answer map[string]any) (out []map[string]any) {
	switch list := answer["buckets"].(type) {
	case []any:
		for _, b := range list {
			out = append(out, b.(map[string]any))
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(list)) {
			out = append(out, list[k].(map[string]any))
		}
	}
	return out
}

func dig(m map[string]any, names ...string) map[string]any {
	for _, n := range names {
		m, _ = m[n].(map[string]any)
	}
	return m
}

func total(out map[string]any) int {
	n, _ := dig(out, "hits", "total")["value"].(float64)
	return int(n)
}

// columns: some row has something in each column.
func columns(t *testing.T, l savedobjects.Object, out map[string]any) {
	t.Helper()
	rows, _ := dig(out, "hits")["hits"].([]any)
	for _, name := range l.Columns {
		if !slices.ContainsFunc(rows, func(r any) bool {
			path := strings.Split(name, ".")
			return dig(dig(r.(map[string]any), "_source"), path[:len(path)-1]...)[path[len(path)-1]] != nil
		}) {
			t.Errorf("no row has %s", name)
		}
	}
}

// figures: what panels count is what the engine of the data counts.
func (c *boards) figures(t *testing.T) {
	count := func(text string) int {
		t.Helper()
		q, err := query.Parse(text, c.now)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.engine.corpus.View().Search(t.Context(), query.Search{Query: q, Limit: -1}, func(*intel.Listing) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return p.Total
	}
	answers := map[string]map[string]any{}
	for _, l := range c.objects {
		if l.Source.IndexRef != "" {
			answers[l.ID] = c.ask(http.MethodPost, "/"+c.engine.alias+"/_search", c.body(t, l))
		}
	}
	for id, text := range map[string]string{
		"elasticintel-listed": "listed:true", "elasticintel-found": "listed:true", "elasticintel-table-now": "listed:true",
		"elasticintel-new": "first_seen:<30d", "elasticintel-new-by-kind": "first_seen:<30d", "elasticintel-table-new": "first_seen:<30d",
		"elasticintel-table-ended": "listed:false last_seen:<30d",
	} {
		if got, want := total(answers[id]), count(text); got != want || want == 0 {
			t.Errorf("%s counts %d, and %q finds %d", id, got, text, want)
		}
	}
	feeds := buckets(dig(answers["elasticintel-freshness"], "aggregations", "6"))
	for _, b := range feeds {
		if b["doc_count"] != float64(count(fmt.Sprintf("feed:%s", b["key"]))) {
			t.Errorf("%v", b)
		}
	}
	if len(feeds) != 4 {
		t.Errorf("%d feeds", len(feeds))
	}
	new7, ended7 := 0, 0
	for _, b := range buckets(dig(answers["elasticintel-churn"], "aggregations", "2")) {
		n := dig(b, "3", "buckets")
		new7 += int(dig(n, "new")["doc_count"].(float64))
		ended7 += int(dig(n, "ended")["doc_count"].(float64))
	}
	if new7 != count("first_seen:<7d") || ended7 != count("listed:false last_seen:<7d") || new7*ended7 == 0 {
		t.Errorf("%d new and %d ended within 7 days", new7, ended7)
	}
	for _, b := range buckets(dig(answers["elasticintel-shared"], "aggregations", "2")) {
		if n := count(fmt.Sprintf("value:%q listed:true", b["key"])); b["doc_count"] != float64(n) || n != 2 {
			t.Errorf("%v is listed by %d", b, n)
		}
	}
}

// fieldList: the fields of the index patterns are those of the index.
func (c *boards) fieldList(t *testing.T) {
	type caps struct{ Searchable, Aggregatable bool }
	want := map[string]caps{}
	for name, v := range dig(c.ask(http.MethodGet, "/"+c.engine.alias+"/_field_caps?fields=*", nil), "fields") {
		for kind, p := range v.(map[string]any) {
			if kind == "object" || strings.HasPrefix(name, "_") || strings.HasSuffix(name, ".") { // the last is part of a flat object
				continue
			}
			a := p.(map[string]any)
			want[name+" "+kind] = caps{a["searchable"] == true, a["aggregatable"] == true}
		}
	}
	for _, l := range c.objects {
		if l.Type != "index-pattern" {
			continue
		}
		if l.Attributes["title"] != opensearch.Alias {
			t.Errorf("%s is of %v", l.ID, l.Attributes["title"])
		}
		got := map[string]caps{}
		for _, f := range l.Fields {
			if !strings.HasPrefix(f.Name, "_") {
				got[f.Name+" "+f.EsTypes[0]] = caps{f.Searchable, f.Aggregatable}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the fields are %v, those of the index %v", l.ID, got, want)
		}
	}
}
