package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
)

const (
	// rangeSize is how much of an object one request of a download asks for,
	// and rangesAtOnce how many of them are on their way for one object.
	rangeSize    = 8 << 20
	rangesAtOnce = 4
	// tempAge is after how long a half-written file is nobody's any more.
	tempAge = time.Hour
	tempExt = ".part"
)

// immutable says whether objects of this key are written once and never changed,
// so that a copy of one is right for ever.
func immutable(key string) bool {
	return strings.HasPrefix(key, "segments/") || strings.HasPrefix(key, "groups/")
}

// CacheOptions say where copies of objects lie.
type CacheOptions struct {
	Folder string           // made where it is missing; several processes and stores may share it
	Max    int64            // bytes of the folder, as far as what is in use allows; no bound where 0
	Now    func() time.Time // required
	Parts  bool             // MapPart fetches in parts; on systems where a file's mapping shows what is written later
}

// Cached is a Store that is a blob.Mapper as well: what it maps of segments is a
// file in a folder, fetched once. Everything else is read from the bucket. It is
// safe for concurrent use, also by several processes over one folder.
type Cached struct {
	*Store
	folder string
	max    int64
	now    func() time.Time
	parts  bool

	mu       sync.Mutex
	fetching map[string]*fetching // by file
	used     map[string]int       // how many mappings this process has, by file
	parted   map[string]*part     // mapped in parts and not whole yet, by file
	pending  []*part              // what Fill has to do
	filling  bool
}

// fetching is a download that several wait for.
type fetching struct {
	done chan struct{}
	data []byte // where it could not be kept in a file
	err  error
}

var (
	_ blob.Mapper    = (*Cached)(nil)
	_ blob.Forgetter = (*Cached)(nil)
)

// NewCached is a store with a cache. Errors: the folder cannot be made.
func NewCached(s *Store, o CacheOptions) (*Cached, error) {
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("cache folder %s: %w", o.Folder, err)
	}
	c := &Cached{Store: s, folder: o.Folder, max: o.Max, now: o.Now, parts: o.Parts,
		fetching: map[string]*fetching{}, used: map[string]int{}, parted: map[string]*part{}}
	c.clean()
	return c, nil
}

// file is where an object's copy lies: other buckets may share the folder.
func (c *Cached) file(key string) string {
	sum := sha256.Sum256([]byte(c.bucket + "/" + c.prefix + key))
	return filepath.Join(c.folder, hex.EncodeToString(sum[:16]))
}

// Map implements blob.Mapper. A segment that is in the folder costs
// no request. Where the folder takes no file (it is full, or read only), the
// bytes are in memory.
func (c *Cached) Map(ctx context.Context, key string) ([]byte, func(), error) {
	if !immutable(key) {
		data, _, err := blob.Read(ctx, c.Store, key)
		return data, func() {}, err
	}
	name, err := c.name(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	file := c.file(key)
	for range 3 { // another process may remove the file between the download and its opening
		data, release, err := c.open(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return data, release, err
		}
		data, err = c.fetch(ctx, key, name, file)
		if err != nil {
			return nil, nil, err
		}
		if data != nil {
			return data, func() {}, nil
		}
	}
	data, err := c.toMemory(ctx, key, name)
	return data, func() {}, err
}

// open maps a file of the folder, which counts as used until it is released.
func (c *Cached) open(file string) ([]byte, func(), error) {
	c.mu.Lock()
	c.used[file]++
	c.mu.Unlock()
	release := sync.OnceFunc(func() { c.unused(file) })
	f, err := os.Open(file)
	if err != nil {
		release()
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && st.Size() == 0 {
		return nil, release, nil
	}
	var data []byte
	unmap := func() {}
	if err == nil {
		data, unmap, err = blob.MapFile(f, st.Size())
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	_ = os.Chtimes(file, time.Time{}, c.now()) // used last: it goes last
	return data, func() { unmap(); release() }, nil
}

// unused ends one use of a file.
func (c *Cached) unused(file string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used[file]--; c.used[file] == 0 {
		delete(c.used, file)
	}
}

// Forget implements blob.Forgetter: the next Map fetches the object anew.
func (c *Cached) Forget(key string) bool {
	if !immutable(key) {
		return false
	}
	spoiled := c.spoil(c.file(key))
	return os.Remove(c.file(key)) == nil || spoiled
}

// fetch brings an object into its file, once for all who ask meanwhile. It
// returns the bytes where they could not be kept.
func (c *Cached) fetch(ctx context.Context, key string, name *string, file string) ([]byte, error) {
	c.mu.Lock()
	f, running := c.fetching[file]
	if !running {
		f = &fetching{done: make(chan struct{})}
		c.fetching[file] = f
	}
	c.mu.Unlock()
	if running {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.err == nil || ctx.Err() != nil || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.data, f.err
		}
		return c.fetch(ctx, key, name, file) // who fetched it went away
	}
	f.data, f.err = c.download(ctx, key, name, file)
	c.mu.Lock()
	delete(c.fetching, file)
	c.mu.Unlock()
	close(f.done)
	return f.data, f.err
}

// download writes an object aside and renames it.
func (c *Cached) download(ctx context.Context, key string, name *string, file string) ([]byte, error) {
	first, size, etag, err := c.head(ctx, key, name)
	if err != nil {
		return nil, err
	}
	defer first.Close()
	c.evict(size)
	f, err := os.CreateTemp(c.folder, "*"+tempExt)
	if err != nil {
		return c.toMemory(ctx, key, name)
	}
	defer os.Remove(f.Name()) // renamed by then where all went well
	err = c.ranges(ctx, key, name, first, size, etag, f)
	var disk *fs.PathError
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if errors.As(err, &disk) || errors.As(err, new(*os.LinkError)) {
		return c.toMemory(ctx, key, name)
	}
	return nil, err
}

// head asks for an object's beginning, and with it for its size and ETag.
func (c *Cached) head(ctx context.Context, key string, name *string) (body io.ReadCloser, size int64, etag string, err error) {
	out, err := c.ranged(ctx, key, name, 0, rangeSize, "")
	if _, code := answer(err); code == "InvalidRange" { // it is empty
		return io.NopCloser(strings.NewReader("")), 0, "", nil
	} else if err != nil {
		return nil, 0, "", err
	}
	size = sdk.ToInt64(out.ContentLength)
	if out.ContentRange != nil {
		if _, err := fmt.Sscanf(*out.ContentRange, "bytes 0-%d/%d", new(int64), &size); err != nil {
			_ = out.Body.Close()
			return nil, 0, "", c.failed(ctx, "get", key, fmt.Errorf("range %q", *out.ContentRange))
		}
	}
	return out.Body, size, tag(out.ETag), nil
}

// ranges writes an object of which the first range is on its way.
func (c *Cached) ranges(ctx context.Context, key string, name *string, first io.ReadCloser, size int64, etag string, f *os.File) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(rangesAtOnce)
	for at := int64(0); at < size; at += rangeSize {
		body := first
		if at > 0 {
			body = nil
		}
		g.Go(func() error {
			return c.oneRange(ctx, key, name, body, at, min(at+rangeSize, size), etag, f)
		})
	}
	return g.Wait()
}

// oneRange copies the bytes from at to end, again and on where a body breaks.
func (c *Cached) oneRange(ctx context.Context, key string, name *string, body io.ReadCloser, at, end int64, etag string, f *os.File) error {
	for try := 1; ; try++ {
		if body == nil {
			out, err := c.ranged(ctx, key, name, at, end, etag)
			if err != nil {
				return err
			}
			body = out.Body
		}
		n, err := io.Copy(io.NewOffsetWriter(f, at), io.LimitReader(body, end-at))
		_ = body.Close()
		if at, body = at+n, nil; at == end {
			return nil
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if errors.As(err, new(*fs.PathError)) {
			return err // of the disk
		}
		if try == attempts || ctx.Err() != nil {
			return c.failed(ctx, "get", key, fmt.Errorf("after %d bytes: %w", at, err))
		}
	}
}

// toMemory reads an object that no file can hold.
func (c *Cached) toMemory(ctx context.Context, key string, name *string) ([]byte, error) {
	r, info, err := c.get(ctx, key, name)
	if err != nil {
		return nil, err
	}
	data, err := readBody(r, info.Size)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// Copies is how many bytes a cache's folder holds.
func Copies(folder string) int64 {
	_, bytes := (&Cached{folder: folder}).copies()
	return bytes
}

// copies are the files of the folder, those used longest ago first.
func (c *Cached) copies() (files []fs.FileInfo, bytes int64) {
	es, _ := os.ReadDir(c.folder)
	for _, e := range es {
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			files, bytes = append(files, st), bytes+st.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return files, bytes
}

// evict makes room for an object. What this process has mapped stays; what
// another one has mapped it keeps, for the system frees a file's space with the
// last mapping of it.
func (c *Cached) evict(size int64) {
	if c.max <= 0 {
		return
	}
	files, bytes := c.copies()
	for _, st := range files {
		file := filepath.Join(c.folder, st.Name())
		c.mu.Lock()
		if bytes+size > c.max && c.used[file] == 0 && filepath.Ext(file) != tempExt && os.Remove(file) == nil {
			bytes -= st.Size()
		}
		c.mu.Unlock()
	}
}

// clean removes what killed processes left half-written: what is mapped in parts as
// soon as nobody has it, other files after some time.
func (c *Cached) clean() {
	files, _ := c.copies()
	for _, st := range files {
		name := filepath.Join(c.folder, st.Name())
		switch {
		case filepath.Ext(name) != tempExt:
		case strings.HasPrefix(st.Name(), partPrefix):
			if f, err := os.Open(name); err == nil {
				if blob.Lock(f, false) == nil {
					_ = os.Remove(name)
				}
				_ = f.Close()
			}
		case c.now().Sub(st.ModTime()) > tempAge:
			_ = os.Remove(name)
		}
	}
}
