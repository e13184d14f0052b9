package feed

import (
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestExpand(t *testing.T) {
	item := map[string]string{"key": "a b/c?d", "url": "https://x.example/1?y=2", "up": "..", "tag.name": "ü"}
	get := func(path string) string { return item[path] }
	for template, want := range map[string]string{
		"https://a.example/raw/{key}":       "https://a.example/raw/a%20b%2Fc%3Fd",
		"https://a.example/raw?i={key}&k=1": "https://a.example/raw?i=a+b%2Fc%3Fd&k=1",
		"{url}":                             "https://x.example/1?y=2",
		"{key}.json":                        "a%20b%2Fc%3Fd.json",
		"/x/{tag.name}/{secret}":            "/x/%C3%BC/s%2Ft",
		"/x?k={secret}&t={tag.name}":        "/x?k=s%2Ft&t=%C3%BC",
	} {
		if got, err := Expand(template, get, "s/t"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", template, got, err, want)
		}
	}
	for template, want := range map[string]string{"/x/{none}": "nothing at none", "/x/{up}/y": `".." at up`} {
		if got, err := Expand(template, get, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", template, got, err)
		}
	}
}

func TestList(t *testing.T) {
	for u, want := range map[string]string{
		"https://a.example/feed/":              "https://a.example/feed/manifest.json",
		"https://a.example":                    "https://a.example/manifest.json",
		"https://a.example/feed/?k=1":          "https://a.example/feed/manifest.json?k=1",
		"https://a.example/feed/manifest.json": "https://a.example/feed/manifest.json",
		"https://a.example/event.json":         "",
	} {
		d := &Definition{Type: "misp", Method: "GET", URL: u}
		got, items := d.List()
		if (items != nil) != (want != "") || want != "" && got != want || d.Several() != (want != "") {
			t.Errorf("%s: %q %+v, several %v", u, got, items, d.Several())
		}
	}
}

func TestPullDefaults(t *testing.T) {
	defs, err := Decode("x.json", []byte(`{"feeds": [
		{"feed_name": "A", "feed_type": " TAXII", "indicator_type": "auto", "feed_url": "https://a.example/"},
		{"feed_name": "B", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/", "pages": {"by": "page", "param": "p"}},
		{"feed_name": "C", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/", "pages": {"by": "offset", "param": "p", "step": 10}},
		{"feed_name": "D", "feed_type": "txt", "indicator_type": "url", "feed_url": "https://a.example/"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if a := defs[0]; a.Presence != intel.Append || !a.Delta() || !a.Several() || !a.Partial() {
		t.Errorf("taxii: %+v", a)
	}
	if p := defs[1].Pages; *p.First != 1 || p.Step != 1 || p.Max != 100 || p.In != "query" || defs[1].Partial() {
		t.Errorf("page: %+v", p)
	}
	if p := defs[2].Pages; *p.First != 0 || p.Step != 10 {
		t.Errorf("offset: %+v", p)
	}
	if d := defs[3]; d.Several() || d.Delta() {
		t.Error("one request is several")
	}
	if again := *defs[1]; defs[1].PullHash() == defs[2].PullHash() || defs[1].PullHash() != again.PullHash() {
		t.Error("PullHash does not follow the question")
	}
}

func TestTurn(t *testing.T) {
	for want, d := range map[string]Definition{
		"":                  {URL: "https://a.example/x"},
		"host a.example:81": {URL: "https://A.example:81/x", Pause: 1},
		"key K":             {URL: "https://a.example/{secret}", Pause: 1, Auth: &Auth{Secret: "K"}},
	} {
		if got := d.Turn(); got != want {
			t.Errorf("%s: %q, want %q", d.URL, got, want)
		}
	}
}
