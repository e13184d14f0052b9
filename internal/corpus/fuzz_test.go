package corpus

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// reseal gives changed bytes of a segment the checksums that fit them, so that
// the readers behind the checksums meet them.
func reseal(data []byte) {
	if len(data) < footerSize || string(data[len(data)-16:]) != magic {
		return
	}
	foot := data[len(data)-footerSize:]
	n := int(min(le.Uint32(foot[24:]), 64))
	end := len(data) - footerSize - n*tableRow
	if end < 0 {
		return
	}
	table := data[end : len(data)-footerSize]
	inside := func(row []byte) (off, length int, ok bool) {
		o, l := le.Uint64(row[8:]), le.Uint64(row[16:])
		return int(o), int(l), o <= uint64(end) && l <= uint64(end)-o
	}
	for pass := range 2 {
		for i := range n {
			row := table[i*tableRow:]
			off, length, ok := inside(row)
			if !ok || pass == 0 && le.Uint32(row) != secSums {
				continue
			}
			if pass == 0 {
				for b := 0; b*blockSize < off && (b+1)*8 <= length; b++ {
					le.PutUint64(data[off+b*8:], xxhash.Sum64(data[b*blockSize:min((b+1)*blockSize, off)]))
				}
			}
			le.PutUint64(row[24:], xxhash.Sum64(data[off:off+length]))
		}
	}
	le.PutUint64(foot, tailSum(table, foot))
}

// FuzzSegment reads changed segments whose checksums are right: nothing may
// panic or hang, whatever they say.
func FuzzSegment(f *testing.F) {
	store, all := smallStore(f)
	head, _, err := readHead(context.Background(), store, "small")
	if err != nil {
		f.Fatal(err)
	}
	h, err := readStore(context.Background(), store)
	if err != nil {
		f.Fatal(err)
	}
	ref := head.Segments[0]
	good := store.objects[ref.Key].data
	f.Add(uint32(0), uint32(0), []byte{})
	f.Add(uint32(len(good)-200), uint32(len(good)-230), []byte{1, 2, 3})
	f.Add(uint32(5), uint32(9000), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, at1, at2 uint32, change []byte) {
		data := bytes.Clone(good)
		copy(data[int(at1)%len(data):], change)
		for i, c := range change {
			data[(int(at2)+i*97)%len(data)] ^= c
		}
		reseal(data)
		tryEverything(t, store, ref, data, h, all, 1+len(change)%2*10_000)
	})
}

func tryEverything(t *testing.T, store *memStore, ref SegmentRef, data []byte, h hasher, all []intel.Indicator, small int) {
	ref.Sum, ref.Bytes = fmt.Sprintf("%016x", xxhash.Sum64(data)), int64(len(data))
	if len(data) >= footerSize {
		foot := data[len(data)-footerSize:]
		ref.Listings, ref.Open = int(le.Uint32(foot[32:])), int(le.Uint32(foot[36:]))
	}
	bad := store.damaged(ref.Key, data)
	_, _ = verifySegment(context.Background(), bad, h, ref)
	s, err := openSegment(context.Background(), bad, ref, h)
	if err != nil {
		return
	}
	c := &Corpus{store: bad, hash: h, opt: Options{Now: time.Now, Workers: 1, MaxMembers: 1000, ShardSize: 1000, Small: small}}
	head := &Head{Feed: "small", Segments: []SegmentRef{ref}, LastGood: day(3)}
	v, err := c.newView([]*feedState{{head: head, segs: []*segment{s}, dead: make([]*roaring.Bitmap, 1)}}, nil)
	if err != nil {
		return
	}
	c.view.Store(v)
	for _, i := range all[:60] {
		_, _ = v.Find(context.Background(), intel.Ask(i), time.Time{}, nil)
	}
	_ = guard(v.segs, func() error {
		x, err := s.terms()
		if err == nil && x != nil {
			err = x.Range(nil, nil, func(_ []byte, p terms.Postings) bool { p.Bitmap(); return true })
		}
		return err
	})
	_, _ = c.Merge(context.Background(), head, randomEntries(rand.New(rand.NewPCG(1, 2)), all, 0.5), MergeOptions{Feed: "small", Info: feedInfo("small", intel.Snapshot), Now: day(4)})
}

// TestDamageBehindRightChecksums is FuzzSegment's loop with random changes.
func TestDamageBehindRightChecksums(t *testing.T) {
	store, all := smallStore(t)
	head, _, err := readHead(context.Background(), store, "small")
	if err != nil {
		t.Fatal(err)
	}
	h, err := readStore(context.Background(), store)
	if err != nil {
		t.Fatal(err)
	}
	ref := head.Segments[0]
	good := store.objects[ref.Key].data
	tail := len(good) - footerSize - 17*tableRow // most of what steers the reader is there
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 600 {
		data := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			from := []int{0, tail}[r.IntN(2)]
			data[from+r.IntN(len(data)-from)] = byte(r.IntN(256))
		}
		if i%2 == 0 {
			reseal(data)
		}
		tryEverything(t, store, ref, data, h, all, 1+i/2%2*10_000)
	}
}
