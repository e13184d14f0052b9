package cli

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
	"github.com/elasticintel/elasticintel/internal/testing/sigv4test"
)

// TestSigV4 fills an index and asks it, through a door that lets in only what is
// signed as Amazon's domains want it, with a real node behind it.
func TestSigV4(t *testing.T) {
	node, err := url.Parse(opensearchtest.Shared(t, opensearchtest.V2).URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	gate := &sigv4test.Gate{AccessKey: "AKIDEXAMPLE", Secret: "not/a+secret", Token: "token+of=a/session", Service: "es", Region: "eu-west-1",
		Next: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(node) }}}
	domain := httptest.NewServer(gate)
	defer domain.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", gate.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", gate.Secret)
	t.Setenv("AWS_SESSION_TOKEN", gate.Token)
	t.Setenv("AWS_REGION", gate.Region)
	t.Setenv("EI_ENGINE", "opensearch")
	t.Setenv("EI_OPENSEARCH_URL", domain.URL)
	t.Setenv("EI_OPENSEARCH_AUTH", "sigv4")
	t.Setenv("EI_OPENSEARCH_INDEX", "sigv4-"+strings.ToLower(strings.NewReplacer(":", "-", ".", "-").Replace(domain.Listener.Addr().String())))

	w := newWorld(t, "some")
	w.must(0, "ingest", "--all")
	stdout, _ := w.must(1, "lookup", "two.some.example", "-o", "ndjson")
	if !strings.Contains(stdout, `"feed":"some"`) {
		t.Error(stdout)
	}
	if stdout, _ = w.must(0, "search", "feed:some", "-o", "ndjson"); strings.Count(stdout, `"canonical"`) != 3 {
		t.Error(stdout)
	}
	if gate.Refused.Load() != 0 || gate.Passed.Load() < 10 {
		t.Errorf("%d refused, %d let in", gate.Refused.Load(), gate.Passed.Load())
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	if _, stderr := w.must(4, "lookup", "two.some.example"); !strings.Contains(stderr, "the secret key is wrong, or something on the way changes the request") {
		t.Error(stderr)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", gate.Secret)
	t.Setenv("AWS_REGION", "us-east-1")
	if _, stderr := w.must(4, "lookup", "two.some.example"); !strings.Contains(stderr, "set AWS_REGION") {
		t.Error(stderr)
	}
}
