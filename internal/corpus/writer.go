package corpus

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// segmentWriter writes one segment: add or copy every record in the order of
// the format between begin and finish. What it holds in memory is 32 bytes a
// record and the text index.
type segmentWriter struct {
	out   sumWriter
	hash  hasher
	vocab *vocabulary
	index *indexer // nil: the segment gets none

	roff, chg   []uint32
	batch       []byte   // rows
	changed     int64    // of the last of them
	addr4       []uint64 // address and heap offset/4
	addr6, cidr []byte   // rows
	byHash      []hashed
	byAddress   []hashed
	kinds       [256]kindCount
	repl        replacing
	foot        footer
	later       func() // tests: writes sections that this version does not know

	rec, body, fields []byte // scratch
}

func newSegmentWriter(w io.Writer, h hasher) *segmentWriter {
	return &segmentWriter{out: sumWriter{w: w}, hash: h, foot: footer{format: segmentFormat}}
}

// begin prepares for about n records whose fields are packed by vocab. It comes
// first; finish or discard comes last.
func (w *segmentWriter) begin(vocab *vocabulary, n int) {
	w.vocab, w.roff, w.byHash = vocab, make([]uint32, 0, n), make([]hashed, 0, n)
	if w.foot.format > 1 {
		w.index = newIndexer(n)
	}
}

// discard abandons what was begun.
func (w *segmentWriter) discard() {
	if w.index != nil {
		w.index.discard()
	}
}

// add appends a record. fields are not to be changed until finish.
func (w *segmentWriter) add(kind intel.Kind, t *texts, h *history) error {
	w.fields = w.fields[:0]
	if len(t.fields) > 0 {
		w.fields = w.vocab.pack(w.fields, t.fields)
	}
	w.rec, w.body = appendRecord(w.rec[:0], w.body, kind, t.value, t.original, h, w.fields)
	return w.put(kind, t, h, w.rec)
}

// put appends an encoded record and notes where it is found.
func (w *segmentWriter) put(kind intel.Kind, t *texts, h *history, rec []byte) error {
	off := w.out.size
	if off/4 > math.MaxUint32-maxRecord/4 || len(rec) > maxRecord {
		return fmt.Errorf("%v %.80q: record of %d bytes at %d: at most %d and %d", kind, t.value, len(rec), off, maxRecord, uint64(4*math.MaxUint32))
	}
	ref := uint32(off / 4)
	w.out.write(rec)
	w.out.align(4)
	if w.foot.format == 1 {
		w.chg = append(w.chg, uint32(min(max(h.changed/1000, 0), math.MaxUint32)))
	} else {
		if len(w.batch) == 0 || h.changed != w.changed {
			w.batch = le.AppendUint64(w.batch, uint64(h.changed))
			w.batch = le.AppendUint64(w.batch, uint64(w.foot.listings))
			w.changed = h.changed
		}
		w.index.add(kind, t.value, t.original, h, t.fields)
	}
	w.roff = append(w.roff, ref)
	w.byHash = append(w.byHash, hashed{hash: w.hash.sum(kind, t.value), ref: ref})
	k := &w.kinds[kind]
	k.all++
	w.foot.listings++
	if h.isOpen() {
		k.open++
		w.foot.open++
	} else if n := len(w.batch); n > 0 {
		le.PutUint32(w.batch[n-4:], le.Uint32(w.batch[n-4:])+1)
	}
	w.place(kind, t.value, ref)
	return w.out.err
}

// place notes the address or network of a record.
func (w *segmentWriter) place(kind intel.Kind, value string, ref uint32) {
	if kind == intel.CIDR {
		if p, err := netip.ParsePrefix(value); err == nil {
			w.cidr = le.AppendUint32(appendCIDR(w.cidr, p), ref)
		}
		return
	}
	if kind == intel.URL && w.foot.format == 1 {
		return
	}
	a, ok := intel.Indicator{Kind: kind, Value: value}.Addr()
	if !ok {
		return
	}
	if a.Is4() {
		b := a.As4()
		w.addr4 = append(w.addr4, uint64(binary.BigEndian.Uint32(b[:]))<<32|uint64(ref))
	} else {
		b := a.As16()
		w.addr6 = le.AppendUint32(append(w.addr6, b[:]...), ref)
	}
	if kind == intel.IPPort {
		var stack [48]byte
		w.byAddress = append(w.byAddress, hashed{hash: w.hash.sumBytes(addressOf, a.AppendTo(stack[:0])), ref: ref})
	}
}

// finish writes everything behind the heap.
func (w *segmentWriter) finish() error {
	if w.index != nil {
		w.index.end()
	}
	w.end(secHeap, 0)
	if w.later != nil {
		w.later()
	}
	w.section(secNames, appendTable(nil, w.vocab.names))
	w.section(secWords, appendTable(nil, w.vocab.words))
	w.section(secStat, w.stat())
	w.numbers(secRoff, w.roff)
	if w.foot.format == 1 {
		w.numbers(secChg, w.chg)
	}
	slices.Sort(w.addr4)
	w.rows(secAddr4, addr4Row, len(w.addr4), func(b []byte, i int) {
		binary.BigEndian.PutUint32(b, uint32(w.addr4[i]>>32))
		le.PutUint32(b[4:], uint32(w.addr4[i]))
	})
	w.section(secAddr6, sortRows(w.addr6, addr6Row))
	w.section(secCIDR, sortRows(w.cidr, cidrRow))
	w.byAddress, w.byHash = sortHashed(w.byAddress, 0), sortHashed(w.byHash, w.repl.shardBits)
	if w.index != nil {
		post, fst, err := w.index.finish()
		if err != nil {
			return fmt.Errorf("text index: %w", err)
		}
		w.section(secPost, post)
		w.section(secFst, fst)
		w.section(secBatch, w.batch)
		w.section(secRepl, w.repl.append(nil))
	}
	w.hashes(secAtHash, secAtOff, w.byAddress)
	w.hashes(secHash, secHoff, w.byHash)
	w.section(secSums, w.out.blockSums())
	w.foot.seedCheck = w.hash.check()
	w.out.write(w.foot.append(nil, w.out.size))
	return w.out.err
}

// stat encodes the counts by kind.
func (w *segmentWriter) stat() (b []byte) {
	for k, c := range w.kinds {
		if replaced := w.repl.open[intel.Kind(k)]; c.all > 0 || replaced > 0 {
			b = le.AppendUint32(le.AppendUint32(b, uint32(k)), uint32(c.open))
			b = le.AppendUint32(le.AppendUint32(b, uint32(c.all)), uint32(replaced))
		}
	}
	return b
}

// section writes a whole section.
func (w *segmentWriter) section(id uint32, b []byte) {
	start := w.out.size
	w.out.write(b)
	w.end(id, start)
}

// end closes the section that began at start.
func (w *segmentWriter) end(id uint32, start int) {
	w.foot.sections = append(w.foot.sections, section{id, start, w.out.size - start, w.out.section.Sum64()})
	w.out.align(8)
	w.out.section.Reset()
}

// rows writes a section of n rows, which put encodes.
func (w *segmentWriter) rows(id uint32, size, n int, put func(b []byte, i int)) {
	start := w.out.size
	var chunk [480 * 8]byte // a multiple of every row size used
	for i := 0; i < n; {
		b := chunk[:0]
		for ; i < n && len(b) < len(chunk); i++ {
			b = b[:len(b)+size]
			put(b[len(b)-size:], i)
		}
		w.out.write(b)
	}
	w.end(id, start)
}

func (w *segmentWriter) numbers(id uint32, ns []uint32) {
	w.rows(id, 4, len(ns), func(b []byte, i int) { le.PutUint32(b, ns[i]) })
}

// hashes writes a pair of sections, offsets first, of what is sorted by hash.
func (w *segmentWriter) hashes(idHash, idOff uint32, hs []hashed) {
	w.rows(idOff, 4, len(hs), func(b []byte, i int) { le.PutUint32(b, hs[i].ref) })
	w.rows(idHash, 8, len(hs), func(b []byte, i int) { le.PutUint64(b, hs[i].hash) })
}

// sortRows sorts rows of this size, as bytes.
func sortRows(b []byte, size int) []byte {
	n := len(b) / size
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	row := func(i uint32) []byte { return b[int(i)*size : (int(i)+1)*size] }
	slices.SortFunc(order, func(i, j uint32) int { return bytes.Compare(row(i), row(j)) })
	out := make([]byte, 0, len(b))
	for _, i := range order {
		out = append(out, row(i)...)
	}
	return out
}

// sumWriter writes and keeps the checksums: of the whole, of the section and of
// each block.
type sumWriter struct {
	w       io.Writer
	size    int
	err     error
	section xxhash.Digest
	whole   xxhash.Digest
	block   []byte // the unfinished one
	sums    []byte
}

func (w *sumWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	if w.size == 0 {
		w.section.Reset()
		w.whole.Reset()
	}
	_, _ = w.section.Write(b)
	w.size += len(b)
	for len(b) > 0 {
		n := min(len(b), blockSize-len(w.block))
		w.block = append(w.block, b[:n]...)
		b = b[n:]
		if len(w.block) == blockSize {
			w.flush()
		}
	}
}

// flush ends the block at hand.
func (w *sumWriter) flush() {
	w.sums = le.AppendUint64(w.sums, xxhash.Sum64(w.block))
	_, _ = w.whole.Write(w.block)
	if _, err := w.w.Write(w.block); err != nil && w.err == nil {
		w.err = err
	}
	w.block = w.block[:0]
}

// align writes zeros up to a multiple of n.
func (w *sumWriter) align(n int) {
	var zeros [8]byte
	w.write(zeros[:-w.size&(n-1)])
}

// blockSums ends the blocks here and returns their checksums. What is written
// from now on is not covered by them.
func (w *sumWriter) blockSums() []byte {
	if len(w.block) > 0 {
		w.flush()
	}
	return slices.Clone(w.sums)
}

// close writes what is left.
func (w *sumWriter) close() error {
	if len(w.block) > 0 {
		w.flush()
	}
	return w.err
}

// writeSegment stores what fill writes as a new segment of the feed and returns
// its reference. The object is durable when writeSegment returns.
func (c *Corpus) writeSegment(ctx context.Context, feed string, version int64, fill func(w *segmentWriter) error) (SegmentRef, error) {
	tail := make([]byte, 8)
	_, _ = rand.Read(tail) // never fails
	name := fmt.Sprintf("%08d-%s%s", version, hex.EncodeToString(tail), segExt)
	ref := SegmentRef{Name: name, Key: segDir + feed + "/" + name}

	r, pipe := io.Pipe()
	done := make(chan error, 1)
	go func() {
		buf := bufio.NewWriterSize(pipe, 256<<10)
		w := newSegmentWriter(buf, c.hash)
		err := fill(w)
		if err == nil {
			err = w.finish()
		}
		if err == nil {
			err = errors.Join(w.out.close(), buf.Flush())
		}
		w.discard()
		ref.Listings, ref.Open, ref.Bytes = w.foot.listings, w.foot.open, int64(w.out.size)
		ref.Replaces, ref.ReplacesOpen = w.repl.counts()
		ref.Sum = fmt.Sprintf("%016x", w.out.whole.Sum64())
		pipe.CloseWithError(err) // nil: the end of the file
		done <- err
	}()
	_, err := c.store.Put(ctx, ref.Key, r, blob.Cond{IfAbsent: true})
	r.CloseWithError(err)
	if fillErr := <-done; fillErr != nil && err == nil {
		err = fillErr
	}
	if err != nil {
		return SegmentRef{}, fmt.Errorf("segment %s: %w", ref.Key, err)
	}
	return ref, nil
}
