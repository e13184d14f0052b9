package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/blobtest"
)

func TestMain(m *testing.M) {
	os.Exit(blobtest.Main(m, func(url string) (blob.Store, error) {
		return NewStore(context.Background(), StoreOptions{URL: url, MaxBackoff: time.Millisecond})
	}))
}

// emulators is what the store has to be right on.
var emulators = map[string]func(testing.TB) *awstest.Server{
	"ministack": func(t testing.TB) *awstest.Server { return awstest.Ministack(t) },
	"moto":      awstest.Moto,
}

// newBucket makes a bucket on the server that the environment names.
func newBucket(t testing.TB, name string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, os.Getenv("AWS_ENDPOINT_URL")+"/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("bucket %s: %s", name, res.Status)
	}
	return "s3://" + name
}

func newStore(t testing.TB, url string) *Store {
	t.Helper()
	s, err := NewStore(t.Context(), StoreOptions{URL: url, MaxBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConforms: a bucket is a store as a folder is, with a prefix and without,
// with a cache and without, on both emulators.
func TestConforms(t *testing.T) {
	for name, start := range emulators {
		t.Run(name, func(t *testing.T) {
			start(t).Setenv(t)
			n := 0
			bucket := func(t *testing.T) string {
				n++
				return newBucket(t, fmt.Sprintf("bucket-%d", n))
			}
			t.Run("bucket", func(t *testing.T) {
				blobtest.Run(t, func(t *testing.T) blob.Store {
					s := newStore(t, bucket(t))
					if name == "moto" {
						s.part = 64 << 20 // it ignores the conditions of a multipart upload: one request then
					}
					return s
				})
			})
			if name == "moto" {
				return // the second opinion is on what S3 says
			}
			t.Run("prefix", func(t *testing.T) {
				url := bucket(t)
				other := newStore(t, url)
				blobtest.Run(t, func(t *testing.T) blob.Store {
					n++
					for _, key := range []string{"a", "heads/a.json", "p", fmt.Sprintf("p/%d0/k", n)} { // none of these is seen
						if _, err := blob.Write(t.Context(), other, key, []byte("other"), blob.Cond{}); err != nil {
							t.Fatal(err)
						}
					}
					c, err := NewCached(newStore(t, fmt.Sprintf("%s/p/%d", url, n)), CacheOptions{Folder: t.TempDir(), Now: time.Now})
					if err != nil {
						t.Fatal(err)
					}
					return c
				})
			})
			t.Run("processes", func(t *testing.T) {
				url := bucket(t)
				blobtest.Processes(t, newStore(t, url), url)
			})
		})
	}
}

// TestPages: a listing has everything, also where it takes several requests, and
// nothing that is no key of a store.
func TestPages(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	s := newStore(t, newBucket(t, "bucket"))
	const many = 1003
	for i := range many {
		if _, err := blob.Write(t.Context(), s, fmt.Sprintf("raw/%04d", i), nil, blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
	folder := strings.TrimPrefix(s.URL(), "s3://") + "/raw/"
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, os.Getenv("AWS_ENDPOINT_URL")+"/"+folder, nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	if res, err := http.DefaultClient.Do(r); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	infos, err := s.List(t.Context(), "raw/")
	if err != nil || len(infos) != many || infos[0].Key != "raw/0000" || infos[many-1].Key != fmt.Sprintf("raw/%04d", many-1) {
		t.Errorf("%d objects, %v", len(infos), err)
	}
}

func TestSplitURL(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket": "bucket|", "s3://bucket/": "bucket|", "s3://my.bucket-1/a/b": "my.bucket-1|a/b/", "s3://bucket/a/": "bucket|a/",
		"bucket": "want s3://", "s3://": "want s3://", "s3://Bucket": "want s3://", "s3://b_b/x": "want s3://", "s3://bucket//a": "prefix",
		"s3://bucket/../a": "prefix", "s3://bucket/a b": "prefix", "s3://bucket/" + strings.Repeat("a", 101): "prefix",
	} {
		bucket, prefix, err := SplitURL(url)
		got := bucket + "|" + prefix
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", url, got, want)
		}
	}
}

// TestNoBucket: the errors of a bucket that is not there say so, also those of a
// condition, which would otherwise look lost.
func TestNoBucket(t *testing.T) {
	for name, start := range emulators {
		t.Run(name, func(t *testing.T) {
			start(t).Setenv(t)
			s := newStore(t, "s3://not-there/p")
			_, _, get := s.Get(t.Context(), "k")
			_, put := blob.Write(t.Context(), s, "k", nil, blob.Cond{IfMatch: "x"})
			_, list := s.List(t.Context(), "")
			for _, err := range []error{get, put, list, s.Delete(t.Context(), "k")} {
				if err == nil || !strings.Contains(err.Error(), "no bucket not-there") || errors.Is(err, blob.ErrConflict) || errors.Is(err, blob.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
}
