// Package blob is the object store that everything durable lives in: raw
// downloads, segments, heads, the run ledger, keys. A store is a directory here
// and a bucket elsewhere; whoever uses one sees only Store.
package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// ErrNotFound says that no object has this key.
var ErrNotFound = errors.New("no such object")

// ErrConflict says that a conditional Put lost: the object is not what the
// caller read. Read it again, decide again, try again.
var ErrConflict = errors.New("the object was changed by someone else")

// Info describes one object.
type Info struct {
	Key      string
	Size     int64
	ETag     string // changes whenever the content does; empty in a List of some stores
	Modified time.Time
}

// Cond makes a Put conditional. The zero value overwrites.
type Cond struct {
	IfMatch  string // succeed only if the object's ETag is this
	IfAbsent bool   // succeed only if there is no such object
}

// Store keeps objects by key. Keys are slash-separated paths of letters, digits
// and "._-=", see CheckKey. Implementations are safe for concurrent use by many
// processes and pass internal/testing/blobtest.
type Store interface {
	// Get opens an object; the caller closes the reader. ErrNotFound if there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// Put writes an object whole. When it returns without error the object is
	// durable; when it fails the old object, if any, is untouched. ErrConflict
	// if the condition does not hold. Not retried inside. The ETag it returns is
	// the one Get gives until the content changes.
	Put(ctx context.Context, key string, r io.Reader, c Cond) (Info, error)
	// List returns the objects whose key starts with prefix, by key. The prefix
	// may end anywhere, also inside a name; "" lists everything.
	List(ctx context.Context, prefix string) ([]Info, error)
	// Delete removes an object; removing what is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Mapper is what a Store offers whose objects can be read in place.
type Mapper interface {
	// Map returns the object's bytes, which stay valid until release is called,
	// even if the object is replaced or deleted meanwhile.
	Map(ctx context.Context, key string) (data []byte, release func(), err error)
}

// PartMapper is what a Mapper offers that can map an object before all of it is there.
type PartMapper interface {
	// MapPart is Map of an object of size bytes of which those from tail on are there at
	// once. Of those before it only what need has returned nil for may be believed; need
	// may be called at any time until release, and is nil where all is there.
	MapPart(ctx context.Context, key string, size, tail int64) (data []byte, need func(off, n int) error, release func(), err error)
}

// Forgetter is what a Mapper offers that keeps copies of objects.
type Forgetter interface {
	// Forget throws the copy of an object away, since it is damaged. False where
	// there was none, so that nothing else would be read the next time.
	Forget(key string) bool
}

// Read returns the whole object and its info.
func Read(ctx context.Context, s Store, key string) ([]byte, Info, error) {
	rc, info, err := s.Get(ctx, key)
	if err != nil {
		return nil, info, err
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		return nil, info, fmt.Errorf("read %s: %w", key, err)
	}
	return data, info, nil
}

// Write puts data under key.
func Write(ctx context.Context, s Store, key string, data []byte, c Cond) (Info, error) {
	return s.Put(ctx, key, bytes.NewReader(data), c)
}

// Update reads an object, lets change make its next content and writes that
// back, again and again while others write in between. change gets nil where
// there is no object; returning nil bytes leaves the object as it is. It gives
// up with ErrConflict after 100 tries, which take some seconds.
func Update(ctx context.Context, s Store, key string, change func(old []byte) ([]byte, error)) error {
	const tries = 100
	for try := range tries {
		err := update(ctx, s, key, change)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		most := min(time.Millisecond<<min(try, 10), 100*time.Millisecond)
		if err := pause(ctx, rand.N(most)); err != nil {
			return err
		}
	}
	return fmt.Errorf("update %s: %w %d times in a row", key, ErrConflict, tries)
}

func update(ctx context.Context, s Store, key string, change func(old []byte) ([]byte, error)) error {
	old, info, err := Read(ctx, s, key)
	cond := Cond{IfMatch: info.ETag}
	switch {
	case errors.Is(err, ErrNotFound):
		old, cond = nil, Cond{IfAbsent: true}
	case err != nil:
		return err
	case old == nil:
		old = []byte{} // an empty object, not none
	}
	data, err := change(old)
	if err != nil || data == nil {
		return err
	}
	_, err = Write(ctx, s, key, data, cond)
	return err
}

// Open returns the object's bytes in place where the store can, else a copy.
func Open(ctx context.Context, s Store, key string) (data []byte, release func(), err error) {
	if m, ok := s.(Mapper); ok {
		return m.Map(ctx, key)
	}
	data, _, err = Read(ctx, s, key)
	return data, func() {}, err
}

// CheckKey says why a key cannot be used, or nil. No part may start with a dot,
// which stores keep for themselves, or end with one, which Windows drops.
func CheckKey(key string) error {
	if key == "" || len(key) > 900 {
		return fmt.Errorf("object key %q: empty or too long", key)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || part[len(part)-1] == '.' || len(part) > 240 {
			return fmt.Errorf("object key %q: a part that is empty, too long, or starts or ends with a dot", key)
		}
	}
	for _, c := range []byte(key) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/._-=", c) >= 0) {
			return fmt.Errorf("object key %q: character %q", key, c)
		}
	}
	return nil
}

// CheckPrefix is CheckKey for the beginning of a key.
func CheckPrefix(prefix string) error {
	switch {
	case prefix == "":
		return nil
	case strings.HasSuffix(prefix, "/"):
		return CheckKey(prefix + "x")
	}
	return CheckKey(strings.TrimSuffix(prefix, "."))
}
