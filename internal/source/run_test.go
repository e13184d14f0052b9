package source

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// fake is a Fetcher that answers from memory.
type fake func(req fetch.Request) (body string, header http.Header, err error)

func (f fake) Do(ctx context.Context, req fetch.Request) (*fetch.Result, error) {
	if ctx.Err() != nil {
		return nil, &fetch.Error{Code: fetch.CodeCanceled, Detail: "cancelled", Err: ctx.Err()}
	}
	body, header, err := f(req)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "fake-*")
	if err == nil {
		_, err = file.WriteString(body)
	}
	return &fetch.Result{Status: 200, URL: req.URL, Body: file, Bytes: int64(len(body)), SHA256: body, Header: header}, err
}

func definition(t *testing.T, json string) *feed.Definition {
	t.Helper()
	defs, err := feed.Decode("x.json", []byte(`{"feeds": [`+json+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return defs[0]
}

func pull(t *testing.T, d *feed.Definition, f fake) (*Answer, error) {
	t.Helper()
	out, err := Run(t.Context(), Pull{Def: d, Fetch: f, Now: time.Now(), Temp: func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "pull-*") }})
	if err == nil {
		t.Cleanup(func() { out.File.Close() })
	}
	return out, err
}

// A server that is never at its end and never repeats itself holds a feed for
// some hours, not for ever.
func TestEndlessPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := definition(t, `{"feed_name": "A", "feed_type": "txt", "indicator_type": "domain", "feed_url": "https://a.example/", "pause": "1h", "pages": {"by": "link"}}`)
		asked, began := 0, time.Now()
		_, err := pull(t, d, func(req fetch.Request) (string, http.Header, error) {
			asked++
			return strings.Repeat("a", asked) + ".example\n", http.Header{"Link": {"<?p=" + strings.Repeat("1", asked) + ">; rel=next"}}, nil
		})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != fetch.CodeTimeout || time.Since(began) != maxTime {
			t.Errorf("after %v and %d requests: %v", time.Since(began), asked, err)
		}
	})
}

// Servers behind a proxy write http for their own https; nothing else is the same origin.
func TestOwn(t *testing.T) {
	a := &asker{base: &url.URL{Scheme: "https", Host: "a.example"}}
	for raw, want := range map[string]string{
		"https://a.example/x":        "https://a.example/x",
		"https://A.example:443/x":    "https://A.example:443/x",
		"http://a.example/x":         "https://a.example/x",
		"http://a.example:80/x":      "https://a.example/x",
		"http://a.example:8080/x":    "",
		"https://a.example:8443/x":   "",
		"https://b.a.example/x":      "",
		"https://a.example.evil/x":   "",
		"https://user@a.example/x":   "",
		"ftp://a.example/x":          "",
		"https://a.example@evil/x":   "",
		`https://evil\@a.example/x`:  "",
		"https://[::1]/x":            "",
		"https://a.example:443@e/":   "",
		"//evil/https://a.example/":  "",
		"https:a.example/x":          "",
		"javascript:alert(1)//a.e/x": "",
	} {
		u, err := a.base.Parse(raw)
		got := ""
		if err == nil && a.own(u) {
			got = u.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

// A key in the query goes along to pages whose address lacks it.
func TestSignedPages(t *testing.T) {
	for _, auth := range []string{`"feed_url": "https://a.example/?x=1", "auth": {"secret": "K", "in": "query", "name": "key"}`,
		`"feed_url": "https://a.example/?x=1&key={secret}", "auth": {"secret": "K", "in": "query"}`} {
		d := definition(t, `{"feed_name": "A", "feed_type": "json", "indicator_type": "domain", "records": "data[]", "field_mapping": {"source": ["d"], "destination": ["indicator"]}, "pages": {"by": "url", "path": "next"}, `+auth+`}`)
		var asked []string
		out, err := Run(t.Context(), Pull{Def: d, Secret: "s3cr3t&1", Secrets: d.Forms("s3cr3t&1"), Now: time.Now(), Temp: func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "pull-*") },
			Fetch: fake(func(req fetch.Request) (string, http.Header, error) {
				asked = append(asked, req.URL)
				if len(asked) == 1 {
					return `{"data": [{"d": "a.example"}], "next": "/page/2?x=1"}`, nil, nil
				}
				return `{"data": [{"d": "b.example"}]}`, nil, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		defer out.File.Close()
		for _, u := range asked {
			if parsed, err := url.Parse(u); err != nil || parsed.Query().Get("key") != "s3cr3t&1" {
				t.Errorf("asked %s", u)
			}
		}
		if len(asked) != 2 || out.Parts != 2 || strings.Contains(out.URL, "s3cr3t") {
			t.Errorf("asked %q, %d parts, shown as %s", asked, out.Parts, out.URL)
		}
	}
}

// FuzzPages pulls from servers that say anything at all: it ends, with an error
// or with a pack that can be read.
func FuzzPages(f *testing.F) {
	f.Add(uint8(0), `{"data": [{"d": "a.example"}], "next": "/2"}`, `</3>; rel="next"`)
	f.Add(uint8(1), `{"data": [], "next": ""}`, "")
	f.Add(uint8(2), `[{"d": 1}]`, `<`)
	f.Add(uint8(3), `{"data": [{"d": "a.example"}], "next": "//evil/"}`, `<http://evil/>; rel=next`)
	styles := []string{`{"by": "url", "path": "next", "max": 5}`, `{"by": "cursor", "path": "next", "param": "c", "max": 5}`, `{"by": "link", "max": 5}`, `{"by": "page", "param": "p", "more": "next", "max": 5}`}
	f.Fuzz(func(t *testing.T, style uint8, body, link string) {
		d := definition(t, `{"feed_name": "A", "feed_type": "json", "indicator_type": "domain", "feed_url": "https://a.example/", "records": "data[]", "presence": "append",
			"field_mapping": {"source": ["d"], "destination": ["indicator"]}, "pages": `+styles[int(style)%len(styles)]+`}`)
		out, err := pull(t, d, func(req fetch.Request) (string, http.Header, error) {
			if u, err := url.Parse(req.URL); err != nil || u.Host != "a.example" || u.Scheme != "https" {
				t.Fatalf("asked %q", req.URL)
			}
			return body, http.Header{"Link": {link}}, nil
		})
		if err != nil {
			return
		}
		res, err := Parse(t.Context(), out.File, d, ParseOptions{})
		if err != nil || res.Read != res.Accepted+res.Duplicate+res.Suppressed+res.Rejected || out.Parts > 5 {
			t.Errorf("%d parts, %+v, %v", out.Parts, res.Result, err)
		}
	})
}
