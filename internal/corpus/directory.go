package corpus

import (
	"errors"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"
)

// directory finds, by hash, the records of all segments. It is a hash table of
// 8-byte slots, cut by the hash's top bits into partitions small enough that
// filling one stays in the processor's cache: segments keep their hashes sorted,
// so each segment's share of a partition is one run of its hash section.
//
// A slot is a 16-bit fingerprint (never 0), the segment's number and the heap
// offset/4 (32 bits); 0 is free. The fingerprint's top bit says that the hash is
// that of an ip-port's address and not of the record's value. The rest can agree
// by chance, so every hit is compared with the record's value.
type directory struct {
	shift    uint     // hash >> shift is the partition
	start    []uint32 // partition p has the slots [start[p], start[p+1])
	slots    []uint64
	distinct int // different hashes
}

const (
	partitionSize = 1 << 12 // records a partition has on average, at most
	maxSegments   = 1 << 16
)

var errTooMany = errors.New("more segments than the directory can number (65,536)")

// bytes is how much memory it takes.
func (d *directory) bytes() int64 { return 8*int64(len(d.slots)) + 4*int64(len(d.start)) }

// hashOf says what a hash is of.
type hashOf uint64

const (
	ofValue   hashOf = 0
	ofAddress hashOf = 0x8000
)

func (of hashOf) fingerprint(h uint64) uint64 { return max(h&0x7fff, 1) | uint64(of) }

// share is a segment's share of the directory.
type share struct {
	keyed
	seg  int
	of   hashOf
	dead bitset // heap offsets/4 of records that are left out
}

func sources(segs []*segment, dead []bitset) (out []share, total int) {
	for i, s := range segs {
		out = append(out, share{s.byHash, i, ofValue, dead[i]})
		if s.byAddress.len() > 0 {
			out = append(out, share{s.byAddress, i, ofAddress, dead[i]})
		}
		total += s.byHash.len() + s.byAddress.len()
	}
	return out, total
}

// deadRefs returns the heap offsets/4 of each segment's dead records.
func deadRefs(segs []*segment, dead []*roaring.Bitmap, workers int) ([]bitset, error) {
	out := make([]bitset, len(segs))
	err := parallel(workers, len(segs), segs, func(i int) (err error) {
		if dead[i] != nil {
			out[i], err = segs[i].refsOf(dead[i])
		}
		return err
	})
	return out, err
}

// buildDirectory fills a directory from the segments' records, but for the dead
// ones, with this many goroutines.
func buildDirectory(segs []*segment, dead []*roaring.Bitmap, workers int) (*directory, error) {
	out, err := deadRefs(segs, dead, workers)
	if err != nil {
		return nil, err
	}
	from, total := sources(segs, out)
	logP := uint(bits.Len(uint(total / partitionSize)))
	d := &directory{shift: 64 - logP}
	parts := 1 << logP
	bounds := make([][]uint32, len(from))
	err = parallel(workers, len(from), segs, func(i int) error {
		bounds[i] = d.bounds(from[i].hash, parts)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.start = make([]uint32, parts+1)
	for p := range parts {
		n := uint32(0)
		for _, b := range bounds {
			n += b[p+1] - b[p]
		}
		// One slot stays free in every partition, so that every search ends.
		d.start[p+1] = d.start[p] + n + n*3/7 + 1
	}
	d.slots = make([]uint64, d.start[parts])
	adviseHuge(d.slots)
	var distinct atomic.Int64
	var scratch sync.Pool
	err = parallel(workers, parts, segs, func(p int) error {
		full, _ := scratch.Get().(*[]uint64)
		if full == nil {
			full = new([]uint64)
		}
		distinct.Add(int64(d.fill(p, from, bounds, full)))
		scratch.Put(full)
		return nil
	})
	d.distinct = int(distinct.Load())
	return d, err
}

// bounds returns where each partition begins in a sorted hash section. Hashes
// are spread evenly, so the first guess is close.
func (d *directory) bounds(hash []byte, parts int) []uint32 {
	n := len(hash) / 8
	out := make([]uint32, parts+1)
	out[parts] = uint32(n)
	for p := 1; p < parts; p++ {
		below := func(i int) bool { return u64at(hash, i)>>d.shift < uint64(p) }
		lo := int(out[p-1])
		guess := max(int(uint64(n)*uint64(p)/uint64(parts)), lo)
		out[p] = uint32(searchNear(lo, n, guess, below))
	}
	return out
}

// fill inserts every segment's share of partition p, in segment order, and
// returns how many different hashes there were. scratch is memory to use: the
// whole hash of each slot, for slots that are taken.
func (d *directory) fill(p int, from []share, bounds [][]uint32, scratch *[]uint64) (distinct int) {
	slots := d.slots[d.start[p]:d.start[p+1]]
	*scratch = slices.Grow((*scratch)[:0], len(slots))[:len(slots)]
	full := (*scratch)[:len(slots)]
	for i, s := range from {
		lo, hi := bounds[i][p], bounds[i][p+1]
		hash, ref := s.hash[8*uint64(lo):8*uint64(hi)], s.ref[4*uint64(lo):4*uint64(hi)]
		where := uint64(s.seg) << 32
		for ; len(hash) >= 8 && len(ref) >= 4; hash, ref = hash[8:], ref[4:] {
			if s.dead != nil && s.dead.has(le.Uint32(ref)) {
				continue
			}
			h := le.Uint64(hash)
			at := d.place(h, len(slots))
			seen := false
			for slots[at] != 0 {
				seen = seen || full[at] == h && slots[at]>>63 == 0
				if at++; at == len(slots) {
					at = 0
				}
			}
			if !seen && s.of == ofValue {
				distinct++
			}
			full[at] = h
			slots[at] = s.of.fingerprint(h)<<48 | where | uint64(le.Uint32(ref))
		}
	}
	return distinct
}

// place is where the search for h begins in a partition of n slots.
func (d *directory) place(h uint64, n int) int {
	at, _ := bits.Mul64(h<<(64-d.shift), uint64(n))
	return int(at)
}

// first is the slot where the search for h begins.
func (d *directory) first(h uint64) int {
	p := h >> d.shift
	return int(d.start[p]) + d.place(h, int(d.start[p+1]-d.start[p]))
}

// find appends the slot of every record that may have the hash h, in segment order.
func (d *directory) find(of hashOf, h uint64, dst []uint64) []uint64 {
	p := h >> d.shift
	slots := d.slots[d.start[p]:d.start[p+1]]
	fp := of.fingerprint(h)
	for at := d.place(h, len(slots)); ; {
		x := slots[at]
		if x == 0 {
			return dst
		}
		if x>>48 == fp {
			dst = append(dst, x)
		}
		if at++; at == len(slots) {
			at = 0
		}
	}
}

// slotRecord is the segment number and heap offset/4 that a slot holds.
func slotRecord(x uint64) (seg int, ref uint32) { return int(x >> 32 & 0xffff), uint32(x) }

// parallel calls f(0) … f(n-1) from several goroutines, which read the segments.
func parallel(workers, n int, segs []*segment, f func(i int) error) error {
	var next atomic.Int64
	var g errgroup.Group
	for range min(workers, n) {
		g.Go(func() error {
			return guard(segs, func() error {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					if err := f(i); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return g.Wait()
}
