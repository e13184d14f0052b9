package feed

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Endpoint returns the URL and the headers of the feed's request with its secret
// in place. Neither may be shown; what may be shown is the definition's URL,
// which has {secret} in its place. Without auth the secret is ignored.
func (d *Definition) Endpoint(secret string) (rawURL string, header http.Header) {
	header = make(http.Header, len(d.Headers)+1)
	for name, value := range d.Headers {
		header.Set(name, value)
	}
	if d.Method == http.MethodPost && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		if body := strings.TrimSpace(d.Body); body == "" || body[0] == '{' || body[0] == '[' {
			header.Set("Content-Type", "application/json")
		}
	}
	if d.Auth == nil {
		return d.URL, header
	}
	switch d.Auth.In {
	case InHeader:
		header.Set(d.Auth.Name, secret)
	case InBearer:
		header.Set("Authorization", "Bearer "+secret)
	case InBasic:
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(d.Auth.userinfo(secret))))
	case InPath:
		return strings.ReplaceAll(d.URL, secretMark, url.PathEscape(secret)), header
	case InQuery:
		return d.queryURL(secret), header
	}
	return d.URL, header
}

// Payload returns the request's body with its secret in place: escaped as in
// JSON where it is JSON, else as in a form. It may not be shown.
func (d *Definition) Payload(secret string) []byte {
	if d.Auth == nil || d.Auth.In != InBody {
		return []byte(d.Body)
	}
	escaped := url.QueryEscape(secret)
	if strings.HasPrefix(strings.TrimSpace(d.Body), "{") {
		quoted, err := json.Marshal(secret)
		if err != nil || len(quoted) < 2 { // a string always marshals
			return nil
		}
		escaped = string(quoted[1 : len(quoted)-1])
	}
	return []byte(strings.ReplaceAll(d.Body, secretMark, escaped))
}

// Forms lists in what forms the secret is sent, none of which may be shown: as
// it is, and as basic authorization hides it.
func (d *Definition) Forms(secret string) []string {
	if d.Auth == nil || secret == "" {
		return nil
	}
	forms := []string{secret}
	_, header := d.Endpoint(secret)
	if _, encoded, ok := strings.Cut(header.Get("Authorization"), " "); ok && d.Auth.In == InBasic {
		forms = append(forms, encoded)
	}
	return forms
}

// userinfo is user:password: the secret is the password of Name, or holds both,
// or is a lone key, which goes in the user's place.
func (a *Auth) userinfo(secret string) string {
	switch {
	case a.Name != "":
		return a.Name + ":" + secret
	case strings.Contains(secret, ":"):
		return secret
	}
	return secret + ":"
}

func (d *Definition) queryURL(secret string) string {
	if strings.Contains(d.URL, secretMark) {
		return strings.ReplaceAll(d.URL, secretMark, url.QueryEscape(secret))
	}
	base, fragment, _ := strings.Cut(d.URL, "#")
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	full := base + sep + url.QueryEscape(d.Auth.Name) + "=" + url.QueryEscape(secret)
	if fragment != "" {
		full += "#" + fragment
	}
	return full
}
