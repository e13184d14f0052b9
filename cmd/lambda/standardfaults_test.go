package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/lambdatest"
)

// A cluster that is away costs answers and no data: the run stands and is not
// repeated, who asks is told to come again, and the next event of any feed brings
// what the index missed.
func TestStandard_ClusterAway(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.feed("b", "domain")
	p.pub.SetString("/a", "one.a.example\n")
	p.pub.SetString("/b", "one.b.example\n")
	in, standard := p.function("ingest", true), p.function("api", true)
	p.ingest(in, p.job("b"))
	p.pub.SetString("/a", "one.a.example\ntwo.a.example\n")
	p.fronts["ingest"].set(gone)
	batch := p.job("a")
	p.ingest(in, batch) // is done all the same
	p.ingest(in, batch)
	if n := p.pub.Hits("/a"); n != 1 {
		t.Errorf("the feed was pulled %d times", n)
	}
	p.fronts["api"].set(gone)
	for _, c := range []call{lookup("one.b.example"), lookup("absent.example"), {"GET", "/api/v1/search", "q=example", ""}, {"POST", "/api/v1/lookup", "", `{"values":["absent.example"]}`}} {
		if a := p.ask(standard, c); a.StatusCode != http.StatusServiceUnavailable || a.Headers["retry-after"] == "" {
			t.Errorf("%s while the cluster is away: %+v", c.path, a)
		}
	}
	if a := p.ask(standard, call{"GET", "/readyz", "", ""}); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.Body, "the cluster cannot be reached") {
		t.Errorf("readyz: %+v", a)
	}
	p.fronts["api"].set(func(w http.ResponseWriter, _ *http.Request, _ func()) {
		w.Header().Set("Retry-After", "3")
		throttled(w)
	})
	if a := p.ask(p.function("api", true), lookup("absent.example")); a.StatusCode != http.StatusServiceUnavailable || a.Headers["retry-after"] == "" {
		t.Errorf("a throttled cluster: %+v", a)
	}
	p.fronts["api"].set(nil)
	var refusals atomic.Int32 // requests come from several goroutines
	p.fronts["ingest"].set(func(w http.ResponseWriter, r *http.Request, pass func()) {
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			if refusals.Add(1) <= 3 {
				throttled(w)
				return
			}
		}
		pass()
	})
	p.ingest(p.function("ingest", true), p.job("b")) // another process, whose client knows of no failure
	if n := refusals.Load(); n <= 3 {
		t.Errorf("%d bulk requests", n)
	}
	p.leased()
	p.same("after the outage")
	if n := p.documents(); n != 4 {
		t.Errorf("%d documents, want 4", n)
	}
}

// leased lets a run take place while another process has the index, and a further
// one when it has it no more.
func (p *profiles) leased() {
	p.t.Helper()
	key, before := "state/"+p.index+".lease", p.documents()
	held := fmt.Sprintf(`{"holder":"another","until":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if _, err := blob.Write(p.t.Context(), p.store, key, []byte(held), blob.Cond{}); err != nil {
		p.t.Fatal(err)
	}
	p.pub.SetString("/a", "one.a.example\ntwo.a.example\nthree.a.example\n")
	in := p.function("ingest", true)
	if r := in.Invoke(p.job("a"), 5*time.Second); string(r.Body) != `{"batchItemFailures":[]}` {
		p.t.Errorf("ingest: %s %s", r.Body, r.Error)
	}
	if n := p.documents(); n != before {
		p.t.Errorf("%d documents, want %d while another process has the index", n, before)
	}
	if _, err := blob.Write(p.t.Context(), p.store, key, []byte("{}"), blob.Cond{}); err != nil {
		p.t.Fatal(err)
	}
	p.ingest(in, p.job("b"))
	in.kill()
	if !strings.Contains(in.out.String(), "another process has it") {
		p.t.Errorf("nothing is said of who has the index: %s", in.out)
	}
}

// A function that is ended in the middle of a sync, with documents written that the
// index does not know of, costs nothing: the next job waits until the lease is over,
// mends that and brings its own.
func TestStandard_KilledInMidSync(t *testing.T) {
	t.Parallel()
	t.Run("newer", func(t *testing.T) { t.Parallel(); killedInMidSync(t, false) })
	t.Run("restored", func(t *testing.T) { t.Parallel(); killedInMidSync(t, true) })
}

// killedInMidSync goes on with newer data of the feed, or with what the store had of
// it before (a head from a backup), of which the index says that it has everything.
func killedInMidSync(t *testing.T, restored bool) {
	p := newProfiles(t)
	p.feed("a", "domain")
	p.feed("b", "domain")
	p.pub.SetString("/a", "one.a.example\n")
	p.pub.SetString("/b", "one.b.example\n")
	p.ingest(p.function("ingest", true), p.job("a"))
	head, _, err := blob.Read(t.Context(), p.store, "heads/a.json")
	if err != nil {
		t.Fatal(err)
	}
	p.pub.SetString("/a", "two.a.example\nthree.a.example\n")
	written, stop := make(chan struct{}, 10), make(chan struct{})
	defer close(stop)
	var bulks atomic.Int32
	p.fronts["ingest"].set(func(w http.ResponseWriter, r *http.Request, pass func()) {
		if !strings.HasSuffix(r.URL.Path, "/_bulk") {
			pass()
			return
		}
		if bulks.Add(1) == 1 { // what is about to be sent
			pass()
			return
		}
		rec := httptest.NewRecorder()
		p.fronts["ingest"].proxy.ServeHTTP(rec, r)
		written <- struct{}{}
		<-stop // it never hears that they were written
		panic(http.ErrAbortHandler)
	})
	first := p.function("ingest", true)
	first.Send(p.job("a"), 8*time.Second)
	select {
	case <-written:
	case <-time.After(limit):
		t.Fatalf("nothing was written\n%s", first.out)
	}
	first.kill()
	p.fronts["ingest"].set(nil)
	second, jobs, want := p.function("ingest", true), []string{"a", "b"}, 5
	if restored {
		jobs, want = []string{"b"}, 2
		if _, err := blob.Write(t.Context(), p.store, "heads/a.json", head, blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	} else {
		p.pub.SetString("/a", "two.a.example\nfour.a.example\n")
	}
	p.ingest(second, p.job(jobs...))
	p.same("after the kill")
	if n := p.documents(); n != want {
		t.Errorf("%d documents, want %d\n%s", n, want, second.out)
	}
}

// A feed whose data cannot be read holds up no other, and is not taken for one that
// lists nothing: what nobody else lists is not known, in either profile, until its
// data is back.
func TestStandard_DamagedFeed(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{"segments": "segments/", "head": "heads/b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProfiles(t)
			for _, id := range []string{"a", "b", "c"} {
				p.feed(id, "domain")
				p.pub.SetString("/"+id, "one."+id+".example\n")
			}
			in := p.function("ingest", true)
			p.ingest(in, p.job("a"))
			old, err := p.store.List(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			p.ingest(p.function("ingest", false), p.job("b"))
			now, err := p.store.List(t.Context(), prefix)
			if err != nil {
				t.Fatal(err)
			}
			harmed := map[string][]byte{}
			for _, i := range now {
				if !slices.ContainsFunc(old, func(o blob.Info) bool { return o.Key == i.Key }) {
					if harmed[i.Key], _, err = blob.Read(t.Context(), p.store, i.Key); err != nil {
						t.Fatal(err)
					}
					if _, err := blob.Write(t.Context(), p.store, i.Key, []byte("damaged"), blob.Cond{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			p.ingest(in, p.job("c"))
			lite, standard := p.function("api", false), p.function("api", true)
			for value, want := range map[string]int{"one.a.example": 200, "one.c.example": 200, "absent.example": 503, "one.b.example": 503} {
				for profile, f := range map[string]*process{"lite": lite, "standard": standard} {
					if a := p.ask(f, lookup(value)); a.StatusCode != want {
						t.Errorf("%d harmed, %s, %s: %d, want %d: %s", len(harmed), profile, value, a.StatusCode, want, a.Body)
					}
				}
			}
			for key, data := range harmed { // from a backup
				if _, err := blob.Write(t.Context(), p.store, key, data, blob.Cond{}); err != nil {
					t.Fatal(err)
				}
			}
			p.ingest(in, p.job("c"))
			p.same("mended")
		})
	}
}

// On a bucket: the lease is an object there, and the function of the API has its
// answers of the index while no segment comes into its folder.
func TestStandard_Bucket(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	server := awstest.Ministack(t)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(server.URL), config.WithRegion("us-east-1"), config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: sdk.String("intel")}); err != nil {
		t.Fatal(err)
	}
	p.env = append(server.Env(), "EI_DATA=s3://intel")
	put := func(key string, body []byte) {
		t.Helper()
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String("intel"), Key: &key, Body: bytes.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b"} {
		p.feed(id, "domain")
		p.pub.SetString("/"+id, "one."+id+".example\n")
	}
	for _, key := range []string{"feeds.d/a.json", "feeds.d/b.json", auth.Object} { // as they were made in the folder
		data, _, err := blob.Read(t.Context(), p.store, key)
		if err != nil {
			t.Fatal(err)
		}
		put(key, data)
	}
	in, other := p.function("ingest", true), p.function("ingest", true)
	one, two := in.Send(p.job("a"), limit), other.Send(p.job("b"), limit) // both want the index
	for _, r := range []<-chan lambdatest.Result{one, two} {
		if r := <-r; string(r.Body) != `{"batchItemFailures":[]}` {
			t.Errorf("ingest: %s %s", r.Body, r.Error)
		}
	}
	cache := t.TempDir()
	p.env = append(p.env, "EI_CACHE="+cache)
	api := launch(t, p.bin, "api", append(p.env, "EI_ENGINE=opensearch", "EI_OPENSEARCH_INDEX="+p.index, "EI_OPENSEARCH_URL="+p.fronts["api"].URL)...)
	finds(t, api, p.key, map[string]bool{"one.a.example": true, "one.b.example": true, "absent.example": false})
	if a := p.ask(api, call{"GET", "/readyz", "", ""}); a.StatusCode != http.StatusOK {
		t.Errorf("readyz: %+v", a)
	}
	if n := aws.Copies(filepath.Join(cache, "segments")); n != 0 {
		t.Errorf("%d bytes of segments were fetched", n)
	}
	got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: sdk.String("intel"), Key: sdk.String("state/" + p.index + ".lease")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if data, err := io.ReadAll(got.Body); err != nil || !bytes.Contains(data, []byte(`"holder":""`)) {
		t.Errorf("the lease was not given back: %s, %v", data, err)
	}
}
