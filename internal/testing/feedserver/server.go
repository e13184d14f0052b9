// Package feedserver is a publisher of feeds for tests. It answers conditional
// requests as good publishers do, changes what it serves when told to, writes
// down who asked for what, and misbehaves on demand in every way that was seen
// or is to be feared (see Fault). It listens on loopback; a definition reaches
// it with "allow_networks": ["127.0.0.0/8"].
package feedserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is one origin. Its methods may be called at any time, from any goroutine.
type Server struct {
	http  http.Server
	done  chan struct{} // closed by Close: hanging answers end
	serve sync.WaitGroup

	mu     sync.Mutex
	scheme string
	addr   string
	listen net.Listener // nil while down
	wrap   func(net.Listener) net.Listener
	docs   map[string]*doc
	mounts []mount
	asked  map[string]http.HandlerFunc // answers made on demand, by path
	faults map[string]*failing
	log    []Request
	hits   map[string]int // requests that arrived, answered or not
	hit    chan struct{}  // closed and made anew at each
}

// doc is what stands at a path.
type doc struct {
	body     []byte
	header   http.Header
	etag     string
	modified time.Time
	redirect int    // status of a redirect, or 0
	location string // of it
}

// Request is a line of the log.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Host   string
	Body   string // at most 64 KiB of it
	Status int    // 0 when the answer was no proper one
	Bytes  int    // of the answer's body
	Fault  Fault  // that was met, if any
	At     time.Time
}

// New makes a server that does not listen yet; see Serve, and Start for most tests.
func New() *Server {
	s := &Server{docs: map[string]*doc{}, asked: map[string]http.HandlerFunc{}, faults: map[string]*failing{}, hits: map[string]int{}, hit: make(chan struct{}), done: make(chan struct{}), scheme: "http"}
	s.http.Handler = s
	s.http.ErrorLog = discardLog()
	return s
}

// Start makes a server that listens on 127.0.0.1 until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Listen serves on a TCP address; port 0 means any that is free.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.Serve(l)
	return nil
}

// Serve serves on l in the background.
func (s *Server) Serve(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen, s.addr = l, l.Addr().String()
	if s.wrap != nil {
		l = s.wrap(l)
	}
	s.serve.Go(func() { _ = s.http.Serve(l) }) // ends with an error always: of Down or Close
}

// Close ends all answers and stops listening.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.http.Close()
	s.serve.Wait()
}

// Down stops listening, so that connections are refused, until Up.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listen != nil {
		_ = s.listen.Close()
		s.listen = nil
	}
}

// Up listens at the same address again.
func (s *Server) Up() error { return s.Listen(s.Addr()) }

// Addr is the address that is listened on, host:port.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL is the URL of a path, which starts with a slash.
func (s *Server) URL(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scheme + "://" + s.addr + path
}

// Set puts a body at a path. Same bytes keep ETag and Last-Modified, other
// bytes change both.
func (s *Server) Set(path string, body []byte) { s.SetWith(path, body, nil) }

// SetString is Set.
func (s *Server) SetString(path, body string) { s.Set(path, []byte(body)) }

// SetWith is Set with further header fields, which win over the usual ones.
// An empty value removes a field: {"ETag": {""}} makes a server that knows no ETags.
func (s *Server) SetWith(path string, body []byte, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(path, body, header)
}

func (s *Server) set(path string, body []byte, header http.Header) {
	etag := etagOf(body)
	if old := s.docs[path]; old != nil && old.etag == etag && maps.EqualFunc(old.header, header, slices.Equal) {
		return
	}
	now := time.Now().UTC().Truncate(time.Second)
	if old := s.docs[path]; old != nil && !now.After(old.modified) {
		now = old.modified.Add(time.Second) // Last-Modified has whole seconds; a change must show
	}
	s.docs[path] = &doc{body: bytes.Clone(body), header: header.Clone(), etag: etag, modified: now}
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// Handle makes answer reply to the requests for path, as an interface with
// parameters does. Faults and the log hold for it, too.
func (s *Server) Handle(path string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[path] = answer
}

// Redirect makes path answer with a redirect of that status to a location.
func (s *Server) Redirect(path string, status int, location string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[path] = &doc{redirect: status, location: location}
}

// Remove takes a path away: 404.
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.docs, path)
}

// Add lists further lines in the text at path.
func (s *Server) Add(path string, lines ...string) {
	s.edit(path, func(old []string) []string { return append(old, lines...) })
}

// Drop de-lists lines of the text at path.
func (s *Server) Drop(path string, lines ...string) {
	s.edit(path, func(old []string) []string {
		return slices.DeleteFunc(old, func(l string) bool { return slices.Contains(lines, l) })
	})
}

func (s *Server) edit(path string, change func([]string) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	var header http.Header
	if d := s.docs[path]; d != nil {
		lines = strings.Split(strings.TrimSuffix(string(d.body), "\n"), "\n")
		header = d.header
	}
	lines = change(lines)
	body := strings.Join(lines, "\n")
	if len(lines) > 0 {
		body += "\n"
	}
	s.set(path, []byte(body), header)
}

// Mount serves the files of fsys under prefix, which ends with a slash. With
// gunzip a file NAME.gz is also there as NAME, unpacked.
func (s *Server) Mount(prefix string, fsys fs.FS, gunzip bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts = append(s.mounts, mount{prefix, fsys, gunzip})
}

// Log is every request so far for path, or for all paths with "".
func (s *Server) Log(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, r := range s.log {
		if path == "" || r.Path == path {
			out = append(out, r)
		}
	}
	return out
}

// Count is how many of path's requests were answered with status, or with any for 0.
func (s *Server) Count(path string, status int) int {
	n := 0
	for _, r := range s.Log(path) {
		if status == 0 || r.Status == status {
			n++
		}
	}
	return n
}

// Hits is how many requests for path arrived, also those not answered yet.
func (s *Server) Hits(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// Wait waits until n requests for path arrived.
func (s *Server) Wait(ctx context.Context, path string, n int) error {
	for {
		s.mu.Lock()
		hits, hit := s.hits[path], s.hit
		s.mu.Unlock()
		if hits >= n {
			return nil
		}
		select {
		case <-hit:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) arrived(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits[path]++
	close(s.hit)
	s.hit = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serve.Add(1)
	defer s.serve.Done()
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10)) // a broken one is logged as far as it came
	s.arrived(r.URL.Path)
	fault := s.nextFault(r.URL.Path)
	rec := &recorder{ResponseWriter: w, req: Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(),
		Host: r.Host, Body: string(body), Fault: fault, At: time.Now(),
	}}
	r.Body = io.NopCloser(bytes.NewReader(body))
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log = append(s.log, rec.req)
	}()
	if fault != "" {
		s.misbehave(rec, r, fault)
		return
	}
	s.answer(rec, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	made := s.asked[r.URL.Path]
	s.mu.Unlock()
	if made != nil {
		made(w, r)
		return
	}
	d, mounts := s.find(r.URL.Path)
	if d == nil {
		for _, m := range mounts {
			if m.serve(w, r) {
				return
			}
		}
		http.NotFound(w, r)
		return
	}
	if d.redirect != 0 {
		w.Header()["Location"] = []string{d.location}
		w.WriteHeader(d.redirect)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("ETag", d.etag)
	for name, values := range d.header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for name, values := range h {
		if len(values) == 1 && values[0] == "" {
			h.Del(name)
		}
	}
	modified := d.modified
	if v, ok := d.header["Last-Modified"]; ok && len(v) == 1 && v[0] == "" {
		modified = time.Time{} // ServeContent then sends none
	}
	http.ServeContent(w, r, "", modified, bytes.NewReader(d.body))
}

func (s *Server) find(path string) (*doc, []mount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.docs[path], slices.Clone(s.mounts)
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	req Request
}

func (r *recorder) WriteHeader(status int) {
	if r.req.Status == 0 {
		r.req.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.req.Status == 0 {
		r.req.Status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.req.Bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// String names the request as in a server's log.
func (r Request) String() string {
	return fmt.Sprintf("%s %s %d %s", r.Method, r.Path, r.Status, r.Fault)
}
