package source

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// asker makes the requests of a pull.
type asker struct {
	p      *Pull
	base   *url.URL // the feed's, with its secret
	header http.Header
	body   []byte
	keys   url.Values // the query parameters that hold the secret
	asked  int
}

func newAsker(p *Pull) (*asker, error) {
	raw, header := p.Def.Endpoint(p.Secret)
	a := &asker{p: p, header: header, body: p.Def.Payload(p.Secret)}
	base, err := url.Parse(raw)
	if err != nil || base.Host == "" {
		return a, &Error{Code: fetch.CodeURL, Reason: "feed_url is no URL"}
	}
	base.Fragment = ""
	a.base, a.keys = base, secretParams(p.Def, base)
	return a, nil
}

// secretParams are the parameters of the feed's URL that hold its secret.
func secretParams(d *feed.Definition, base *url.URL) url.Values {
	keys := url.Values{}
	if d.Auth == nil || d.Auth.In != feed.InQuery {
		return keys
	}
	if d.Auth.Name != "" {
		keys[d.Auth.Name] = base.Query()[d.Auth.Name]
		return keys
	}
	_, query, _ := strings.Cut(d.URL, "?")
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); strings.Contains(value, "{secret}") {
			if name, err := url.QueryUnescape(name); err == nil {
				keys[name] = base.Query()[name]
			}
		}
	}
	return keys
}

func (a *asker) redact(s string) string { return fetch.Redact(s, a.p.Secrets) }

// show is a URL as it may be written down.
func (a *asker) show(u *url.URL) string {
	plain := *u
	plain.User, plain.Fragment, plain.RawFragment = nil, "", ""
	return a.redact(plain.String())
}

// own says whether a URL is of the feed's origin. One that only lacks the s of
// https, as servers behind a proxy write it, is corrected.
func (a *asker) own(u *url.URL) bool {
	if !strings.EqualFold(u.Hostname(), a.base.Hostname()) {
		return false
	}
	if a.base.Scheme == "https" && u.Scheme == "http" && fetch.PortOf(a.base) == "443" && fetch.PortOf(u) == "80" {
		u.Scheme, u.Host = "https", a.base.Host
	}
	return fetch.SameOrigin(u, a.base) && u.User == nil
}

// sign puts the secret's parameters into a URL of the feed's origin that lacks them.
func (a *asker) sign(u *url.URL) {
	q, missing := u.Query(), false
	for name, values := range a.keys {
		if !q.Has(name) {
			q[name], missing = values, true
		}
	}
	if missing {
		u.RawQuery = q.Encode()
	}
}

// question is one request.
type question struct {
	url    *url.URL
	body   []byte      // makes it a POST
	header http.Header // default the feed's; of other hosts it must hold no secret
	want   []string    // fields of the answer's header
}

// answer is what came of it. It may repeat the secret, as links to further pages
// do, so it must be cleaned before it is kept. Close it.
type answer struct {
	file   *os.File
	size   int64
	status int
	url    string // redacted
	sha256 string // as received
	header http.Header
}

func (a *answer) Close() {
	a.file.Close()
	os.Remove(a.file.Name())
}

// ask makes a request, not sooner after the last one than the provider wants.
func (a *asker) ask(ctx context.Context, q question) (*answer, error) {
	if a.asked++; a.asked > feed.MaxRequests {
		return nil, &Error{Code: CodePartial, Reason: "the pull needs more than " + strconv.Itoa(feed.MaxRequests) + " requests"}
	}
	if pause := time.Duration(a.p.Def.Pause); pause > 0 && a.asked > 1 {
		if err := a.sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
	req := fetch.Request{URL: q.url.String(), Method: http.MethodGet, Header: q.header, Want: q.want,
		AllowNetworks: a.p.Def.Allowed(), Secrets: a.p.Secrets}
	if q.header == nil {
		req.Header = a.header
	}
	if q.body != nil {
		req.Method, req.Body = http.MethodPost, q.body
	}
	res, err := a.p.Fetch.Do(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return &answer{file: res.Body, size: res.Bytes, status: res.Status, url: a.show(q.url), sha256: res.SHA256, header: res.Header}, nil
}

func (a *asker) sleep(ctx context.Context, d time.Duration) error {
	if a.p.Sleep != nil {
		return a.p.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// first is the question that the definition itself asks.
func (a *asker) first() question {
	u := *a.base
	q := question{url: &u}
	if a.p.Def.Method == http.MethodPost {
		q.body = append([]byte{}, a.body...)
	}
	return q
}

// set puts a parameter into the query or into the body, which is a JSON object.
func (q *question) set(in, name, value string, number bool) error {
	if in != feed.InBody {
		u := *q.url
		v := u.Query()
		v.Set(name, value)
		u.RawQuery = v.Encode()
		q.url = &u
		return nil
	}
	object := map[string]any{}
	if len(bytes.TrimSpace(q.body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(q.body))
		d.UseNumber()
		if err := d.Decode(&object); err != nil {
			return &Error{Code: fetch.CodeURL, Reason: "the body is no JSON object (it is not shown, since it may hold a secret)"}
		}
	}
	object[name] = value
	if number {
		object[name] = json.Number(value)
	}
	body, err := json.Marshal(object)
	q.body = body
	return err
}
