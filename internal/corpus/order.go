package corpus

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// hashed is a hash and what it is of: a record of the stack's segment (by heap
// offset/4), or an entry.
type hashed struct {
	hash uint64
	ref  uint32
	seg  uint32
}

// sortHashed sorts by hash, equal ones by ref. Hashes are spread evenly but for
// the first bits, which may be the same for all: one pass puts them into small
// buckets by the bits behind those, which are then sorted. It may return other
// memory than hs.
func sortHashed(hs []hashed, same uint) []hashed {
	bits := uint(0)
	for n := len(hs) / 8; n > 1; n /= 2 {
		bits++
	}
	bucket := func(h uint64) uint64 { return h << same >> (64 - bits) }
	if bits == 0 {
		bucket = func(uint64) uint64 { return 0 }
	}
	ends := make([]uint32, 1<<bits)
	for _, h := range hs {
		ends[bucket(h.hash)]++
	}
	sum := uint32(0)
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	out := make([]hashed, len(hs))
	for _, h := range hs {
		b := bucket(h.hash)
		out[ends[b]] = h
		ends[b]++
	}
	start := uint32(0)
	for _, end := range ends {
		sortBucket(out[start:end])
		start = end
	}
	return out
}

// sortBucket sorts a bucket, which is small unless hashes are alike.
func sortBucket(hs []hashed) {
	if len(hs) > 32 {
		slices.SortFunc(hs, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.ref, b.ref)) })
		return
	}
	for i := 1; i < len(hs); i++ {
		x, j := hs[i], i
		for ; j > 0 && (hs[j-1].hash > x.hash || hs[j-1].hash == x.hash && hs[j-1].ref > x.ref); j-- {
			hs[j] = hs[j-1]
		}
		hs[j] = x
	}
}

// valueKey is a text to be sorted and the eight bytes of it that are looked at.
type valueKey struct {
	bytes uint64
	left  uint16 // how many bytes it has from there on, at most 9
	kind  intel.Kind
	i     uint32
}

// compareValueKeys orders by kind and value downwards.
func compareValueKeys(a, b valueKey) int {
	if a.kind != b.kind {
		return cmp.Compare(b.kind, a.kind)
	}
	if a.bytes != b.bytes {
		return cmp.Compare(b.bytes, a.bytes)
	}
	return int(b.left) - int(a.left)
}

// sortByValue returns the numbers 0 to n-1 by the kind and value of each, downwards.
func sortByValue(n int, at func(i uint32) (intel.Kind, string)) []uint32 {
	keys := make([]valueKey, n)
	for i := range keys {
		kind, s := at(uint32(i))
		keys[i] = valueKey{first8(s), uint16(min(len(s), 9)), kind, uint32(i)}
	}
	sortFrom(keys, 0, at)
	out := make([]uint32, n)
	for i := range keys {
		out[i] = keys[i].i
	}
	return out
}

// sortFrom sorts keys that are the same in front of the byte at depth: by the
// eight bytes in hand, and those that are the same there by what follows.
func sortFrom(keys []valueKey, depth int, at func(i uint32) (intel.Kind, string)) {
	slices.SortFunc(keys, compareValueKeys)
	for len(keys) > 1 {
		n := 1
		for n < len(keys) && compareValueKeys(keys[n], keys[0]) == 0 {
			n++
		}
		if n > 1 && keys[0].left > 8 {
			for i := range keys[:n] {
				_, s := at(keys[i].i)
				s = s[depth+8:]
				keys[i].bytes, keys[i].left = first8(s), uint16(min(len(s), 9))
			}
			sortFrom(keys[:n], depth+8, at)
		}
		keys = keys[n:]
	}
}

// first8 returns the first eight bytes as a number; missing ones count as zeros.
func first8(s string) (n uint64) {
	if len(s) >= 8 {
		var b [8]byte
		copy(b[:], s)
		return binary.BigEndian.Uint64(b[:])
	}
	for i := range len(s) {
		n |= uint64(s[i]) << (56 - 8*i)
	}
	return n
}
