// Package lambdatest is a Runtime API for tests: what AWS Lambda shows to a
// function's process. A test hands it events and gets what the process answers,
// over real HTTP; the process is the built bootstrap, or a goroutine.
package lambdatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for a process that should answer.
const patience = 60 * time.Second

// Result is what a process answered to an event.
type Result struct {
	Body     []byte
	Error    string // errorMessage, "" for an answer
	Type     string // errorType
	Streamed bool
	// Prelude and Body are the two parts of a stream; Trailer is the error that cut it off.
	Prelude []byte
	Trailer string
}

// event is one that waits for its answer.
type event struct {
	id       string
	body     []byte
	deadline time.Time
	done     chan Result
}

// Server is a Runtime API of one function instance: one event at a time.
type Server struct {
	Limit int // of an answer in bytes, as Lambda has one; 0: none

	t      testing.TB
	http   *httptest.Server
	events chan *event
	polled chan struct{} // closed at the first poll
	once   sync.Once
	init   chan Result
	gone   chan struct{}

	mu   sync.Mutex
	n    int
	open map[string]*event
}

// New starts a Runtime API that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, events: make(chan *event, 100), polled: make(chan struct{}), init: make(chan Result, 1), gone: make(chan struct{}), open: map[string]*event{}}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() { close(s.gone); s.http.CloseClientConnections(); s.http.Close() })
	return s
}

// Addr is the value of AWS_LAMBDA_RUNTIME_API.
func (s *Server) Addr() string { return strings.TrimPrefix(s.http.URL, "http://") }

// Polled is closed once the process has asked for its first event.
func (s *Server) Polled() <-chan struct{} { return s.polled }

// Send hands over an event that may take so long; the answer comes on the channel.
func (s *Server) Send(body string, limit time.Duration) <-chan Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	e := &event{id: fmt.Sprintf("request-%d", s.n), body: []byte(body), deadline: time.Now().Add(limit), done: make(chan Result, 1)}
	s.open[e.id] = e
	s.events <- e
	return e.done
}

// Invoke sends an event and waits for its answer.
func (s *Server) Invoke(body string, limit time.Duration) Result {
	s.t.Helper()
	return s.wait(s.Send(body, limit))
}

func (s *Server) wait(c <-chan Result) Result {
	s.t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(patience):
		s.t.Fatal("the process did not answer")
		return Result{}
	}
}

// InitError waits for the process to say that it cannot start.
func (s *Server) InitError() Result { s.t.Helper(); return s.wait(s.init) }

// ServeHTTP is the Runtime API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/2018-06-01/runtime/")
	switch {
	case ok && path == "invocation/next" && r.Method == http.MethodGet:
		s.next(w, r)
	case ok && path == "init/error" && r.Method == http.MethodPost:
		s.init <- s.read(r, true)
		w.WriteHeader(http.StatusAccepted)
	case ok && r.Method == http.MethodPost:
		s.answer(w, r, strings.TrimPrefix(path, "invocation/"))
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	s.once.Do(func() { close(s.polled) })
	select {
	case e := <-s.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(e.deadline.UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:111122223333:function:test")
		_, _ = w.Write(e.body)
	case <-r.Context().Done():
	case <-s.gone:
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, path string) {
	id, what, _ := strings.Cut(path, "/")
	s.mu.Lock()
	e := s.open[id]
	s.mu.Unlock()
	if e == nil {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	res := s.read(r, what == "error")
	if s.Limit > 0 && len(res.Body) > s.Limit && !res.Streamed {
		http.Error(w, `{"errorType":"RequestEntityTooLarge"}`, http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	delete(s.open, id)
	s.mu.Unlock()
	e.done <- res
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) read(r *http.Request, isError bool) Result {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Result{Error: err.Error(), Type: "lambdatest"}
	}
	res := Result{Body: body, Streamed: r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "streaming"}
	if isError {
		var e struct{ ErrorMessage, ErrorType string }
		if err := json.Unmarshal(body, &e); err != nil || e.ErrorMessage == "" || r.Header.Get("Lambda-Runtime-Function-Error-Type") != e.ErrorType {
			s.t.Errorf("an error that is none as the Runtime API wants it: %s", body)
		}
		res.Error, res.Type = e.ErrorMessage, e.ErrorType
	}
	if res.Streamed {
		res.Prelude, res.Body, _ = bytes.Cut(body, make([]byte, 8))
		res.Trailer = r.Trailer.Get("Lambda-Runtime-Function-Error-Body")
	}
	return res
}
