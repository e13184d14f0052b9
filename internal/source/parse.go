package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// headSize is how much of the unpacked content Parsed.Head holds.
const headSize = 4096

// ParseOptions says what a caller of Parse wants to know.
type ParseOptions struct {
	MaxRejects int
	OnReject   func(intel.Reject)
	Now        time.Time                // the run's time, see parse.Options
	Step       func(n int64)            // how many unpacked bytes were read, about every MiB; may be nil
	Refuse     func(head []byte) string // why a part that starts like this is none of the feed, or ""; may be nil
}

// Parsed is what a feed's raw bytes say.
type Parsed struct {
	*parse.Result          // never nil
	Head          []byte   // the start of the unpacked content; of a pack only where it gave nothing
	Parts         int      // of a pack
	Bad           []string // the pack's parts that could not be read, with the reason
}

// Parse unpacks and parses a feed's raw bytes: one document as it was received,
// or the pack of a pull of several requests. Where it fails, the result holds what
// was read until then; errors of unpacking one document are *fetch.Error.
func Parse(ctx context.Context, f *os.File, d *feed.Definition, o ParseOptions) (Parsed, error) {
	if d.Several() && IsPack(f) {
		return parsePack(ctx, f, d, o)
	}
	body, err := fetch.Decode(f, d.Archive, fetch.Limits{})
	if err != nil {
		return Parsed{Result: &parse.Result{}}, err
	}
	defer body.Close()
	w := &watcher{ctx: ctx, r: body, step: o.Step}
	res, err := parse.Collect(ctx, w, d.Spec(), parse.Options{MaxRejects: o.MaxRejects, OnReject: o.OnReject, Now: o.Now})
	return Parsed{Result: res, Head: w.head}, err
}

func parsePack(ctx context.Context, f *os.File, d *feed.Definition, o ParseOptions) (Parsed, error) {
	u, err := newUnpacker(f)
	if err != nil {
		return Parsed{Result: &parse.Result{}}, err
	}
	p := &partReader{ctx: ctx, u: u, d: d, o: o, left: maxPack}
	defer p.close()
	var out Parsed
	out.Result, out.Bad, err = parse.CollectParts(ctx, p.next, d.Spec(), parse.Options{MaxRejects: o.MaxRejects, OnReject: o.OnReject, Now: o.Now})
	if out.Parts = p.n; out.Accepted == 0 && d.Type != "text" {
		out.Head = p.first
	}
	return out, err
}

// partReader gives the parts of a pack to the parser, unpacked.
type partReader struct {
	ctx   context.Context
	u     *unpacker
	d     *feed.Definition
	o     ParseOptions
	open  io.Closer // of the part at hand
	w     *watcher  // of the part at hand
	first []byte    // the start of the first part
	n     int
	left  int64 // bytes that all parts together may still unpack to
}

func (p *partReader) close() {
	if p.open != nil {
		p.open.Close()
		p.left -= p.w.n
		p.open = nil
	}
}

// next gives the next part that is one of the feed's.
func (p *partReader) next() (*parse.Part, error) {
	p.close()
	if p.w != nil && p.w.hard != nil {
		return nil, p.w.hard
	}
	for {
		m, body, err := p.u.next()
		if err != nil {
			return nil, err
		}
		if !m.list {
			return p.part(m, body)
		}
	}
}

func (p *partReader) part(m member, body *io.SectionReader) (*parse.Part, error) {
	if p.left <= 0 {
		return nil, fmt.Errorf("the parts unpack to more than %d MiB together", maxPack>>20)
	}
	part := &parse.Part{Name: m.name, Reference: m.reference}
	p.n++
	plain, err := fetch.Decode(body, p.d.Archive, fetch.Limits{MaxBytes: p.left})
	if err != nil {
		if e, ok := errors.AsType[*fetch.Error](err); ok && e.Code != fetch.CodeDisk {
			part.Bad = e.Detail
			return part, nil
		}
		return nil, err
	}
	p.open, p.w = plain, &watcher{ctx: p.ctx, r: plain, step: p.o.Step}
	head, err := p.w.peek()
	if err != nil {
		return nil, err
	}
	if p.n == 1 {
		p.first = head
	}
	if p.o.Refuse != nil && p.d.Type != "text" {
		part.Bad = p.o.Refuse(head)
	}
	part.Body = p.w
	return part, nil
}

// watcher keeps the start of what is read through it, tells how far it is, and
// ends with its context.
type watcher struct {
	ctx  context.Context
	r    io.Reader
	step func(n int64)
	head []byte
	back []byte // read ahead, to be given first
	n    int64
	told int64
	hard error // of the disk, not of the content
}

func (w *watcher) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if len(w.back) > 0 {
		n := copy(b, w.back)
		w.back = w.back[n:]
		return n, nil
	}
	n, err := w.r.Read(b)
	if room := headSize - len(w.head); room > 0 {
		w.head = append(w.head, b[:min(n, room)]...)
	}
	if e, ok := errors.AsType[*fetch.Error](err); err != nil && err != io.EOF && (!ok || e.Code == fetch.CodeDisk) {
		w.hard = err
	}
	if w.n += int64(n); w.step != nil && w.n-w.told >= 1<<20 {
		w.told = w.n
		w.step(w.n)
	}
	return n, err
}

// peek reads the start, which stays to be read. Errors come when it is.
func (w *watcher) peek() ([]byte, error) {
	b := make([]byte, headSize)
	n := 0
	for n < len(b) {
		m, err := w.Read(b[n:])
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			w.r = errReader{err}
			break
		}
	}
	w.back = b[:n]
	return w.head, w.ctx.Err()
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
