package corpus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// segment is an open segment file. It is immutable and safe for concurrent use;
// its mapping is released when nothing refers to it any more, so whoever reads
// its bytes keeps it alive (runtime.KeepAlive) until done.
type segment struct {
	key  string
	data []byte
	foot *footer

	need   func(off, n int) error // waits for bytes that are not there yet; nil where all are
	forget func() bool            // throws a damaged copy away, so that the next opening has a good one; nil where the store keeps none
	stale  atomic.Bool            // that was done: the next Refresh opens it anew

	heap, sums               []byte
	byHash, byAddress        keyed // all records; ip-ports by their address
	roff, addr4, addr6, cidr rows
	text                     func() (*terms.Index, error)

	checked []atomic.Uint32 // one bit a block: its checksum was compared
	covered int             // bytes that sums covers

	names []string
	slots []fieldSlot // by name: where an answer shows it
	words stringTable
	kinds []kindCount

	changes  batches
	replaces []replGroup
}

type kindCount struct {
	kind      intel.Kind
	open, all int
	openBelow int // open records of lower segments that it replaces
}

// openSegment maps a segment and checks everything a look-up relies on but the
// heap, whose blocks are checked as they are read.
//
// A copy that a cache of the store has of it may be damaged where the object is
// not: it is thrown away then, and fetched again.
func openSegment(ctx context.Context, store blob.Store, ref SegmentRef, h hasher) (*segment, error) {
	s, err := openSegmentOnce(ctx, store, ref, h)
	if f, ok := store.(blob.Forgetter); ok && errors.Is(err, ErrCorrupt) && f.Forget(ref.Key) {
		return openSegmentOnce(ctx, store, ref, h)
	}
	return s, err
}

func openSegmentOnce(ctx context.Context, store blob.Store, ref SegmentRef, h hasher) (*segment, error) {
	data, need, release, err := mapSegment(ctx, store, ref)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", ref.Key, err)
	}
	s := &segment{key: ref.Key, data: data, need: need}
	if f, ok := store.(blob.Forgetter); ok {
		s.forget = func() bool { return f.Forget(ref.Key) }
	}
	s.text = sync.OnceValues(s.openTerms)
	runtime.AddCleanup(s, func(release func()) { release() }, release)
	if _, ok := store.(blob.Mapper); ok {
		adviseRandom(data)
	}
	err = guard([]*segment{s}, func() error { return s.load(ref, h) })
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", ref.Key, err)
	}
	return s, nil
}

// mapSegment maps a segment, in parts where the store can: the tables at its end,
// which every look-up goes by, and what is checked block by block when it is read.
func mapSegment(ctx context.Context, store blob.Store, ref SegmentRef) (data []byte, need func(off, n int) error, release func(), err error) {
	p, ok := store.(blob.PartMapper)
	if !ok {
		data, release, err = blob.Open(ctx, store, ref.Key)
		return data, nil, release, err
	}
	// Hash and offset of each record, a checksum of each block, and what is small.
	tail := 12*int64(ref.Listings) + ref.Bytes/blockSize*8 + 64<<10
	return p.MapPart(ctx, ref.Key, ref.Bytes, max(0, ref.Bytes-tail))
}

// wants returns when the bytes are there, of a segment that is mapped in parts.
func (s *segment) wants(off, n int) error {
	if s.need == nil || n <= 0 {
		return nil
	}
	return s.need(off, n)
}

func (s *segment) load(ref SegmentRef, h hasher) (err error) {
	if ref.Bytes != int64(len(s.data)) {
		return fmt.Errorf("%w: %d bytes, its head says %d", ErrCorrupt, len(s.data), ref.Bytes)
	}
	if s.foot, err = readFooter(s.data); err != nil {
		return err
	}
	if s.foot.seedCheck != h.check() {
		return fmt.Errorf("%w: it belongs to another store (the seed differs)", ErrCorrupt)
	}
	if ref.Listings != s.foot.listings || ref.Open != s.foot.open {
		return fmt.Errorf("%w: %d records of which %d are open; its head says %d and %d",
			ErrCorrupt, s.foot.listings, s.foot.open, ref.Listings, ref.Open)
	}
	if err := s.locate(); err != nil {
		return err
	}
	s.checked = make([]atomic.Uint32, (len(s.sums)/8+31)/32)
	tail := s.section(secAtOff)
	if s.foot.format > 1 {
		tail = s.section(secBatch)
	}
	adviseNeed(s.data, tail.off)
	for _, id := range []uint32{secSums, secNames, secWords, secStat, secBatch, secRepl, secAtOff, secAtHash, secHoff, secHash} {
		if err := s.checkSection(s.section(id)); err != nil {
			return err
		}
	}
	return s.loadTables(ref)
}

// locate finds the sections and checks that their lengths fit the counts.
func (s *segment) locate() error {
	n := s.foot.listings
	s.heap, s.sums = s.bytes(secHeap), s.bytes(secSums)
	s.byHash = keyed{s.bytes(secHash), s.bytes(secHoff)}
	s.byAddress = keyed{s.bytes(secAtHash), s.bytes(secAtOff)}
	s.covered = s.section(secSums).off
	if blocks := (s.covered + blockSize - 1) / blockSize; len(s.sums) != 8*blocks || s.section(secHeap).off != 0 {
		return fmt.Errorf("%w: section sums has %d bytes for %d blocks", ErrCorrupt, len(s.sums), blocks)
	}
	for _, x := range []struct {
		id   uint32
		size int
		to   *rows
	}{{secRoff, 4, &s.roff}, {secAddr4, addr4Row, &s.addr4}, {secAddr6, addr6Row, &s.addr6}, {secCIDR, cidrRow, &s.cidr}} {
		sec := s.section(x.id)
		if sec.len%x.size != 0 || sec.off+sec.len > s.covered {
			return fmt.Errorf("%w: section %v has %d bytes at %d", ErrCorrupt, sec, sec.len, sec.off)
		}
		*x.to = rows{sec.off, x.size, sec.len / x.size}
	}
	if s.foot.format == 1 && s.section(secChg).len != 4*n {
		return fmt.Errorf("%w: section %v has not %d rows", ErrCorrupt, s.section(secChg), n)
	}
	if s.roff.n != n || len(s.byHash.hash) != 8*n ||
		!s.byHash.ok() || !s.byAddress.ok() || len(s.heap) > s.covered {
		return fmt.Errorf("%w: the sections do not have %d rows", ErrCorrupt, n)
	}
	return nil
}

// keyed is a pair of sections: sorted hashes, and the heap offset/4 of each one's record.
type keyed struct{ hash, ref []byte }

func (k keyed) ok() bool { return len(k.hash)%8 == 0 && len(k.hash) == 2*len(k.ref) }
func (k keyed) len() int { return len(k.hash) / 8 }

// rows are a section's fixed-size rows.
type rows struct{ off, size, n int }

// row returns row i, its blocks checked.
func (s *segment) row(r rows, i int) ([]byte, error) {
	at := r.off + i*r.size
	if err := s.check(at, r.size); err != nil {
		return nil, err
	}
	return s.data[at : at+r.size : at+r.size], nil
}

// bytes returns a section in place.
func (s *segment) bytes(id uint32) []byte {
	sec := s.section(id)
	return s.data[sec.off : sec.off+sec.len : sec.off+sec.len]
}

// section returns the table's row for id, an empty one where there is none.
func (s *segment) section(id uint32) section {
	for _, sec := range s.foot.sections {
		if sec.id == id {
			return sec
		}
	}
	return section{id: id}
}

func (s *segment) checkSection(sec section) error {
	if err := s.wants(sec.off, sec.len); err != nil {
		return err
	}
	if sec.len > 0 && xxhash.Sum64(s.bytes(sec.id)) != sec.sum {
		return fmt.Errorf("%w: checksum of section %v at byte %d", ErrCorrupt, sec, sec.off)
	}
	return nil
}

// loadTables reads the small sections.
func (s *segment) loadTables(ref SegmentRef) error {
	names, ok := readTable(s.bytes(secNames))
	words, ok2 := readTable(s.bytes(secWords))
	if !ok || !ok2 {
		return fmt.Errorf("%w: section names or words", ErrCorrupt)
	}
	s.names, s.words = names.strings(), words
	for _, n := range s.names {
		s.slots = append(s.slots, slotOf(n))
	}
	for row := s.bytes(secStat); len(row) >= statRow; row = row[statRow:] {
		s.kinds = append(s.kinds, kindCount{intel.Kind(le.Uint32(row)), int(le.Uint32(row[4:])), int(le.Uint32(row[8:])), int(le.Uint32(row[12:]))})
	}
	s.changes = batches{s.bytes(secBatch)}
	if !s.changes.ok(s.listings()) && s.foot.format > 1 {
		return fmt.Errorf("%w: section batch", ErrCorrupt)
	}
	below := 0
	for _, k := range s.kinds {
		below += k.openBelow
	}
	if below != ref.ReplacesOpen {
		return fmt.Errorf("%w: section stat: it replaces %d open records; its head says %d", ErrCorrupt, below, ref.ReplacesOpen)
	}
	if s.replaces, ok = readRepl(s.bytes(secRepl)); !ok {
		return fmt.Errorf("%w: section repl", ErrCorrupt)
	}
	return nil
}

// check compares the checksums of the blocks that hold data[off:off+n], those
// that were not compared before. The heap begins at data[0].
func (s *segment) check(off, n int) error {
	asked := false
	for b, end := off>>blockBits, (off+n-1)>>blockBits; b <= end; b++ {
		if s.checked[b>>5].Load()&(1<<(b&31)) == 0 {
			if !asked {
				if err := s.wants(b<<blockBits, (end-b+1)<<blockBits); err != nil {
					return fmt.Errorf("segment %s: %w", s.key, err)
				}
				asked = true
			}
			if err := s.checkBlock(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *segment) checkBlock(b int) error {
	off := b << blockBits
	if xxhash.Sum64(s.data[off:min(off+blockSize, s.covered)]) != u64at(s.sums, b) {
		if s.forget != nil && s.forget() {
			s.stale.Store(true)
		}
		return fmt.Errorf("segment %s: %w: checksum of the block at byte %d", s.key, ErrCorrupt, off)
	}
	s.checked[b>>5].Or(1 << (b & 31))
	return nil
}

// headerMax is the most bytes before a record's body: kind, flags and length.
const headerMax = 2 + 5

// record decodes the record at heap offset ref*4.
func (s *segment) record(ref uint32) (r record, err error) {
	off := int(ref) * 4
	if off+3 > len(s.heap) {
		return r, s.bad(off)
	}
	if err := s.check(off, min(headerMax, len(s.heap)-off)); err != nil {
		return r, err
	}
	c := cursor{b: s.heap[off+2:]}
	n := c.uvarint()
	start := len(s.heap) - len(c.b)
	if c.bad || n > uint64(len(c.b)) || n > maxRecord {
		return r, s.bad(off)
	}
	if err := s.check(start, int(n)); err != nil {
		return r, err
	}
	r.off, r.size, r.kind, r.flags = off, start+int(n)-off, intel.Kind(s.heap[off]), s.heap[off+1]
	if !r.texts(c.b[:n]) {
		return r, s.bad(off)
	}
	return r, nil
}

// nth reads the i-th record in the order of the heap.
func (s *segment) nth(i int) (record, error) {
	row, err := s.row(s.roff, i)
	if err != nil {
		return record{}, err
	}
	return s.record(le.Uint32(row))
}

// number returns the number of the record at heap offset ref*4.
func (s *segment) number(ref uint32) (int, bool) {
	lo, hi := 0, s.roff.n
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		row, err := s.row(s.roff, mid)
		if err != nil {
			return 0, false
		}
		switch at := le.Uint32(row); {
		case at == ref:
			return mid, true
		case at < ref:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, false
}

// batches returns when the records changed; none for a segment of format 1.
func (s *segment) batches() batches { return s.changes }

// batches are the times at which a segment's records changed, upwards. The
// records that changed at one time follow each other.
type batches struct{ rows []byte }

func (b batches) len() int { return len(b.rows) / batchRow }

// at returns the i-th time (Unix ms) and the number of the first record that changed then.
func (b batches) at(i int) (changed int64, first int) {
	row := b.rows[i*batchRow:]
	return int64(le.Uint64(row)), int(le.Uint32(row[8:]))
}

// closed returns how many of the records that changed at the i-th time are closed.
func (b batches) closed(i int) int { return int(le.Uint32(b.rows[i*batchRow+12:])) }

// changed returns when a record changed (Unix ms); 0 where the segment does not say.
func (b batches) changed(rec int) int64 {
	n := sort.Search(b.len(), func(i int) bool { _, first := b.at(i); return first > rec })
	if n == 0 {
		return 0
	}
	ms, _ := b.at(n - 1)
	return ms
}

// ok says whether these can be the batches of n records.
func (b batches) ok(n int) bool {
	if len(b.rows)%batchRow != 0 || (n > 0) != (len(b.rows) > 0) {
		return false
	}
	for i := range b.len() {
		ms, first := b.at(i)
		end := n
		if i+1 < b.len() {
			var next int64
			if next, end = b.at(i + 1); next <= ms {
				return false
			}
		}
		if i == 0 && first != 0 || end <= first || end > n || b.closed(i) > end-first {
			return false
		}
	}
	return true
}

// terms returns the text index, opened on first use; nil where there is none
// (format 1). Call it, and read the index, under guard.
func (s *segment) terms() (*terms.Index, error) { return s.text() }

func (s *segment) openTerms() (*terms.Index, error) {
	post, fst := s.section(secPost), s.section(secFst)
	if s.foot.format == 1 {
		return nil, nil
	}
	if fst.off+fst.len > s.covered || post.off+post.len > s.covered || fst.len == 0 {
		return nil, fmt.Errorf("segment %s: %w: no text index", s.key, ErrCorrupt)
	}
	if err := s.check(fst.off, fst.len); err != nil {
		return nil, err
	}
	x, err := terms.Open(s.bytes(secPost), s.bytes(secFst), func(off, n int) error { return s.check(post.off+off, n) })
	if err == nil && x.Docs() != s.listings() {
		err = fmt.Errorf("it is of %d documents, not %d", x.Docs(), s.listings())
	}
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w: text index: %w", s.key, ErrCorrupt, err)
	}
	return x, nil
}

// bad says that the record at a heap offset makes no sense.
func (s *segment) bad(off int) error {
	return fmt.Errorf("segment %s: %w: record at byte %d", s.key, ErrCorrupt, off)
}

func (s *segment) unpacker(fields []byte) unpacker {
	return unpacker{cursor: cursor{b: fields}, names: s.names, words: &s.words}
}

// listings is the number of records, open and closed.
func (s *segment) listings() int { return s.foot.listings }

// hasNetworks says whether the segment lists any network.
func (s *segment) hasNetworks() bool { return s.cidr.n > 0 }
