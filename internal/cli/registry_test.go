package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/testing/registrytest"
)

// TestEnrichAsks: the command asks the servers that the endpoints name, and nobody else.
func TestEnrichAsks(t *testing.T) {
	servers := registrytest.Start(t)
	servers.Behave()
	e := servers.Endpoints()
	registrytest.SetRate(servers, &e, registry.Rate{PerMinute: 60000, Parallel: 2})
	w := newWorld(t)
	w.env = []string{"EI_ENRICH_ENDPOINTS=" + servers.EndpointsFile(t, e), "EI_SECRET_GREYNOISE_KEY=" + registrytest.Key, "EI_ENRICH_REVERSE=true", "EI_ENRICH_LOOKUP=internetdb greynoise"}
	out, _ := w.must(exitOK, "enrich", "81.2.69.142", "https://www.shop.example/x", "AS3333", "-o", "json")
	var found []enrich.Finding
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	var got []string
	for _, f := range found {
		got = append(got, subjectText(f.Subject)+" "+f.Source+" "+f.Negative)
	}
	if want := "81.2.69.142 rdap ,81.2.69.142 dns ,81.2.69.142 internetdb ,81.2.69.142 greynoise ,shop.example rdap ,AS3333 rdap "; strings.Join(got, ",") != want {
		t.Errorf("%q\nwant %q", strings.Join(got, ","), want)
	}
	out, _ = w.must(exitOK, "enrich", "81.2.69.142", "-o", "csv")
	if lines := strings.Split(out, "\n"); !strings.HasPrefix(lines[0], "subject,source,cidr,name,org,") || !strings.Contains(lines[1], "81.2.69.142,rdap,81.2.64.0/20,NET-81-2-64-0-20,Holder of 81.2.64.0/20,NL,abuse@holder.example") {
		t.Errorf("%s", out)
	}
	for _, text := range []string{out} {
		if strings.Contains(text, "Jane") || strings.Contains(text, registrytest.Key) {
			t.Errorf("%s", text)
		}
	}
	w.must(exitOK, "enrich", "81.2.69.142", "free.example") // something is known of one
	if _, talk := w.must(exitUnreachable, "enrich", "free.example"); !strings.Contains(talk, "no registry said anything of use") {
		t.Errorf("%s", talk)
	}
	for _, q := range servers.Queries() {
		if q.Server != registrytest.DNS && !strings.HasPrefix(q.Agent, "ElasticIntel/") {
			t.Errorf("%+v does not say who asks", q)
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "data")); err == nil {
		t.Error("asking made a data folder")
	}
}

func TestEnrichAsksInVain(t *testing.T) {
	w := newWorld(t)
	bad := filepath.Join(w.dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"whoiss":"127.0.0.2:43"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		talk string
	}{
		{[]string{"enrich", "d41d8cd98f00b204e9800998ecf8427e"}, exitUsage, "neither an address nor a registered domain"},
		{[]string{"enrich", "no such thing"}, exitUsage, "no such thing"},
		{[]string{"enrich", "81.2.69.142", "--enrich-endpoints", bad}, exitConfig, "whoiss"},
		{[]string{"enrich", "81.2.69.142", "--enrich-endpoints", "absent.json"}, exitUsage, "absent.json"},
		{[]string{"enrich", "81.2.69.142", "--enrich-lookup", "nobody"}, exitConfig, "internetdb"},
		{[]string{"enrich", "81.2.69.142", "--enrich-lookup", "abuseipdb"}, exitConfig, "ABUSEIPDB_KEY"},
	} {
		if _, talk := w.must(c.code, c.args...); !strings.Contains(talk, c.talk) {
			t.Errorf("%q: %s", c.args, talk)
		}
	}
}
