package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Problem is the body of every answer that is an error (RFC 9457).
type Problem struct {
	Type     string `json:"type"`     // urn:elasticintel:problem:CODE
	Title    string `json:"title"`    // of the status
	Status   int    `json:"status"`   // as in the status line
	Detail   string `json:"detail"`   // what is wrong and what to do
	Instance string `json:"instance"` // urn:elasticintel:request:ID, to be found in the server's log
	Code     string `json:"code"`     // one word for programs

	Column int `json:"column,omitempty"` // of a broken query: where, in characters, 1-based
}

// fault is an error in a request: what sort it is (an entry of problems), a code
// where it is a finer one than the sort's, and a sentence for the client.
type fault struct {
	is     error
	code   string
	detail string
	column int // of a broken query
}

func (f *fault) Error() string { return f.detail }
func (f *fault) Unwrap() error { return f.is }

// The sorts of faults.
var (
	errRequest  = errors.New("bad request")
	errValue    = errors.New("not an indicator")
	errNoRoute  = errors.New("no such path")
	errMethod   = errors.New("method not possible")
	errAccept   = errors.New("not acceptable")
	errTooLarge = errors.New("body too large")
	errMedia    = errors.New("media type not supported")
	errSlow     = errors.New("body too slow")
	errRole     = errors.New("role does not allow this")
	errHost     = errors.New("host name not served")
	errOrigin   = errors.New("cross-origin request")
	errKeyless  = errors.New("no key exists")
	errNotReady = errors.New("not ready")
	errSpool    = errors.New("no room for the request body")
)

// statusGone stands in the metrics where the client went away before an answer.
const statusGone = 499

// kind is one line of problems.
type kind struct {
	err    error
	status int
	code   string
	secret bool // the error's text is for the log, not for the client
}

// problems is the one table from errors to statuses; the first line that fits
// counts, and what fits none is an internal error.
func problems() []kind {
	return []kind{
		{errRequest, http.StatusBadRequest, "bad_request", false},
		{errEnded, http.StatusBadRequest, "bad_json", false},
		{errValue, http.StatusBadRequest, "not_an_indicator", false},
		{errKeyless, http.StatusUnauthorized, "no_key", false},
		{auth.ErrNoKey, http.StatusUnauthorized, "no_key", false},
		{auth.ErrBadKey, http.StatusUnauthorized, "bad_key", false},
		{auth.ErrRevoked, http.StatusUnauthorized, "bad_key", false},
		{errRole, http.StatusForbidden, "role", false},
		{errOrigin, http.StatusForbidden, "cross_origin", false},
		{errNoRoute, http.StatusNotFound, "not_found", false},
		{feed.ErrUnknown, http.StatusNotFound, "unknown_feed", false},
		{errMethod, http.StatusMethodNotAllowed, "method_not_allowed", false},
		{errAccept, http.StatusNotAcceptable, "not_acceptable", false},
		{errSlow, http.StatusRequestTimeout, "too_slow", false},
		{ErrRunning, http.StatusConflict, "running", false},
		{lookup.ErrCursor, http.StatusGone, "cursor", false},
		{errTooLarge, http.StatusRequestEntityTooLarge, "too_large", false},
		{errMedia, http.StatusUnsupportedMediaType, "unsupported_media_type", false},
		{errHost, http.StatusMisdirectedRequest, "wrong_host", false},
		{lookup.ErrNoChanges, http.StatusNotImplemented, "no_changes", false},
		{lookup.ErrNoCompare, http.StatusNotImplemented, "no_report", false},
		{errNotReady, http.StatusServiceUnavailable, "not_ready", false},
		{errSpool, http.StatusServiceUnavailable, "no_room", true},
		{lookup.ErrEngine, http.StatusServiceUnavailable, "engine", true},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout", true},
	}
}

// problemOf finds the answer to an error.
func problemOf(err error) (Problem, bool) {
	k := kind{status: http.StatusInternalServerError, code: "internal", secret: true}
	for _, e := range problems() {
		if errors.Is(err, e.err) {
			k = e
			break
		}
	}
	p := Problem{Title: http.StatusText(k.status), Status: k.status, Code: k.code, Detail: err.Error()}
	var f *fault
	if errors.As(err, &f) {
		p.Detail, p.Column = f.detail, f.column
		if f.code != "" {
			p.Code = f.code
		}
	}
	switch {
	case k.err == lookup.ErrEngine:
		p.Detail = fmt.Sprintf("the index cannot answer now, so what it lists is not known; ask again in %d s. The server's log says why under the request id in instance", retryAfter(err))
	case k.secret:
		p.Detail = "the server could not do this; its log says why under the request id in instance"
	}
	p.Type = "urn:elasticintel:problem:" + p.Code
	return p, k.secret
}

// fail answers with an error, or cuts the connection where the answer has begun
// already: a client must not take half an answer for a whole one.
func (a *api) fail(c *call, err error) {
	cause := err
	p, internal := problemOf(err)
	if internal && c.r.Context().Err() == nil {
		a.Log.LogAttrs(c.r.Context(), slog.LevelError, "request failed", slog.String("request", c.id), slog.String("path", c.routePath()), slog.String("error", err.Error()))
	}
	if c.r.Context().Err() != nil && c.status == 0 {
		c.status = statusGone
	}
	if c.status != 0 {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	p.Instance = "urn:elasticintel:request:" + c.id
	h := c.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(p.Code))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter(cause)))
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		h.Set("Connection", "close")
	}
	a.metrics.refuse(p)
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`) // six strings and a number always encode
	}
	c.send(p.Status, typeProblem, append(body, '\n'))
}

// retryDefault is after how many seconds to ask again where nobody knows better.
const retryDefault = 5

// retryAfter is the seconds that an answer of 503 asks a client to wait: what the
// engine knows, rounded up, from a second to an hour.
func retryAfter(err error) int {
	var r lookup.Retrier
	if !errors.As(err, &r) || r.RetryIn() <= 0 {
		return retryDefault
	}
	return int((min(r.RetryIn(), time.Hour) + time.Second - 1) / time.Second)
}

func challenge(code string) string {
	if code == "bad_key" {
		return `Bearer realm="elasticintel", error="invalid_token"`
	}
	return `Bearer realm="elasticintel"`
}
