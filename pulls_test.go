package elasticintel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/source"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// provider answers as the documentation of one says, for made-up values. It
// refuses a request without the key.
type provider struct {
	id      string
	paths   map[string]http.HandlerFunc
	keyed   func(r *http.Request) bool
	want    []string // values accepted, in order
	context []string // fields of the first
	asked   int      // requests
}

const apiKey = "s3cr3t-0123456789"

func header(name, value string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(name) == value }
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }
}

// providers are those of the catalogue whose key goes another way than into the
// path of an export.
func providers() []provider {
	pulse := `{"count": 3, "next": %s, "previous": null, "results": [{"id": "p%d", "name": "Campaign", "author_name": "anna", "tags": ["elf"], "adversary": "",
		"created": "2026-11-01T10:00:00.0", "modified": "2026-11-02T10:00:00.0", "references": ["https://report.example/1"],
		"indicators": [{"id": %d, "indicator": "c2-%d.example", "type": "domain", "title": "", "description": "", "created": "2026-11-01T10:00:00"}]}]}`
	return []provider{
		{id: "otx", keyed: header("X-OTX-API-KEY", apiKey), asked: 2, want: []string{"c2-1.example", "c2-2.example"}, context: []string{"tags", "reporter"},
			paths: map[string]http.HandlerFunc{"/api/v1/pulses/subscribed": func(w http.ResponseWriter, r *http.Request) {
				switch q := r.URL.Query(); {
				case q.Get("modified_since") != "2026-11-01T12:00:00Z" || q.Get("limit") != "50":
					http.Error(w, "since when?", http.StatusBadRequest)
				case q.Get("page") == "":
					fmt.Fprintf(w, pulse, `"http://`+r.Host+r.URL.RequestURI()+`&page=2"`, 1, 1, 1)
				default:
					fmt.Fprintf(w, pulse, "null", 2, 2, 2)
				}
			}}},
		{id: "abuseipdb", keyed: header("Key", apiKey), asked: 1, want: []string{"203.0.113.7", "2001:db8::7"}, context: []string{"confidence", "country", "feed_last_seen"},
			paths: map[string]http.HandlerFunc{"/api/v2/blacklist": text(`{"meta": {"generatedAt": "2026-11-30T08:00:00+00:00"}, "data": [
				{"ipAddress": "203.0.113.7", "countryCode": "CN", "abuseConfidenceScore": 100, "lastReportedAt": "2026-11-30T07:17:01+00:00"},
				{"ipAddress": "2001:db8::7", "countryCode": "US", "abuseConfidenceScore": 100, "lastReportedAt": "2026-11-30T07:17:02+00:00"}]}`)}},
		{id: "pulsedive", keyed: func(r *http.Request) bool { return r.URL.Query().Get("key") == apiKey }, asked: 1, want: []string{"bad.example", "203.0.113.8"}, context: []string{"risk", "feed_first_seen"},
			paths: map[string]http.HandlerFunc{"/api/explore.php": func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("q") != "risk=critical or risk=high" {
					http.Error(w, `{"error": "Invalid query."}`, http.StatusBadRequest)
					return
				}
				fmt.Fprint(w, `{"results": [{"iid": 1, "indicator": "bad.example", "type": "domain", "risk": "high", "stamp_added": "2026-11-01 10:00:00", "stamp_seen": "2026-11-29 10:00:00"},
					{"iid": 2, "indicator": "203.0.113.8", "type": "ip", "risk": "critical", "stamp_added": "2026-11-02 10:00:00", "stamp_seen": "2026-11-29 11:00:00"}]}`)
			}}},
		{id: "threatfox-api", keyed: header("Auth-Key", apiKey), asked: 1, want: []string{"203.0.113.9:443"}, context: []string{"malware", "threat_type", "tags", "confidence"},
			paths: map[string]http.HandlerFunc{"/api/v1/": func(w http.ResponseWriter, r *http.Request) {
				if b, err := io.ReadAll(r.Body); err != nil || string(b) != `{"days":7,"query":"get_iocs"}` || r.Method != "POST" {
					http.Error(w, fmt.Sprintf(`{"query_status": "illegal_days", "data": %q}`, b), http.StatusOK)
					return
				}
				fmt.Fprint(w, `{"query_status": "ok", "data": [{"id": "1", "ioc": "203.0.113.9:443", "threat_type": "botnet_cc", "ioc_type": "ip:port", "malware": "win.emotet",
					"malware_printable": "Emotet", "confidence_level": 75, "first_seen": "2026-11-29 10:00:00 UTC", "last_seen": null, "reference": null, "reporter": "anna", "tags": ["E5"]}]}`)
			}}},
		{id: "phishtank", keyed: func(r *http.Request) bool { return strings.Contains(r.URL.Path, apiKey) }, asked: 1, want: []string{"http://phish.example/login"}, context: []string{"phish_id", "reference", "target"},
			paths: map[string]http.HandlerFunc{"/data/" + apiKey + "/online-valid.csv": text("phish_id,url,phish_detail_url,submission_time,verified,verification_time,online,target\n" +
				"1,http://phish.example/login,http://www.phishtank.com/phish_detail.php?phish_id=1,2026-11-29T10:00:00+00:00,yes,2026-11-29T10:05:00+00:00,yes,Other\n")}},
		{id: "pastebin", asked: 3, want: []string{"http://bad.example/x", "d41d8cd98f00b204e9800998ecf8427e"}, context: []string{"reference"},
			paths: map[string]http.HandlerFunc{
				"/api_scraping.php": text(`[{"scrape_url": "https://scrape.pastebin.com/api_scrape_item.php?i=0CeaNm8Y", "full_url": "https://pastebin.com/0CeaNm8Y", "date": "1442911802",
					"key": "0CeaNm8Y", "size": "890", "expire": "1442998159", "title": "Once we all know", "syntax": "java", "user": "admin"}, {"key": "8sUIsf34", "date": "1442911665"}]`),
				"/api_scrape_item.php": func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprint(w, map[string]string{"0CeaNm8Y": "seen: hxxp://bad[.]example/x", "8sUIsf34": "md5 d41d8cd98f00b204e9800998ecf8427e"}[r.URL.Query().Get("i")])
				}}},
		{id: "github-gists", keyed: header("Authorization", "Bearer "+apiKey), asked: 3, want: []string{"http://bad.example/y", "203.0.113.10"}, context: []string{"reference"},
			paths: map[string]http.HandlerFunc{
				"/gists/public": func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, `[{"id": "aa", "html_url": "https://gist.github.com/aa", "files": {"iocs.txt": {"filename": "iocs.txt", "type": "text/plain", "raw_url": "http://%s/anna/aa/raw/01/iocs.txt", "size": 17},
						"b.md": {"filename": "b.md", "raw_url": "http://%s/anna/aa/raw/02/b.md", "size": 5}}, "public": true, "owner": {"login": "anna"}}]`, r.Host, r.Host)
				},
				"/anna/aa/raw/01/iocs.txt": text("hxxp://bad[.]example/y"),
				"/anna/aa/raw/02/b.md":     text("203.0.113[.]10 was hit")}},
	}
}

// TestKeyedFeeds pulls the catalogue's keyed and paged interfaces from servers
// that answer as the providers' documentation says.
func TestKeyedFeeds(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for _, p := range providers() {
		t.Run(p.id, func(t *testing.T) {
			srv := feedserver.Start(t)
			for path, answer := range p.paths {
				srv.Handle(path, func(w http.ResponseWriter, r *http.Request) {
					if p.keyed != nil && !p.keyed(r) {
						http.Error(w, "no key", http.StatusUnauthorized)
						return
					}
					answer(w, r)
				})
			}
			d := *catalogue(t).Get(p.id)
			u, err := url.Parse(strings.ReplaceAll(d.URL, "{secret}", "SECRET"))
			if err != nil || u.Scheme != "https" {
				t.Fatalf("%s: %v", d.URL, err)
			}
			d.URL = strings.Replace(d.URL, "https://"+u.Host, "http://"+srv.Addr(), 1)
			d.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			f := pullFrom(t, &d, now)
			defer f.Close()
			res, err := source.Parse(t.Context(), f, &d, source.ParseOptions{MaxRejects: 5})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range res.Entries {
				got = append(got, e.Indicator.Value)
			}
			if !slices.Equal(got, p.want) || res.Rejected > 0 || len(res.Bad) > 0 {
				t.Fatalf("accepted %q, want %q; rejected %+v, bad %q", got, p.want, res.Rejects, res.Bad)
			}
			for _, name := range p.context {
				if len(res.Entries[0].Fields.Get(name)) == 0 {
					t.Errorf("the first lacks %s: %v", name, res.Entries[0].Fields)
				}
			}
			if n := len(srv.Log("")); n != p.asked {
				t.Errorf("%d requests, want %d", n, p.asked)
			}
		})
	}
}

// pullFrom pulls d as a run would.
func pullFrom(t *testing.T, d *feed.Definition, now time.Time) *os.File {
	t.Helper()
	client := fetch.New(fetch.Options{TempDir: t.TempDir(), Retries: -1})
	if d.Several() {
		out, err := source.Run(t.Context(), source.Pull{Def: d, Fetch: client, Secret: apiKey, Secrets: d.Forms(apiKey), Now: now,
			Temp:  func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "pull-*") },
			Sleep: func(ctx context.Context, d time.Duration) error { return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		return out.File
	}
	req := fetch.Request{Method: d.Method, Body: d.Payload(apiKey), AllowNetworks: d.Allowed()}
	req.URL, req.Header = d.Endpoint(apiKey)
	res, err := client.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res.Body
}
