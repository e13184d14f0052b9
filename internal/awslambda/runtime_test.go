package awslambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/testing/lambdatest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs a loop over a Runtime API of the test's until the test ends.
func start(t *testing.T, h awslambda.Handler) *lambdatest.Server {
	t.Helper()
	s := lambdatest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&awslambda.Runtime{API: s.Addr(), Log: quiet()}).Run(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
	return s
}

func TestRuntime_AnswersAndGoesOn(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("loop", func(t *testing.T) {
		n := 0
		s := start(t, func(ctx context.Context, e awslambda.Event) (awslambda.Reply, error) {
			n++
			end, ok := ctx.Deadline()
			if left := time.Until(end); !ok || left > time.Minute || left < 50*time.Second {
				t.Errorf("%v are left, want nearly a minute", left)
			}
			switch string(e.Body) {
			case `"panic"`:
				panic("boom")
			case `"error"`:
				return awslambda.Reply{}, errors.New("no such thing")
			case `"large"`:
				return awslambda.Reply{JSON: []byte(`"` + strings.Repeat("x", 2000) + `"`)}, nil
			case `"stream"`:
				return awslambda.Reply{Stream: func(w io.Writer) error {
					fmt.Fprint(w, "{}\x00\x00\x00\x00\x00\x00\x00\x00whole")
					return nil
				}}, nil
			case `"cut"`:
				return awslambda.Reply{Stream: func(w io.Writer) error {
					fmt.Fprint(w, "{}\x00\x00\x00\x00\x00\x00\x00\x00ha")
					return errors.New("cut")
				}}, nil
			case `"burst"`:
				return awslambda.Reply{Stream: func(io.Writer) error { panic("burst") }}, nil
			}
			return awslambda.Reply{JSON: fmt.Appendf(nil, `[%s,%d,%v]`, e.Body, n, e.Cold)}, nil
		})
		s.Limit = 1000
		for _, c := range []struct{ event, body, err, kind, trailer string }{
			{`"a"`, `["a",1,true]`, "", "", ""},
			{`"panic"`, "", "panic: boom", "Function.Panic", ""},
			{`"error"`, "", "no such thing", "Function.Error", ""},
			{`"large"`, "", "refused with status 413", "Function.Error", ""},
			{`"stream"`, "whole", "", "", ""},
			{`"cut"`, "ha", "", "", `{"errorMessage":"cut","errorType":"Function.Stream"}`},
			{`"burst"`, "", "", "", `{"errorMessage":"panic: burst","errorType":"Function.Stream"}`},
			{`"b"`, `["b",8,false]`, "", "", ""},
		} {
			r := s.Invoke(c.event, time.Minute)
			if c.err == "" && string(r.Body) != c.body || (c.err == "") != (r.Error == "") || !strings.Contains(r.Error, c.err) || r.Type != c.kind || r.Trailer != c.trailer {
				t.Errorf("%s: body %s, error %q (%s), trailer %s", c.event, r.Body, r.Error, r.Type, r.Trailer)
			}
		}
	})
}

func TestRuntime_EndsWhereTheRuntimeAPIFails(t *testing.T) {
	status := make(chan int, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(<-status) }))
	defer srv.Close()
	rt := &awslambda.Runtime{API: strings.TrimPrefix(srv.URL, "http://"), Log: quiet()}
	for code, want := range map[int]string{500: "status 500", 403: "status 403", 200: "without id or deadline"} {
		status <- code
		if err := rt.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("status %d: %v", code, err)
		}
	}
}

func TestServe_TriesAgainWhatCouldNotBeBuilt(t *testing.T) {
	s := lambdatest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	var built atomic.Int32
	var up atomic.Bool
	log := make(chan struct{})
	o := awslambda.Options{API: s.Addr(), Function: "health", Log: quiet(), Build: func(context.Context) (awslambda.Handlers, error) {
		if built.Add(1) == 1 {
			close(log)
		}
		if !up.Load() {
			return awslambda.Handlers{}, errors.New("the store is down")
		}
		return awslambda.Handlers{Health: func(context.Context, awslambda.Event) (awslambda.Reply, error) {
			return awslambda.Reply{JSON: []byte(`"well"`)}, nil
		}}, nil
	}}
	done := make(chan error, 1)
	go func() { done <- awslambda.Serve(ctx, o, nil) }()
	<-s.Polled()
	<-log // the build that begins with the process
	if r := s.Invoke(`{"at":"x"}`, time.Minute); r.Error != "the store is down" {
		t.Errorf("%+v", r)
	}
	up.Store(true)
	for range 3 {
		if r := s.Invoke(`{"at":"x"}`, time.Minute); string(r.Body) != `"well"` {
			t.Errorf("%+v", r)
		}
	}
	if built.Load() != 3 {
		t.Errorf("built %d times, want 3: two that failed, and one for all events", built.Load())
	}
	r := s.Invoke(`{"Records":[{"eventSource":"aws:s3"}],"source":"me"}`, time.Minute)
	if want := `function health takes events of the sort "tick of a schedule", and this one is none: it has the members Records, source; source "me"`; r.Error != want {
		t.Errorf("an unknown event: %q", r.Error)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServe_TellsLambdaOfWrongSettings(t *testing.T) {
	for name, wrong := range map[string]error{"whois": nil, "api": errors.New("EI_DATA is not set")} {
		s := lambdatest.New(t)
		err := awslambda.Serve(t.Context(), awslambda.Options{API: s.Addr(), Function: name, Log: quiet()}, wrong)
		if err == nil || s.InitError().Error != err.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
