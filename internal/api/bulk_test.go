package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// Values that do not fit into memory wait in a file, which is gone afterwards.
func TestBulk_spoolsToAFile(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, func(c *Config) { c.Limits.TempDir = dir })
	const n = 2_000
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, "http://host%d.example/%s\n", i, strings.Repeat("p", 1000))
	}
	seen := atomic.Bool{}
	f.engine.Fail = func(intel.Question) error {
		if files, _ := os.ReadDir(dir); len(files) == 1 {
			seen.Store(true)
		}
		f.engine.Fail = nil
		return nil
	}
	values, summary := results(t, f.post("/api/v1/lookup?fields=summary", typeText, body.String()))
	if summary != fmt.Sprintf(`{"asked":%d,"found":0,"errors":0}`, n) {
		t.Errorf("summary %s", summary)
	}
	for i, v := range values {
		if want := fmt.Sprintf("http://host%d.example/", i); !strings.HasPrefix(v, want) {
			t.Fatalf("result %d is %s", i, v)
		}
	}
	if files, err := os.ReadDir(dir); len(files) != 0 || err != nil || !seen.Load() {
		t.Errorf("files left: %v, %v; a file was seen: %v", files, err, seen.Load())
	}
}

func TestBulk_noRoomToSpool(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits.TempDir = "/nonexistent/secret/place" })
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7"), 200, "")
	a := f.post("/api/v1/lookup", typeText, strings.Repeat("192.0.2.7\n", 200_000))
	f.want(a, 503, "no_room")
	if strings.Contains(a.body, "secret") {
		t.Errorf("the answer shows a path: %s", a.body)
	}
}

func TestBulk_engineFails(t *testing.T) {
	f := newFixture(t)
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			return errBoom
		}
		return nil
	}
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7\n203.0.113.1\n"), 503, "engine") // nothing was sent yet
	body := strings.Repeat("192.0.2.7\n", 5000) + "203.0.113.1\n"
	for _, accept := range []string{typeJSON, typeNDJSON} { // half of it was
		req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/lookup", strings.NewReader(body))
		req.Header.Set("Content-Type", typeText)
		req.Header.Set("Accept", accept)
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: status %d, %v; want a cut connection", accept, resp.StatusCode, err)
		}
	}
	if !strings.Contains(f.log.String(), "boom") {
		t.Errorf("the log does not say why:\n%s", f.log)
	}
}

// A client that only reads when it has sent everything, as most do, must get a
// large answer to a large question.
func TestBulk_halfDuplexClient(t *testing.T) {
	f := newFixture(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 200_000
	body := strings.Repeat("192.0.2.200\n", n)
	fmt.Fprintf(conn, "POST /api/v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nAccept: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		lines++
	}
	if lines != n {
		t.Errorf("%d answers to %d values", lines, n)
	}
}

// 100,000 values must not need more memory than 1,000.
func TestBulk_memoryIsFlat(t *testing.T) {
	f := newFixture(t)
	for i := range 20_000 {
		f.engine.Add(intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("h%d.example", i)}, info("d"), now, time.Time{}, "note", "some words of context")
	}
	f.client.Timeout = time.Minute
	ask := func(n int) (peak uint64) {
		pr, pw := io.Pipe()
		go func() {
			w := bufio.NewWriter(pw)
			for i := range n {
				fmt.Fprintf(w, "h%d.example\n", i%40_000)
			}
			_ = w.Flush()
			_ = pw.Close()
		}()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/lookup", pr)
		req.Header.Set("Content-Type", typeText)
		req.Header.Set("Accept", typeNDJSON)
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := 0
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); lines++ {
			if lines%(n/5) == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		if lines != n || resp.StatusCode != 200 {
			t.Fatalf("%d answers to %d values, status %d", lines, n, resp.StatusCode)
		}
		return peak
	}
	small, large := ask(1000), ask(100_000)
	t.Logf("peak of the live heap: %d KiB for 1,000 values, %d KiB for 100,000", small>>10, large>>10)
	if int64(large)-int64(small) > 8<<20 {
		t.Errorf("the live heap peaks at %d KiB for 1,000 values and at %d KiB for 100,000", small>>10, large>>10)
	}
}

// A bulk request may take longer than the server's limits for one request, as
// long as it moves; one that does not move is cut off.
func TestBulk_timeLimits(t *testing.T) {
	f := newFixture(t)
	srv := httptest.NewUnstartedServer(f.api)
	srv.Config = NewServer(f.api)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
	srv.Start()
	defer srv.Close()

	gate := make(chan struct{})
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			<-gate
		}
		return nil
	}
	pr, pw := io.Pipe()
	go func() {
		_, _ = io.WriteString(pw, "192.0.2.7\n")
		<-time.After(300 * time.Millisecond) // the network's time cannot be faked
		_, _ = io.WriteString(pw, "203.0.113.1\n")
		_ = pw.Close()
		<-time.After(300 * time.Millisecond)
		close(gate)
	}()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/api/v1/lookup", pr)
	req.Header.Set("Content-Type", typeText)
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"asked":2`) {
		t.Errorf("got %d %s %v", resp.StatusCode, body, err)
	}

	f.feeds.hook = func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
			return nil
		}
	}
	resp, err = srv.Client().Post(srv.URL+"/api/v1/feeds/good/run", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("a long run: got %d %s %v", resp.StatusCode, body, err)
	}
}

func TestBulk_slowOrBrokenBodies(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err    error
		status int
	}{{os.ErrDeadlineExceeded, 408}, {io.ErrUnexpectedEOF, 400}, {errBoom, 400}} {
		r := httptest.NewRequest("POST", "/api/v1/lookup", io.MultiReader(strings.NewReader("192.0.2.7\n"), failing{tt.err}))
		r.RemoteAddr, r.ContentLength = "127.0.0.1:1", -1
		r.Header.Set("Content-Type", typeText)
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		if err := checkAnswer(f.api, r, a); err != nil || a.status != tt.status {
			t.Errorf("%v: got %d %s, %v", tt.err, a.status, a.body, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBulk_clientGoesAway(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits.Bulk = 1 })
	started, gate := make(chan struct{}), make(chan struct{})
	f.engine.Fail = func(q intel.Question) error {
		if q.Indicator.Value == "203.0.113.1" {
			close(started)
			<-gate
		}
		return nil
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /api/v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n203.0.113.1\n")
	<-started
	conn.Close()
	close(gate)
	// The one place for bulk requests is free again, and the server well.
	f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7"), 200, "")
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
