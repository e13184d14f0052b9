package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

const domainURL = "https://search-x.eu-west-1.es.amazonaws.com"

// clean leaves nothing of the machine's own that the chain could find, and writes
// a configuration.
func clean(t *testing.T, configuration string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // puts it back afterwards
			_ = os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func newSigner(t *testing.T, url string) (*Signer, error) {
	t.Helper()
	return NewSigner(t.Context(), Options{URLs: []string{url}, Now: time.Now})
}

// credential is the Credential part of a signature, without the date.
func credential(t *testing.T, s *Signer) (key, scope, token string) {
	t.Helper()
	r, err := http.NewRequest("GET", domainURL, nil)
	if err == nil {
		err = s.Sign(r, hexSum(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	said, _, _ = strings.Cut(said, ",")
	parts := strings.SplitN(said, "/", 3)
	return parts[0], parts[2], r.Header.Get("X-Amz-Security-Token")
}

// TestChain: credentials are found where every tool of AWS finds them.
func TestChain(t *testing.T) {
	answer := func(expires string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/api/token"):
				w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "600")
				fmt.Fprint(w, "t")
			case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
				fmt.Fprint(w, "role")
			default:
				fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"AKROLE","SecretAccessKey":"s","Token":"tok","Expiration":"%s"}`, expires)
			}
		}
	}
	s := httptest.NewServer(answer(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	defer s.Close()
	for name, c := range map[string]struct {
		config     string
		env        map[string]string
		key, token string
	}{
		"environment": {"", map[string]string{"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}, "AKENV", "t"},
		"profile":     {"[profile p]\naws_access_key_id=AKFILE\naws_secret_access_key=s\n", map[string]string{"AWS_PROFILE": "p"}, "AKFILE", ""},
		"container":   {"", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": s.URL + "/c"}, "AKROLE", "tok"},
		"machine":     {"", map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": s.URL}, "AKROLE", "tok"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, c.config)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			signer, err := newSigner(t, domainURL)
			if err != nil {
				t.Fatal(err)
			}
			if key, scope, token := credential(t, signer); key != c.key || token != c.token || scope != "eu-west-1/es/aws4_request" {
				t.Error(key, token, scope)
			}
		})
	}
}

// TestWhatToDo: an error says what is missing and what to do.
func TestWhatToDo(t *testing.T) {
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
	}))
	defer denied.Close()
	sso := "[profile p]\nsso_session=s\nsso_account_id=1\nsso_role_name=r\n[sso-session s]\nsso_region=eu-west-1\nsso_start_url=https://x.example/start\n"
	role := "[profile p]\nrole_arn=arn:aws:iam::111122223333:role/r\nsource_profile=q\nregion=eu-west-1\n[profile q]\naws_access_key_id=AK\naws_secret_access_key=s\naws_session_token=old\n"
	for name, c := range map[string]struct {
		config, url string
		env         map[string]string
		want        string
		credentials bool
	}{
		"none":       {"", domainURL, nil, "none found; set AWS_ACCESS_KEY_ID", true},
		"no profile": {"", domainURL, map[string]string{"AWS_PROFILE": "p"}, "the profile does not exist; see AWS_PROFILE", true},
		"sso":        {sso, domainURL, map[string]string{"AWS_PROFILE": "p"}, "run `aws sso login`", true},
		"expired":    {role, domainURL, map[string]string{"AWS_PROFILE": "p", "AWS_ENDPOINT_URL_STS": denied.URL}, "they have expired; get new ones", true},
		"half":       {"", domainURL, map[string]string{"AWS_ACCESS_KEY_ID": "AK"}, "none found", true},
		"no region":  {"", "https://search.example", map[string]string{"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}, "no region: the host of https://search.example does not name one; set AWS_REGION", false},
		"refused":    {"", domainURL, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": denied.URL}, "they cannot be had", true},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, c.config)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := newSigner(t, c.url)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.As(err, new(*CredentialsError)) != c.credentials {
				t.Error(err)
			}
		})
	}
	clean(t, "[default]\nregion=sa-east-1\naws_access_key_id=AK\naws_secret_access_key=s\n")
	s, err := newSigner(t, "https://search.example")
	if err != nil || s.region != "sa-east-1" || s.service != domain {
		t.Error(s, err)
	}
}

// TestRefresh: credentials are asked for anew before they end, once for many
// requests; where that fails, the old ones serve until their end.
func TestRefresh(t *testing.T) {
	var asked atomic.Int64
	var left atomic.Int64 // seconds that credentials live
	var down atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusBadRequest) // one that is not tried again
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":"AK%d","SecretAccessKey":"s","Token":"t","Expiration":"%s"}`, asked.Load(),
			time.Now().Add(time.Duration(left.Load())*time.Second).UTC().Format(time.RFC3339))
	}))
	defer s.Close()
	clean(t, "")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL)
	left.Store(30) // less than early: valid, and to be renewed at once
	signer, err := newSigner(t, domainURL)
	if err != nil {
		t.Fatal(err)
	}
	left.Store(3600)
	for range 5 {
		if key, _, _ := credential(t, signer); key != "AK2" {
			t.Fatal(key)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}

	left.Store(30)
	if signer, err = newSigner(t, domainURL); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	before := asked.Load()
	base, at := time.Now(), time.Duration(0)
	signer.now = func() time.Time { return base.Add(at) }
	for range 5 {
		if key, _, _ := credential(t, signer); key != "AK3" {
			t.Fatal(key)
		}
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("asked %d times while there was no answer", n)
	}
	at = 31 * time.Second
	r, _ := http.NewRequest("GET", domainURL, nil)
	if err := signer.Sign(r, hexSum(nil)); !errors.As(err, new(*CredentialsError)) || r.Header.Get("Authorization") != "" {
		t.Error(err)
	}
	down.Store(false)
	at += pause
	if key, _, _ := credential(t, signer); key == "AK3" {
		t.Error(key)
	}
}

// TestCancelled: who went is told so, and that is no failure of the credentials.
func TestCancelled(t *testing.T) {
	s := testSigner(domain, "")
	s.credentials = sdk.CredentialsProviderFunc(func(ctx context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{}, fmt.Errorf("stopped: %w", ctx.Err())
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", domainURL, nil)
	if err := s.Sign(r, hexSum(nil)); err != context.Canceled || s.err != nil {
		t.Error(err, s.err)
	}
}

// TestTarget reads service and region from names of hosts.
func TestTarget(t *testing.T) {
	for urls, want := range map[string]string{
		"https://search-x.us-east-1.es.amazonaws.com":                                        "es us-east-1",
		"https://vpc-x-abc.eu-central-1.es.amazonaws.com:443/":                               "es eu-central-1",
		"https://x.cn-north-1.es.amazonaws.com.cn":                                           "es cn-north-1",
		"https://Search-X.US-EAST-1.ES.amazonaws.com.":                                       "es us-east-1",
		"https://abc.us-west-2.aoss.amazonaws.com":                                           "aoss us-west-2",
		"https://search-x-abc.aos.us-east-1.on.aws":                                          "es us-east-1",
		"https://abc.aoss.us-east-1.on.aws":                                                  "aoss us-east-1",
		"https://search.example.org":                                                         "es ",
		"http://127.0.0.1:9200":                                                              "es ",
		"https://es.amazonaws.com":                                                           "es ",
		"https://x.us-east-1.es.amazonaws.com.evil.example":                                  "es ",
		"https://a.us-east-1.es.amazonaws.com https://b.us-east-1.es.amazonaws.com":          "es us-east-1",
		"https://a.us-east-1.es.amazonaws.com https://a.us-east-1.aoss.amazonaws.com":        "several",
		"https://a.us-east-1.es.amazonaws.com https://a.us-east-2.es.amazonaws.com":          "several",
		"https://u:secret@a.us-east-1.es.amazonaws.com\x7f https://x.us-east-1.example.test": "cannot be read",
		"": "no URL",
	} {
		service, region, err := target(strings.Fields(urls))
		got := service + " " + region
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want || strings.Contains(got, "secret") {
			t.Errorf("%q: %s, want %s", urls, got, want)
		}
	}
}
