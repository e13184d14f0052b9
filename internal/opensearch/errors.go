package opensearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// UnavailableError says that the cluster cannot answer now: no node can be
// reached, or it has no manager, or lacks a shard that the answer needs. It never means "not
// found". While that lasts, requests fail with it at once.
type UnavailableError struct {
	RetryAfter time.Duration // when a retry may help
	Err        error         // the last failure

	probe <-chan struct{} // is closed when somebody who finds out has; nil where nobody does
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("OpenSearch is not available (again to be tried in %s): %v", e.RetryAfter.Round(100*time.Millisecond), e.Err)
}

// Unwrap returns the failure.
func (e *UnavailableError) Unwrap() error { return e.Err }

// RetryIn implements lookup.Retrier.
func (e *UnavailableError) RetryIn() time.Duration { return e.RetryAfter }

// StatusError is an answer that is no success.
type StatusError struct {
	Op         string // what was asked: "POST /ei/_bulk"
	Node       string // host and port
	Status     int
	Type       string // of the cause, as OpenSearch names it, "" where it gave none
	Reason     string // at most 500 bytes
	RetryAfter time.Duration
}

// Error implements error.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s at %s: status %d", e.Op, e.Node, e.Status)
	if e.Type != "" {
		s += " " + e.Type
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	switch e.Status {
	case http.StatusUnauthorized:
		s += "; the user and password, or the signature, were refused"
	case http.StatusForbidden:
		if do := signedHint(e.Reason); do != "" {
			return s + "; " + do
		}
		s += "; the user lacks a permission (docs/opensearch.md lists those needed), or the index is blocked"
	}
	return s
}

// RetryIn implements lookup.Retrier: what the cluster asked for, 0 where it asked for nothing.
func (e *StatusError) RetryIn() time.Duration { return e.RetryAfter }

// signedHint is what to do about what Amazon says of a signed request; "" where
// somebody else says something.
func signedHint(reason string) string {
	for _, h := range []struct{ says, do string }{
		{"security token included in the request is expired", "get new credentials and start again (those of SSO and of roles are renewed by themselves)"},
		{"security token included in the request is invalid", "these credentials were withdrawn, or are of no account"},
		{"Signature expired", "the clock of this machine is wrong"},
		{"Signature not yet current", "the clock of this machine is wrong"},
		{"signature we calculated does not match", "the secret key is wrong, or something on the way changes the request"},
		{"Credential should be scoped", "the region is not that of the domain: set AWS_REGION"},
		{"not authorized to perform", "the access policy of the domain, or that of the role, must allow es:ESHttp* on it"},
	} {
		if strings.Contains(reason, h.says) {
			return h.do
		}
	}
	return ""
}

// Temporary says that the same request may succeed later.
func (e *StatusError) Temporary() bool { return temporaryStatus(e.Status) }

func temporaryStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// NodeError is a request without a whole answer: whether it took effect is not
// known.
type NodeError struct {
	Op, Node string
	Err      error
}

// Error implements error.
func (e *NodeError) Error() string { return fmt.Sprintf("%s at %s: %v", e.Op, e.Node, e.Err) }

// Unwrap returns the cause.
func (e *NodeError) Unwrap() error { return e.Err }

// cause is the error object in an answer, of a request or of a document.
type cause struct {
	Type   string  `json:"type"`
	Reason string  `json:"reason"`
	Root   []cause `json:"root_cause"`
	By     *cause  `json:"caused_by"`
}

// text is the reason, with what is behind it.
func (c *cause) text() string {
	s := c.Reason
	for by, n := c.By, 0; by != nil && n < 3; by, n = by.By, n+1 {
		if by.Reason != "" && !strings.Contains(s, by.Reason) {
			s += ": " + by.Reason
		}
	}
	return short(s, 500)
}

// statusError reads an answer that is no success.
func (c *Client) statusError(op, node string, r *http.Response, body []byte) *StatusError {
	e := &StatusError{Op: op, Node: node, Status: r.StatusCode}
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	var got struct {
		Error   cause
		Message string // Amazon's door
	}
	if json.Unmarshal(body, &got) == nil && got.Error.Type != "" {
		why := got.Error
		if len(why.Root) > 0 {
			why = why.Root[0]
		}
		e.Type, e.Reason = short(why.Type, 100), why.text()
	} else if got.Message != "" {
		e.Reason = short(got.Message, 500)
	} else {
		e.Reason = short(strings.Join(strings.Fields(string(body)), " "), 200)
	}
	if c.opt.Password != "" {
		e.Reason = strings.ReplaceAll(e.Reason, c.opt.Password, "REDACTED")
	}
	return e
}

// short cuts s where it is longer than n bytes.
func short(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// clusterDown says whether an answer is that of a cluster that cannot, and not of
// a request that was too much: those have status 429.
func clusterDown(e *StatusError) bool {
	if e.Status != http.StatusServiceUnavailable {
		return false
	}
	switch e.Type {
	case "cluster_block_exception", "cluster_manager_not_discovered_exception", "master_not_discovered_exception",
		"no_shard_available_action_exception", "search_phase_execution_exception", "unavailable_shards_exception", "":
		return true
	}
	return false
}

// RetryAfter returns after how long a retry may help with err, false where it
// will not help by itself.
func RetryAfter(err error) (time.Duration, bool) {
	var down *UnavailableError
	if errors.As(err, &down) {
		return down.RetryAfter, true
	}
	var status *StatusError
	if errors.As(err, &status) {
		return status.RetryAfter, status.Temporary()
	}
	return 0, errors.As(err, new(*NodeError)) || errors.As(err, new(*partError))
}
