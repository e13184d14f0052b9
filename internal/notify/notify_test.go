package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/fetch"
)

// The vector that the libraries of Standard Webhooks test themselves with.
func TestSignIsStandardWebhooks(t *testing.T) {
	key, err := ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if (Key{}).sign("a", time.Unix(0, 0), nil) != "" {
		t.Error("no key signs")
	}
}

func TestParseKey(t *testing.T) {
	encode := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for secret, ok := range map[string]bool{
		encode(24): true, encode(64): true, "whsec_" + encode(32) + "\n": true,
		encode(23): false, encode(65): false, "": false, "hunter2-hunter2-hunter2-hunter2": false,
	} {
		_, err := ParseKey(secret)
		if (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "openssl rand")) {
			t.Errorf("error %v", err)
		}
	}
}

// receiver is an HTTP server that notes what it is sent and answers with status.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	answer string
	got    []*http.Request
	bodies []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got, r.bodies = append(r.got, req), append(r.bodies, string(body))
		if r.status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

var testTime = time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)

func hook(t *testing.T, url string, allow ...netip.Prefix) (*Webhook, *strings.Builder) {
	t.Helper()
	key, err := ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567")))
	if err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	client := fetch.New(fetch.Options{TempDir: t.TempDir(), Retries: 1, Backoff: time.Nanosecond, MaxRedirects: -1, MaxBytes: 1 << 10,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	w, err := NewWebhook(url, key, allow, client, func() time.Time { return testTime })
	if err != nil {
		t.Fatal(err)
	}
	return w, log
}

func loopback() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }

func TestSend(t *testing.T) {
	r := newReceiver(t)
	w, _ := hook(t, r.URL+"/services/T0000001/hunter2", loopback())
	since := testTime.Add(-time.Hour)
	m := Message{ID: "msg_1", Type: TypeFeedHealth, Feed: "f", Name: "A <list>", Provider: "p", From: "healthy", To: "failing", Since: &since, Reason: "404 & so on", Advice: "`x`", At: testTime}
	if err := w.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	req, body := r.got[0], r.bodies[0]
	want := `{"type":"feed.health","feed":"f","name":"A <list>","provider":"p","from":"healthy","to":"failing","since":"2026-11-30T19:00:00Z","reason":"404 & so on","advice":"` + "`x`" + `","at":"2026-11-30T20:00:00Z"}`
	if body != want || req.Method != "POST" || req.URL.Path != "/services/T0000001/hunter2" || req.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v\n%s", req.Method, req.URL, req.Header, body)
	}
	if !json.Valid([]byte(body)) {
		t.Error("the body is not JSON")
	}
	mac := hmac.New(sha256.New, []byte("0123456789abcdef01234567"))
	mac.Write([]byte("msg_1.1796068800." + body))
	if req.Header.Get("webhook-id") != "msg_1" || req.Header.Get("webhook-timestamp") != "1796068800" || req.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Errorf("headers %v", req.Header)
	}
	m.Since = nil
	if err := w.Send(t.Context(), m); err != nil || !strings.Contains(r.bodies[1], `"since":null`) {
		t.Errorf("%v %s", err, r.bodies[1])
	}
}

func TestSendTakesEverySuccessForOne(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 206, 299} {
		r := newReceiver(t)
		r.status = status
		if status != 204 {
			r.answer = strings.Repeat("thank you ", 1000) // larger than what is read of it
		}
		w, _ := hook(t, r.URL, loopback())
		if err := w.Send(t.Context(), Message{ID: "m"}); err != nil || len(r.got) != 1 {
			t.Errorf("%d: %v after %d requests", status, err, len(r.got))
		}
	}
}

// Failures are errors, are tried again where that helps, and never show the URL's secrets.
func TestSendFails(t *testing.T) {
	for _, tt := range []struct {
		status, requests int
	}{{500, 2}, {503, 2}, {429, 2}, {404, 1}, {401, 1}, {302, 1}} {
		r := newReceiver(t)
		r.status, r.answer = tt.status, "no: hunter3333"
		u := strings.Replace(r.URL, "http://", "http://user:hunter2222@", 1)
		w, log := hook(t, u+"/services/hunter3333/x?room=hunter4444&k=1", loopback())
		err := w.Send(t.Context(), Message{ID: "m"})
		if err == nil || len(r.got) != tt.requests {
			t.Errorf("%d: %v after %d requests", tt.status, err, len(r.got))
			continue
		}
		if all := err.Error() + log.String() + w.ID(); strings.Contains(all, "hunter") || !strings.Contains(err.Error(), w.ID()) || log.Len() == 0 {
			t.Errorf("%d: said %s", tt.status, all)
		}
	}
}

func TestSendRefusesWhatIsNotPublic(t *testing.T) {
	r := newReceiver(t)
	w, _ := hook(t, r.URL)
	if err := w.Send(t.Context(), Message{}); err == nil || !strings.Contains(err.Error(), "loopback") || len(r.got) > 0 {
		t.Errorf("error %v, %d requests", err, len(r.got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, _ = hook(t, r.URL, loopback())
	if err := w.Send(ctx, Message{}); err == nil || len(r.got) > 0 {
		t.Errorf("after the end: %v", err)
	}
}

func TestNewWebhook(t *testing.T) {
	for _, u := range []string{"", "hunter2", "ftp://a.example/hunter2", "https:///hunter2", "https://a b/hunter2", "file:///etc/hunter2"} {
		if _, err := NewWebhook(u, Key{}, nil, nil, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", u, err)
		}
	}
	a, _ := hook(t, "https://a.example:8443/x/hunter2")
	b, _ := hook(t, "https://a.example:8443/x/hunter3")
	if a.ID() == b.ID() || !strings.HasPrefix(a.ID(), "a.example:8443-") || strings.Contains(a.ID(), "hunter") {
		t.Errorf("ids %s %s", a.ID(), b.ID())
	}
}
