package terms

import (
	"errors"
	"fmt"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// seedIndex is a small index with lists and bitmaps of every sort.
func seedIndex(t testing.TB) (post, fst []byte) {
	b := NewBuilder(0)
	for i := range 200 {
		b.Add([]byte("all"))
		b.Add([]byte(fmt.Sprint("one", i*37)))
		b.Add([]byte(fmt.Sprint("few", i/20)))
		if i%3 == 0 {
			b.Add([]byte("third"))
		}
		b.Next()
	}
	post, fst, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return post, fst
}

// readAll reads what there is to read and says whether anything was wrong. It
// gives up after a while: damaged bytes may stand for any number of keys.
func readAll(post, fst []byte) error {
	x, err := Open(post, fst, nil)
	if err != nil {
		return err
	}
	bound, steps := uint32(x.Docs()), 0
	all := roaring.New()
	var bad error
	err = x.Range(nil, nil, func(key []byte, p Postings) bool {
		for _, d := range p.Append(nil) {
			if d >= bound {
				bad = fmt.Errorf("document %d of %d", d, bound)
			}
		}
		p.Or(all)
		all.And(p.Bitmap())
		_, _ = x.Get(key)
		steps += len(key)
		return steps < 20_000 && bad == nil
	})
	if bad != nil {
		panic(bad)
	}
	for _, k := range []string{"", "all", "one37", "few3", "third", "nothing"} {
		if _, e := x.Get([]byte(k)); e != nil {
			err = e
		}
		_ = x.Range([]byte(k), []byte(k+"\xff"), func([]byte, Postings) bool { return false })
	}
	return err
}

// FuzzIndex reads damaged indexes: each pair of bytes says where one is changed,
// and to what.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{1, 0, 0, 9}, []byte{3, 1, 2, 0xff})
	post, fst := seedIndex(f)
	f.Fuzz(func(t *testing.T, inPost, inFST []byte) {
		err := readAll(damage(post, inPost), damage(fst, inFST))
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is no %v", err, ErrCorrupt)
		}
	})
}

// damage flips bits: three bytes give a place and what to flip there.
func damage(data, how []byte) []byte {
	out := append([]byte(nil), data...)
	for ; len(how) >= 3; how = how[3:] {
		out[(int(how[0])<<8|int(how[1]))%len(out)] ^= how[2]
	}
	return out
}

// FuzzBytes reads indexes that are any bytes behind a sound header.
func FuzzBytes(f *testing.F) {
	post, fst := seedIndex(f)
	f.Add(post, fst[headerSize:])
	f.Fuzz(func(t *testing.T, post, dict []byte) {
		header := le.AppendUint32(le.AppendUint32(nil, format), 200)
		header = append(header, dict[max(0, len(dict)-dictFooter):max(0, len(dict)-8)]...) // as many keys as the dictionary says
		if err := readAll(post, append(header, dict...)); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is no %v", err, ErrCorrupt)
		}
	})
}

// TestDamage flips every bit of an index: nothing worse than an error comes of it.
func TestDamage(t *testing.T) {
	post, fst := seedIndex(t)
	found := 0
	for i := range 8 * (len(post) + len(fst)) {
		p, f := append([]byte(nil), post...), append([]byte(nil), fst...)
		if i < 8*len(post) {
			p[i/8] ^= 1 << (i % 8)
		} else {
			f[i/8-len(post)] ^= 1 << (i % 8)
		}
		if err := readAll(p, f); errors.Is(err, ErrCorrupt) {
			found++
		} else if err != nil {
			t.Fatalf("bit %d: %v is no %v", i, err, ErrCorrupt)
		}
	}
	if found == 0 {
		t.Error("no damage was found")
	}
}

// TestTruncated reads the beginnings of an index.
func TestTruncated(t *testing.T) {
	post, fst := seedIndex(t)
	for n := range fst {
		if err := readAll(post, fst[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes of %d: %v", n, len(fst), err)
		}
	}
	for n := range post {
		if err := readAll(post[:n], fst); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes of lists of %d: %v", n, len(post), err)
		}
	}
}
