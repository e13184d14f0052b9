package feed

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestNewView(t *testing.T) {
	now := at("2026-03-01 12:00:00")
	good := State{LastAttempt: now.Add(-30 * time.Minute), LastGood: now.Add(-30 * time.Minute), Changed: now.Add(-time.Hour), Class: ClassHealthy, Since: now.Add(-48 * time.Hour), LastRun: intel.Run{Status: intel.RunOK}}
	failed := State{LastAttempt: now.Add(-time.Minute), Failures: 2, LastRun: intel.Run{Status: intel.RunFailed, Reason: "no such host"}}
	held := State{LastAttempt: now, LastGood: now.Add(-time.Hour), Quarantined: "r1", LastRun: intel.Run{Status: intel.RunQuarantined, Reason: "shrank by 90 %"}}
	keyed := &Definition{ID: "k", Interval: intel.Duration(time.Hour), Auth: &Auth{Secret: "K", In: InBearer}}
	plain := &Definition{ID: "p", Interval: intel.Duration(time.Hour)}
	tests := []struct {
		name        string
		facts       Facts
		status      Class
		since, next string
	}{
		{"healthy", Facts{Def: plain, Enabled: true, HaveKey: true, State: good}, ClassHealthy, "2026-02-27 12:00:00", "2026-03-01 12:30:00"},
		{"new", Facts{Def: plain, Enabled: true, HaveKey: true}, ClassNew, "", "2026-03-01 12:00:00"},
		{"failing", Facts{Def: plain, Enabled: true, HaveKey: true, State: failed}, ClassFailing, "", "2026-03-01 12:09:00"},
		{"quarantined", Facts{Def: plain, Enabled: true, HaveKey: true, State: held}, ClassQuarantined, "", "2026-03-01 13:00:00"},
		{"disabled", Facts{Def: plain, HaveKey: true, State: good}, ClassDisabled, "", ""},
		{"no key", Facts{Def: keyed, Enabled: true, State: failed}, ClassNeedsKey, "2026-03-01 12:00:00", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.facts.Listings = 7
			v := NewView(tt.facts, now)
			text := func(t *time.Time) string {
				if t == nil {
					return ""
				}
				return t.Format("2006-01-02 15:04:05")
			}
			if v.State.Status != tt.status || text(v.State.Next) != tt.next || text(v.State.Since) != tt.since || v.Enabled != tt.facts.Enabled || v.State.Listings != 7 {
				t.Errorf("view %+v, since %s, next %s", v, text(v.State.Since), text(v.State.Next))
			}
		})
	}
}

func TestViewJSON(t *testing.T) {
	def := &Definition{ID: "a", Name: "A", Type: "txt", Kind: "url", Life: LifeEnded, Evidence: "a notice", Checked: "2026-02-01", ReplacedBy: "b", Expect: 7}
	raw, err := json.Marshal(NewView(Facts{Def: def, Enabled: true, HaveKey: true, Snapshot: "2026-08-22"}, at("2026-03-01 12:00:00")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"a","name":"A","provider":"","kind":"url","type":"txt","enabled":true,"licence":"","terms":"","commercial_use":null,` +
		`"presence":"","needs_key":false,"description":"","life":"ended","evidence":"a notice","checked":"2026-02-01","replaced_by":"b","expect":7,"state":{"status":"new","since":null,` +
		`"reason":"never pulled yet; what it lists is starter data of 2026-08-22","advice":"` + "`elasticintel ingest a`" + ` pulls it now, ` + "`elasticintel serve`" + ` when it is due",` +
		`"listings":0,"last_run":null,"last_good":null,` +
		`"next":"2026-03-01T12:00:00Z","failures":0,"snapshot":"2026-08-22"}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
}

func TestEndpoint(t *testing.T) {
	const secret = "s3/c r&t"
	tests := []struct {
		name, url string
		auth      *Auth
		wantURL   string
		header    string // Authorization, or the header named
		value     string
	}{
		{"none", "https://a.example/x", nil, "https://a.example/x", "Authorization", ""},
		{"path", "https://a.example/{secret}/x", &Auth{In: InPath}, "https://a.example/s3%2Fc%20r&t/x", "Authorization", ""},
		{"query mark", "https://a.example/x?k={secret}&y=1", &Auth{In: InQuery}, "https://a.example/x?k=s3%2Fc+r%26t&y=1", "Authorization", ""},
		{"query", "https://a.example/x", &Auth{In: InQuery, Name: "key"}, "https://a.example/x?key=s3%2Fc+r%26t", "Authorization", ""},
		{"query more", "https://a.example/x?y=1#f", &Auth{In: InQuery, Name: "key"}, "https://a.example/x?y=1&key=s3%2Fc+r%26t#f", "Authorization", ""},
		{"header", "https://a.example/x", &Auth{In: InHeader, Name: "auth-key"}, "https://a.example/x", "Auth-Key", secret},
		{"bearer", "https://a.example/x", &Auth{In: InBearer}, "https://a.example/x", "Authorization", "Bearer " + secret},
		{"basic", "https://a.example/x", &Auth{In: InBasic, Name: "me"}, "https://a.example/x", "Authorization", "Basic bWU6czMvYyByJnQ="},
		{"basic alone", "https://a.example/x", &Auth{In: InBasic}, "https://a.example/x", "Authorization", "Basic czMvYyByJnQ6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &Definition{URL: tt.url, Auth: tt.auth, Headers: map[string]string{"accept": "text/plain"}}
			u, h := d.Endpoint(secret)
			if u != tt.wantURL || h.Get(tt.header) != tt.value || h.Get("Accept") != "text/plain" {
				t.Errorf("url %s, headers %v", u, h)
			}
			if strings.Contains(d.URL, "s3") || len(d.Headers) != 1 {
				t.Errorf("the definition now holds the secret: %+v", d)
			}
		})
	}
	if _, h := (&Definition{URL: "https://a.example", Auth: &Auth{In: InBasic}}).Endpoint("u:p"); h.Get("Authorization") != "Basic dTpw" {
		t.Errorf("user and password in one secret: %v", http.Header(h))
	}
}
