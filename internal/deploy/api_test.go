package deploy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// face answers like the API, as a script says: what each route answers, the last of
// its answers for ever.
type face struct {
	t       *testing.T
	answers map[string][]string // METHOD PATH: STATUS BODY
	asked   []string
	host    string
}

func (f *face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.host = r.Host
	route := r.Method + " " + r.URL.Path
	f.asked = append(f.asked, route)
	list := f.answers[route]
	if len(list) == 0 || r.Header.Get("Authorization") != "Bearer ei_k" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if len(list) > 1 {
		f.answers[route] = list[1:]
	}
	status, body, _ := strings.Cut(list[0], " ")
	code := map[string]int{"200": 200, "401": 401, "404": 404, "500": 500, "503": 503}[status]
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

const (
	runRoute    = "POST /api/v1/feeds/a/run"
	runsRoute   = "GET /api/v1/feeds/a/runs"
	searchRoute = "GET /api/v1/search"
	lookRoute   = "POST /api/v1/lookup"

	good     = `200 {"status":"ok","started":"2026-12-01T00:00:00Z","listed":3}`
	one      = `200 {"results":[{"value":"one.example"}]}`
	hit      = `200 {"results":[{"found":true,"listings":[{"feed":"b"},{"feed":"a"}]}]}`
	handed   = `503 {"detail":"job a was handed over and has not ended yet"}`
	notReady = `503 {"message":"Service Unavailable"}`
)

func TestSmoke(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 1, 0, time.UTC)
	for name, c := range map[string]struct {
		run, runs, search, look []string
		want                    string // error, "" for the value
	}{
		"at once":                  {run: []string{good}, search: []string{one}, look: []string{hit}},
		"cold, key not yet known":  {run: []string{notReady, `500 x`, `401 {"detail":"no key"}`, good}, runs: []string{`401 {}`}, search: []string{one}, look: []string{hit}},
		"the API has no route yet": {run: []string{`404 {"message":"Not Found"}`, good}, runs: []string{`404 {"message":"Not Found"}`}, search: []string{one}, look: []string{hit}},
		"a slow feed": {run: []string{handed}, runs: []string{`200 []`, `200 [{"status":"ok","started":"2026-11-30T23:00:00Z","listed":9}]`,
			`200 [{"status":"superseded","started":"2026-12-01T00:00:03Z"},{"status":"unchanged","started":"2026-12-01T00:00:02Z","listed":3}]`}, search: []string{one}, look: []string{hit}},
		"listings come later": {run: []string{good}, search: []string{`200 {"results":[]}`, one}, look: []string{`200 {"results":[{"found":false}]}`, `200 {"results":[{"found":true,"listings":[{"feed":"b"}]}]}`, hit}},
		"unknown feed":        {run: []string{`404 {"detail":"unknown feed \"a\""}`}, want: `feed a: POST /api/v1/feeds/a/run: HTTP 404: unknown feed "a"`},
		"held back":           {run: []string{`200 {"status":"quarantined","reason":"a web page"}`}, want: "feed a: the run ended as quarantined: a web page"},
		"nothing listed":      {run: []string{`200 {"status":"ok","listed":0}`}, want: "lists nothing now: name another one with --smoke-feed"},
		"never":               {run: []string{notReady}, runs: []string{notReady}, want: "feed a: no end within 1m0s: POST /api/v1/feeds/a/run: HTTP 503: Service Unavailable"},
		"never found":         {run: []string{good}, search: []string{one}, look: []string{`200 {"results":[{"found":false}]}`}, want: "no end within 1m0s: the look-up of one.example does not find it in a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &face{t: t, answers: map[string][]string{runRoute: c.run, runsRoute: c.runs, searchRoute: c.search, lookRoute: c.look}}
			s := httptest.NewServer(f)
			defer s.Close()
			tries := 0
			pause := func(ctx context.Context) error {
				if tries++; tries > 20 {
					return errors.New("enough")
				}
				return ctx.Err()
			}
			smoke := &Smoke{API: NewAPI(s.URL, "ei_k"), Feed: "a", Limit: time.Minute, Now: func() time.Time { return now }, Pause: pause, Say: func(string, ...any) {}}
			if strings.HasPrefix(name, "never") { // the time is over at the first pause
				smoke.Pause = func(context.Context) error { return context.DeadlineExceeded }
			}
			value, err := smoke.Run(t.Context())
			if c.want == "" && (err != nil || value != "one.example") {
				t.Errorf("%q, %v, asked %q", value, err, f.asked)
			} else if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestLoopback: a name below localhost, which emulators give to their APIs, is this
// machine, whatever the resolver says, and the server hears its name.
func TestLoopback(t *testing.T) {
	f := &face{t: t, answers: map[string][]string{searchRoute: {one}}}
	s := httptest.NewServer(f)
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	api := NewAPI("http://abc123.execute-api.localhost:"+port, "ei_k")
	var out any
	if err := api.call(t.Context(), http.MethodGet, "/api/v1/search?q=x", nil, &out); err != nil || f.host != "abc123.execute-api.localhost:"+port {
		t.Error(err, f.host)
	}
	for host, want := range map[string]string{"a.localhost": "127.0.0.1", "a.LOCALHOST:8": "127.0.0.1:8", "localhost:8": "localhost:8", "a.notlocalhost": "a.notlocalhost", "x.amazonaws.com": "x.amazonaws.com"} {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+"/", nil)
		if loopback(r); r.URL.Host != want || r.Host != host {
			t.Error(host, r.URL.Host, r.Host)
		}
	}
}

func TestParseVariable(t *testing.T) {
	for line, want := range map[string]any{"log_days=90": 90.0, "schedule=rate(2 hours)": "rate(2 hours)", "enabled=false": false, "budget_usd=": nil, "opensearch_version=OpenSearch_3.1": "OpenSearch_3.1"} {
		if _, v, err := ParseVariable(os.DirFS("../../deploy/terraform"), line); err != nil || v != want {
			t.Error(line, v, err)
		}
	}
	if _, v, err := ParseVariable(os.DirFS("../../deploy/terraform"), `secrets=["a"]`); err != nil || len(v.([]any)) != 1 {
		t.Error(v, err)
	}
	for line, want := range map[string]string{"log_days": "want NAME=VALUE", "days=1": `no variable "days" to set; there are profile, `, "prefix=x": "no variable", "zip=x": "no variable", "=": "no variable"} {
		if _, _, err := ParseVariable(os.DirFS("../../deploy/terraform"), line); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(line, err)
		}
	}
}
