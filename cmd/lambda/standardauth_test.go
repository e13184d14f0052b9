package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/testing/sigv4test"
)

// The functions' requests are signed as Amazon's domains want it. Who is refused
// answers nothing as if it knew, and loses no run.
func TestStandard_SigV4(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.pub.SetString("/a", "one.a.example\n")
	gate := &sigv4test.Gate{AccessKey: "AKIDEXAMPLE", Secret: "not/a+secret", Token: "token+of=a/session", Service: "es", Region: "eu-west-1", Next: p.fronts["api"].proxy}
	domain := httptest.NewServer(gate)
	t.Cleanup(domain.Close)
	signed := func(function, secret string) *process {
		return launch(t, p.bin, function, append(p.env, "EI_CACHE="+t.TempDir(), "EI_ENGINE=opensearch", "EI_OPENSEARCH_AUTH=sigv4", "EI_OPENSEARCH_URL="+domain.URL, "EI_OPENSEARCH_INDEX="+p.index,
			"AWS_ACCESS_KEY_ID="+gate.AccessKey, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN="+gate.Token, "AWS_REGION="+gate.Region)...)
	}
	p.ingest(signed("ingest", "another"), p.job("a")) // cannot tell the index
	if gate.Refused.Load() == 0 {
		t.Error("a wrong signature was let in")
	}
	refused := gate.Refused.Load()
	p.ingest(signed("ingest", gate.Secret), p.job("a"))
	finds(t, signed("api", gate.Secret), p.key, map[string]bool{"one.a.example": true, "absent.example": false})
	if n := gate.Refused.Load() - refused; n != 0 || gate.Passed.Load() < 10 {
		t.Errorf("%d refused, %d let in", n, gate.Passed.Load())
	}
	wrong := signed("api", "another")
	if a := p.ask(wrong, lookup("absent.example")); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("who is refused answers: %+v", a)
	}
	if a := p.ask(wrong, call{"GET", "/readyz", "", ""}); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.Body, "the cluster refuses the user") {
		t.Errorf("readyz: %+v", a)
	}
}

// A user whose password nobody told cannot be asked for; the log says what is missing.
func TestStandard_NoPassword(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.pub.SetString("/a", "one.a.example\n")
	p.ingest(p.function("ingest", false), p.job("a")) // makes the store
	env := append(p.env, "EI_CACHE="+t.TempDir(), "EI_ENGINE=opensearch", "EI_OPENSEARCH_USER=reader", "EI_OPENSEARCH_URL="+p.fronts["api"].URL, "EI_OPENSEARCH_INDEX="+p.index)
	api := launch(t, p.bin, "api", env...)
	a := p.ask(api, lookup("absent.example"))
	if api.kill(); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(api.out.String(), "set the secret opensearch") {
		t.Errorf("%+v\n%s", a, api.out)
	}
	if a := p.ask(launch(t, p.bin, "api", append(env, "EI_SECRET_OPENSEARCH=x")...), call{"GET", "/healthz", "", ""}); a.StatusCode != http.StatusOK {
		t.Errorf("with a password: %+v", a)
	}
}
