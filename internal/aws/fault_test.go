package aws

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// faulty is a store behind a proxy, and one that sees the bucket without it.
func faulty(t *testing.T) (*proxy, *Store, *Store) {
	t.Helper()
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	direct := newStore(t, url)
	p := before(t)
	return p, newStore(t, url), direct
}

func write1(t *testing.T, s blob.Store, key, data string, c blob.Cond) blob.Info {
	t.Helper()
	info, err := blob.Write(t.Context(), s, key, []byte(data), c)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func holds(t *testing.T, s blob.Store, key, data string) blob.Info {
	t.Helper()
	got, info, err := blob.Read(t.Context(), s, key)
	if err != nil || string(got) != data {
		t.Fatalf("%s: %d bytes %.40q, %v; want %d bytes %.40q", key, len(got), got, err, len(data), data)
	}
	return info
}

func TestFaults(t *testing.T) {
	p, s, direct := faulty(t)
	large := strings.Repeat("0123456789", 2<<20)

	t.Run("slow down", func(t *testing.T) {
		for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
			p.once(2, method, says(503, "SlowDown"))
			write1(t, s, "k", method, blob.Cond{})
			holds(t, s, "k", method)
			if _, err := s.List(t.Context(), ""); err != nil {
				t.Error(err)
			}
			if err := s.Delete(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
		p.once(99, http.MethodGet, says(503, "SlowDown"))
		_, _, err := s.Get(t.Context(), "k")
		if err == nil || errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), "get s3://bucket/k") || len(p.seen()) != attempts {
			t.Error(err, p.seen())
		}
	})

	// A condition that a busy S3 answers late is lost to somebody else, not unclear.
	t.Run("slow down, then lost", func(t *testing.T) {
		write1(t, direct, "slow", "theirs", blob.Cond{})
		p.once(1, http.MethodPut, says(503, "SlowDown"))
		if _, err := blob.Write(t.Context(), s, "slow", nil, blob.Cond{IfAbsent: true}); !errors.Is(err, blob.ErrConflict) {
			t.Error(err)
		}
	})

	t.Run("lost answer", func(t *testing.T) {
		for name, data := range map[string]string{"small": "new", "parts": large} {
			method := map[string]string{"small": http.MethodPut, "parts": http.MethodPost}[name]
			only := func(f func(http.ResponseWriter, *http.Request)) {
				done := false
				p.then(func(w http.ResponseWriter, r *http.Request) bool {
					if done || r.Method != method || name == "parts" && !strings.Contains(r.URL.RawQuery, "uploadId") {
						return false
					}
					done = true
					f(w, r)
					return true
				})
			}
			key := "lost/" + name
			only(p.lost(nil))
			info := write1(t, s, key, data, blob.Cond{IfAbsent: true})
			if got := holds(t, direct, key, data); got.ETag != info.ETag || info.Size != got.Size {
				t.Errorf("%s: %+v, put said %+v", name, got, info)
			}
			only(p.lost(nil))
			info = write1(t, s, key, data+"!", blob.Cond{IfMatch: info.ETag})
			if got := holds(t, direct, key, data+"!"); got.ETag != info.ETag {
				t.Errorf("%s: %+v, put said %+v", name, got, info)
			}
			only(p.lost(func() { _, _ = blob.Write(t.Context(), direct, key, []byte("theirs"), blob.Cond{}) }))
			_, err := blob.Write(t.Context(), s, key, []byte(data), blob.Cond{IfMatch: info.ETag})
			// S3 knows an upload that it completed and says so again.
			if known := name == "parts" && err == nil; !known && !errors.Is(err, ErrUnclear) || errors.Is(err, blob.ErrConflict) {
				t.Error(name, err)
			}
			holds(t, direct, key, "theirs")
		}
	})

	t.Run("updates", func(t *testing.T) { // a line that was written is not written twice
		for i, fault := range []func(http.ResponseWriter, *http.Request){p.lost(nil), reset, says(409, "ConditionalRequestConflict"), says(500, "InternalError")} {
			p.once(1, http.MethodPut, fault)
			err := blob.Update(t.Context(), s, "log", func(old []byte) ([]byte, error) { return append(old, byte('a'+i)), nil })
			if err != nil {
				t.Error(i, err)
			}
		}
		holds(t, direct, "log", "abcd")
	})

	// S3 says 409 where it could not tell; where it says so to the end, the write is lost.
	t.Run("races", func(t *testing.T) {
		p.once(2, http.MethodPut, says(409, codeRace))
		write1(t, s, "race", "mine", blob.Cond{IfAbsent: true})
		p.once(1, http.MethodPut, says(409, codeRace))
		if _, err := blob.Write(t.Context(), s, "race", nil, blob.Cond{IfAbsent: true}); !errors.Is(err, blob.ErrConflict) {
			t.Error(err)
		}
		p.once(99, http.MethodPut, says(409, codeRace))
		if _, err := blob.Write(t.Context(), s, "races", nil, blob.Cond{IfAbsent: true}); !errors.Is(err, blob.ErrConflict) || len(p.seen()) != attempts {
			t.Error(err, p.seen())
		}
	})

	t.Run("broken bodies", func(t *testing.T) {
		for name, data := range map[string]string{"small": "some bytes", "large": large} {
			write1(t, direct, "body/"+name, data, blob.Cond{})
			p.once(3, http.MethodGet, p.cut(len(data)/3))
			holds(t, s, "body/"+name, data)
			p.once(1000, http.MethodGet, p.cut(0))
			got, _, err := blob.Read(t.Context(), s, "body/"+name)
			if err == nil || errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), "body/"+name) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	})

	t.Run("replaced while read", func(t *testing.T) {
		write1(t, direct, "replaced", large, blob.Cond{})
		p.once(1, http.MethodGet, p.cut(1000))
		r, _, err := s.Get(t.Context(), "replaced")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		write1(t, direct, "replaced", large+"!", blob.Cond{})
		if n, err := io.Copy(io.Discard, r); !errors.Is(err, ErrChanged) || errors.Is(err, blob.ErrConflict) {
			t.Error(n, err)
		}
	})

	t.Run("parts that fail", func(t *testing.T) {
		write1(t, direct, "parts", "old", blob.Cond{})
		oops := errors.New("oops")
		p.then(nil)
		_, failing := s.Put(t.Context(), "parts", io.MultiReader(strings.NewReader(large), brokenReader{oops}), blob.Cond{})
		aborted := slices.ContainsFunc(p.seen(), func(r string) bool { return strings.HasPrefix(r, "DELETE /bucket/parts?uploadId") })
		if !errors.Is(failing, oops) || !aborted {
			t.Error(failing, p.seen())
		}
		p.then(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") != "2" {
				return false
			}
			says(403, "AccessDenied")(w, r)
			return true
		})
		if _, err := s.Put(t.Context(), "parts", strings.NewReader(large), blob.Cond{}); err == nil || !strings.Contains(err.Error(), "s3:PutObject on arn:aws:s3:::bucket/*") {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p.then(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == "2" {
				cancel()
			}
			return false
		})
		if _, err := s.Put(ctx, "parts", strings.NewReader(large), blob.Cond{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !slices.ContainsFunc(p.seen(), func(r string) bool { return strings.HasPrefix(r, "DELETE /bucket/parts?uploadId") }) {
			t.Error("not aborted after its caller went", p.seen())
		}
		holds(t, direct, "parts", "old")
	})

	t.Run("words", func(t *testing.T) {
		for code, c := range map[string]struct {
			status int
			want   string
		}{
			"AccessDenied":                 {403, "s3:GetObject on arn:aws:s3:::bucket/*, or s3:ListBucket"},
			"ExpiredToken":                 {400, "they have expired; get new ones"},
			"InvalidAccessKeyId":           {403, "Amazon does not know them"},
			"AuthorizationHeaderMalformed": {400, "set AWS_REGION"},
		} {
			p.once(9, http.MethodGet, says(c.status, code))
			_, _, err := s.Get(t.Context(), "k")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "s3://bucket/k") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", code, err)
			}
		}
	})
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// TestStoreCredentials: a store without credentials says what to do.
func TestStoreCredentials(t *testing.T) {
	clean(t, "[default]\nregion=eu-west-1\n")
	s := newStore(t, "s3://bucket")
	if _, _, err := s.Get(t.Context(), "k"); !errors.As(err, new(*CredentialsError)) || !strings.Contains(err.Error(), "none found") {
		t.Error(err)
	}
	clean(t, "")
	if _, err := NewStore(t.Context(), StoreOptions{URL: "s3://bucket"}); err == nil || !strings.Contains(err.Error(), "set AWS_REGION") {
		t.Error(err)
	}
}
