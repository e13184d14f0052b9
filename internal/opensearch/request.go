package opensearch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// errTimeout is wrapped by the cause of what took too long.
var errTimeout = errors.New("no whole answer")

// errTooLong is wrapped by the error of an answer that has too many bytes.
var errTooLong = errors.New("the answer is too long")

// maxSlow is after how many time-outs in a row a node is set aside.
const maxSlow = 3

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 64 << 20

// request is what is asked of any node. All our requests may be repeated: they
// read, or write what is named by its id.
type request struct {
	method string
	path   string // begins with "/", its parts escaped
	query  url.Values
	body   []byte // JSON, or NDJSON where lines is set
	lines  bool
	most   int64 // the longest answer wanted, in bytes; 0: maxAnswer
}

func (r *request) op() string { return r.method + " " + r.path }

// call makes a request, of another node where one cannot be reached, and decodes
// the answer into out (nil: it is left alone). Errors: *UnavailableError,
// *StatusError, *NodeError (no whole answer, or one that cannot be read), ctx's,
// or Sign's.
func (c *Client) call(ctx context.Context, r request, out any) error {
	var last error
	for range c.nodes {
		n, err := c.pick(last)
		if err != nil {
			return err
		}
		body, err := c.send(ctx, n, &r)
		c.learn(ctx, n, err)
		var lost *NodeError
		switch {
		case err == nil && out != nil:
			if err := json.Unmarshal(body, out); err != nil {
				return &NodeError{r.op(), n.base.Host, fmt.Errorf("the answer cannot be read: %w", err)}
			}
			return nil
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &lost):
			return c.told(err)
		}
		last = err
	}
	return c.told(last)
}

// change makes a request that changes what the cluster as a whole knows. It counts
// where the cluster says that it does.
func (c *Client) change(ctx context.Context, r request) error {
	var got struct {
		Acknowledged bool `json:"acknowledged"`
	}
	err := c.call(ctx, r, &got)
	if err == nil && !got.Acknowledged {
		err = &NodeError{r.op(), "the cluster", errors.New("not all nodes have acknowledged it in time")}
	}
	return err
}

// pick returns a node that may be asked, the next in turn.
func (c *Client) pick(last error) (*node, error) {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	least, busy := c.cluster.open(now), c.cluster.busy(now)
	if least == 0 {
		for i := range c.nodes {
			n := c.nodes[(c.turn+i)%len(c.nodes)]
			busy = busy || n.breaker.busy(now)
			d := n.breaker.open(now)
			if d == 0 {
				c.turn = (c.turn + i + 1) % len(c.nodes)
				n.breaker.try()
				c.cluster.try()
				return n, nil
			}
			if i == 0 || d < least {
				least = d
			}
		}
	}
	if last == nil {
		last = fmt.Errorf("a moment ago: %w", c.why)
	}
	down := &UnavailableError{RetryAfter: least, Err: last}
	if busy {
		down.probe = c.learnt
	}
	return nil, down
}

// learn notes what a request says of its node and of the cluster.
func (c *Client) learn(ctx context.Context, n *node, err error) {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.learnt)
	c.learnt = make(chan struct{})
	var status *StatusError
	switch {
	case err == nil:
		n.breaker.good()
		c.cluster.good()
		n.slow = 0
	case errors.As(err, &status):
		n.breaker.good()
		n.slow = 0
		if clusterDown(status) {
			c.why = err
			c.cluster.failed(now, status.RetryAfter)
		} else {
			c.cluster.ended()
		}
	case ctx.Err() == nil && errors.As(err, new(*NodeError)):
		c.cluster.ended()
		if n.slow++; errors.Is(err, errTimeout) && n.slow < maxSlow {
			n.breaker.ended() // one request that was too much is no sick node
		} else {
			c.why = err
			n.breaker.failed(now, 0)
		}
	default:
		n.breaker.ended()
		c.cluster.ended()
	}
}

// told turns an error into UnavailableError where the cluster cannot.
func (c *Client) told(err error) error {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	least := c.cluster.open(now)
	if least == 0 {
		for i, n := range c.nodes {
			if d := n.breaker.open(now); i == 0 || d < least {
				least = d
			}
		}
	}
	if least == 0 {
		return err
	}
	return &UnavailableError{RetryAfter: least, Err: err}
}

// send makes the request of one node and returns the whole answer of a success.
func (c *Client) send(ctx context.Context, n *node, r *request) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opt.Timeout, fmt.Errorf("%w within %s", errTimeout, c.opt.Timeout))
	defer cancel()
	req, err := c.prepare(ctx, n, r)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, lost(ctx, r, n, err)
	}
	defer res.Body.Close()
	most := c.maxAnswer
	if r.most > 0 {
		most = r.most
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, lost(ctx, r, n, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), err))
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("%s at %s: %w: more than %d bytes; ask for less at once", r.op(), n.base.Host, errTooLong, most)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, c.statusError(r.op(), n.base.Host, res, body)
	}
	return body, nil
}

// lost is the error of a request without a whole answer, without its URL.
func lost(ctx context.Context, r *request, n *node, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	if hint := certificateHint(err); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return &NodeError{Op: r.op(), Node: n.base.Host, Err: err}
}

// certificateHint says what to do about a certificate that is not trusted, "" where it is none.
func certificateHint(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "name the file of the authority that signed it with --opensearch-ca"
	case errors.As(err, new(x509.HostnameError)):
		return "ask by a name that is in the certificate, or have one made with this name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && strings.Contains(invalid.Detail, "is before"):
		return "it is not yet valid: look at the clocks of this machine and of the node"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired: the node, or the authority, needs a new certificate"
	}
	return ""
}

// prepare makes the HTTP request, with whatever says who asks.
func (c *Client) prepare(ctx context.Context, n *node, r *request) (*http.Request, error) {
	u := n.base
	path, err := url.PathUnescape(r.path)
	if err != nil {
		return nil, fmt.Errorf("path %.200q: %w", r.path, err)
	}
	u.RawPath = u.EscapedPath() + r.path
	u.Path += path
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "elasticintel")
	switch {
	case r.lines:
		req.Header.Set("Content-Type", "application/x-ndjson")
	case r.body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	if c.opt.User != "" {
		req.SetBasicAuth(c.opt.User, c.opt.Password)
	}
	if c.opt.Sign != nil {
		sum := sha256.Sum256(r.body)
		if err := c.opt.Sign(req, hex.EncodeToString(sum[:])); err != nil {
			return nil, fmt.Errorf("sign the request: %w", err)
		}
	}
	return req, nil
}
