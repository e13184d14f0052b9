package fetch

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func TestRedact(t *testing.T) {
	secrets := []string{"s3cr3t-key", "pa ss/w+rd", "", "  ", `qu"ote`, "a/b&c>d"}
	for in, want := range map[string]string{
		"":                                "",
		"nothing here":                    "nothing here",
		"key is s3cr3t-key.":              "key is REDACTED.",
		"S3CR3T-KEY and s3cr3t-key":       "REDACTED and REDACTED",
		"x=pa%20ss%2Fw+rd":                "x=REDACTED",
		"x=pa+ss%2Fw%2Brd&y":              "x=REDACTED&y",
		"x=PA+SS%2fW%2bRD":                "x=REDACTED",
		`said "qu\"ote"`:                  `said "REDACTED"`,
		`{"k": "a/b\u0026c\u003ed"}`:      `{"k": "REDACTED"}`,
		`{"k": "a\/b\u0026c\u003Ed"}`:     `{"k": "REDACTED"}`,
		`{"k": "a%2Fb\u0026c%3Ed"}`:       `{"k": "REDACTED"}`,
		"b64 czNjcjN0LWtleQ==":            "b64 REDACTED==",
		"https://user:pw@feed.test/x":     "https://REDACTED@feed.test/x",
		"ftp://tok@h and http://a:b@c/":   "ftp://REDACTED@h and http://REDACTED@c/",
		"http://h/?a=1&token=abc&b=2":     "http://h/?a=1&token=REDACTED&b=2",
		"http://h/?api_key=abc;Sig=x#f":   "http://h/?api_key=REDACTED;Sig=REDACTED#f",
		"http://h/?X-Amz-Signature=ab":    "http://h/?X-Amz-Signature=REDACTED",
		"http://h/?api%5Fkey=abc":         "http://h/?api%5Fkey=REDACTED",
		"http://h/?monkey=1":              "http://h/?monkey=REDACTED", // ends in key: better one too many
		"http://h/?page=2&limit=100":      "http://h/?page=2&limit=100",
		"mail@example.com":                "mail@example.com",
		"http://h/path@2x.png?a=b@c":      "http://h/path@2x.png?a=b@c",
		"http://h/?token=\"quoted\" rest": "http://h/?token=REDACTED\"quoted\" rest",
	} {
		if got := Redact(in, secrets); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Redact("ab abc", []string{"ab", "abc"}); got != "REDACTED REDACTED" {
		t.Errorf("the shorter secret first: %q", got)
	}
}

// canaries of every place where a request can carry a secret.
const (
	canaryUser   = "CanaryUser000001"
	canaryPass   = "Canary+Pass/0002"
	canaryQuery  = "CanaryQuery00003"
	canaryKey    = "CanaryHeader0004"
	canaryBearer = "CanaryBearer0005"
	canaryPath   = "CanaryPath000006"
	canaryBody   = "CanaryBody000007"
	canaryOther  = "Canary\"Quoted\"08"
)

var allCanaries = []string{canaryUser, canaryPass, canaryQuery, canaryKey, canaryBearer, canaryPath, canaryBody, canaryOther}

// leaks finds canaries in a text, in any form, also the first half of one.
func leaks(text string) []string {
	var found []string
	low := strings.ToLower(text)
	for _, c := range allCanaries {
		for _, form := range []string{c, url.QueryEscape(c), url.PathEscape(c), base64.StdEncoding.EncodeToString([]byte(c)), c[:10]} {
			if strings.Contains(low, strings.ToLower(form)) {
				found = append(found, form)
			}
		}
	}
	if basic := base64.StdEncoding.EncodeToString([]byte(canaryUser + ":" + canaryPass)); strings.Contains(text, basic[:20]) {
		found = append(found, basic)
	}
	return found
}

func secretRequest(base, path string) Request {
	u, _ := strings.CutPrefix(base, "http://")
	return Request{
		URL:  "http://" + canaryUser + ":" + url.QueryEscape(canaryPass) + "@" + u + path + "/" + canaryPath + "?api_key=" + canaryQuery + "&page=2",
		Body: []byte(canaryBody), Method: "POST",
		Header:  header("Auth-Key", canaryKey, "Authorization", "Bearer "+canaryBearer, "X-Other", canaryOther),
		Secrets: []string{canaryPath, canaryUser, canaryBody},
	}
}

// TestNoSecretLeaks goes through every fault, blocked address and bad URL with
// canaries in all places and reads everything that comes out.
func TestNoSecretLeaks(t *testing.T) {
	s := feedserver.Start(t)
	h := newHarness(t, Options{MaxBytes: 4 << 20})
	check := func(name string, req Request) {
		t.Helper()
		res, _, e := h.get(t, req)
		if e != nil {
			for _, text := range []string{e.Error(), e.URL, e.Detail, fmt.Sprintf("%+v", *e), fmt.Sprintf("%#v", *e), fmt.Sprint(e.Unwrap())} {
				if l := leaks(text); l != nil {
					t.Errorf("%s: %q in %s", name, l, text)
				}
			}
			return
		}
		if l := leaks(fmt.Sprintf("%+v", *res)); l != nil {
			t.Errorf("%s: %q in %+v", name, l, *res)
		}
	}
	for _, f := range feedserver.Faults() {
		if f == feedserver.Blackhole || f == feedserver.Trickle || f == feedserver.Stall {
			continue
		}
		path := "/" + string(f)
		s.SetString(path+"/"+canaryPath, goodList)
		s.Fail(path+"/"+canaryPath, f, 0)
		check(string(f), secretRequest("http://"+s.Addr(), path))
	}
	s.Redirect("/r/"+canaryPath, 302, "http://"+canaryUser+":"+canaryPass+"@169.254.169.254/"+canaryPath+"?token="+canaryQuery)
	check("redirect inside", secretRequest("http://"+s.Addr(), "/r"))
	s.Redirect("/r/"+canaryPath, 302, strings.Repeat("x", 190)+":"+canaryPath+canaryQuery)
	check("redirect at the edge of what is shown", secretRequest("http://"+s.Addr(), "/r"))
	for _, host := range []string{"127.0.0.1:1", "169.254.169.254", "2130706433", "nowhere.invalid.", "[::1", "host:" + canaryPath, "feed\x01.test"} {
		check(host, secretRequest("http://"+host, "/x"))
	}
	for _, u := range []string{"ftp://" + canaryUser + ":x@h/" + canaryPath, canaryPath, "://" + canaryPath, "http://h/%zz" + canaryPath, canaryPath + "://h"} {
		check(u, Request{URL: u, Secrets: allCanaries})
	}
	if l := leaks(h.log.String()); l != nil {
		t.Errorf("%q in the log", l)
	}
	if n := strings.Count(h.log.String(), "\n"); n < 40 {
		t.Errorf("only %d lines of log were looked at", n)
	}
}

// TestCanariesAreSent: the test above must not pass because nothing was sent.
func TestCanariesAreSent(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	req := secretRequest("http://"+s.Addr(), "/a")
	delete(req.Header, "Authorization") // so that the URL's user part is used
	h.get(t, req)
	r := s.Log("")[0]
	got := fmt.Sprint(r.Path, r.Query, r.Header, r.Body)
	for _, want := range []string{canaryPath, canaryQuery, canaryKey, canaryBody, base64.StdEncoding.EncodeToString([]byte(canaryUser + ":" + canaryPass))} {
		if !strings.Contains(got, want) {
			t.Errorf("%s was not sent: %s", want, got)
		}
	}
	if len(leaks(got)) < 5 {
		t.Error("leaks finds nothing")
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("https://user:secret1@h/?token=secret1 and secret1", "secret1")
	f.Add("x=%73ecret&key=a", "a b/c")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := Redact(text, []string{secret})
		if twice := Redact(got, nil); twice != got {
			t.Errorf("%q, again %q", got, twice)
		}
		if low := asciiLower(secret); len(secret) >= 4 && strings.TrimSpace(secret) != "" && !overlaps(low, asciiLower(Redacted)) && strings.Contains(asciiLower(got), low) {
			t.Errorf("%q is left in %q", secret, got)
		}
	})
}

// overlaps says whether a text made of a and b may hold a across their border.
func overlaps(a, b string) bool {
	if strings.Contains(b, a) || strings.Contains(a, b) {
		return true
	}
	for i := 1; i < min(len(a), len(b)); i++ {
		if strings.HasSuffix(a, b[:i]) || strings.HasPrefix(a, b[len(b)-i:]) {
			return true
		}
	}
	return false
}
