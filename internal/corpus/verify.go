package corpus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Problem is one thing wrong with one object.
type Problem struct {
	Key    string `json:"key"`
	Detail string `json:"detail"`
}

// Verify reads store.json, every head and every segment that a head names, and
// reports what is wrong with them: checksums, and that every section says what
// the records say, and the segments of a feed of each other. Segments that no head names are leftovers of replaced or
// killed runs and no problem. It may run while others write. Its error is for a
// store that cannot be read at all.
func Verify(ctx context.Context, store blob.Store, report func(Problem)) error {
	h, err := readStore(ctx, store)
	if errors.Is(err, ErrNoStore) {
		return err
	} else if err != nil {
		report(Problem{storeKey, err.Error()})
		return ctx.Err() // nothing else can be judged without the seed
	}
	heads, err := store.List(ctx, headDir)
	if err != nil {
		return fmt.Errorf("list heads: %w", err)
	}
	for _, info := range heads {
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, headDir), headExt)
		if !ok {
			report(Problem{info.Key, "not a head"})
			continue
		}
		for _, p := range verifyFeed(ctx, store, h, id) {
			report(p)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// verifyFeed checks one feed, again if it moved on meanwhile.
func verifyFeed(ctx context.Context, store blob.Store, h hasher, id string) (problems []Problem) {
	for range 3 {
		problems = nil
		head, etag, err := readHead(ctx, store, id)
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		} else if err != nil {
			return []Problem{{headDir + id + headExt, err.Error()}}
		}
		segs := make([]*segment, 0, len(head.Segments))
		for _, ref := range head.Segments {
			s, err := verifySegment(ctx, store, h, ref)
			if segs = append(segs, s); err != nil {
				problems = append(problems, Problem{ref.Key, err.Error()})
			}
		}
		if len(problems) == 0 {
			problems = verifyStacks(head, segs)
		}
		if len(problems) == 0 {
			return nil
		}
		if _, now, err := readHead(ctx, store, id); err != nil || now == etag {
			return problems
		}
	}
	return problems
}

// verifySegment checks a segment against its reference and, by writing it once
// more to nowhere, every derived section against the records.
func verifySegment(ctx context.Context, store blob.Store, h hasher, ref SegmentRef) (*segment, error) {
	s, err := openSegment(ctx, store, ref, h)
	if err != nil {
		return nil, err
	}
	return s, guard([]*segment{s}, func() error {
		if sum := fmt.Sprintf("%016x", xxhash.Sum64(s.data)); sum != ref.Sum {
			return s.damage(fmt.Errorf("%w: checksum of the whole is %s, its head says %s", ErrCorrupt, sum, ref.Sum))
		}
		return s.rederive(ctx, h)
	})
}

// damage looks for the section that does not have its checksum, for a better message.
func (s *segment) damage(otherwise error) error {
	for _, sec := range s.foot.sections {
		if err := s.checkSection(sec); err != nil {
			return err
		}
	}
	return otherwise
}

// rederive reads every record and compares what follows from them with the file.
func (s *segment) rederive(ctx context.Context, h hasher) error {
	w := newSegmentWriter(io.Discard, h)
	w.foot.format = s.foot.format
	w.begin(newVocabulary(s.names, s.words.strings()), s.listings())
	defer w.discard()
	w.repl = replacing{groups: s.replaces, open: map[intel.Kind]int{}} // that these are right is for the stack to check
	for _, k := range s.kinds {
		w.repl.open[k.kind] = k.openBelow
	}
	if err := s.rewrite(ctx, w); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	for _, sec := range w.foot.sections {
		// The block sums differ where there are sections this version does not
		// know; what they are good for was done with them above.
		if have := s.section(sec.id); sec.id != secSums && (have.sum != sec.sum || have.len != sec.len) {
			return fmt.Errorf("%w: section %v does not say what the records say", ErrCorrupt, sec)
		}
	}
	if w.foot.open != s.foot.open {
		return fmt.Errorf("%w: %d open records, its footer says %d", ErrCorrupt, w.foot.open, s.foot.open)
	}
	return nil
}

// rewrite writes all records as they are and in the order in which they are,
// which has to be the right one.
func (s *segment) rewrite(ctx context.Context, w *segmentWriter) error {
	var mem scratch
	var last feeder
	for i := range s.roff.n {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r, err := s.nth(i)
		if err != nil {
			return err
		}
		hist, packed, ok := r.history(mem.spans)
		mem.spans = hist.spans
		if !ok || r.off != w.out.size {
			return s.bad(r.off)
		}
		t, ok := mem.take(s, &r, packed)
		if !ok {
			return s.bad(r.off)
		}
		this := feeder{rec: r, hist: history{changed: hist.changed}}
		if i > 0 && s.foot.format > 1 && !last.before(&this) {
			return fmt.Errorf("segment %s: %w: record at byte %d is out of order", s.key, ErrCorrupt, r.off)
		}
		last = this
		if err := w.put(r.kind, &t, &hist, s.heap[r.off:r.off+r.size]); err != nil {
			return err
		}
	}
	return nil
}
