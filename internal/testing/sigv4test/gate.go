// Package sigv4test is the door of an OpenSearch domain at Amazon, for tests: it
// lets in what is signed rightly. It is written after the published description of
// Signature Version 4 and from what arrives on the wire, and shares no code with
// the signer it judges.
package sigv4test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const stamp = "20060102T150405Z"

// refusal is why a request is not let in, in Amazon's words.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// Gate checks each request and hands it to Next. Its answers to the others are
// those of Amazon: 403, {"message":"…"}.
type Gate struct {
	AccessKey, Secret, Token string
	Service, Region          string
	Now                      func() time.Time // nil = time.Now
	Next                     http.Handler

	Passed, Refused atomic.Int64
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = g.Verify(r, body)
	}
	if err != nil {
		g.Refused.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
		return
	}
	g.Passed.Add(1)
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.Next.ServeHTTP(w, r)
}

// Verify says why a request that a server has received is not signed rightly, in
// Amazon's words.
func (g *Gate) Verify(r *http.Request, body []byte) error {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return refusal("Missing Authentication Token")
	}
	said := map[string]string{}
	for _, part := range strings.Split(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		said[name] = value
	}
	date := r.Header.Get("X-Amz-Date")
	if err := g.checkWho(r, said["Credential"], date); err != nil {
		return err
	}
	signed := strings.Split(said["SignedHeaders"], ";")
	if err := checkSigned(r, signed); err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if got := r.Header.Get("X-Amz-Content-Sha256"); got != "" && got != hash || got == "" && g.Service == "aoss" {
		return refuse("x-amz-content-sha256 %q is not that of the body", got)
	}
	canonical, err := Canonical(r, signed, hash)
	if err != nil {
		return err
	}
	if want := g.signature(canonical, date); !hmac.Equal([]byte(want), []byte(said["Signature"])) {
		return refuse("The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been '%s'", canonical)
	}
	return nil
}

// checkWho checks the key, its scope, the token and the time.
func (g *Gate) checkWho(r *http.Request, credential, date string) error {
	now := time.Now
	if g.Now != nil {
		now = g.Now
	}
	at, err := time.Parse(stamp, date)
	if err != nil {
		return refusal("Date must be in ISO-8601 'basic format'")
	}
	if d := now().Sub(at); d > 5*time.Minute {
		return refuse("Signature expired: %s is now earlier than %s (%s - 5 min.)", date, now().Add(-5*time.Minute).UTC().Format(stamp), now().UTC().Format(stamp))
	} else if d < -5*time.Minute {
		return refuse("Signature not yet current: %s is still later than %s", date, now().UTC().Format(stamp))
	}
	if want := strings.Join([]string{g.AccessKey, date[:8], g.Region, g.Service, "aws4_request"}, "/"); credential != want {
		return refuse("Credential should be scoped to a valid region, and to service %s: %s, want %s", g.Service, credential, want)
	}
	if r.Header.Get("X-Amz-Security-Token") != g.Token {
		return refusal("The security token included in the request is invalid.")
	}
	return nil
}

// checkSigned: the host, and all that begins with x-amz-, must be signed. So that
// it also passes Serverless, the length must not be.
func checkSigned(r *http.Request, signed []string) error {
	if !slices.IsSorted(signed) || !slices.Contains(signed, "host") || slices.Contains(signed, "content-length") {
		return refuse("'SignedHeaders' is not right: %s", signed)
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return refuse("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

// Canonical is the canonical request, of the request line as it arrived.
func Canonical(r *http.Request, signed []string, bodySHA256 string) (string, error) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	var pairs [][2]string
	for _, p := range strings.Split(query, "&") {
		if p == "" {
			continue
		}
		k, v, _ := strings.Cut(p, "=")
		k, err1 := url.PathUnescape(k) // a plus sign is one
		v, err2 := url.PathUnescape(v)
		if err := errors.Join(err1, err2); err != nil {
			return "", err
		}
		pairs = append(pairs, [2]string{escape(k, false), escape(v, false)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.Method, escape(path, true)) // of a path that is escaped already
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	b.WriteByte('\n')
	for _, name := range signed {
		values := r.Header.Values(name)
		if name == "host" {
			values = []string{r.Host}
		}
		if len(values) == 0 {
			return "", refuse("the signed header %s did not arrive", name)
		}
		for i, v := range values {
			values[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + bodySHA256)
	return b.String(), nil
}

// escape escapes all but the unreserved characters, and slashes where they are to stay.
func escape(s string, slashes bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-_.~", c) >= 0, c == '/' && slashes:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (g *Gate) signature(canonical, date string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{date[:8], g.Region, g.Service, "aws4_request"}, "/")
	key := []byte("AWS4" + g.Secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
