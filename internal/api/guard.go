package api

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
)

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ResponseWriter: w, r: r, start: a.Now()}
	c.id = a.requestID(r)
	a.metrics.inFlight.Inc()
	defer a.finish(c)
	h := w.Header()
	for _, f := range a.fixed {
		h[f.name] = f.value
	}
	c.set(headerID, "X-Request-Id", c.id)
	if err := a.guard(r); err != nil {
		a.fail(c, err)
		return
	}
	a.serve(c)
}

// finish counts and logs a request, and turns a panic into an answer.
func (a *api) finish(c *call) {
	a.metrics.inFlight.Dec()
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		a.Log.LogAttrs(c.r.Context(), slog.LevelError, "panic", slog.String("request", c.id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		if c.status == 0 {
			a.fail(c, fmt.Errorf("panic: %v", p))
			p = nil
		} else {
			p = http.ErrAbortHandler
		}
	}
	took := a.Now().Sub(c.start)
	a.metrics.done(c, took)
	if a.Log.Enabled(c.r.Context(), slog.LevelDebug) {
		a.Log.LogAttrs(c.r.Context(), slog.LevelDebug, "request", slog.String("request", c.id), slog.String("method", c.r.Method),
			slog.String("path", c.routePath()), slog.Int("status", c.status), slog.Duration("took", took), slog.String("who", c.who))
	}
	if p != nil {
		panic(p)
	}
}

// routePath is the route's pattern: logs and metrics never hold the values asked for.
func (c *call) routePath() string {
	if c.route == nil {
		return "other"
	}
	return c.route.path
}

// requestID takes the client's X-Request-Id where it is harmless, else makes one.
func (a *api) requestID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && ids[0] != "" && len(ids[0]) <= 64 && !strings.ContainsFunc(ids[0], notIDChar) {
		return ids[0]
	}
	var buf [24]byte
	return string(strconv.AppendUint(append(buf[:0], a.idHead...), a.idTail.Add(1), 36))
}

func notIDChar(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// fixedHeaders is what every answer carries. Nothing here is ever a page, so
// nothing may be loaded, framed, sniffed, cached or read by another origin. With
// the request id, the tag and the two about the content these are eight, as many
// as a map of Go holds before it has to grow: a ninth is felt in every request.
func fixedHeaders() []header {
	return []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
		{"Cache-Control", []string{"no-store"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	}
}

// header is one response header under its canonical name. The values are shared
// by all answers and never changed.
type header struct {
	name  string
	value []string
}

// guard refuses what a browser may have been tricked into sending: requests for
// a name that is not ours (DNS rebinding) and changes asked for by other sites.
// Once a key exists any name will do, since a rebound page has no key; a reverse
// proxy passes its own name on.
func (a *api) guard(r *http.Request) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if local != nil && local.IP.IsLoopback() && !a.served(r.Host) && a.keyless(r.Context()) {
		return &fault{is: errHost, detail: fmt.Sprintf("without an API key this server does not answer to the name %.80q; ask for localhost, or make a key: elasticintel keys create NAME", r.Host)}
	}
	if err := a.origin.Check(r); err != nil {
		return &fault{is: errOrigin, detail: "another site's page sent this request: " + err.Error()}
	}
	return nil
}

// served says whether a Host header names this machine. An address needs no
// list: no foreign name stands for it. Nor does a missing header, which no browser sends.
func (a *api) served(hostport string) bool {
	if last := a.host.Load(); last != nil && *last == hostport {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host != "" && !a.hosts[host] {
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || !ip.Unmap().IsLoopback() {
			return false
		}
	}
	a.host.Store(&hostport)
	return true
}

// keyless says whether no key exists, so that this machine's clients are let in as they are.
func (a *api) keyless(ctx context.Context) bool { return a.Keys == nil || !a.Keys.Any(ctx) }

// authorise checks the caller against the route's role.
func (a *api) authorise(c *call) error {
	if c.route.role == "" {
		return nil
	}
	ctx := c.r.Context()
	if a.keyless(ctx) {
		if !fromThisMachine(c.r) {
			return &fault{is: errKeyless, detail: "no API key exists yet, so only clients on the server's own machine are answered; make one there: elasticintel keys create NAME"}
		}
		c.who = "local"
		return nil
	}
	key, err := a.Keys.Check(ctx, c.r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	c.who = "key " + key.ID
	if !key.Role.Allows(c.route.role) {
		return &fault{is: errRole, detail: fmt.Sprintf("this needs the role %s, the key has %s", c.route.role, key.Role)}
	}
	return nil
}

// fromThisMachine says whether the client is local: its address is a loopback
// one and no proxy says that it speaks for somebody else.
func fromThisMachine(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header[name] != nil {
			return false
		}
	}
	return isLoopback(r.RemoteAddr)
}

func isLoopback(addrport string) bool {
	ap, err := netip.ParseAddrPort(addrport)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
