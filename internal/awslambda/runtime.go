package awslambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// Event is one invocation.
type Event struct {
	ID   string // of the request, as Lambda's own log lines name it
	Body []byte // JSON
	Cold bool   // the first of this process
}

// Reply is what an event is answered with: JSON, or a stream of HTTP.
type Reply struct {
	JSON []byte
	// Stream writes the answer while it is made; nil where JSON is all of it. What it
	// writes begins with the status and the headers, see streamWriter. Its error cuts
	// the answer off, and the caller is told so.
	Stream func(w io.Writer) error
}

// Handler answers an event before the deadline of ctx. An error is reported as
// the function's; what a Handler panics with, too.
type Handler func(ctx context.Context, e Event) (Reply, error)

// Runtime is the loop of a function over Lambda's Runtime API
// (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), one event at a time.
type Runtime struct {
	API string       // HOST:PORT, from AWS_LAMBDA_RUNTIME_API
	Log *slog.Logger // required
}

const (
	apiVersion = "/2018-06-01/runtime/"
	// streamType is the Content-Type of an answer whose status and headers come first.
	streamType = "application/vnd.awslambda.http-integration-response"
	// errorTypeHeader names the kind of an error; in a trailer it ends a stream.
	errorTypeHeader = "Lambda-Runtime-Function-Error-Type"
	errorBodyHeader = "Lambda-Runtime-Function-Error-Body"
	// mostEvent is the largest event in bytes: 6 MB, and room for what may come.
	mostEvent = 32 << 20
)

// Run takes events and answers them until ctx ends (nil) or the Runtime API does
// not answer as it should (an error: the process is of no more use).
func (r *Runtime) Run(ctx context.Context, handle Handler) error {
	c := &client{base: "http://" + r.API + apiVersion, http: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	defer c.http.CloseIdleConnections()
	for cold := true; ; cold = false {
		inv, err := c.next(ctx)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("runtime api: next event: %w", err)
		}
		inv.Cold = cold
		if err := r.answer(ctx, c, inv, handle); err != nil {
			return fmt.Errorf("runtime api: answer of %s: %w", inv.ID, err)
		}
	}
}

// InitError tells Lambda that the function cannot start, and why.
func (r *Runtime) InitError(ctx context.Context, err error) error {
	c := &client{base: "http://" + r.API + apiVersion, http: &http.Client{}}
	defer c.http.CloseIdleConnections()
	return c.post(ctx, "init/error", errorOf("Runtime.InitError", err), "Runtime.InitError")
}

// answer handles one event and posts what comes of it.
func (r *Runtime) answer(ctx context.Context, c *client, inv *invocation, handle Handler) error {
	work, cancel := context.WithDeadline(ctx, inv.deadline)
	defer cancel()
	reply, err := r.safely(work, inv.Event, handle)
	path := "invocation/" + inv.ID + "/"
	switch {
	case err == nil && reply.Stream != nil:
		return c.stream(ctx, path+"response", func(w io.Writer) error {
			_, err := r.safely(work, inv.Event, func(context.Context, Event) (Reply, error) { return Reply{}, reply.Stream(w) })
			return err
		})
	case err == nil:
		err = c.post(ctx, path+"response", reply.JSON, "")
		if _, refused := errors.AsType[*refusal](err); !refused {
			return err
		}
		fallthrough // too large, or not what Lambda takes: the caller must hear of it
	default:
		r.Log.LogAttrs(ctx, slog.LevelError, "event failed", slog.String("request", inv.ID), slog.String("error", err.Error()))
		kind := "Function.Error"
		if p, ok := errors.AsType[*panicked](err); ok {
			kind = "Function.Panic"
			r.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("request", inv.ID), slog.String("stack", p.stack))
		}
		return c.post(ctx, path+"error", errorOf(kind, err), kind)
	}
}

// panicked is what a handler panicked with.
type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (r *Runtime) safely(ctx context.Context, e Event, handle Handler) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, string(debug.Stack())}
		}
	}()
	return handle(ctx, e)
}

// errorOf is the body of an error as the Runtime API wants it.
func errorOf(kind string, err error) []byte {
	body, _ := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{err.Error(), kind}) // two strings always encode
	return body
}

// invocation is an event with its deadline.
type invocation struct {
	Event
	deadline time.Time
}

// client speaks with the Runtime API, which is on the function's own machine.
type client struct {
	base string
	http *http.Client
}

// refusal is an answer that the Runtime API did not take.
type refusal struct {
	status int
	body   string
}

func (e *refusal) Error() string {
	return fmt.Sprintf("refused with status %d: %.300s", e.status, e.body)
}

// next waits for an event, however long: the process may be frozen meanwhile.
func (c *client) next(ctx context.Context) (*invocation, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"invocation/next", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostEvent))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &refusal{res.StatusCode, string(body)}
	}
	inv := &invocation{Event: Event{ID: res.Header.Get("Lambda-Runtime-Aws-Request-Id"), Body: body}}
	ms, err := strconv.ParseInt(res.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	if err != nil || inv.ID == "" {
		return nil, fmt.Errorf("an event without id or deadline (%q, %q)", inv.ID, res.Header.Get("Lambda-Runtime-Deadline-Ms"))
	}
	inv.deadline = time.UnixMilli(ms)
	return inv, nil
}

// post sends a whole answer. A *refusal says that it was not taken and the process
// can go on.
func (c *client) post(ctx context.Context, path string, body []byte, kind string) error {
	// what was done is told also where ctx has just ended
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if kind != "" {
		req.Header.Set(errorTypeHeader, kind)
	}
	return c.send(req)
}

// stream sends an answer while it is made. An error of fill is told in the
// trailers, so that nobody takes half an answer for a whole one.
func (c *client) stream(ctx context.Context, path string, fill func(io.Writer) error) error {
	pr, pw := io.Pipe()
	defer pr.Close()
	body := &trailed{PipeReader: pr, trailer: http.Header{errorTypeHeader: nil, errorBodyHeader: nil}}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, c.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", streamType)
	req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	req.Trailer = body.trailer
	go func() {
		body.err = fill(pw) // before the end of the body, at which it is read
		_ = pw.Close()
	}()
	return c.send(req)
}

// trailed is a body that says in the trailers why it was cut off. They are set by
// who reads the end: before that net/http may be looking at them.
type trailed struct {
	*io.PipeReader
	trailer http.Header
	err     error
}

func (b *trailed) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	if err == io.EOF && b.err != nil {
		b.trailer.Set(errorTypeHeader, "Function.Stream")
		b.trailer.Set(errorBodyHeader, string(errorOf("Function.Stream", b.err)))
	}
	return n, err
}

func (c *client) send(req *http.Request) error {
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4096)) // for the message
	switch {
	case res.StatusCode < 300:
		return nil
	case res.StatusCode < 500:
		return &refusal{res.StatusCode, string(text)}
	}
	return fmt.Errorf("status %d: %.300s", res.StatusCode, text) // the documentation: exit
}
