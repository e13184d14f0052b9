package terms

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// benchDocs calls doc with the keys of n documents: some that many have, some
// that are its own.
func benchBuild(b *testing.B, n int) (post, fst []byte) {
	x := NewBuilder(n)
	var key []byte
	for i := range n {
		h := uint64(i) * 0x9e3779b97f4a7c15
		x.Add([]byte("all"))
		key = fmt.Appendf(key[:0], "w%d", h>>56)
		x.Add(key)
		key = fmt.Appendf(key[:0], "v%d", h>>44)
		x.Add(key)
		key = binary.BigEndian.AppendUint64(append(key[:0], "own"...), h)
		x.Add(key)
		x.Next()
	}
	post, fst, err := x.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return post, fst
}

func BenchmarkBuild(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		benchBuild(b, n)
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}

func BenchmarkRead(b *testing.B) {
	const n = 200_000
	post, fst := benchBuild(b, n)
	x, err := Open(post, fst, func(int, int) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	get := func(keys ...string) func(b *testing.B) {
		return func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := x.Get([]byte(keys[i%len(keys)])); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("Get/list", get("v17", "v4000", "v912", "v1"))
	b.Run("Get/bitmap", get("w17", "w255", "w91"))
	b.Run("Get/none", get("x", "w999", "v99999"))
	b.Run("Range", func(b *testing.B) {
		for b.Loop() {
			if err := x.Range([]byte("own"), nil, func([]byte, Postings) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
	})
	b.Run("Merge/2", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := Merge([]Part{{x, 0}, {x, n}}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(2*n*float64(b.N)/b.Elapsed().Seconds(), "documents/s")
	})
}
