package fetch

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// This file reads the .xz container (tukaani.org/xz/xz-file-format.txt, 1.2.1)
// around the library's LZMA2 decoder. The library's own container reader would
// allocate whatever dictionary a hostile header asks for, up to 4 GiB a block.

const (
	xzHeaderMagic = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	xzLZMA2       = 0x21
	minDictionary = 4 << 10
	maxDictionary = 64 << 20 // that of xz -9

	// A block costs its dictionary in memory to clear. Honest files have blocks
	// larger than that; this many bytes are free, then 64 for every byte out.
	xzFreeClear = 1 << 30
)

var (
	errXz         = errors.New("not as the format prescribes")
	errXzCheck    = errors.New("a check sum does not fit")
	errXzBlocks   = errors.New("too many tiny blocks")
	errDictionary = errors.New("dictionary too large")
	errFilter     = errors.New("filter not supported")

	xzCheckSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}
)

// xzReader reads the streams of an .xz file, one after another.
type xzReader struct {
	r   *bufio.Reader
	any bool  // stream was read
	err error // sticky

	flags   [2]byte // of the stream
	in      bool    // a stream
	records int64   // blocks in this stream
	digest  hash.Hash
	cleared int64 // bytes of dictionaries so far
	out     int64

	block *xzBlock
}

// xzBlock is the block being read.
type xzBlock struct {
	in       *xzCounter
	dec      io.Reader
	check    hash.Hash // nil for none or unknown
	header   int64     // bytes of the header
	out      int64
	wantIn   int64 // declared, -1 if not
	wantOut  int64
	checkLen int
}

// xzCounter counts the bytes of a block.
type xzCounter struct {
	r io.Reader
	n int64
}

func (c *xzCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		switch {
		case !x.in:
			x.err = x.nextStream()
		case x.block == nil:
			x.err = noEOF(x.nextBlock())
		default:
			n, err := x.readBlock(p)
			x.err = noEOF(err)
			if n > 0 {
				return n, nil
			}
		}
	}
	return 0, x.err
}

// nextStream reads a stream header; io.EOF when there is no further stream.
func (x *xzReader) nextStream() error {
	for x.any { // streams may be followed by zeros in fours
		pad, err := x.r.Peek(4)
		switch {
		case err == io.EOF && len(pad) == 0:
			return io.EOF
		case err != nil:
			return noEOF(err)
		}
		if string(pad) != "\x00\x00\x00\x00" {
			break
		}
		x.r.Discard(4)
	}
	var h [12]byte
	if _, err := io.ReadFull(x.r, h[:]); err != nil {
		return noEOF(err)
	}
	switch {
	case string(h[:6]) != xzHeaderMagic && x.any:
		return errTrailing
	case string(h[:6]) != xzHeaderMagic, h[6] != 0, h[7] > 15:
		return errXz
	case binary.LittleEndian.Uint32(h[8:]) != crc32.ChecksumIEEE(h[6:8]):
		return errXzCheck
	}
	x.flags = [2]byte{h[6], h[7]}
	x.in, x.any = true, true
	x.records, x.digest = 0, sha256.New()
	return nil
}

// nextBlock reads a block header, or the index and the footer of the stream.
func (x *xzReader) nextBlock() error {
	size, err := x.r.ReadByte()
	if err != nil {
		return err
	}
	if size == 0 {
		x.in = false
		return x.readIndex()
	}
	h := make([]byte, (int(size)+1)*4)
	h[0] = size
	if _, err := io.ReadFull(x.r, h[1:]); err != nil {
		return err
	}
	body, sum := h[:len(h)-4], h[len(h)-4:]
	if binary.LittleEndian.Uint32(sum) != crc32.ChecksumIEEE(body) {
		return errXzCheck
	}
	b := &xzBlock{header: int64(len(h)), in: &xzCounter{r: x.r}, checkLen: xzCheckSizes[x.flags[1]], wantIn: -1, wantOut: -1}
	dict, err := b.parse(body[1:])
	if err != nil {
		return err
	}
	return x.openBlock(b, dict)
}

// parse reads a block header from its flags on and returns the dictionary size.
func (b *xzBlock) parse(h []byte) (dict int64, err error) {
	p := &xzFields{b: h}
	flags := p.byte()
	if flags&0x3c != 0 {
		return 0, errXz
	}
	if flags&0x40 != 0 {
		b.wantIn = p.number()
	}
	if flags&0x80 != 0 {
		b.wantOut = p.number()
	}
	if flags&3 != 0 || p.number() != xzLZMA2 {
		return 0, errFilter
	}
	if p.number() != 1 {
		return 0, errXz
	}
	bits := p.byte()
	for !p.bad && len(p.b) > 0 {
		p.bad = p.byte() != 0
	}
	if p.bad || bits > 40 {
		return 0, errXz
	}
	if bits == 40 {
		return 1<<32 - 1, nil
	}
	return int64(2|bits&1) << (bits/2 + 11), nil
}

// xzFields takes fields off the front of a header.
type xzFields struct {
	b   []byte
	bad bool
}

func (p *xzFields) byte() byte {
	if len(p.b) == 0 {
		p.bad = true
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *xzFields) number() int64 {
	n, err := readXzNumber(func() (byte, error) {
		c := p.byte()
		if p.bad {
			return 0, errXz
		}
		return c, nil
	})
	p.bad = p.bad || err != nil
	return n
}

// readXzNumber reads a number of up to 63 bits, seven a byte, the lowest first.
func readXzNumber(next func() (byte, error)) (int64, error) {
	var n int64
	for shift := 0; shift < 63; shift += 7 {
		c, err := next()
		if err != nil {
			return 0, err
		}
		if c == 0 && shift > 0 {
			return 0, errXz // not the shortest form
		}
		n |= int64(c&0x7f) << shift
		if c < 0x80 {
			return n, nil
		}
	}
	return 0, errXz
}

// openBlock starts the decoder. A larger dictionary than we grant is only an
// error when the block may be long enough to use it.
func (x *xzReader) openBlock(b *xzBlock, dict int64) error {
	if b.wantOut >= 0 {
		dict = min(dict, b.wantOut)
	}
	if dict > maxDictionary {
		return errDictionary
	}
	dict = max(dict, minDictionary)
	if x.cleared += dict; x.cleared > xzFreeClear+64*x.out {
		return errXzBlocks
	}
	dec, err := lzma.Reader2Config{DictCap: int(dict)}.NewReader2(b.in)
	if err != nil {
		return err
	}
	b.dec = dec
	switch x.flags[1] {
	case 1:
		b.check = crc32.NewIEEE()
	case 4:
		b.check = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		b.check = sha256.New()
	}
	x.block = b
	return nil
}

func (x *xzReader) readBlock(p []byte) (int, error) {
	b := x.block
	n, err := b.dec.Read(p)
	b.out += int64(n)
	x.out += int64(n)
	if b.check != nil {
		b.check.Write(p[:n])
	}
	if err != io.EOF {
		return n, err
	}
	x.block = nil
	return n, x.endBlock(b)
}

// endBlock reads the padding and the check sum behind a block's data.
func (x *xzReader) endBlock(b *xzBlock) error {
	if b.wantIn >= 0 && b.wantIn != b.in.n || b.wantOut >= 0 && b.wantOut != b.out {
		return errXz
	}
	tail := make([]byte, int(-b.in.n&3)+b.checkLen)
	if _, err := io.ReadFull(x.r, tail); err != nil {
		return err
	}
	pad, sum := tail[:len(tail)-b.checkLen], tail[len(tail)-b.checkLen:]
	for _, c := range pad {
		if c != 0 {
			return errXz
		}
	}
	if b.check != nil && !sameSum(b.check, sum) {
		return errXzCheck
	}
	x.records++
	x.note(b.header+b.in.n+int64(b.checkLen), b.out)
	return nil
}

// sameSum compares a check sum, which the format keeps little-endian for CRCs.
func sameSum(h hash.Hash, sum []byte) bool {
	switch h := h.(type) {
	case hash.Hash32:
		return h.Sum32() == binary.LittleEndian.Uint32(sum)
	case hash.Hash64:
		return h.Sum64() == binary.LittleEndian.Uint64(sum)
	}
	return string(h.Sum(nil)) == string(sum)
}

// note adds a record to a digest: blocks and index must have the same ones, and
// keeping the records themselves would cost memory by the block.
func (x *xzReader) note(unpadded, out int64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(out))
	x.digest.Write(b[:])
}

// readIndex reads the index from its number of records on, and the footer.
func (x *xzReader) readIndex() error {
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	size := int64(1)
	next := func() (byte, error) {
		c, err := x.r.ReadByte()
		if err == nil {
			size++
			sum.Write([]byte{c})
		}
		return c, err
	}
	blocks, records := x.digest.Sum(nil), x.records
	x.digest = sha256.New()
	n, err := readXzNumber(next)
	if err != nil {
		return err
	}
	if n != records {
		return errXz
	}
	for range n {
		unpadded, err := readXzNumber(next)
		if err != nil {
			return err
		}
		out, err := readXzNumber(next)
		if err != nil {
			return err
		}
		x.note(unpadded, out)
	}
	for size%4 != 0 {
		if c, err := next(); err != nil || c != 0 {
			return orErr(err, errXz)
		}
	}
	if string(x.digest.Sum(nil)) != string(blocks) {
		return errXz
	}
	return x.readFooter(sum.Sum32(), size+4)
}

// readFooter checks the index' sum and the twelve bytes after it.
func (x *xzReader) readFooter(indexSum uint32, indexSize int64) error {
	var f [16]byte
	if _, err := io.ReadFull(x.r, f[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(f[:]) != indexSum || binary.LittleEndian.Uint32(f[4:]) != crc32.ChecksumIEEE(f[8:14]) {
		return errXzCheck
	}
	if (int64(binary.LittleEndian.Uint32(f[8:]))+1)*4 != indexSize || [2]byte(f[12:14]) != x.flags || string(f[14:]) != xzFooterMagic {
		return errXz
	}
	return nil
}

func orErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
