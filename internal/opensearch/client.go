package opensearch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say which cluster to speak with, and as whom.
type Options struct {
	URLs []string // of nodes of one cluster, https://host:9200; a path is kept in front
	CA   []byte   // PEM: authorities to trust instead of the system's; nil = the system's

	User, Password string // Basic authentication, where User is not ""
	// Sign, in place of User, signs a request that is complete but for what it
	// adds. bodySHA256 is the lower-case hex SHA-256 of the body, an empty one too.
	// It is called anew for every try.
	Sign func(r *http.Request, bodySHA256 string) error

	Timeout time.Duration    // for one request to one node; 0 = 30 s
	Now     func() time.Time // required
	// Wait waits for d or until ctx ends, whose error it then returns; nil = a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client makes requests to one cluster. It is safe for concurrent use.
type Client struct {
	opt       Options
	http      *http.Client
	maxAnswer int64
	mu        sync.Mutex // guards what follows
	nodes     []*node
	turn      int           // the node whose turn it is
	cluster   breaker       // answers that say that the cluster as a whole cannot
	why       error         // what opened a breaker last
	learnt    chan struct{} // is closed, and made anew, when a request has ended
}

// node is one address of the cluster.
type node struct {
	base    url.URL
	breaker breaker // no connection, or no answer
	slow    int     // time-outs in a row
}

// New returns a client; nothing is sent yet. It refuses URLs that hold a
// password, and Basic authentication that others could read.
func New(o Options) (*Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Sign != nil && o.User != "" {
		return nil, errors.New("opensearch: a user and signing at once: one of them is meant")
	}
	c := &Client{opt: o, maxAnswer: maxAnswer, learnt: make(chan struct{})}
	for _, u := range o.URLs {
		n, err := newNode(u, o.User != "")
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	if len(c.nodes) == 0 {
		return nil, errors.New("opensearch: no URL of a node")
	}
	roots, err := authorities(o.CA)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
		},
		// Whoever is sent elsewhere would take the password along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func newNode(s string, password bool) (*node, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil:
		return nil, errors.New("opensearch: a URL cannot be read; expected https://host:9200") // it may hold a password
	case u.User != nil:
		return nil, fmt.Errorf("opensearch: the URL of %s has a user in it; give user and password apart from it, so that no log shows them", u.Host)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("opensearch: URL %.100q: expected https://host:9200", s)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("opensearch: URL of %s: it has a query or a fragment, expected https://host:9200", u.Host)
	case password && u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("opensearch: the password would go to %s in clear text; use https://", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return &node{base: *u}, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// authorities reads certificates; nil for none.
func authorities(pem []byte) (*x509.CertPool, error) {
	if pem == nil {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("opensearch: the file of authorities has no certificate in it; expected PEM, -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// spread is d, more or less by a quarter, so that many who were refused together
// do not come back together.
func spread(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}
