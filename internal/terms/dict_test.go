package terms

import (
	"errors"
	"fmt"
	"testing"
)

// rawIndex is an index of these states, which end with the root, that claims to
// have so many keys.
func rawIndex(t *testing.T, keys uint64, states ...byte) *Index {
	t.Helper()
	dict := append(le.AppendUint64(le.AppendUint64(nil, 1), 0), states...)
	root := len(dict) - 1
	dict = le.AppendUint64(le.AppendUint64(dict, keys), uint64(root))
	x, err := Open(nil, append(le.AppendUint64(le.AppendUint32(le.AppendUint32(nil, format), 1), keys), dict...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestWalksEnd reads dictionaries that a reader could walk in for ever.
func TestWalksEnd(t *testing.T) {
	// ways puts 60 states of two transitions on top of the state that bottom ends
	// with: there are 2^60 ways. Each is its targets (how far the head below is),
	// bytes, sizes and head; on top one that makes all keys those of document 0.
	ways := func(bottom ...byte) []byte {
		distance := byte(min(len(bottom), 1)) // 0: the final state that takes no bytes
		for range 60 {
			bottom = append(bottom, distance, distance, 'b', 'a', 0x10, 2)
			distance = 1
		}
		return append(bottom, 1, 1, 'a', 0x11, 1)
	}
	for name, x := range map[string]*Index{
		"leads nowhere":         rawIndex(t, 1, ways(0, 0, 0)...),
		"more keys than it has": rawIndex(t, 3, ways()...),
		"a circle":              rawIndex(t, 1, 0xf6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 'a', 0x80),
	} {
		n := 0
		err := x.Range(nil, nil, func([]byte, Postings) bool { n++; return n < 1000 })
		if !errors.Is(err, ErrCorrupt) || n > 3 {
			t.Errorf("%s: %d keys, %v", name, n, err)
		}
	}
}

// TestKeysWithEqualHashes has keys of which only a part of the hash is kept: some
// of so many are the same there.
func TestKeysWithEqualHashes(t *testing.T) {
	const n = 400_000
	b := NewBuilder(1)
	var key []byte
	for i := range n {
		key = fmt.Appendf(key[:0], "k%d", i)
		if id := b.ID(key); int(id) != i {
			t.Fatalf("%q is taken for %q", key, b.key(id))
		}
	}
	if b.Keys() != n {
		t.Errorf("%d keys, want %d", b.Keys(), n)
	}
}
