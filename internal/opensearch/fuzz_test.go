package opensearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// saying is a client of a cluster that gives one answer to everything.
func saying(t *testing.T, answer []byte) *Client {
	c := testClient(t, newClock(), Options{}, "http://cluster.example")
	c.http.Transport = always(answer)
	return c
}

type always []byte

func (a always) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}

// plainJSON reads an answer into maps; ok is false where it is none, or names
// something twice, in letters of whatever case: readers may differ there.
func plainJSON(b []byte) (v any, ok bool) {
	if json.Unmarshal(b, &v) != nil {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	return v, once(d)
}

func once(d *json.Decoder) bool {
	tok, err := d.Token()
	if err != nil {
		return false
	}
	delim, is := tok.(json.Delim)
	if !is {
		return true
	}
	names := map[string]bool{}
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			s, _ := name.(string)
			if s = strings.ToLower(s); err != nil || names[s] || s != name {
				return false
			}
			names[s] = true
		}
		if !once(d) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil
}

// dug digs a value out of maps and lists; nil where there is none.
func dug(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// FuzzBulkAnswer: whatever the answer to a bulk is, every document is counted once,
// and none is called written of which the answer does not say so.
func FuzzBulkAnswer(f *testing.F) {
	good := `{"errors":false,"items":[{"index":{"_id":"d0000","status":201,"_shards":{"total":1,"successful":1,"failed":0}}},{"index":{"_id":"d0001","status":200,"_shards":{"total":2,"successful":1,"failed":0}}},{"delete":{"_id":"gone","status":404,"_shards":{"total":1,"successful":1,"failed":0}}}]}`
	for _, s := range []string{good, good[:80], strings.ReplaceAll(good, "201", "429"), strings.ReplaceAll(good, `"failed":0`, `"failed":1`), strings.ReplaceAll(good, "_shards", "x"), strings.ReplaceAll(good, "d0001", "d0009"),
		strings.Replace(good, `"status":201`, `"status":400,"error":{"type":"mapper_parsing_exception","reason":"x","caused_by":{"reason":"y"}}`, 1), strings.Replace(good, `"status":201`, `"status":403,"error":{"type":"cluster_block_exception"}`, 1),
		`{}`, `[]`, `null`, ``, `{"errors":false,"items":[null,null,null]}`, `{"errors":true,"items":[{},{},{}]}`, "<html>", `{"error":{"type":"x"},"status":503}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		v, ok := plainJSON(answer)
		if !ok && json.Valid(answer) {
			t.Skip("names something twice")
		}
		b := saying(t, answer).NewBulk(t.Context(), BulkOptions{Alias: "ei", Lanes: 1, Tries: 1})
		_, _, _ = b.Add(doc(0)), b.Add(doc(1)), b.Add(Op{ID: "gone"})
		st, err := b.Close()
		var open int
		if e, is := err.(*BulkError); is {
			open = e.OpenAll
		}
		said := 0
		for i, id := range []string{"d0000", "d0001", "gone"} {
			item := dug(v, "items", i, "index")
			if i == 2 {
				item = dug(v, "items", i, "delete")
			}
			status, _ := dug(item, "status").(float64)
			copies, _ := dug(item, "_shards", "successful").(float64)
			failed, _ := dug(item, "_shards", "failed").(float64)
			if dug(item, "_id") == id && (status == 200 || status == 201 || i == 2 && status == 404) && dug(item, "error") == nil && copies >= 1 && failed <= 0 {
				said++
			}
		}
		if st.Written+st.Deleted > said || st.Written+st.Deleted+st.Rejected+open != 3 || (err == nil) != (st.Written+st.Deleted == 3) {
			t.Fatalf("%+v, %d open, the answer says it of %d: %v\n%s", st, open, said, err, answer)
		}
	})
}

// FuzzSearchAnswer: whatever the answer to a search is, nothing is called unlisted
// unless it says that everything was searched and nothing but the state was found.
func FuzzSearchAnswer(f *testing.F) {
	state := `{"_index":"i","_id":"state","_source":{"@timestamp":"2026-01-01T00:00:00Z","listing":{"seq":"s"}}}`
	listing := `{"_index":"i","_id":"x","_source":{"@timestamp":"2026-01-01T00:00:00Z","listing":{"feed":"a","kind":"ipv4","canonical":"192.0.2.7","intervals":[{"from":"2026-01-01T00:00:00Z","to":null}]}}}`
	good := `{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":%d,"relation":"eq"},"max_score":null,"hits":[%s]}}`
	none, one := fmt.Sprintf(good, 1, state), fmt.Sprintf(good, 2, state+","+listing)
	for _, s := range []string{none, one, one[:200], strings.ReplaceAll(none, "false", "true"), strings.ReplaceAll(none, `"failed":0`, `"failed":1`), strings.ReplaceAll(none, `"successful":1`, `"successful":0`), strings.ReplaceAll(none, "eq", "gte"),
		strings.ReplaceAll(one, `"value":2`, `"value":1`), strings.ReplaceAll(one, `"value":2`, `"value":900`), strings.ReplaceAll(one, "hits", "hats"), fmt.Sprintf(good, 0, ""), fmt.Sprintf(good, 1, listing), strings.ReplaceAll(none, `"s"`, `7`),
		strings.ReplaceAll(one, `"a"`, `"b"`), strings.ReplaceAll(one, `"ipv4"`, `null`), `{}`, `null`, `[]`, ``, "<html>", `{"error":{"type":"x"},"status":503}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		v, ok := plainJSON(answer)
		if !ok && json.Valid(answer) {
			t.Skip("names something twice")
		}
		e := NewEngine(saying(t, answer), EngineOptions{Now: newClock().now})
		e.facts.Store(&facts{Seq: "s", Filled: true, Feeds: map[string]*feedFact{"a": {Info: intel.FeedInfo{ID: "a"}, LastGood: 1 << 40}}})
		q := intel.Ask(intel.Indicator{Kind: intel.IPv4, Value: "192.0.2.7"})
		ls, err := e.Find(t.Context(), q, time.Time{}, nil)
		if err != nil {
			return
		}
		failed, _ := dug(v, "_shards", "failed").(float64)
		hits, _ := dug(v, "hits", "hits").([]any)
		total, _ := dug(v, "hits", "total", "value").(float64)
		if dug(v, "timed_out") != false || failed != 0 || dug(v, "_shards", "total") == nil || dug(v, "_shards", "total") != dug(v, "_shards", "successful") || int(total) != len(hits) {
			t.Fatalf("believed: %s", answer)
		}
		said, state := 0, false
		for i := range hits {
			state = state || dug(hits, i, "_id") == "state"
			if l := dug(hits, i, "_source", "listing"); dug(l, "canonical") == "192.0.2.7" && dug(l, "kind") == "ipv4" && dug(hits, i, "_id") != "state" {
				said++
			}
		}
		if !state || len(ls) != said {
			t.Fatalf("%d listings, the answer has %d: %s", len(ls), said, answer)
		}
	})
}
