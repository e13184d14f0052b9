package corpus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// A group object, groups/NAME.grp, is the text index of many small segments in
// one. It is derived: any process may write one, and delete one that is of no
// use any more. Little endian:
//
//	post     the lists of the index (package terms), zeros up to a multiple of 8
//	fst      its dictionary, zeros up to a multiple of 8
//	sums     u64 xxhash64 of each 4 KiB block of everything before
//	members  per segment: u32 records, u32 length of its key, the key
//	footer   64 bytes:
//
//	  0 u64 xxhash64 of sums, members, and the footer behind this field
//	  8 u32 format             12 u32 number of members
//	 16 u64 length of post     24 u64 length of fst     32 u64 length of sums
//	 48 magic
//
// The members' records are numbered on: those of the second follow the first's.
const (
	groupStore   = "groups/"
	groupExt     = ".grp"
	groupFormat  = 1
	groupFooter  = 64
	groupMagic   = "elasticintel.grp"
	groupMagicAt = groupFooter - len(groupMagic)
)

// group is an open group object: one text index of many small segments. It is
// immutable and safe for concurrent use. Whoever reads its index keeps file
// alive, and reads under guard with file among the segments.
type group struct {
	key     string
	index   func() (*terms.Index, error) // opened and checked on first use
	members []groupMember
	file    *segment // the object's bytes and their checksums; nothing else of a segment
	spoil   func(error)
}

// groupMember is one segment of a group: its records are documents base to base+docs-1.
type groupMember struct {
	key  string // of the segment's object
	base uint32
	docs int
}

// align8 is n rounded up to a multiple of 8.
func align8(n int) int { return (n + 7) &^ 7 }

// appendGroup writes a group object.
func appendGroup(post, fst []byte, members []groupMember) []byte {
	b := make([]byte, 0, len(post)+len(fst)+len(post)/256+256*len(members)+groupFooter)
	pad := func() { b = append(b, make([]byte, align8(len(b))-len(b))...) }
	b = append(b, post...)
	pad()
	b = append(b, fst...)
	pad()
	sums := len(b)
	for at := 0; at < sums; at += blockSize {
		b = le.AppendUint64(b, xxhash.Sum64(b[at:min(at+blockSize, sums)]))
	}
	members0 := len(b)
	for _, m := range members {
		b = le.AppendUint32(b, uint32(m.docs))
		b = le.AppendUint32(b, uint32(len(m.key)))
		b = append(b, m.key...)
	}
	foot := make([]byte, groupFooter)
	le.PutUint32(foot[8:], groupFormat)
	le.PutUint32(foot[12:], uint32(len(members)))
	le.PutUint64(foot[16:], uint64(len(post)))
	le.PutUint64(foot[24:], uint64(len(fst)))
	le.PutUint64(foot[32:], uint64(members0-sums))
	copy(foot[groupMagicAt:], groupMagic)
	le.PutUint64(foot, tailSum(b[sums:], foot))
	return append(b, foot...)
}

// openGroup maps a group object and reads who its members are.
func (c *Corpus) openGroup(ctx context.Context, key string) (*group, error) {
	g, err := c.openGroupOnce(ctx, key)
	if f, ok := c.store.(blob.Forgetter); ok && errors.Is(err, ErrCorrupt) && f.Forget(key) {
		return c.openGroupOnce(ctx, key)
	}
	return g, err
}

func (c *Corpus) openGroupOnce(ctx context.Context, key string) (*group, error) {
	data, release, err := blob.Open(ctx, c.store, key)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", key, err)
	}
	f := &segment{key: key, data: data}
	runtime.AddCleanup(f, func(release func()) { release() }, release)
	if _, ok := c.store.(blob.Mapper); ok {
		adviseRandom(data)
	}
	g := &group{key: key, file: f, spoil: func(err error) { c.groupMem.spoil(key, err) }}
	if err := guard([]*segment{f}, g.load); err != nil {
		return nil, fmt.Errorf("group %s: %w", key, err)
	}
	return g, nil
}

// load reads everything but the index.
func (g *group) load() error {
	f := g.file
	if len(f.data) < groupFooter || string(f.data[len(f.data)-len(groupMagic):]) != groupMagic {
		return fmt.Errorf("%w: it does not end like a group (truncated?)", ErrCorrupt)
	}
	end := len(f.data) - groupFooter
	foot := f.data[end:]
	if v := le.Uint32(foot[8:]); v > groupFormat {
		return newer("it", int(v), groupFormat)
	}
	post, fst, sums := le.Uint64(foot[16:]), le.Uint64(foot[24:]), le.Uint64(foot[32:])
	if most := uint64(end); post > most || fst > most || sums > most {
		return fmt.Errorf("%w: its parts are longer than it is", ErrCorrupt)
	}
	fstAt := align8(int(post))
	f.covered = align8(fstAt + int(fst))
	blocks := (f.covered + blockSize - 1) / blockSize
	if f.covered+int(sums) > end || int(sums) != 8*blocks {
		return fmt.Errorf("%w: %d bytes of checksums for %d blocks", ErrCorrupt, sums, blocks)
	}
	if tailSum(f.data[f.covered:end], foot) != le.Uint64(foot) {
		return fmt.Errorf("%w: footer checksum", ErrCorrupt)
	}
	f.sums = f.data[f.covered : f.covered+int(sums)]
	f.checked = make([]atomic.Uint32, (blocks+31)/32)
	g.index = sync.OnceValues(func() (*terms.Index, error) {
		return g.openIndex(f.data[:post:post], fstAt, int(fst))
	})
	return g.readMembers(f.data[f.covered+int(sums):end], int(le.Uint32(foot[12:])))
}

func (g *group) readMembers(b []byte, n int) error {
	c := cursor{b: b}
	base := uint64(0)
	for range min(n, len(b)/8) {
		head := c.bytes(8)
		if head == nil {
			break
		}
		docs, key := le.Uint32(head), c.bytes(uint64(le.Uint32(head[4:])))
		g.members = append(g.members, groupMember{string(key), uint32(base), int(docs)})
		base += uint64(docs)
	}
	if c.bad || len(c.b) > 0 || len(g.members) != n || base > 1<<31-1 {
		return fmt.Errorf("%w: its members make no sense", ErrCorrupt)
	}
	return nil
}

// docs is how many records the members have together.
func (g *group) docs() int {
	if len(g.members) == 0 {
		return 0
	}
	last := g.members[len(g.members)-1]
	return int(last.base) + last.docs
}

func (g *group) openIndex(post []byte, fstAt, fst int) (*terms.Index, error) {
	if err := g.check(fstAt, fst); err != nil {
		return nil, err
	}
	x, err := terms.Open(post, g.file.data[fstAt:fstAt+fst], g.check)
	if err == nil && x.Docs() != g.docs() {
		err = fmt.Errorf("it is of %d documents, not %d", x.Docs(), g.docs())
	}
	if err != nil {
		err = fmt.Errorf("group %s: %w: %w", g.key, ErrCorrupt, err)
		g.spoil(err)
		return nil, err
	}
	return x, nil
}

// check compares checksums, as a segment's does. A group with damage is not used
// again.
func (g *group) check(off, n int) error {
	err := g.file.check(off, n)
	if err != nil {
		g.spoil(err)
	}
	return err
}
