package fetch

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Redacted stands where a secret stood.
const Redacted = "REDACTED"

// Read-only after start-up; a regexp is safe for concurrent use.
var (
	userinfoPattern = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:/{2,})[^/?#\s"'<>]*@`)
	queryPattern    = regexp.MustCompile(`([?&;])([^=&;#?\s"'<>]+)=([^&;#\s"'<>]*)`)
)

// Redact removes secrets from a text that may be shown: each of secrets (also
// percent-encoded, in base64 and as Go quotes it, in any case), the user part of URLs, and the
// value of every query parameter whose name says that it is a secret. It never
// makes sense of the text otherwise, so it can be used on any message.
func Redact(s string, secrets []string) string {
	for _, form := range secretForms(secrets) {
		s = replaceFold(s, form)
	}
	s = userinfoPattern.ReplaceAllString(s, "${1}"+Redacted+"@")
	return queryPattern.ReplaceAllStringFunc(s, func(m string) string {
		name, _, _ := strings.Cut(m[1:], "=")
		if !secretName(name) {
			return m
		}
		return m[:1] + name + "=" + Redacted
	})
}

// secretForms lists how the secrets may be written, longest first, so that a
// secret that contains another goes as a whole.
func secretForms(secrets []string) []string {
	var forms []string
	for _, s := range secrets {
		if strings.TrimSpace(s) == "" {
			continue
		}
		forms = append(forms, TextForms(s)...)
		forms = append(forms, inQuotes(strconv.Quote(s)), inQuotes(strconv.QuoteToASCII(s)))
		if len(s) > 3 {
			forms = append(forms, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="),
				strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(s)), "="))
		}
	}
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(forms)
}

// TextForms lists how a secret may be written in what a server answers: as it
// is or percent-encoded, and either as JSON escapes it, of which there are several ways.
func TextForms(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	html := strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`)
	for _, f := range forms[:len(forms):len(forms)] {
		plain := inQuotes(strconv.Quote(f))
		full := html.Replace(plain)
		forms = append(forms, plain, full, strings.ReplaceAll(plain, "/", `\/`), strings.ReplaceAll(full, "/", `\/`))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

func inQuotes(s string) string { return s[1 : len(s)-1] }

// replaceFold replaces form in s whatever its ASCII case: peers lower-case what they echo.
func replaceFold(s, form string) string {
	low, want := asciiLower(s), asciiLower(form)
	if !strings.Contains(low, want) {
		return s
	}
	var b strings.Builder
	for at := 0; ; {
		i := strings.Index(low[at:], want)
		if i < 0 {
			b.WriteString(s[at:])
			return b.String()
		}
		b.WriteString(s[at : at+i])
		b.WriteString(Redacted)
		at += i + len(want)
	}
}

// asciiLower keeps the length, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// secretName says whether a query parameter or header of this name holds a secret.
func secretName(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.ToLower(name)
	for _, end := range []string{"key", "token", "secret", "password", "passwd", "signature", "credential"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == '[' || r == ']' }) {
		switch word {
		case "key", "apikey", "token", "secret", "password", "passwd", "pass", "pwd", "auth", "authorization", "authkey",
			"sig", "signature", "credential", "credentials", "session", "sessionid", "sid", "jwt", "bearer", "oinkcode", "cookie":
			return true
		}
	}
	return false
}
