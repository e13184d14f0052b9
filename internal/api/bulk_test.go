package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// results takes a bulk answer apart: the value of each result, with ! in front
// of unusable ones and + in front of found ones.
func results(t *testing.T, a answer) (values []string, summary string) {
	t.Helper()
	var got struct {
		Results []intel.Answer
		Summary json.RawMessage
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%v in %d %s", err, a.status, a.body)
	}
	for _, r := range got.Results {
		values = append(values, mark(r))
	}
	return values, string(got.Summary)
}

func mark(r intel.Answer) string {
	switch {
	case r.Error != nil:
		return "!" + r.Value
	case r.Found:
		return "+" + r.Value
	}
	return r.Value
}

func TestBulk_everyForm(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct{ name, mediaType, body, want, summary string }{
		{"object", typeJSON, `{"values":["192.0.2.7","x y","198.51.100.1"]}`, "+192.0.2.7 | !x y | 198.51.100.1", `{"asked":3,"found":1,"errors":1}`},
		{"array", typeJSON, `["192.0.2.7"]`, "+192.0.2.7", ""},
		{"blanks", typeJSON, " \r\n\t{ \"values\" : [ \"192.0.2.7\" , \"192.0.2.7\" ] } \n", "+192.0.2.7 | +192.0.2.7", ""},
		{"BOM", typeJSON, "\ufeff[\"192.0.2.7\"]", "+192.0.2.7", ""},
		{"empty", typeJSON, `{"values":[]}`, "", `{"asked":0,"found":0,"errors":0}`},
		{"escaped name", typeJSON, `{"v\u0061lues":["192.0.2.7"]}`, "+192.0.2.7", ""},
		{"escapes", typeJSON, `["\u0031\u00392.0.2.7","hxxp:\/\/evil[.]example","a\\\"b","\ud83d\ude00","\ud800"]`, `+192.0.2.7 | +hxxp://evil[.]example | !a\"b | !😀 | !` + "\ufffd", ""},
		{"not UTF-8", typeJSON, "[\"a\xff\xfeb\"]", "!a\ufffd\ufffdb", ""},
		{"empty string", typeJSON, `["",  " "]`, "! | ! ", ""},
		{"not strings", typeJSON, `[5,null,true,-15,{"a":["]}",{}]},["192.0.2.7"],{"value":"192.0.2.7","x":1},{"value":7},{}]`,
			`!5 | !null | !true | !-15 | !{"a":["]}",{}]} | !["192.0.2.7"] | +192.0.2.7 | !{"value":7} | !{}`, `{"asked":9,"found":1,"errors":8}`},
		{"charset", "application/json; charset=UTF-8", `["192.0.2.7"]`, "+192.0.2.7", ""},
		{"NDJSON", typeNDJSON, "\"192.0.2.7\"\n{\"value\":\"x y\"}\r\n\n  \"198.51.100.1\"  \nnonsense}\n{\"ip\":\"192.0.2.7\"}\n\"open\n\"\"\n192.0.2.7",
			`+192.0.2.7 | !x y | 198.51.100.1 | !nonsense} | !{"ip":"192.0.2.7"} | !"open | ! | +192.0.2.7`, ""},
		{"NDJSON, nothing", typeNDJSON, "\n\n", "", ""},
		{"other name", "application/jsonl", "\"192.0.2.7\"", "+192.0.2.7", ""},
		{"text", typeText, "192.0.2.7\r\n\r\n   \n\thxxp://evil[.]example/ \nx y\n\n198.51.100.1", "+192.0.2.7 | +hxxp://evil[.]example/ | !x y | 198.51.100.1", `{"asked":4,"found":2,"errors":1}`},
		{"text with BOM", typeText, "\ufeff192.0.2.7\n", "+\ufeff192.0.2.7", ""},
		{"text, not UTF-8", typeText, "a\xffb\n192.0.2.7\n", "!a\ufffdb | +192.0.2.7", ""},
		{"text, nothing", typeText, "", "", `{"asked":0,"found":0,"errors":0}`},
	} {
		a := f.post("/api/v1/lookup", tt.mediaType, tt.body)
		values, summary := results(t, a)
		if got := strings.Join(values, " | "); a.status != 200 || got != tt.want || tt.summary != "" && summary != tt.summary {
			t.Errorf("%s: got %d %s %s\nwant %s %s", tt.name, a.status, got, summary, tt.want, tt.summary)
		}
		lines := f.post("/api/v1/lookup", tt.mediaType, tt.body, "Accept", typeNDJSON)
		var got []string
		for line := range strings.Lines(lines.body) {
			var r intel.Answer
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			got = append(got, mark(r))
		}
		if s := strings.Join(got, " | "); s != tt.want || lines.header.Get("Content-Type") != typeNDJSON {
			t.Errorf("%s as NDJSON: got %s", tt.name, s)
		}
	}
}

func TestBulk_oneResultEqualsTheSingleLookup(t *testing.T) {
	f := newFixture(t)
	for _, q := range []string{"", "?fields=summary", "?as_of=2026-11-05", "?fields=full&as_of=2026-11-19T00:00:00Z"} {
		single := f.get("/api/v1/indicators/192.0.2.7" + q)
		lines := f.post("/api/v1/lookup"+q, typeText, "192.0.2.7", "Accept", typeNDJSON)
		if single.body != lines.body {
			t.Errorf("%s: single %s, bulk %s", q, single.body, lines.body)
		}
		whole := f.post("/api/v1/lookup"+q, typeText, "192.0.2.7")
		if want := `{"results":[` + strings.TrimSuffix(single.body, "\n") + `],"summary":{"asked":1,"found":1,"errors":0}}` + "\n"; whole.body != want {
			t.Errorf("%s: got %s, want %s", q, whole.body, want)
		}
	}
}

func TestBulk_refusesBadJSON(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{
		"", " ", "x", "5", `"192.0.2.7"`, "{", "[", `{"values"`, `{"values":`, `{"values":[`, `{"values":["192.0.2.7"`, `{"values":["192.0.2.7"]`, `["192.0.2.7",`,
		`{"values":["192.0.2.7"]} x`, `{"values":["192.0.2.7"]}{}`, `[] []`, `{"values":["a",]}`, `[,]`, `["a" "b"]`, `["a"}`, `{"values":["a"],}`,
		`{}`, `{"values":"192.0.2.7"}`, `{"values":{}}`, `{"values":null}`, `{"value":["a"]}`, `{"values":["a"],"as_of":"x"}`, `{"values":["a"],"values":["b"]}`, `{values:["a"]}`,
		`["a`, `["a\"]`, `["a\x41"]`, "[\"a\nb\"]", `[tru]`, `[01]`, `[{]`, `[{"a":}]`, `[[1,]]`, `['a']`, `{"values":["a"}`, "\xff\xfe[\x00", "[\"a\"]\x00",
	} {
		a := f.post("/api/v1/lookup", typeJSON, body)
		f.want(a, 400, "bad_json")
		if a.status != 400 {
			t.Errorf("body %q", body)
		}
	}
	if a := f.post("/api/v1/lookup", typeJSON, `{"values":["a", b]}`); !strings.Contains(a.body, "at byte 17") {
		t.Errorf("where? %s", a.body)
	}
}

func TestBulk_longValues(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("a", 200_000)
	escaped := strings.Repeat(`\u0061`, intel.MaxValue)
	for name, body := range map[string][2]string{
		"string":      {typeJSON, `["192.0.2.7","` + long + `","192.0.2.7"]`},
		"escaped":     {typeJSON, `["192.0.2.7","` + escaped + escaped + `","192.0.2.7"]`},
		"backslashes": {typeJSON, `["192.0.2.7","` + strings.Repeat(`\\`, 70_001) + `","192.0.2.7"]`},
		"quotes":      {typeJSON, `["192.0.2.7","` + strings.Repeat(`\"`, 70_001) + `","192.0.2.7"]`},
		"object":      {typeJSON, `["192.0.2.7",{"x":"` + long + `"},"192.0.2.7"]`},
		"line":        {typeText, "192.0.2.7\n" + long + "\n192.0.2.7"},
		"JSON line":   {typeNDJSON, "\"192.0.2.7\"\n\"" + long + "\"\n\"192.0.2.7\"\n"},
	} {
		a := f.post("/api/v1/lookup", body[0], body[1])
		if a.status != 200 {
			t.Errorf("%s: %d %.300s\n%s", name, a.status, a.body, f.log)
			continue
		}
		values, summary := results(t, a)
		if len(values) != 3 || values[2] != "+192.0.2.7" || values[1][0] != '!' || len(values[1]) > maxRaw+1 || summary != `{"asked":3,"found":2,"errors":1}` {
			t.Errorf("%s: %d values, %s", name, len(values), summary)
		}
	}
	// The longest value that can be one is not cut, however it is escaped.
	longest := "http://evil.example/" + strings.Repeat("a", intel.MaxValue-20)
	var esc strings.Builder
	for _, c := range longest {
		fmt.Fprintf(&esc, `\u%04x`, c)
	}
	values, _ := results(t, f.post("/api/v1/lookup", typeJSON, `["`+esc.String()+`"]`))
	if len(values) != 1 || values[0] != "+"+longest {
		t.Errorf("the longest value came back with %d bytes", len(values[0]))
	}
}

func TestBulk_mediaTypes(t *testing.T) {
	f := newFixture(t)
	for _, ct := range []string{"", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "application/json; charset=latin1", "json", "a/b/c", "text/plain; charset=utf-16"} {
		f.want(f.post("/api/v1/lookup", ct, "192.0.2.7"), 415, "unsupported_media_type")
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	f.want(f.post("/api/v1/lookup", typeText, zipped.String(), "Content-Encoding", "gzip"), 415, "unsupported_media_type")
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7", "Content-Encoding", "identity"), 200, "")
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7", "Accept", "text/csv"), 406, "not_acceptable")
	f.want(f.post("/api/v1/lookup?limit=1", typeText, "192.0.2.7"), 400, "unknown_parameter")
	a := f.post("/api/v1/lookup", typeText, "192.0.2.7", "Accept", "application/json;q=0.5, application/x-ndjson")
	if ct := a.header.Get("Content-Type"); ct != typeNDJSON {
		t.Errorf("got %s", ct)
	}
}

func TestBulk_bodyLimit(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits.MaxBody = 1000 })
	line := strings.Repeat("1", 9) + "\n"
	f.want(f.post("/api/v1/lookup", typeText, strings.Repeat(line, 100)), 200, "")
	f.want(f.post("/api/v1/lookup", typeText, strings.Repeat(line, 100)+"\n"), 413, "too_large")
	for _, n := range []int{1000, 1001, 100_000} { // chunked: the length is not known before
		req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/lookup", io.LimitReader(neverEnding('1'), int64(n)))
		req.Header.Set("Content-Type", typeText)
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := map[bool]int{true: 200, false: 413}[n <= 1000]; resp.StatusCode != want {
			t.Errorf("%d bytes: %d %.200s", n, resp.StatusCode, body)
		}
	}
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// FuzzReadJSON holds the reader against encoding/json: both accept the same
// bodies of our form and find the same values.
func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{`{"values":["a","b"]}`, `["a",{"value":"b"},5,null]`, `{"values":[]} `, `["\u0061\"\\"]`, `[[1,"]"],{"a":{}}]`, `{"values":["a"],"x":1}`, `["a",]`, `[1 2]`, `["\ud800"]`, "[\"\x01\"]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4096 || bytes.HasPrefix(body, []byte("\ufeff")) {
			return
		}
		var got []string
		err := readJSON(bufio.NewReaderSize(bytes.NewReader(body), readSize), func(v []byte) error {
			got = append(got, string(v))
			return nil
		})
		want, ok := reference(body)
		if (err == nil) != ok {
			t.Fatalf("%q: got %v, encoding/json accepts: %v", body, err, ok)
		}
		if ok && strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Fatalf("%q: got %q, want %q", body, got, want)
		}
	})
}

// reference reads what readJSON reads, by encoding/json.
func reference(body []byte) (values []string, ok bool) {
	var items []json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(body))
	if tok, err := dec.Token(); err != nil {
		return nil, false
	} else if tok == json.Delim('{') {
		if name, err := dec.Token(); err != nil || name != "values" {
			return nil, false
		}
		if err := dec.Decode(&items); err != nil || items == nil {
			return nil, false
		}
		if end, err := dec.Token(); err != nil || end != json.Delim('}') {
			return nil, false
		}
	} else if tok != json.Delim('[') {
		return nil, false
	} else if err := json.Unmarshal(body, &items); err != nil {
		return nil, false
	}
	if !json.Valid(body) {
		return nil, false
	}
	for _, raw := range items {
		var s string
		var o struct{ Value *string }
		switch {
		case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
			values = append(values, s)
		case raw[0] == '{' && json.Unmarshal(raw, &o) == nil && o.Value != nil:
			values = append(values, *o.Value)
		default:
			values = append(values, string(raw))
		}
	}
	return values, true
}
