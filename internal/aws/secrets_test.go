package aws

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// TestSecrets: what is set is had again, and named; what was had is not asked
// for again for minutes, and serves on while there is no answer.
func TestSecrets(t *testing.T) {
	for name, start := range emulators {
		t.Run(name, func(t *testing.T) {
			start(t).Setenv(t)
			p := before(t)
			now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
			var failed []string
			s, err := NewSecrets(t.Context(), SecretOptions{
				URL: "ssm:/elasticintel/secrets/", Check: local.CheckSecretName, Now: func() time.Time { return now }, MaxBackoff: time.Millisecond,
				Variable: func(name string) (string, bool) { return "of a variable", name == "variable" },
				Failed:   func(name string, err error) { failed = append(failed, fmt.Sprint(name, ": ", err)) },
			})
			if err != nil {
				t.Fatal(err)
			}
			get := func(name, want string, wantAsked int) {
				t.Helper()
				p.then(p.script)
				got, ok := s.Getter(t.Context())(name)
				if got != want || ok != (want != "") || len(p.seen()) != wantAsked {
					t.Errorf("%s: %q, %v after %d requests; want %q after %d", name, got, ok, len(p.seen()), want, wantAsked)
				}
			}
			get("abuse_ch", "", 1)
			get("abuse_ch", "", 0)
			get("variable", "of a variable", 0)
			get("../other", "", 0)
			for i := range 12 { // two pages of a listing
				if err := s.Set(t.Context(), fmt.Sprintf("otx%d", i), "x"); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Set(t.Context(), "abuse_ch", "  first\n"); err != nil {
				t.Fatal(err)
			}
			get("abuse_ch", "first", 1)
			get("abuse_ch", "first", 0)
			names, err := s.Names(t.Context())
			if err != nil || len(names) != 13 || names[0] != "abuse_ch" || !slices.IsSorted(names) {
				t.Error(names, err)
			}
			other, err := NewSecrets(t.Context(), s.o)
			if err == nil {
				err = other.Set(t.Context(), "abuse_ch", "second")
			}
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(secretFor - time.Second)
			get("abuse_ch", "first", 0)
			now = now.Add(time.Second)
			get("abuse_ch", "second", 1)

			now = now.Add(secretFor)
			p.once(1, http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"no"}`)
			})
			get("abuse_ch", "second", 1)
			get("abuse_ch", "second", 0)
			if len(failed) != 1 || !strings.Contains(failed[0], "ssm:GetParameter and kms:Decrypt") || strings.Contains(failed[0], "second") {
				t.Error(failed)
			}
			now = now.Add(secretPause)
			get("abuse_ch", "second", 1)
			if _, err := s.ssm.PutParameter(t.Context(), &ssm.PutParameterInput{Name: sdk.String("/elasticintel/secrets/new"), Value: sdk.String("unset"), Type: types.ParameterTypeSecureString}); err != nil {
				t.Fatal(err)
			}
			get("new", "", 1)
			get("new", "", 0)
			if err := other.Set(t.Context(), "new", "third"); err != nil {
				t.Fatal(err)
			}
			now = now.Add(secretPause)
			get("new", "third", 1)
			if said := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(said, "second") {
				t.Error("its text appears: ", said)
			}
			for _, bad := range []config.Secret{"", " \n", "a\nb", "unset"} {
				if err := s.Set(t.Context(), "x", bad); err == nil {
					t.Errorf("%q was kept", bad.Reveal())
				}
			}
			if err := s.Set(t.Context(), "a/b", "x"); err == nil {
				t.Error("a name that is none")
			}
		})
	}
}

// TestSecretsDown: while nobody answers for parameters, one question in half a minute
// is asked, however many secrets are wanted: a function has no time for more. A no
// to one secret says nothing of the others.
func TestSecretsDown(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	p := before(t)
	now := day0
	s, err := NewSecrets(t.Context(), SecretOptions{URL: "ssm:/elasticintel/", Check: local.CheckSecretName, Now: func() time.Time { return now }, MaxBackoff: time.Millisecond,
		Failed: func(name string, err error) { t.Log(name, err) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := s.Set(t.Context(), name, config.Secret("of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if text, ok := s.Get(t.Context(), "a"); !ok || text != "of a" {
		t.Error(text, ok)
	}
	now = now.Add(secretFor)
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request){"reset": reset, "500": says(500, "InternalServerError")} {
		p.once(1000, http.MethodPost, fault)
		if text, ok := s.Get(t.Context(), "b"); ok {
			t.Error(name, text)
		}
		asked := len(p.seen())
		if text, ok := s.Get(t.Context(), "a"); !ok || text != "of a" || len(p.seen()) != asked || asked != attempts {
			t.Errorf("%s: %q, %v; %d requests, then %d", name, text, ok, asked, len(p.seen()))
		}
		if _, ok := s.Get(t.Context(), "c"); ok || len(p.seen()) != asked {
			t.Errorf("%s: %d requests", name, len(p.seen()))
		}
		now = now.Add(secretPause)
	}
	p.once(1, http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"no"}`)
	})
	if text, ok := s.Get(t.Context(), "b"); ok {
		t.Error(text)
	}
	for _, name := range []string{"a", "c"} {
		if text, ok := s.Get(t.Context(), name); !ok || text != "of "+name {
			t.Errorf("%s after a no to another one: %q, %v", name, text, ok)
		}
	}
}

func TestSecretsURL(t *testing.T) {
	clean(t, "[default]\nregion=eu-west-1\naws_access_key_id=AK\naws_secret_access_key=s\n")
	for url, good := range map[string]bool{
		"ssm:/elasticintel/": true, "ssm:/a/b": true, "ssm:": false, "ssm:/": false, "ssm:a": false, "ssm:/aws/x": false, "ssm:/a//b": false, "/a/": false, "ssm:/a b/": false,
	} {
		s, err := NewSecrets(t.Context(), SecretOptions{URL: url, Check: local.CheckSecretName, Now: time.Now})
		if (err == nil) != good || good && !strings.HasSuffix(s.prefix, "/") || errors.As(err, new(*CredentialsError)) {
			t.Error(url, err)
		}
	}
}
