package fetch

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHTTP2: most publishers speak it, and its errors have other words.
func TestHTTP2(t *testing.T) {
	hang := make(chan struct{})
	started := make(chan struct{}, 8)
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked with %s", r.Proto)
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, pack(t, formatGzip, goodList))
	})
	mux.HandleFunc("/reset", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "192.0.2.1\n")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/truncated", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "192.0.2.1\n")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("192.0.2.1\n"), 1000)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hangs", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "192.0.2.1\n")
		http.NewResponseController(w).Flush()
		started <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		for range 2 * maxHeader / 8000 {
			w.Header().Add("X-Long", strings.Repeat("a", 8000))
		}
	})
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	defer close(hang)
	h := newHarness(t, Options{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MaxBytes: 1 << 20})

	if _, body, e := h.get(t, Request{URL: s.URL + "/good"}); e != nil || body != goodList {
		t.Errorf("%d bytes, %v", len(body), e)
	}
	for path, want := range map[string]outcome{
		"/reset": again(CodeReset), "/truncated": again(CodeTruncated), "/endless": never(CodeTooLarge), "/header": again(CodeProtocol), "/none": never(CodeStatus),
	} {
		_, _, e := h.get(t, Request{URL: s.URL + path})
		if e == nil || !want.matches(e) {
			t.Errorf("%s: %+v, want %+v", path, e, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	_, err := h.Do(ctx, Request{URL: s.URL + "/hangs", AllowNetworks: loopback})
	e, _ := err.(*Error)
	wantCode(t, "/hangs", e, CodeCanceled)
}
