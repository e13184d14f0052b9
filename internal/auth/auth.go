// Package auth keeps API keys and says who may do what. Keys live in one object
// of the store, keys.json, as SHA-256 of their random secret; the key itself is
// shown once, when it is made. Until the first key exists, who may do what is
// the caller's policy (the HTTP API lets loopback clients do everything).
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Object is the store's key for the file of keys.
const Object = "keys.json"

// format is the version of that file. A newer one is refused.
const format = 1

// maxAge is how long a read file is trusted before it is read again, so that a
// key made or revoked by another process counts within that time.
const maxAge = 2 * time.Second

// Errors of Check, Revoke and Create. Anything else is the store's: nobody is let in.
var (
	// ErrNoKey says that the request carries no Bearer key.
	ErrNoKey = errors.New("no API key given: send Authorization: Bearer ei_…")
	// ErrBadKey says that the key is malformed, unknown or has another secret. Which is not told.
	ErrBadKey = errors.New("the API key is not valid")
	// ErrRevoked says that the key was right and has been revoked.
	ErrRevoked = errors.New("the API key has been revoked")
	// ErrUnknownID says that no key has the id given to Revoke.
	ErrUnknownID = errors.New("no key has this id")
	// ErrBadName says that a key cannot have the name given to Create.
	ErrBadName = errors.New("a key's name is 1 to 100 printable characters")
)

// Keys is the set of API keys of one store. It is safe for concurrent use;
// checking a key takes no lock.
type Keys struct {
	store blob.Store
	now   func() time.Time
	set   atomic.Pointer[set]
	mu    sync.Mutex // held while a new set is made
}

// set is what the file said when it was read. It is not changed, save for used.
type set struct {
	read time.Time
	byID map[string]*entry
}

// entry is one key in memory.
type entry struct {
	Key
	hash [sha256.Size]byte
	used *atomic.Int64 // Unix time of its last use here; shared by the sets that follow each other
}

// file is the content of Object.
type file struct {
	Format int      `json:"format"`
	Keys   []record `json:"keys"`
}

// New returns the keys of a store. Nothing is read before the first use.
func New(store blob.Store, now func() time.Time) *Keys {
	return &Keys{store: store, now: now}
}

// Create makes a key and returns it in plain, the only time it can be seen.
// ErrBadName, an unknown role or the store's error.
func (k *Keys) Create(ctx context.Context, name string, role Role) (plain string, key Key, err error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", Key{}, fmt.Errorf("key name %.120q: %w", name, ErrBadName)
	}
	if _, err := ParseRole(string(role)); err != nil {
		return "", Key{}, err
	}
	err = k.update(ctx, func(f *file) (bool, error) {
		var id, hash string
		for plain, id, hash = newKey(); find(f.Keys, id) != nil; {
			plain, id, hash = newKey() // 40 random bits: not expected, cheap to rule out
		}
		key = Key{ID: id, Name: name, Role: role, Created: k.now().UTC().Truncate(time.Second)}
		f.Keys = append(f.Keys, record{Key: key, SHA256: hash})
		return true, nil
	})
	if err != nil {
		return "", Key{}, err
	}
	return plain, key, nil
}

// List returns all keys ever made, oldest first, revoked ones too.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	recs, err := k.readAll(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(recs))
	for i := range recs {
		out[i] = recs[i].Key
	}
	return out, nil
}

// Revoke kills a key. Its row stays, so that logs which name its id can still be
// read and so that revoking the last key does not open the server again.
// Revoking twice is no error; ErrUnknownID where there is no such key.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	return k.update(ctx, func(f *file) (bool, error) {
		r := find(f.Keys, id)
		if r == nil {
			return false, fmt.Errorf("key %.40q: %w", id, ErrUnknownID)
		}
		if r.Revoked != nil {
			return false, nil
		}
		now := k.now().UTC().Truncate(time.Second)
		r.Revoked = &now
		return true, nil
	})
}

// Check says whose key an Authorization header carries: ErrNoKey, ErrBadKey,
// ErrRevoked, or the store's error. An unknown id costs the same comparison as
// a known one, so that time tells nothing.
func (k *Keys) Check(ctx context.Context, header string) (Key, error) {
	plain, ok := bearer(header)
	if !ok {
		return Key{}, ErrNoKey
	}
	id, secret, ok := split(plain)
	if !ok {
		return Key{}, ErrBadKey
	}
	keys, err := k.fresh(ctx)
	if err != nil {
		return Key{}, err
	}
	e, known := keys.byID[id]
	if !known {
		e = &entry{} // no secret has this hash
	}
	switch good := e.matches(secret); {
	case !good || !known:
		return Key{}, ErrBadKey
	case e.Revoked != nil:
		return Key{}, ErrRevoked
	}
	e.used.Store(keys.read.Unix())
	return e.Key, nil
}

// Any says whether a key was ever made in this store. True where that cannot be
// found out, because the other answer would open the server.
func (k *Keys) Any(ctx context.Context) bool {
	keys, err := k.fresh(ctx)
	return err != nil || len(keys.byID) > 0
}

// Flush writes when keys were last used, to the minute. Call it every hour or
// so and when the server stops; without it last_used stays empty, nothing else.
func (k *Keys) Flush(ctx context.Context) error {
	keys := k.set.Load()
	if keys == nil {
		return nil
	}
	used := map[string]time.Time{}
	for id, e := range keys.byID {
		if at := e.used.Swap(0); at != 0 {
			used[id] = time.Unix(at, 0).UTC().Truncate(time.Minute)
		}
	}
	if len(used) == 0 {
		return nil
	}
	return k.update(ctx, func(f *file) (bool, error) {
		changed := false
		for i := range f.Keys {
			at, ok := used[f.Keys[i].ID]
			if last := f.Keys[i].LastUsed; ok && (last == nil || at.After(*last)) {
				f.Keys[i].LastUsed, changed = &at, true
			}
		}
		return changed, nil
	})
}

// fresh returns the keys, reading the file again when what is in memory is too old.
func (k *Keys) fresh(ctx context.Context) (*set, error) {
	now := k.now()
	if s := k.set.Load(); s.good(now) {
		return s, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.set.Load()
	if old.good(now) {
		return old, nil
	}
	recs, err := k.readAll(ctx)
	if err != nil {
		return nil, err
	}
	s := &set{read: now, byID: make(map[string]*entry, len(recs))}
	for i := range recs {
		e := &entry{Key: recs[i].Key, used: new(atomic.Int64)}
		hash, err := hex.DecodeString(recs[i].SHA256)
		if err != nil || len(hash) != len(e.hash) {
			return nil, fmt.Errorf("%s is damaged: key %.40q has no hash", Object, recs[i].ID)
		}
		copy(e.hash[:], hash)
		if old != nil && old.byID[e.ID] != nil {
			e.used = old.byID[e.ID].used
		}
		s.byID[e.ID] = e
	}
	k.set.Store(s)
	return s, nil
}

// good says whether a set may still be used.
func (s *set) good(now time.Time) bool {
	if s == nil {
		return false
	}
	age := now.Sub(s.read)
	return age >= 0 && age < maxAge
}

func (k *Keys) readAll(ctx context.Context) ([]record, error) {
	data, _, err := blob.Read(ctx, k.store, Object)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	f, err := decode(data)
	return f.Keys, err
}

// update changes the file by compare-and-swap and drops the copy in memory.
func (k *Keys) update(ctx context.Context, change func(*file) (changed bool, err error)) error {
	err := blob.Update(ctx, k.store, Object, func(old []byte) ([]byte, error) {
		f := file{Format: format}
		if old != nil {
			var err error
			if f, err = decode(old); err != nil {
				return nil, err
			}
		}
		if changed, err := change(&f); err != nil || !changed {
			return nil, err
		}
		data, err := json.MarshalIndent(f, "", " ")
		return append(data, '\n'), err
	})
	if old := k.set.Load(); old != nil {
		k.set.Store(&set{byID: old.byID}) // too old at once
	}
	return err
}

func decode(data []byte) (file, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return file{}, fmt.Errorf("%s is damaged: %w", Object, err)
	}
	if f.Format != format {
		return file{}, fmt.Errorf("%s has format %d, this program knows %d: use a newer elasticintel", Object, f.Format, format)
	}
	return f, nil
}

func find(recs []record, id string) *record {
	if i := slices.IndexFunc(recs, func(r record) bool { return r.ID == id }); i >= 0 {
		return &recs[i]
	}
	return nil
}
