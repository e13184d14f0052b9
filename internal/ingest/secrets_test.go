package ingest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// canary is a secret that needs escaping everywhere.
const canary = "cAnArY+7f/29&b=0x%41zz"

// forms are the ways in which it may turn up.
func canaryForms() []string {
	return []string{canary, url.QueryEscape(canary), url.PathEscape(canary), strings.ToLower(canary),
		base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("user:" + canary)), "cAnArY", "canary"}
}

// search looks for the canary in every file below dir, unpacking what is packed.
func search(t *testing.T, dir string) (hits []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		texts := [][]byte{data}
		if strings.HasSuffix(p, ".zst") {
			z, err := zstd.NewReader(bytes.NewReader(data))
			if err != nil {
				return err
			}
			defer z.Close()
			plain, err := io.ReadAll(z)
			if err != nil {
				return err
			}
			texts = append(texts, plain)
			if g, err := gzip.NewReader(bytes.NewReader(plain)); err == nil {
				inner, _ := io.ReadAll(g)
				texts = append(texts, inner)
			}
		}
		for _, text := range texts {
			for _, form := range canaryForms() {
				if bytes.Contains(text, []byte(form)) {
					hits = append(hits, fmt.Sprintf("%s holds %q", p, form))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

func auths() map[string]map[string]any {
	return map[string]map[string]any{
		"header": {"auth": map[string]any{"secret": "k", "in": "header", "name": "Auth-Key"}},
		"query":  {"auth": map[string]any{"secret": "k", "in": "query", "name": "apikey"}},
		"path":   {"auth": map[string]any{"secret": "k", "in": "path"}},
		"basic":  {"auth": map[string]any{"secret": "k", "in": "basic", "name": "user"}},
		"bearer": {"auth": map[string]any{"secret": "k", "in": "bearer"}},
	}
}

// A secret reaches the publisher and nothing else: not the ledger, the state, the
// heads, the raw bytes, the listings, the log, whatever the publisher does with it.
func TestSecretsAreStoredNowhere(t *testing.T) {
	faults := append([]feedserver.Fault{""}, feedserver.EchoSecrets, feedserver.EchoGarbage, feedserver.EchoField, feedserver.EchoCoding,
		feedserver.EchoRedirect, feedserver.Unauthorized, feedserver.NotFound, feedserver.Reset, feedserver.RedirectLoop, feedserver.HTML)
	for in, auth := range auths() {
		t.Run(in, func(t *testing.T) {
			l := newLab(t)
			l.secrets["k"] = canary
			path := "/feed"
			if in == "path" {
				auth["feed_url"] = l.srv.URL("/feed/{secret}/list")
				path = "/feed/" + canary + "/list"
			}
			d := l.def("feed", auth)
			for _, f := range faults {
				l.srv.SetString(path, "a.example\nb.example\n")
				if f != "" {
					l.srv.Fail(path, f, 0)
				}
				run := l.run(d)
				if f == "" && run.Status != intel.RunOK {
					t.Fatalf("%s: %s %s", run.Status, run.Code, run.Reason)
				}
				for _, form := range canaryForms() {
					if strings.Contains(fmt.Sprintf("%+v", run), form) {
						t.Errorf("%s: the run says %+v", f, run)
					}
				}
				l.srv.Heal(path)
			}
			if len(l.srv.Log(path)) == 0 {
				t.Error("the publisher never got the secret")
			}
			for _, hit := range search(t, l.dir) {
				t.Error(hit)
			}
			for _, form := range canaryForms() {
				if strings.Contains(l.log.String(), form) {
					t.Errorf("the log holds %q", form)
				}
			}
			l.verify()
		})
	}
}

// Publishers do repeat keys in their lists: in links to themselves, in comments,
// in lines that are no indicators.
func TestSecretsInTheContent(t *testing.T) {
	for _, packed := range []bool{false, true} {
		l := newLab(t)
		l.secrets["k"] = canary
		more := auths()["header"]
		more["feed_type"], more["indicator_type"] = "csv", "url"
		more["guards"] = map[string]any{"max_reject": 0.9}
		more["field_mapping"] = map[string]any{"source": []string{"url", "ref"}, "destination": []string{"indicator", "reference"}}
		d := l.def("echo", more)
		filler := strings.Repeat("http://bad.example/page?token=keepme,\n", 3000) // over several chunks
		body := filler + "http://x.example/?key=" + url.QueryEscape(canary) + ",see " + canary + "\n" + canary + ",\n" + filler
		if packed {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, body)
			z.Close()
			body = b.String()
		}
		l.srv.SetString("/echo", body)
		run := l.want(d, intel.RunOK, "")
		if !strings.Contains(run.Reason, "blackened") || run.Read != 6002 || run.Bytes != int64(len(body)) {
			t.Errorf("packed %v: read %d, %d bytes, reason %q", packed, run.Read, run.Bytes, run.Reason)
		}
		for _, hit := range search(t, l.dir) {
			t.Errorf("packed %v: %s", packed, hit)
		}
		if _, err := l.corpus.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := intel.Parse("http://bad.example/page?token=keepme", intel.AnyKind); err != nil || len(l.corpus.View().Exact(got, l.now(), nil)) != 1 {
			t.Error("an indicator's own parameter was blackened")
		}
		l.want(d, intel.RunUnchanged, "")
		l.verify()
	}
}

func TestMissingSecret(t *testing.T) {
	l := newLab(t)
	d := l.def("keyed", auths()["bearer"])
	run := l.want(d, intel.RunFailed, "key")
	if !strings.Contains(run.Reason, "elasticintel feeds enable keyed --secret k=-") {
		t.Errorf("reason %q does not say what to do", run.Reason)
	}
	if len(l.srv.Log("/keyed")) != 0 {
		t.Error("the publisher was asked without the key")
	}
	l.secrets["k"] = "now-there-is-one"
	l.serve("keyed", "a.example")
	l.want(d, intel.RunOK, "")
	if got := l.srv.Log("/keyed")[0].Header.Get("Authorization"); got != "Bearer now-there-is-one" {
		t.Errorf("sent %q", got)
	}
	// A file needs no key.
	delete(l.secrets, "k")
	if run := l.job(feed.Job{Def: d, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("b.example\na.example\n")), nil }}); run.Status != intel.RunOK {
		t.Errorf("%+v", run)
	}
}
