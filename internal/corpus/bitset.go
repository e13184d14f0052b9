package corpus

// bitset is a set of numbers below a bound; numbers beyond it are never in it.
type bitset []uint64

func newBitset(bound int) bitset { return make(bitset, (bound+63)/64) }

func (b bitset) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) set(i uint32) {
	if int(i/64) < len(b) {
		b[i/64] |= 1 << (i % 64)
	}
}
