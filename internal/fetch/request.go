package fetch

import (
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Request says what to fetch.
type Request struct {
	URL    string // http or https; a user part is sent as Basic authorization, to that origin only
	Method string // default GET
	// Header goes with the request. On a redirect to another origin only
	// Accept, Accept-Language and Content-Type go along. User-Agent, Host,
	// Accept-Encoding, conditional and connection headers are ours and ignored here.
	Header http.Header
	Body   []byte // sent again on retries and on 307/308 within one origin

	ETag         string // validators of an earlier Result; empty to fetch in any case
	LastModified string
	// ValidatorURL is the Result.URL that came with the validators. They are only
	// sent to that URL, so that a redirect's new target is never asked with the old
	// one's. Empty means that they came from URL itself.
	ValidatorURL string

	Want          []string       // fields of the answer's header for Result.Header
	AllowNetworks []netip.Prefix // addresses that may be connected to although they are not public
	Secrets       []string       // values that never appear in an error, a log line or Result.URL
}

// Result is an answer. Close it, also when NotModified.
type Result struct {
	NotModified  bool   // 304: Body is nil
	Status       int    // HTTP status, 200 … 204 or 304
	URL          string // where the answer came from in the end, redacted
	ETag         string // as sent; keep it with LastModified and URL for the next Request. Empty if it repeats a secret
	LastModified string
	ContentType  string      // as sent, shortened and redacted
	Header       http.Header // the fields of Request.Want, as sent: they may hold secrets
	Bytes        int64       // length of Body
	SHA256       string      // of Body, lower-case hex
	Body         *os.File    // the body without its Content-Encoding, at offset 0, mode 0600
}

// Close closes and removes the spooled body. It may be called more than once.
func (r *Result) Close() error {
	if r == nil || r.Body == nil {
		return nil
	}
	f := r.Body
	r.Body = nil
	err := f.Close()
	if gone := os.Remove(f.Name()); err == nil {
		err = gone
	}
	return err
}

// plan is a Request made ready: parsed, checked, its secrets known.
type plan struct {
	req     Request
	url     *url.URL // without its user part
	header  http.Header
	guard   guard
	secrets []string
	shown   string // the URL as it may be shown
}

// newPlan checks req. With an error it returns a plan that can still redact.
func newPlan(req Request, userAgent string) (*plan, *Error) {
	p := &plan{req: req, guard: newGuard(req.AllowNetworks), secrets: req.Secrets}
	p.header = ownHeader(req.Header)
	p.header.Set("User-Agent", userAgent)
	p.header.Set("Accept-Encoding", "gzip, zstd, br")
	setDefaultHeader(p.header, "Accept", "*/*")
	if p.req.Method == "" {
		p.req.Method = http.MethodGet
	}
	p.addHeaderSecrets()
	u, bad := parseURL(strings.TrimSpace(req.URL))
	if bad != nil {
		p.shown = printable(Redact(req.URL, p.secrets))
		return p, bad
	}
	p.takeUserinfo(u)
	p.addQuerySecrets(u)
	p.url = u
	p.shown = p.show(u)
	return p, nil
}

func (p *plan) redact(s string) string { return Redact(s, p.secrets) }

// show is u as it may be shown: no user part, no secret values, no fragment.
func (p *plan) show(u *url.URL) string {
	plain := *u
	plain.User, plain.Fragment, plain.RawFragment = nil, "", ""
	return printable(p.redact(plain.String()))
}

func parseURL(s string) (*url.URL, *Error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fail(CodeURL, "this is not a URL") // err repeats the URL, maybe with a secret in another form
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) *Error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fail(CodeURL, "only http and https URLs can be fetched, not %q", printable(u.Scheme))
	case u.Hostname() == "" || u.Opaque != "":
		return fail(CodeURL, "the URL names no host")
	}
	return nil
}

// takeUserinfo moves user:password of the URL into an Authorization header.
func (p *plan) takeUserinfo(u *url.URL) {
	if u.User == nil {
		return
	}
	password, _ := u.User.Password()
	p.addSecrets(password)
	if password == "" {
		p.addSecrets(u.User.Username()) // an API key as user name
	}
	if p.header.Get("Authorization") == "" {
		r := http.Request{Header: p.header}
		r.SetBasicAuth(u.User.Username(), password)
		p.addHeaderSecrets()
	}
	u.User = nil
}

func (p *plan) addQuerySecrets(u *url.URL) {
	for name, values := range u.Query() {
		if secretName(name) {
			p.addSecrets(values...)
		}
	}
}

// addHeaderSecrets takes every header value that goes to the origin only for a
// secret, and the credentials after a scheme such as Bearer on their own.
func (p *plan) addHeaderSecrets() {
	for name, values := range p.header {
		if travels(name) || name == "User-Agent" || name == "Accept-Encoding" {
			continue
		}
		for _, v := range values {
			p.addSecrets(v)
			if _, cred, ok := strings.Cut(v, " "); ok {
				p.addSecrets(cred)
			}
		}
	}
}

// addSecrets adds secrets we found ourselves. Very short ones are no secrets
// and would blacken half of every message.
func (p *plan) addSecrets(values ...string) {
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) >= 6 {
			p.secrets = append(p.secrets[:len(p.secrets):len(p.secrets)], v)
		}
	}
}

// travels says whether a header of the definition may go to another origin.
func travels(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Accept", "Accept-Language", "Content-Type":
		return true
	}
	return false
}

// ownHeader copies h without the headers that are this package's business.
func ownHeader(h http.Header) http.Header {
	own := make(http.Header, len(h)+3)
	for name, values := range h {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Host", "User-Agent", "Accept-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade", "Expect", "Content-Length", "Range", "If-Range", "If-Match", "If-None-Match",
			"If-Modified-Since", "If-Unmodified-Since", "Proxy-Authorization":
		default:
			own[name] = append(own[name], values...)
		}
	}
	return own
}

func setDefaultHeader(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}
