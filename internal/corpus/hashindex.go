package corpus

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
)

const (
	deferFrom  = 100_000 // records from which on a directory is made only when it pays
	asksToMake = 32      // questions that show that it does
)

// hashIndex finds the records with a hash: in the directory, or, until that has
// been made, in each segment by itself. A search of every segment takes some 0.2 µs
// for each; making the directory of millions of records takes as long as
// thousands of those, so a process that answers one question does without.
type hashIndex struct {
	segs []*segment
	dead []*roaring.Bitmap
	skip func() ([]bitset, error) // the same as heap offsets/4

	asked atomic.Int32
	once  sync.Once
	err   error // after once
	dir   atomic.Pointer[directory]
}

func newHashIndex(segs []*segment, dead []*roaring.Bitmap) *hashIndex {
	x := &hashIndex{segs: segs, dead: dead}
	x.skip = sync.OnceValues(func() ([]bitset, error) { return deadRefs(segs, dead, 1) })
	return x
}

// records is how many the segments have.
func (x *hashIndex) records() (n int) {
	for _, s := range x.segs {
		n += s.byHash.len()
	}
	return n
}

// make makes the directory unless it is there.
func (x *hashIndex) make(workers int) error {
	x.once.Do(func() {
		d, err := buildDirectory(x.segs, x.dead, workers)
		if x.err = err; err == nil {
			x.dir.Store(d)
		}
	})
	return x.err
}

// ready says whether the directory is there.
func (x *hashIndex) ready() bool { return x.dir.Load() != nil }

// directory returns the directory, or nil while there is none; asked often enough,
// it begins to make it.
func (x *hashIndex) directory() *directory {
	d := x.dir.Load()
	if d == nil && x.asked.Add(1) == asksToMake {
		go func() { _ = x.make(1) }() // where it fails, the segments are searched from then on, and say why
	}
	return d
}

// find appends the slot of every record that may have the hash h, in segment order.
func (x *hashIndex) find(of hashOf, h uint64, dst []uint64) ([]uint64, error) {
	if d := x.directory(); d != nil {
		return d.find(of, h, dst), nil
	}
	return x.search(of, h, dst)
}

// search is find without the directory.
func (x *hashIndex) search(of hashOf, h uint64, dst []uint64) ([]uint64, error) {
	skip, err := x.skip()
	if err != nil {
		return dst, err
	}
	for i, s := range x.segs {
		keys := s.byHash
		if of == ofAddress {
			keys = s.byAddress
		}
		for at := keys.seek(h); at < keys.len() && u64at(keys.hash, at) == h; at++ {
			if ref := u32at(keys.ref, at); skip[i] == nil || !skip[i].has(ref) {
				dst = append(dst, of.fingerprint(h)<<48|uint64(i)<<32|uint64(ref))
			}
		}
	}
	return dst, nil
}

// seek returns the first place whose hash is not below h. Hashes are spread
// evenly between the first and the last.
func (k keyed) seek(h uint64) int {
	n := k.len()
	if n == 0 {
		return 0
	}
	first, last := u64at(k.hash, 0), u64at(k.hash, n-1)
	if h <= first {
		return 0
	}
	if h > last {
		return n
	}
	hi, lo := bits.Mul64(h-first, uint64(n-1))
	guess, _ := bits.Div64(hi, lo, last-first)
	return searchNear(0, n, int(guess), func(i int) bool { return u64at(k.hash, i) < h })
}

// searchNear returns the first of the places from lo to before n that is not below,
// looking around guess first.
func searchNear(lo, n, guess int, below func(i int) bool) int {
	hi := n
	for step := 1; guess < hi; step *= 2 {
		if below(guess) {
			lo = guess + 1
			guess = lo + step
		} else {
			hi = guess
			guess = max(lo, hi-step)
		}
		if lo >= hi {
			break
		}
	}
	for lo < hi {
		if mid := (lo + hi) / 2; below(mid) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
