package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/pytools"
	"github.com/elasticintel/elasticintel/internal/testing/sigv4test"
)

// The key and the time of the vectors that Amazon has published.
const (
	vectorKey, vectorSecret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	vectorToken             = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

func vectorTime() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }

func testSigner(service, token string) *Signer {
	return &Signer{service: service, region: "us-east-1", v4: v4.NewSigner(), now: vectorTime,
		credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: vectorKey, SecretAccessKey: vectorSecret, SessionToken: token}, nil
		})}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestVectors: signatures that Amazon has published for its own signers.
func TestVectors(t *testing.T) {
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []struct{ name, request, header, body, token, signed, want string }{
		{"utf8", "GET /ሴ", "", "", "", "host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"space", "GET /example space/", "", "", "", "host;x-amz-date", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		{"unreserved", "GET /" + unreserved, "", "", "", "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"query keys", "GET /?Param2=value2&Param1=value1", "", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"query values", "GET /?Param1=value2&Param1=value1", "", "", "", "host;x-amz-date", "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		{"query unreserved", "GET /?" + unreserved + "=" + unreserved, "", "", "", "host;x-amz-date", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"query utf8", "GET /?%E1%88%B4=bar", "", "", "", "host;x-amz-date", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"query order is of what is escaped", "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", "", "", "", "host;x-amz-date", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
		{"query", "GET /?Param1=value1", "", "", "", "host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"post", "POST /", "", "", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post query", "POST /?Param1=value1", "", "", "", "host;x-amz-date", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		{"post body", "POST /", "Content-Type:application/x-www-form-urlencoded", "Param1=value1", "", "content-type;host;x-amz-date",
			"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"post token", "POST /", "", "", vectorToken, "host;x-amz-date;x-amz-security-token", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
		{"get token", "GET /", "", "", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267", "host;x-amz-date;x-amz-security-token",
			"07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
		{"header trimmed", "GET /", "My-Header1: value1\nMy-Header2: \"a   b   c\"", "", "", "host;my-header1;my-header2;x-amz-date",
			"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"header repeated", "GET /", "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1", "", "", "host;my-header1;x-amz-date",
			"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r, err := http.NewRequest(method, "https://example.amazonaws.com"+strings.ReplaceAll(target, " ", "%20"), strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(target, "?") { // two of them go unescaped on the wire, and what is there is escaped once
			r.URL.Opaque = "//example.amazonaws.com" + target
		}
		for line := range strings.Lines(c.header) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			r.Header.Add(name, value)
		}
		if err := testSigner("service", c.token).Sign(r, hexSum([]byte(c.body))); err != nil {
			t.Fatal(err)
		}
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + c.signed + ", Signature=" + c.want
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, want)
		}
		if r.ContentLength != int64(len(c.body)) {
			t.Errorf("%s: length %d", c.name, r.ContentLength)
		}
	}
}

// requests is what is signed here, by others and on the wire.
var requests = []struct {
	method, path string
	query        url.Values
	body         int // bytes; -1 = none
}{
	{"GET", "/", nil, -1},
	{"HEAD", "/ei", nil, -1},
	{"DELETE", "/ei-000001", nil, -1},
	{"PUT", "/_index_template/ei", nil, 100},
	{"POST", "/ei/_bulk", url.Values{"require_alias": {"true"}, "filter_path": {"errors,items.*.status,items.*._shards"}}, 5 << 20},
	{"POST", "/ei/_search/point_in_time", url.Values{"keep_alive": {"1m"}, "routing": {"a b", "a/b", "a-b", "é"}}, 0},
	{"GET", "/a%2Fb/_doc/x%25y", url.Values{"routing": {"x+y&z=%20"}}, -1},
	{"GET", "/with%20space/caf%C3%A9/%E1%88%B4", url.Values{"": {"empty"}, "z": {""}, "a{": {"1"}, "aa": {"2"}, "A": {"3"}}, -1},
	{"POST", "/ei:a,b*/_search", url.Values{"preference": {"_local"}}, 3},
	{"GET", "/~user/a.b_c-d/", nil, -1},
}

func body(n int) []byte {
	if n < 0 {
		return nil
	}
	return bytes.Repeat([]byte("{}\n"), n/3+1)[:n]
}

func newRequest(t *testing.T, base string, i int) (*http.Request, []byte) {
	t.Helper()
	c, b := requests[i], body(requests[i].body)
	target := base + c.path
	if c.query != nil {
		target += "?" + c.query.Encode()
	}
	var reader io.Reader
	if b != nil {
		reader = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, target, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "elasticintel")
	if b != nil {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	return r, b
}

// TestBotocore: an independent implementation, that of Amazon's Python SDK, signs
// the same requests and has the same signatures.
func TestBotocore(t *testing.T) {
	type asked struct {
		Method, URL, Type, Service, Token, Hash string
		Body                                    int
	}
	var ask []asked
	var ours []string
	for i := range requests {
		for _, service := range []string{domain, serverless} {
			for _, token := range []string{"", vectorToken} {
				r, b := newRequest(t, "https://search-x.us-east-1.es.amazonaws.com", i)
				if err := testSigner(service, token).Sign(r, hexSum(b)); err != nil {
					t.Fatal(err)
				}
				ask = append(ask, asked{r.Method, r.URL.String(), r.Header.Get("Content-Type"), service, token, r.Header.Get("X-Amz-Content-Sha256"), len(b)})
				ours = append(ours, r.Header.Get("Authorization"))
			}
		}
	}
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	if err := json.Unmarshal([]byte(pytools.Run(t, botocore, string(in), vectorKey, vectorSecret)), &theirs); err != nil {
		t.Fatal(err)
	}
	if len(theirs) != len(ours) {
		t.Fatalf("%d of %d", len(theirs), len(ours))
	}
	for i := range ours {
		if ours[i] != theirs[i] {
			t.Errorf("%+v:\n ours   %s\n theirs %s", ask[i], ours[i], theirs[i])
		}
	}
}

const botocore = `
import datetime, json, sys
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
at = datetime.datetime(2015, 8, 30, 12, 36, 0)
botocore.auth.get_current_datetime = lambda *a, **k: at
out = []
for q in json.loads(sys.argv[1]):
    headers = {'User-Agent': 'elasticintel'}
    if q['Type']: headers['Content-Type'] = q['Type']
    if q['Hash']: headers['X-Amz-Content-SHA256'] = q['Hash']
    data = (b'{}\n' * (q['Body'] // 3 + 1))[:q['Body']]
    r = AWSRequest(method=q['Method'], url=q['URL'], data=data, headers=headers)
    botocore.auth.SigV4Auth(Credentials(sys.argv[2], sys.argv[3], q['Token'] or None), q['Service'], 'us-east-1').add_auth(r)
    out.append(r.headers['Authorization'])
print(json.dumps(out))
`

// TestWire: what net/http sends is what was signed.
func TestWire(t *testing.T) {
	for _, service := range []string{domain, serverless} {
		got := ""
		gate := newGate(service, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = r.RequestURI + " " + hexSum(b)
		}))
		s := httptest.NewServer(gate)
		defer s.Close()
		for i := range requests {
			r, b := newRequest(t, s.URL, i)
			if err := testSigner(service, vectorToken).Sign(r, hexSum(b)); err != nil {
				t.Fatal(err)
			}
			res, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if path, _, _ := strings.Cut(got, "?"); res.StatusCode != 200 || !strings.HasPrefix(path, requests[i].path) || !strings.HasSuffix(got, hexSum(b)) {
				t.Errorf("%s %+v: %d %s, arrived %s", service, requests[i], res.StatusCode, said, got)
			}
		}
		if gate.Refused.Load() != 0 || gate.Passed.Load() != int64(len(requests)) {
			t.Errorf("%d refused, %d let in", gate.Refused.Load(), gate.Passed.Load())
		}
	}
}

func newGate(service string, next http.Handler) *sigv4test.Gate {
	return &sigv4test.Gate{AccessKey: vectorKey, Secret: vectorSecret, Token: vectorToken, Service: service, Region: "us-east-1", Now: vectorTime, Next: next}
}

// TestGate: the gate refuses what was changed on the way.
func TestGate(t *testing.T) {
	gate := newGate(domain, http.NotFoundHandler())
	s := httptest.NewServer(gate)
	defer s.Close()
	for name, change := range map[string]func(*http.Request){
		"method":   func(r *http.Request) { r.Method = "PUT" },
		"path":     func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/other", "" },
		"query":    func(r *http.Request) { r.URL.RawQuery += "&x=1" },
		"body":     func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
		"host":     func(r *http.Request) { r.Host = "other.example" },
		"type":     func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"token":    func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") },
		"time":     func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123601Z") },
		"unsigned": func(r *http.Request) { r.Header.Set("X-Amz-Other", "x") },
		"nothing":  func(r *http.Request) { r.Header.Del("Authorization") },
		"key": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AKID", "AKIE", 1))
		},
	} {
		r, b := newRequest(t, s.URL, 4)
		if err := testSigner(domain, vectorToken).Sign(r, hexSum(b)); err != nil {
			t.Fatal(err)
		}
		change(r)
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// TestClient: the client of a cluster signs each try anew, also for another node.
func TestClient(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	var broken atomic.Bool
	broken.Store(true)
	gate := newGate(domain, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.CompareAndSwap(true, false) { // the request arrived, its answer does not
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
			return
		}
		_, _ = io.WriteString(w, `{"version":{"number":"2.19.1","distribution":"opensearch"}}`)
	}))
	first, second := httptest.NewServer(gate), httptest.NewServer(gate)
	defer first.Close()
	defer second.Close()
	c, err := opensearch.New(opensearch.Options{URLs: []string{dead.URL, first.URL, second.URL + "/behind/a%20path"}, Sign: testSigner(domain, vectorToken).Sign, Now: vectorTime})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if gate.Refused.Load() != 0 || gate.Passed.Load() < 4 {
		t.Errorf("%d refused, %d let in", gate.Refused.Load(), gate.Passed.Load())
	}
}
