package feedserver

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"
)

// Fault names a way to misbehave at a path. Faults of the whole server: Down
// (refused), StartTLS (certificates), PipeListener.Blackhole.
type Fault string

// The faults. Where one needs the good body it takes what stands at the path.
const (
	Blackhole      Fault = "blackhole"       // takes the request and never answers
	Reset          Fault = "reset"           // breaks the connection instead of answering
	ResetBody      Fault = "reset-body"      // breaks it in the middle of the body
	Truncated      Fault = "truncated"       // ends before the declared Content-Length
	ShortLength    Fault = "short-length"    // declares half the Content-Length
	BadChunks      Fault = "bad-chunks"      // chunk sizes that are no numbers
	CutChunks      Fault = "cut-chunks"      // no last chunk
	NotHTTP        Fault = "not-http"        // greets as another protocol would
	BadGzipCRC     Fault = "bad-gzip-crc"    // Content-Encoding gzip with a wrong check sum
	CutGzip        Fault = "cut-gzip"        // Content-Encoding gzip, valid HTTP, half the stream
	FakeGzip       Fault = "fake-gzip"       // Content-Encoding gzip on a plain body
	GzipBomb       Fault = "gzip-bomb"       // Content-Encoding gzip, 2 MiB that unpack to 2 GiB of zeros
	Trickle        Fault = "trickle"         // a byte a second
	Stall          Fault = "stall"           // hangs after 90 % of the body
	Endless        Fault = "endless"         // a body without end (of 2 GiB)
	HugeHeader     Fault = "huge-header"     // a header without end (of 2 GiB)
	RedirectLoop   Fault = "redirect-loop"   // to itself
	RedirectInside Fault = "redirect-inside" // to the metadata service of clouds, 169.254.169.254
	RedirectFile   Fault = "redirect-file"   // to a file URL
	RedirectHTTP   Fault = "redirect-http"   // to plain http; for a server with TLS
	Unauthorized   Fault = "401"             // wants a key now
	Forbidden      Fault = "403"
	NotFound       Fault = "404"
	Gone           Fault = "410"
	RateLimited    Fault = "429"           // with Retry-After: 86400
	Unavailable    Fault = "503"           // with Retry-After: 5
	Flapping       Fault = "flapping"      // 500, 503, good, 500, 503, good …
	HTML           Fault = "html"          // status 200 and a captcha page
	JSONError      Fault = "json-error"    // status 200 and {"error": …}
	Empty          Fault = "empty"         // status 200 and nothing
	UTF16          Fault = "utf-16"        // the good body in UTF-16 with a byte order mark
	Binary         Fault = "binary"        // status 200 and bytes that are no text
	NotModified    Fault = "304"           // 304 to everybody for ever
	FrozenETag     Fault = "frozen-etag"   // the good body, always under the same ETag, never 304
	EchoSecrets    Fault = "echo-secrets"  // status 200; header and body repeat what the request carried
	EchoGarbage    Fault = "echo-garbage"  // the same in a status line that is none
	EchoField      Fault = "echo-field"    // the same in a header line that is none
	EchoCoding     Fault = "echo-coding"   // the same as Content-Encoding
	EchoRedirect   Fault = "echo-redirect" // the same in a Location that cannot be followed
)

// Faults is all of them, so that a test can go through the list.
func Faults() []Fault {
	return []Fault{Blackhole, Reset, ResetBody, Truncated, ShortLength, BadChunks, CutChunks, NotHTTP, BadGzipCRC, CutGzip, FakeGzip,
		GzipBomb, Trickle, Stall, Endless, HugeHeader, RedirectLoop, RedirectInside, RedirectFile, RedirectHTTP, Unauthorized, Forbidden,
		NotFound, Gone, RateLimited, Unavailable, Flapping, HTML, JSONError, Empty, UTF16, Binary, NotModified, FrozenETag, EchoSecrets, EchoGarbage, EchoField, EchoCoding, EchoRedirect}
}

// failing is a path's fault.
type failing struct {
	fault Fault
	left  int // requests that still meet it; negative: all
	met   int
}

// Fail makes the next n requests for path meet the fault; all of them for n = 0.
func (s *Server) Fail(path string, f Fault, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 {
		n = -1
	}
	s.faults[path] = &failing{fault: f, left: n}
}

// Heal ends the fault at path.
func (s *Server) Heal(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, path)
}

func (s *Server) nextFault(path string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults[path]
	if f == nil || f.left == 0 {
		return ""
	}
	f.left--
	f.met++
	if f.fault == Flapping {
		return []Fault{"", "500", "503 plain"}[f.met%3]
	}
	return f.fault
}

// misbehave answers with a fault.
func (s *Server) misbehave(w *recorder, r *http.Request, f Fault) {
	d, _ := s.find(r.URL.Path)
	var good []byte
	if d != nil {
		good = d.body
	}
	if raw := s.rawAnswers(r, good)[f]; raw != nil {
		s.raw(w, raw)
		return
	}
	if status := statuses[f]; status != 0 {
		s.status(w, r, f, status)
		return
	}
	s.content(w, r, f, good)
}

// rawAnswers are the faults that are no proper HTTP; each writes to the connection.
func (s *Server) rawAnswers(r *http.Request, good []byte) map[Fault]func(net.Conn) {
	head := func(fields string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + fields + "\r\n\r\n"
	}
	send := func(c net.Conn, head string, body []byte) {
		_, _ = io.Copy(c, io.MultiReader(strings.NewReader(head), bytes.NewReader(body))) // the peer may leave at any time
	}
	length := func(n int) string { return head(fmt.Sprintf("Content-Length: %d", n)) }
	return map[Fault]func(net.Conn){
		Reset:       reset,
		ResetBody:   func(c net.Conn) { send(c, length(len(good)+1), good[:len(good)/2]); reset(c) },
		Truncated:   func(c net.Conn) { send(c, length(len(good)+1), good) },
		ShortLength: func(c net.Conn) { send(c, length(len(good)/2), good) },
		BadChunks: func(c net.Conn) {
			send(c, head("Transfer-Encoding: chunked"), fmt.Appendf(nil, "%x\r\n%s\r\nxyz\r\n", len(good), good))
		},
		CutChunks: func(c net.Conn) {
			send(c, head("Transfer-Encoding: chunked"), fmt.Appendf(nil, "%x\r\n%s\r\n", len(good), good))
		},
		NotHTTP:     func(c net.Conn) { send(c, "220 mail.example ESMTP ready\r\n", nil) },
		EchoGarbage: func(c net.Conn) { send(c, "HTTP/1.1 "+strings.ReplaceAll(carried(r), " ", "_")+" OK\r\n\r\n", nil) },
		EchoField:   func(c net.Conn) { send(c, "HTTP/1.1 200 OK\r\n"+carried(r)+"\r\n\r\n", nil) },
		HugeHeader:  func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("a", 8000)+"\r\n") },
		Endless:     func(c net.Conn) { endless(c, head("Connection: close"), strings.Repeat("192.0.2.1\n", 800)) },
	}
}

// raw takes the connection over.
func (s *Server) raw(w *recorder, answer func(net.Conn)) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	gone := make(chan struct{})
	s.serve.Go(func() { // Close, or a client that left, ends even a blocked write
		select {
		case <-s.done:
		case <-gone:
		}
		_ = conn.Close()
	})
	s.serve.Go(func() {
		_, _ = io.Copy(io.Discard, buf) // until the client leaves
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	defer close(gone)
	answer(conn)
}

// endless ends after 2 GiB all the same: a client that does not stop must not
// fill the disk of who tests it.
func endless(c net.Conn, first, then string) {
	_, err := io.WriteString(c, first)
	for n := 0; n < 2<<30 && err == nil; n += len(then) {
		_, err = io.WriteString(c, then)
	}
}

// reset closes so that the peer gets a reset, where the connection knows such a thing.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// statuses are the faults that are a status. Read-only.
var statuses = map[Fault]int{
	Unauthorized: 401, Forbidden: 403, NotFound: 404, Gone: 410, RateLimited: 429, Unavailable: 503, "500": 500, "503 plain": 503,
	RedirectLoop: 302, RedirectInside: 302, RedirectFile: 302, RedirectHTTP: 301, NotModified: 304, EchoSecrets: 200, EchoCoding: 200, EchoRedirect: 302,
}

func (s *Server) status(w *recorder, r *http.Request, f Fault, status int) {
	h := w.Header()
	switch f {
	case RedirectLoop:
		h.Set("Location", r.URL.String())
	case RedirectInside:
		h.Set("Location", "http://169.254.169.254/latest/meta-data/")
	case RedirectFile:
		h.Set("Location", "file:///etc/passwd")
	case RedirectHTTP:
		h.Set("Location", "http://"+r.Host+r.URL.Path)
	case RateLimited:
		h.Set("Retry-After", "86400")
	case Unavailable:
		h.Set("Retry-After", "5")
	case NotModified:
		h.Set("ETag", `"for-ever"`)
	case EchoCoding:
		h.Set("Content-Encoding", carried(r))
	case EchoRedirect:
		h.Set("Location", "gopher://elsewhere.example/?"+carried(r))
	case EchoSecrets:
		echo(w, carried(r))
		return
	}
	w.WriteHeader(status)
	if status != http.StatusNotModified {
		fmt.Fprintf(w, "%d %s\n", status, http.StatusText(status))
	}
}

// carried is all of a request that may be secret.
func carried(r *http.Request) string {
	return r.URL.RequestURI() + " " + strings.Join(r.Header["Authorization"], " ") + " " + strings.Join(r.Header["Auth-Key"], " ")
}

func echo(w *recorder, said string) {
	h := w.Header()
	h.Set("ETag", `"`+strings.ReplaceAll(said, `"`, "")+`"`)
	h.Set("Last-Modified", said)
	h.Set("Content-Type", said)
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, said) // the client may have left
}

// content answers with status 200 and something wrong.
func (s *Server) content(w *recorder, r *http.Request, f Fault, good []byte) {
	h := w.Header()
	write := func(kind string, body []byte) {
		h.Set("Content-Type", kind)
		_, _ = w.Write(body) // the client may have left
	}
	switch f {
	case HTML:
		write("text/html", []byte("<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>\n"))
	case JSONError:
		write("application/json", []byte(`{"error":{"code":"no_key","message":"an API key is needed since last week"}}`))
	case Empty:
		write("text/plain", nil)
	case UTF16:
		write("text/plain", utf16Of(string(good)))
	case Binary:
		write("application/octet-stream", bytes.Repeat([]byte{0x7f, 'E', 'L', 'F', 0, 1, 0xfe, 0xff}, 4000))
	case FrozenETag:
		h.Set("ETag", `"frozen"`)
		write("text/plain", good)
	case FakeGzip:
		h.Set("Content-Encoding", "gzip")
		write("text/plain", good)
	case BadGzipCRC, CutGzip, GzipBomb:
		h.Set("Content-Encoding", "gzip")
		write("text/plain", gzipOf(f, good))
	case Trickle, Stall:
		s.slow(w, r, f, good)
	case Blackhole:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		panic(http.ErrAbortHandler) // no answer
	default:
		http.Error(w, "no such fault: "+string(f), http.StatusNotImplemented)
	}
}

func utf16Of(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func gzipOf(f Fault, good []byte) []byte {
	if f == GzipBomb {
		good = make([]byte, 16<<20)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(good) // to memory
	_ = z.Close()
	out := b.Bytes()
	switch f {
	case GzipBomb:
		return bytes.Repeat(out, 128) // members one after another
	case BadGzipCRC:
		out[len(out)-8] ^= 1
	case CutGzip:
		out = out[:len(out)/2]
	}
	return out
}

// slow sends the body a byte a second, or nine tenths of it and then nothing.
func (s *Server) slow(w *recorder, r *http.Request, f Fault, good []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(good)))
	part, pause := 1, time.Second
	if f == Stall {
		part, pause = len(good)*9/10, 1000*time.Hour
	}
	timer := time.NewTicker(pause)
	defer timer.Stop()
	for len(good) > 0 {
		n := min(part, len(good))
		if _, err := w.Write(good[:n]); err != nil {
			return
		}
		good = good[n:]
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
