package fetch

import (
	"context"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"
)

// Defaults of [Options].
const (
	DefaultMaxBytes      = 256 << 20
	DefaultTimeout       = 10 * time.Minute
	DefaultMinRate       = 1 << 10 // bytes a second, averaged over rateWindow
	DefaultMaxRedirects  = 5
	DefaultRetries       = 3
	DefaultBackoff       = time.Second
	DefaultMaxRetryAfter = time.Minute

	rateWindow = time.Minute
	maxBackoff = 30 * time.Second
	maxDetail  = 600 // bytes of Error.Detail
)

// UserAgent is the honest name under which version of this program fetches.
func UserAgent(version string) string {
	return "ElasticIntel/" + version + " (+https://github.com/elasticintel/elasticintel)"
}

// Options of a [Client]. A zero field means its default; a negative number
// means none (no retries, no redirects, no least rate, no waiting).
type Options struct {
	UserAgent     string         // default UserAgent("dev")
	TempDir       string         // where bodies are spooled, made if missing; default os.TempDir()
	MaxBytes      int64          // of the body as sent; default 256 MiB
	Unpack        Limits         // caps on removing a Content-Encoding; see Limits for the defaults
	Timeout       time.Duration  // of one Do with its redirects, retries and waits; default 10 minutes
	MinRate       int64          // bytes a second that a body must keep, averaged over a minute; default 1024
	MaxRedirects  int            // default 5
	Retries       int            // further tries after a passing error; default 3
	Backoff       time.Duration  // wait before the first retry, doubled for each further one up to 30 s, ± 50 %; default 1 s
	MaxRetryAfter time.Duration  // longest Retry-After that Do waits for itself; default 1 minute
	RootCAs       *x509.CertPool // default: the system's

	Now      func() time.Time                                 // default time.Now; for Retry-After dates
	Sleep    func(ctx context.Context, d time.Duration) error // default: a timer; must end early with ctx's error
	Rand     func() float64                                   // in [0,1), for the jitter; default math/rand/v2
	Resolver Resolver                                         // default net.DefaultResolver
	Dial     Dialer                                           // default TCP; for tests that bring their own network
	Log      *slog.Logger                                     // default: discard
}

// Client fetches. It is safe for concurrent use and holds no connections
// between calls.
type Client struct {
	opts    Options
	connect connector
}

// New makes a Client. It does not touch the network or the disk.
func New(opts Options) *Client {
	setDefault(&opts.UserAgent, UserAgent("dev"))
	setDefault(&opts.TempDir, os.TempDir())
	setDefault(&opts.MaxBytes, DefaultMaxBytes)
	setDefault(&opts.Timeout, DefaultTimeout)
	setDefault(&opts.MinRate, DefaultMinRate)
	setDefault(&opts.MaxRedirects, DefaultMaxRedirects)
	setDefault(&opts.Retries, DefaultRetries)
	setDefault(&opts.Backoff, DefaultBackoff)
	setDefault(&opts.MaxRetryAfter, DefaultMaxRetryAfter)
	opts.Unpack = opts.Unpack.withDefaults()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{opts: opts, connect: dialTCP}
	if dial := opts.Dial; dial != nil {
		c.connect = func(ctx context.Context, _ *net.Dialer, _ string, to netip.AddrPort) (net.Conn, error) {
			return dial(ctx, to)
		}
	}
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do fetches what req names. The error is always an *Error. Passing errors
// (refused, reset, timeout, truncated, 429, 5xx …) are tried again; a POST too,
// since feeds only ask with it. A Retry-After longer than Options.MaxRetryAfter
// is not waited for but returned in the Error.
func (c *Client) Do(ctx context.Context, req Request) (*Result, error) {
	p, bad := newPlan(req, c.opts.UserAgent)
	if bad != nil {
		return nil, c.seal(bad, p, 0)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	for try := 1; ; try++ {
		began := c.opts.Now()
		res, e := c.attempt(ctx, p)
		if e == nil {
			c.opts.Log.DebugContext(ctx, "fetched", "url", res.URL, "status", res.Status, "bytes", res.Bytes, "took", c.opts.Now().Sub(began))
			return res, nil
		}
		e = c.seal(e, p, try)
		wait, again := c.waitFor(e, try)
		if !again {
			c.opts.Log.WarnContext(ctx, "fetch failed", "code", e.Code, "error", e.Error())
			return nil, e
		}
		c.opts.Log.InfoContext(ctx, "fetch will be tried again", "code", e.Code, "error", e.Error(), "wait", wait)
		if err := c.opts.Sleep(ctx, wait); err != nil {
			if ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded {
				return nil, e // out of time: what went wrong says more than that
			}
			return nil, c.seal(classify(ctx, err), p, try)
		}
	}
}

// seal fills in what every error of a Do says, and redacts it.
func (c *Client) seal(e *Error, p *plan, try int) *Error {
	sealed := *e
	sealed.Attempts = try
	sealed.URL = p.shown
	sealed.Detail = shorten(p.redact(sealed.Detail), maxDetail)
	return &sealed
}

// waitFor says whether e is worth another try now, and after how long.
func (c *Client) waitFor(e *Error, try int) (time.Duration, bool) {
	if !e.retry || try > c.opts.Retries {
		return 0, false
	}
	wait := min(c.opts.Backoff<<min(try-1, 16), maxBackoff)
	wait = time.Duration(float64(max(wait, 0)) * (0.5 + c.opts.Rand()))
	if e.RetryAfter > wait {
		wait = e.RetryAfter
	}
	return wait, e.RetryAfter <= max(c.opts.MaxRetryAfter, 0)
}
