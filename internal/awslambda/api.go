package awslambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/api"
)

// API answers requests by the same handler as a server.
type API struct {
	Handler http.Handler
	// Fresh takes up new data before an answer, where that is due; nil: it is always fresh.
	Fresh func(ctx context.Context)
	// Stream lets answers to requests of the function's own URL go out while they are
	// made; the URL must be set up so (InvokeMode RESPONSE_STREAM).
	Stream bool
	Now    func() time.Time
	Log    *slog.Logger
}

const (
	// mostReply is the largest answer of a function in bytes, as JSON: 6 MB, less what
	// is added on the way.
	mostReply = 6<<20 - 4096
	// goodbye is how long before the function is ended a request is given up.
	goodbye = 500 * time.Millisecond
)

// errLarge ends the handler of an answer that has grown too large.
var errLarge = errors.New("the answer is larger than a function's may be")

// Handle answers one request.
func (a *API) Handle(ctx context.Context, e Event) (Reply, error) {
	start := a.Now()
	var ev httpEvent
	if err := json.Unmarshal(e.Body, &ev); err != nil {
		return Reply{}, fmt.Errorf("the request cannot be read: %w", err)
	}
	stop := context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok {
		ctx, stop = context.WithDeadline(ctx, end.Add(-goodbye))
	}
	r, err := ev.request(ctx)
	if err != nil {
		defer stop()
		return a.problem(e, http.StatusBadRequest, "bad_request", err.Error())
	}
	if a.Fresh != nil {
		a.Fresh(ctx)
	}
	if a.Stream && ev.ownURL() {
		return Reply{Stream: func(w io.Writer) error {
			defer stop()
			s := &streamWriter{w: w, header: http.Header{}, head: r.Method == http.MethodHead}
			defer func() { a.say(ctx, e, start, s.status, s.bytes) }()
			return s.serve(a.Handler, r)
		}}, nil
	}
	defer stop()
	b := &bufferWriter{header: http.Header{}, head: r.Method == http.MethodHead}
	reply, err := a.buffered(b, r, e)
	a.say(ctx, e, start, b.status, b.body.Len())
	return reply, err
}

// say logs a request without what was asked.
func (a *API) say(ctx context.Context, e Event, start time.Time, status, size int) {
	a.Log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("request", e.ID), slog.Int("status", status), slog.Int("bytes", size),
		slog.Duration("took", a.Now().Sub(start)), slog.Bool("cold", e.Cold))
}

func (a *API) buffered(b *bufferWriter, r *http.Request, e Event) (Reply, error) {
	cut := b.serve(a.Handler, r)
	switch {
	case b.large:
		b.status = http.StatusRequestEntityTooLarge
		return a.problem(e, b.status, "answer_too_large", tooLarge)
	case cut && r.Context().Err() != nil:
		b.status = http.StatusServiceUnavailable
		return a.problem(e, b.status, "timeout", "the answer took longer than a function may; ask for less at a time: fewer values, or pages (limit= and cursor=)")
	case cut:
		b.status = http.StatusInternalServerError
		return a.problem(e, b.status, "internal", "the answer broke off; the function's log says why under the request id in instance")
	}
	out, err := b.encode()
	if err == nil && len(out) > mostReply {
		b.status = http.StatusRequestEntityTooLarge
		return a.problem(e, b.status, "answer_too_large", tooLarge)
	}
	return Reply{JSON: out}, err
}

const tooLarge = "the answer is larger than the 6 MB that a function can return: ask for fewer values at a time, or for pages (limit= and cursor=); " +
	"the function's own URL streams answers of any size where it is switched on"

// problem is an error that the handler could not answer, in its form.
func (a *API) problem(e Event, status int, code, detail string) (Reply, error) {
	p := api.Problem{Type: "urn:elasticintel:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Instance: "urn:elasticintel:request:" + e.ID}
	body, err := json.Marshal(p)
	if err != nil {
		return Reply{}, err
	}
	b := &bufferWriter{header: http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}, status: status}
	if status == http.StatusServiceUnavailable {
		b.header.Set("Retry-After", "5")
	}
	b.body.Write(append(body, '\n'))
	out, err := b.encode()
	return Reply{JSON: out}, err
}

// bufferWriter keeps an answer.
type bufferWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
	large  bool
	head   bool // of a HEAD request: the body is not sent
}

func (b *bufferWriter) Header() http.Header { return b.header }

func (b *bufferWriter) WriteHeader(status int) {
	if b.status == 0 && status >= 200 {
		b.status = status
	}
}

func (b *bufferWriter) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if b.head {
		return len(p), nil
	}
	if b.large = b.large || b.body.Len()+len(p) > mostReply; b.large {
		return 0, errLarge
	}
	return b.body.Write(p)
}

// serve calls the handler; cut says that it broke the answer off, which net/http
// has a panic for.
func (b *bufferWriter) serve(h http.Handler, r *http.Request) (cut bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			cut = true
		}
	}()
	h.ServeHTTP(b, r)
	b.WriteHeader(http.StatusOK)
	return false
}

// head is the beginning of an answer as Lambda wants it.
type head struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Cookies []string          `json:"cookies,omitempty"`
}

func headOf(status int, h http.Header) head {
	out := head{Status: status, Headers: map[string]string{}, Cookies: h.Values("Set-Cookie")}
	for name, values := range h {
		switch name {
		case "Set-Cookie", "Connection", "Transfer-Encoding", "Content-Length": // the gateway's own business
		default:
			out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return out
}

// encode is the whole answer: the body as text where it is that and does not grow
// by it more than by base64.
func (b *bufferWriter) encode() ([]byte, error) {
	type whole struct {
		head
		Body   string `json:"body"`
		Base64 bool   `json:"isBase64Encoded"`
	}
	w := whole{head: headOf(b.status, b.header)}
	if utf8.Valid(b.body.Bytes()) {
		w.Body = b.body.String()
		out, err := marshal(w)
		if err != nil || len(out) <= mostReply {
			return out, err
		}
	}
	w.Body, w.Base64 = base64.StdEncoding.EncodeToString(b.body.Bytes()), true
	return marshal(w)
}

// marshal is JSON that keeps <, > and & as they are: escaped they take six bytes each.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(buf.Bytes(), "\n"), err
}

// streamWriter sends an answer while it is made: status and headers as JSON, eight
// zero bytes, and the body.
type streamWriter struct {
	w      io.Writer
	header http.Header
	status int
	bytes  int
	head   bool
	err    error
}

func (s *streamWriter) Header() http.Header { return s.header }

func (s *streamWriter) WriteHeader(status int) {
	if s.status != 0 || status < 200 {
		return
	}
	s.status = status
	out, err := marshal(headOf(status, s.header))
	if err == nil {
		_, err = s.w.Write(append(out, make([]byte, 8)...))
	}
	s.err = err
}

func (s *streamWriter) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.err != nil || s.head {
		return len(p), s.err
	}
	n, err := s.w.Write(p)
	s.bytes += n
	return n, err
}

// Flush is what a handler calls that has something to show; nothing waits here.
func (s *streamWriter) Flush() { s.WriteHeader(http.StatusOK) }

func (s *streamWriter) serve(h http.Handler, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			err = errors.New("the answer broke off")
		} else if p != nil {
			panic(p)
		}
	}()
	h.ServeHTTP(s, r)
	s.WriteHeader(http.StatusOK)
	return s.err
}
