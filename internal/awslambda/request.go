package awslambda

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// httpEvent is a request of an HTTP API or of a function's URL, payload version 2.0.
type httpEvent struct {
	RawPath        string            `json:"rawPath"`
	RawQueryString string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies"`
	Headers        map[string]string `json:"headers"`
	RequestContext struct {
		DomainName string `json:"domainName"`
		Stage      string `json:"stage"`
		HTTP       struct {
			Method   string `json:"method"`
			Protocol string `json:"protocol"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// ownURL says whether the request came to the function's own URL.
func (e *httpEvent) ownURL() bool {
	return strings.Contains(e.RequestContext.DomainName, ".lambda-url.")
}

// request makes of the event what a server would have read from the network.
func (e *httpEvent) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader = strings.NewReader(e.Body)
	size := int64(len(e.Body))
	if e.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil {
			return nil, fmt.Errorf("the body of the request is no base64: %w", err)
		}
		body, size = strings.NewReader(string(b)), int64(len(b))
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", body)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	r.URL = e.url()
	r.RequestURI = r.URL.RequestURI()
	r.ContentLength = size
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Del("Content-Length") // said by what arrived
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	if r.Host == "" {
		r.Host = e.RequestContext.DomainName
	}
	r.RemoteAddr = remote(e.RequestContext.HTTP.SourceIP)
	return r, nil
}

// url is the request's address. A path with escapes is kept as it was sent; one
// that the gateway has unescaped already is taken by its characters, so that a "?"
// in it does not end it.
func (e *httpEvent) url() *url.URL {
	path := e.RawPath
	if stage := e.RequestContext.Stage; stage != "" && stage != "$default" {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if path == "" {
		path = "/"
	}
	u := &url.URL{Path: path, RawQuery: e.RawQueryString}
	if plain, err := url.PathUnescape(path); err == nil && !strings.ContainsFunc(path, notInPath) {
		u.Path, u.RawPath = plain, path
	}
	return u
}

// notInPath says whether a character must be escaped in the path of an address.
func notInPath(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`?#"<>\^{|}`+"`", c)
}

// remote is the client's address. No client of a function is on its machine, where
// no key is needed, whatever an emulator or a proxy says.
func remote(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Unmap().IsLoopback() {
		a = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(a, 0).String()
}
