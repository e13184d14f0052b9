package fetch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxValidator = 1 << 10 // bytes of an ETag or Last-Modified

// hop is one request on the way from the feed's URL to the answer.
type hop struct {
	url    *url.URL
	method string
	body   []byte
	header http.Header
}

// attempt goes the whole way once: redirects, then the body.
func (c *Client) attempt(ctx context.Context, p *plan) (*Result, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := c.transport(p)
	defer t.CloseIdleConnections()
	h := &hop{url: p.url, method: p.req.Method, body: p.req.Body, header: p.header}
	for n := 0; ; n++ {
		resp, conditional, e := c.roundTrip(ctx, t, p, h)
		if e != nil {
			return nil, e
		}
		if !isRedirect(resp) {
			defer resp.Body.Close()
			return c.receive(ctx, cancel, p, h, resp, conditional)
		}
		resp.Body.Close() // unread: its connection is not used again
		if n >= c.opts.MaxRedirects {
			return nil, withStatus(fail(CodeRedirect, "redirected more than %d times", max(c.opts.MaxRedirects, 0)), resp)
		}
		if h, e = p.follow(h, resp); e != nil {
			return nil, withStatus(e, resp)
		}
	}
}

// roundTrip sends one request. conditional says whether validators went with it.
func (c *Client) roundTrip(ctx context.Context, t *http.Transport, p *plan, h *hop) (resp *http.Response, conditional bool, e *Error) {
	var body io.Reader
	if len(h.body) > 0 {
		body = bytes.NewReader(h.body)
	}
	req, err := http.NewRequestWithContext(ctx, h.method, h.url.String(), body)
	if err != nil {
		return nil, false, fail(CodeURL, "the method or URL cannot be sent")
	}
	req.Header = h.header.Clone()
	if len(h.body) == 0 {
		req.Header.Del("Content-Type")
	}
	conditional = p.setValidators(req.Header, h.url)
	resp, err = t.RoundTrip(req)
	if err != nil {
		return nil, false, classify(ctx, err)
	}
	return resp, conditional, nil
}

// setValidators makes a request conditional if the validators came from its URL.
func (p *plan) setValidators(h http.Header, u *url.URL) bool {
	from := p.req.ValidatorURL
	if from == "" {
		from = p.shown
	}
	if p.show(u) != from || (p.req.ETag == "" && p.req.LastModified == "") {
		return false
	}
	if p.req.ETag != "" {
		h.Set("If-None-Match", p.req.ETag)
	}
	if p.req.LastModified != "" {
		h.Set("If-Modified-Since", p.req.LastModified)
	}
	return true
}

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow makes the next hop. What is secret stays with the origin it was given
// for: once a redirect left it, it does not come back either.
func (p *plan) follow(from *hop, resp *http.Response) (*hop, *Error) {
	to, err := from.url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, fail(CodeRedirect, "redirected without a usable Location")
	}
	p.addQuerySecrets(to)
	to.User, to.Fragment, to.RawFragment = nil, "", ""
	if bad := checkURL(to); bad != nil {
		return nil, fail(CodeRedirect, "redirected to %s, which is not followed: %s", p.show(to), bad.Detail)
	}
	if from.url.Scheme == "https" && to.Scheme == "http" {
		return nil, fail(CodeRedirect, "redirected from https to plain http (%s), which is not followed", p.show(to))
	}
	next := &hop{url: to, method: from.method, body: from.body, header: from.header}
	if keepsMethod := resp.StatusCode == 307 || resp.StatusCode == 308; !keepsMethod && from.method != http.MethodHead {
		next.method, next.body = http.MethodGet, nil
	}
	if SameOrigin(from.url, to) {
		return next, nil
	}
	if len(next.body) > 0 {
		return nil, fail(CodeRedirect, "redirected to another origin (%s) that asks for the request's body, which may hold secrets", p.show(to))
	}
	next.header = crossOrigin(from.header)
	return next, nil
}

// SameOrigin says whether two http or https URLs have the same scheme, host and
// port (RFC 6454), so that what is secret may go to both.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && PortOf(a) == PortOf(b)
}

// PortOf is the port of an http or https URL, the usual one of its scheme where it
// names none.
func PortOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// crossOrigin keeps only what cannot be a credential.
func crossOrigin(h http.Header) http.Header {
	kept := make(http.Header, 5)
	for name, values := range h {
		if travels(name) || name == "User-Agent" || name == "Accept-Encoding" {
			kept[name] = values
		}
	}
	return kept
}

// receive judges the status and spools the body.
func (c *Client) receive(ctx context.Context, cancel context.CancelCauseFunc, p *plan, h *hop, resp *http.Response, conditional bool) (*Result, *Error) {
	res := &Result{
		Status: resp.StatusCode, URL: p.show(h.url), ContentType: clean(p.redact(resp.Header.Get("Content-Type"))),
		ETag: p.keepable(resp.Header.Get("ETag")), LastModified: p.keepable(resp.Header.Get("Last-Modified")),
	}
	for _, name := range p.req.Want {
		if v := resp.Header.Values(name); len(v) > 0 {
			if res.Header == nil {
				res.Header = http.Header{}
			}
			res.Header[http.CanonicalHeaderKey(name)] = v
		}
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNonAuthoritativeInfo, http.StatusNoContent:
	case http.StatusNotModified:
		if !conditional {
			return nil, withStatus(fail(CodeStatus, "the server said 304 Not Modified to a request without validators"), resp)
		}
		res.NotModified = true
		setDefault(&res.ETag, p.req.ETag)
		setDefault(&res.LastModified, p.req.LastModified)
		return res, nil
	default:
		return nil, statusError(resp, c.opts.Now())
	}
	if e := c.spool(ctx, cancel, resp, res); e != nil {
		return nil, withStatus(e, resp)
	}
	return res, nil
}

// keepable is a validator, unless it is absurdly long or repeats a secret: it
// will be stored.
func (p *plan) keepable(v string) string {
	if len(v) > maxValidator || p.redact(v) != v {
		return ""
	}
	return v
}

func withStatus(e *Error, resp *http.Response) *Error {
	e.Status = resp.StatusCode
	return e
}

// statusError puts a status that is not a success in words.
func statusError(resp *http.Response, now time.Time) *Error {
	code := resp.StatusCode
	said := fmt.Sprintf("the server said %d %s", code, http.StatusText(code))
	e := fail(CodeStatus, "%s", strings.TrimSpace(said))
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	switch {
	case code == 401 || code == 403:
		e.Detail += ": it wants a key, or refuses the one it got, or refuses this address"
	case code == 404 || code == 410:
		e.Detail += ": the feed has moved or is gone"
	case code == 429 || code == 503 && e.RetryAfter > 0:
		e.Code = CodeRateLimited
		e.Permanent, e.retry = false, true
	case code == 408 || code == 425 || code >= 500 && code != 501 && code != 505:
		e.Permanent, e.retry = false, true
	}
	if !e.retry {
		e.RetryAfter = 0 // it would contradict Permanent
	}
	return withStatus(e, resp)
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3), at most a week.
func retryAfter(s string, now time.Time) time.Duration {
	const most = 7 * 24 * time.Hour
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		return time.Duration(min(n, uint64(most/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil && t.After(now) {
		return min(t.Sub(now), most)
	}
	return 0
}
