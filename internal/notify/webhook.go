package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Poster sends requests. *fetch.Client is one; its errors are *fetch.Error. It
// must refuse addresses that are not public and not in Request.AllowNetworks.
type Poster interface {
	Do(ctx context.Context, req fetch.Request) (*fetch.Result, error)
}

// Webhook posts messages to a URL. It is safe for concurrent use.
type Webhook struct {
	url     string
	id      string
	secrets []string
	key     Key
	allow   []netip.Prefix
	post    Poster
	now     func() time.Time
}

// NewWebhook makes a Webhook that posts to rawURL, which may hold secrets: no
// error and no log line repeats more of it than its host. allow are networks that
// it may be in although they are not public.
func NewWebhook(rawURL string, key Key, allow []netip.Prefix, post Poster, now func() time.Time) (*Webhook, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("a webhook's address must be an http or https URL with a host")
	}
	sum := sha256.Sum256([]byte(rawURL))
	w := &Webhook{url: rawURL, id: u.Host + "-" + hex.EncodeToString(sum[:4]), key: key, allow: allow, post: post, now: now}
	w.secrets = secretsOf(u)
	return w, nil
}

// secretsOf are the parts of a webhook's URL that nobody may see: all but its host.
func secretsOf(u *url.URL) []string {
	parts := []string{u.EscapedPath(), u.RawQuery, u.Path}
	parts = append(parts, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.Username(), password)
	}
	var out []string
	for _, p := range parts {
		if len(strings.Trim(p, "/")) >= 6 { // shorter ones would blacken half of every message
			out = append(out, strings.Trim(p, "/"))
		}
	}
	return out
}

// ID names the webhook without its secrets: its host, and a little of the URL's
// check sum to tell it from others.
func (w *Webhook) ID() string { return w.id }

// Send posts a message. Nil means that the receiver took it, with any status of
// 200 to 299. Passing errors are tried again as the Poster does.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return fmt.Errorf("webhook %s: %w", w.id, err)
	}
	text := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	at := w.now()
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(headerID, m.ID)
	h.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	if sig := w.key.sign(m.ID, at, text); sig != "" {
		h.Set(headerSignature, sig)
	}
	res, err := w.post.Do(ctx, fetch.Request{URL: w.url, Method: http.MethodPost, Header: h, Body: text, AllowNetworks: w.allow, Secrets: w.secrets})
	if err == nil {
		return res.Close()
	}
	if f, ok := errors.AsType[*fetch.Error](err); ok && f.Status/100 == 2 {
		return nil // it took the message; what it said then is nobody's business
	}
	return fmt.Errorf("webhook %s: %w", w.id, err)
}
