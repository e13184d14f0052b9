package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/blob"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 20, 12, 0, 0, 5, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t testing.TB) (blob.Store, *auth.Keys, *clock) {
	t.Helper()
	store, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	return store, auth.New(store, c.now), c
}

func create(t testing.TB, k *auth.Keys, name string, r auth.Role) (string, auth.Key) {
	t.Helper()
	plain, key, err := k.Create(t.Context(), name, r)
	if err != nil {
		t.Fatal(err)
	}
	return plain, key
}

func TestCreate_givesAKeyThatChecks(t *testing.T) {
	store, k, c := open(t)
	if k.Any(t.Context()) {
		t.Error("a new store has keys")
	}
	plain, key := create(t, k, " siem ", auth.Editor)
	if len(plain) != 55 || !strings.HasPrefix(plain, "ei_"+key.ID+"_") || len(key.ID) != 8 {
		t.Errorf("key %q with id %q has not the form ei_<8>_<43>", plain, key.ID)
	}
	if key.Name != "siem" || key.Role != auth.Editor || !key.Created.Equal(c.now().Truncate(time.Second)) {
		t.Errorf("got %+v", key)
	}
	if !k.Any(t.Context()) {
		t.Error("no key is known after one was made")
	}
	for _, header := range []string{"Bearer " + plain, "bearer " + plain, "BEARER  " + plain + " "} {
		got, err := k.Check(t.Context(), header)
		if err != nil || got.ID != key.ID || got.Role != auth.Editor {
			t.Errorf("%.10s…: got %+v, %v", header, got, err)
		}
	}
	data, _, err := blob.Read(t.Context(), store, auth.Object)
	if err != nil {
		t.Fatal(err)
	}
	if secret := plain[12:]; strings.Contains(string(data), secret) || strings.Contains(string(data), secret[:10]) {
		t.Error("the secret is in the file")
	}
	if list, err := k.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("list: %v, %v", list, err)
	} else if j, _ := json.Marshal(list); strings.Contains(string(j), "sha256") {
		t.Errorf("a listing shows the hash: %s", j)
	}
}

func TestCheck_refuses(t *testing.T) {
	_, k, _ := open(t)
	plain, key := create(t, k, "a", auth.Admin)
	other, _ := create(t, k, "b", auth.Reader)
	flip := func(i int) string {
		b := []byte(plain)
		b[i] = map[bool]byte{true: 'b', false: 'a'}[b[i] == 'a']
		return string(b)
	}
	for _, tt := range []struct {
		name, header string
		want         error
	}{
		{"nothing", "", auth.ErrNoKey},
		{"no scheme", plain, auth.ErrNoKey},
		{"basic", "Basic " + plain, auth.ErrNoKey},
		{"empty", "Bearer ", auth.ErrBadKey},
		{"short", "Bearer " + plain[:54], auth.ErrBadKey},
		{"long", "Bearer " + plain + "x", auth.ErrBadKey},
		{"prefix", "Bearer " + flip(0), auth.ErrBadKey},
		{"unknown id", "Bearer " + flip(3), auth.ErrBadKey},
		{"first of the secret", "Bearer " + flip(12), auth.ErrBadKey},
		{"last of the secret", "Bearer " + flip(54), auth.ErrBadKey},
		{"secret of another key", "Bearer " + plain[:12] + other[12:], auth.ErrBadKey},
		{"the hash's place", "Bearer ei_" + key.ID + "_" + strings.Repeat("0", 43), auth.ErrBadKey},
		{"upper case id", "Bearer ei_" + strings.ToUpper(key.ID) + "_" + plain[12:], auth.ErrBadKey},
		{"two keys", "Bearer " + plain + ", Bearer " + other, auth.ErrBadKey},
	} {
		if got, err := k.Check(t.Context(), tt.header); !errors.Is(err, tt.want) || got != (auth.Key{}) {
			t.Errorf("%s: got %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestRevoke_keepsATombstone(t *testing.T) {
	_, k, c := open(t)
	plain, key := create(t, k, "a", auth.Admin)
	if err := k.Revoke(t.Context(), "nosuchid"); !errors.Is(err, auth.ErrUnknownID) {
		t.Errorf("unknown id: %v", err)
	}
	if err := k.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	first := c.now().UTC().Truncate(time.Second)
	c.add(time.Hour)
	if err := k.Revoke(t.Context(), key.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := k.Check(t.Context(), "Bearer "+plain); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("check: %v", err)
	}
	if _, err := k.Check(t.Context(), "Bearer "+plain[:54]+"_"); errors.Is(err, auth.ErrRevoked) {
		t.Error("who does not have the secret learns that the key is revoked")
	}
	list, err := k.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Revoked == nil || !list[0].Revoked.Equal(first) {
		t.Errorf("list: %+v, %v", list, err)
	}
	if !k.Any(t.Context()) {
		t.Error("revoking the last key opens the server again")
	}
}

func TestKeys_ofAnotherProcessCountWithinTwoSeconds(t *testing.T) {
	store, here, c := open(t)
	if here.Any(t.Context()) {
		t.Fatal("keys in a new store")
	}
	there := auth.New(store, c.now)
	plain, key := create(t, there, "a", auth.Reader)
	c.add(1999 * time.Millisecond)
	if here.Any(t.Context()) {
		t.Error("the file is read for every request")
	}
	c.add(time.Millisecond)
	if got, err := here.Check(t.Context(), "Bearer "+plain); err != nil || got.ID != key.ID {
		t.Errorf("made there: %v", err)
	}
	if err := there.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	c.add(2 * time.Second)
	if _, err := here.Check(t.Context(), "Bearer "+plain); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("revoked there: %v", err)
	}
	c.add(-time.Hour) // a clock set back must not freeze what is known
	if _, err := here.Check(t.Context(), "Bearer "+plain); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("clock set back: %v", err)
	}
}

func TestFlush_writesLastUseToTheMinute(t *testing.T) {
	store, k, c := open(t)
	plain, key := create(t, k, "a", auth.Reader)
	before, info, err := blob.Read(t.Context(), store, auth.Object)
	if err != nil {
		t.Fatal(err)
	}
	c.add(90 * time.Second)
	for range 100 {
		if _, err := k.Check(t.Context(), "Bearer "+plain); err != nil {
			t.Fatal(err)
		}
	}
	after, again, err := blob.Read(t.Context(), store, auth.Object)
	if err != nil || info.ETag != again.ETag {
		t.Errorf("a check writes: %s to %s, %v", before, after, err)
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := c.now().Truncate(time.Minute)
	list, err := auth.New(store, c.now).List(t.Context())
	if err != nil || list[0].LastUsed == nil || !list[0].LastUsed.Equal(want) {
		t.Errorf("got %+v, %v; want last used %s", list, err, want)
	}
	if err := k.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}

func TestCreate_refusesBadNamesAndRoles(t *testing.T) {
	_, k, _ := open(t)
	for _, name := range []string{"", "  ", "a\nb", "a\x1b[31m", strings.Repeat("n", 101)} {
		if _, _, err := k.Create(t.Context(), name, auth.Reader); !errors.Is(err, auth.ErrBadName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, r := range []auth.Role{"", "root", "Admin"} {
		if _, _, err := k.Create(t.Context(), "a", r); err == nil {
			t.Errorf("role %q is accepted", r)
		}
	}
	if list, err := k.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("something was kept: %v, %v", list, err)
	}
}

// broken is a store whose reads fail.
type broken struct{ blob.Store }

var errDisk = errors.New("disk on fire")

func (broken) Get(context.Context, string) (io.ReadCloser, blob.Info, error) {
	return nil, blob.Info{}, errDisk
}

func TestKeys_failClosed(t *testing.T) {
	store, k, c := open(t)
	plain, _ := create(t, k, "a", auth.Admin)
	b := auth.New(broken{store}, c.now)
	if !b.Any(t.Context()) {
		t.Error("a store that cannot be read has no keys, so everything is open")
	}
	if _, err := b.Check(t.Context(), "Bearer "+plain); !errors.Is(err, errDisk) {
		t.Errorf("check: %v", err)
	}
	for name, content := range map[string]string{
		"damaged": `{"format":1,"keys":[`, "newer": `{"format":2,"keys":[]}`, "no format": `{}`,
		"no hash":   `{"format":1,"keys":[{"id":"aaaaaaaa","role":"admin","sha256":""}]}`,
		"long hash": `{"format":1,"keys":[{"id":"aaaaaaaa","role":"admin","sha256":"` + strings.Repeat("00", 33) + `"}]}`,
	} {
		if _, err := blob.Write(t.Context(), store, auth.Object, []byte(content), blob.Cond{}); err != nil {
			t.Fatal(err)
		}
		fresh := auth.New(store, c.now)
		if !fresh.Any(t.Context()) {
			t.Errorf("%s: everything is open", name)
		}
		if _, err := fresh.Check(t.Context(), "Bearer ei_aaaaaaaa_"+strings.Repeat("A", 43)); err == nil {
			t.Errorf("%s: somebody is let in", name)
		}
		if _, _, err := fresh.Create(t.Context(), "a", auth.Admin); !strings.HasSuffix(name, " hash") && err == nil {
			t.Errorf("%s: the file is overwritten", name)
		}
	}
}

func TestCreate_concurrently(t *testing.T) {
	store, _, c := open(t)
	var wg sync.WaitGroup
	for range 4 {
		k := auth.New(store, c.now) // as four processes would
		wg.Go(func() {
			for range 5 {
				plain, _, err := k.Create(t.Context(), "n", auth.Reader)
				if err != nil {
					t.Error(err)
				} else if _, err := k.Check(t.Context(), "Bearer "+plain); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := auth.New(store, c.now).List(t.Context()); err != nil || len(list) != 20 {
		t.Errorf("%d keys of 20, %v", len(list), err)
	}
}

func TestRole_Allows(t *testing.T) {
	roles := auth.Roles()
	for i, have := range roles {
		for j, need := range roles {
			if got := have.Allows(need); got != (i >= j) {
				t.Errorf("%s allows %s: %v", have, need, got)
			}
		}
		if have.Allows("") || have.Allows("root") || auth.Role("root").Allows(have) || auth.Role("").Allows(have) {
			t.Errorf("an unknown role is allowed something beside %s", have)
		}
		if r, err := auth.ParseRole(string(have)); err != nil || r != have {
			t.Errorf("parse %s: %v, %v", have, r, err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	_, k, _ := open(b)
	plain, _ := create(b, k, "a", auth.Reader)
	header := "Bearer " + plain
	for b.Loop() {
		if _, err := k.Check(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
}
