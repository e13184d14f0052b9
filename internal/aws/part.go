package aws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
)

const (
	// chunk is what is fetched at least of a mapped object: many blocks of a segment.
	chunk = 64 << 10
	// partialFrom is the size from which on an object is fetched in parts.
	partialFrom = 1 << 20
	// partPrefix is how the names of files begin that are mapped before they are whole.
	partPrefix = "mapped-"
	// needWait is how long a look-up waits for bytes that are not there yet.
	needWait = 20 * time.Second
	// fillsAtOnce is how many objects Fill completes at once.
	fillsAtOnce = 2
)

// part is an object that is mapped while only some chunks of it are in its file.
type part struct {
	c    *Cached
	ctx  context.Context // of who opened it, without its end
	key  string
	name *string
	size int64
	etag string // of the object that all chunks are of
	f    *os.File
	to   string // where the file goes once it is whole

	whole atomic.Bool
	mu    sync.Mutex
	have  []bool
	busy  map[int64]chan struct{} // chunks on their way
	left  int
	gone  bool // nobody maps it any more, or it is damaged
}

var _ blob.PartMapper = (*Cached)(nil)

// MapPart implements blob.PartMapper, where CacheOptions.Parts says so: the end of the
// object is fetched, the rest by need, or by Fill.
func (c *Cached) MapPart(ctx context.Context, key string, size, tail int64) (data []byte, need func(off, n int) error, release func(), err error) {
	whole := func() ([]byte, func(int, int) error, func(), error) {
		data, release, err := c.Map(ctx, key)
		return data, nil, release, err
	}
	name, err := c.name(ctx, key)
	if err != nil {
		return nil, nil, nil, err
	}
	file := c.file(key)
	if _, err := os.Stat(file); !c.parts || !immutable(key) || size < partialFrom || err == nil {
		return whole()
	}
	p, err := c.openPart(ctx, key, name, size, tail/chunk*chunk)
	if err != nil {
		if errors.Is(err, blob.ErrNotFound) || ctx.Err() != nil {
			return nil, nil, nil, err
		}
		return whole() // also where it has another size, or the folder takes no file: that says why
	}
	data, unmap, err := blob.MapFile(p.f, size)
	if err != nil {
		p.end()
		return nil, nil, nil, err
	}
	c.mu.Lock()
	c.pending = append(c.pending, p)
	c.parted[file] = p
	c.used[file]++
	c.mu.Unlock()
	release = sync.OnceFunc(func() { unmap(); p.end(); c.settled(p); c.unused(file) })
	return data, func(off, n int) error { return p.need(p.ctx, int64(off), int64(off+n)) }, release, nil
}

// openPart fetches an object's end into a file of its size.
func (c *Cached) openPart(ctx context.Context, key string, name *string, size, tail int64) (*part, error) {
	out, err := c.ranged(ctx, key, name, tail, size, "")
	if err != nil {
		return nil, err
	}
	var has int64
	if _, err := fmt.Sscanf(sdk.ToString(out.ContentRange), fmt.Sprintf("bytes %d-%d/%%d", tail, size-1), &has); err != nil || has != size {
		_ = out.Body.Close()
		return nil, c.failed(ctx, "get", key, fmt.Errorf("range %q of an object of %d bytes", sdk.ToString(out.ContentRange), size))
	}
	c.evict(size)
	f, err := os.CreateTemp(c.folder, partPrefix+"*"+tempExt)
	if err == nil {
		err = blob.Lock(f, false) // until this process ends, however it does: see clean
	}
	if err != nil {
		_ = out.Body.Close()
		if f != nil {
			_ = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		return nil, err
	}
	chunks := int((size + chunk - 1) / chunk)
	p := &part{c: c, ctx: context.WithoutCancel(ctx), key: key, name: name, size: size, etag: tag(out.ETag), f: f, to: c.file(key),
		have: make([]bool, chunks), busy: map[int64]chan struct{}{}, left: int(tail / chunk)}
	for i := int(tail / chunk); i < chunks; i++ {
		p.have[i] = true
	}
	if err = f.Truncate(size); err == nil {
		err = c.oneRange(ctx, key, name, out.Body, tail, size, p.etag, f)
	} else {
		_ = out.Body.Close()
	}
	if err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// end gives up what is not whole; what is, stays in its file.
func (p *part) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone = true; !p.whole.Load() && len(p.busy) == 0 {
		p.drop()
	}
}

// drop removes the file. p.mu is held, and nothing is on its way.
func (p *part) drop() {
	if p.f != nil {
		_ = p.f.Close()
		_ = os.Remove(p.f.Name())
		p.f = nil
	}
}

// errGone says that a part was asked for which nobody has mapped any more.
var errGone = errors.New("the copy was given up")

// need returns when the bytes from off to end are in the file.
func (p *part) need(ctx context.Context, off, end int64) error {
	if p.whole.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, needWait)
	defer cancel()
	for i, last := off/chunk, (min(end, p.size)-1)/chunk; i <= last; {
		from, to, wait, err := p.claim(i, last)
		switch {
		case err != nil:
			return err
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return p.c.failed(ctx, "get", p.key, ctx.Err())
			}
			continue // it is there, or is to be fetched by us
		case from < to:
			err := p.c.oneRange(ctx, p.key, p.name, nil, from*chunk, min(to*chunk, p.size), p.etag, p.f)
			if err = p.fetched(from, to, err); err != nil {
				return err
			}
		}
		i = to
	}
	return nil
}

// claim takes the missing chunks at i and behind it, up to last; where that one is
// there, from = to, which is where to go on. wait is closed when somebody else has it.
func (p *part) claim(i, last int64) (from, to int64, wait chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.have[i] {
		return i + 1, i + 1, nil, nil
	}
	if p.gone {
		return 0, 0, nil, p.c.failed(p.ctx, "get", p.key, errGone)
	}
	if wait := p.busy[i]; wait != nil {
		return 0, 0, wait, nil
	}
	done := make(chan struct{})
	for to = i; to <= last && !p.have[to] && p.busy[to] == nil && (to-i)*chunk < rangeSize; to++ {
		p.busy[to] = done
	}
	return i, to, nil, nil
}

// fetched notes that chunks are there, or that they could not be had.
func (p *part) fetched(from, to int64, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.busy[from]
	for i := from; i < to; i++ {
		delete(p.busy, i)
		if err == nil {
			p.have[i] = true
			p.left--
		}
	}
	close(done)
	switch {
	case p.left == 0 && !p.gone:
		// Whoever maps it next finds a file as any other. Where it cannot be kept this process has it all the same.
		p.whole.Store(true)
		if os.Rename(p.f.Name(), p.to) != nil {
			_ = os.Remove(p.f.Name())
		}
		_ = p.f.Close()
		p.f = nil
		p.c.settled(p)
	case p.gone && len(p.busy) == 0:
		p.drop()
	}
	return err
}

// settled forgets a part that is whole, damaged, or mapped no more.
func (c *Cached) settled(p *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parted[p.to] == p {
		delete(c.parted, p.to)
	}
}

// spoil gives up the part that an object is mapped as, if it is.
func (c *Cached) spoil(file string) bool {
	c.mu.Lock()
	p := c.parted[file]
	c.mu.Unlock()
	if p == nil {
		return false
	}
	c.settled(p)
	p.end()
	return true
}

// Fill fetches what is missing of the objects that are mapped in parts. One call at a
// time does it; another returns at once. What could not be had is tried by the next call.
// Where all would not fit into the folder nothing is fetched: look-ups need the room.
func (c *Cached) Fill(ctx context.Context) error {
	c.mu.Lock()
	if c.filling {
		c.mu.Unlock()
		return nil
	}
	if _, bytes := c.copies(); c.max > 0 && bytes > c.max && len(c.pending) > 0 {
		c.mu.Unlock()
		return fmt.Errorf("the segments have %d bytes, and their folder %s has room for %d: each look-up fetches what it wants of them; give the function more storage", bytes, c.folder, c.max)
	}
	c.filling = true
	var failed []*part
	var errs error
	for len(c.pending) > 0 {
		todo := c.pending
		c.pending = nil
		c.mu.Unlock()
		again, err := fill(ctx, todo)
		failed, errs = append(failed, again...), errors.Join(errs, err)
		c.mu.Lock()
	}
	c.pending, c.filling = failed, false
	c.mu.Unlock()
	return errs
}

// fill completes parts, and returns those that it could not.
func fill(ctx context.Context, parts []*part) (failed []*part, err error) {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(fillsAtOnce)
	for _, p := range parts {
		g.Go(func() error {
			for at := int64(0); at < p.size; at += rangeSize {
				if one := p.need(ctx, at, min(at+rangeSize, p.size)); errors.Is(one, errGone) {
					return nil
				} else if one != nil {
					mu.Lock()
					defer mu.Unlock()
					failed, err = append(failed, p), errors.Join(err, one)
					return nil
				}
			}
			return nil
		})
	}
	_ = g.Wait()
	return failed, err
}
