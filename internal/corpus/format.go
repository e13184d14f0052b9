package corpus

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// The segment file, little endian but for addresses, which are in network order.
// Sections start at multiples of 8 with zeros between them and follow each other
// in this order, so that what a cold open reads is one contiguous tail:
//
//	heap   records, each at a multiple of 4 (record.go): the oldest change first, and what
//	       changed at one time (in one run) by kind and value DOWNWARDS, so that counting
//	       record numbers down gives the order of a search
//	names  field names (string table)
//	words  values, and beginnings of values, that many records have (string table)
//	stat   per kind: u32 kind, u32 open, u32 all, u32 open records that it replaces
//	roff   u32 heap offset/4 of each record, in heap order: a record's number is its place here
//	addr4  4 bytes address, u32 heap offset/4: ipv4, ip-port, and url at an address; sorted
//	addr6  16 bytes address, u32 heap offset/4: the same for IPv6
//	cidr   16 bytes address (IPv4 mapped), u8 bits, u8 family (4, 6), u16 0, u32 heap offset/4; sorted
//	post   the text index (package terms), whose documents are the record numbers
//	fst    its dictionary
//	batch  per time of change, upwards: i64 Unix ms, u32 number of the first record changed then, u32 how many of them are closed
//	repl   which records of lower segments it replaces (stack.go): per segment u64 xxhash64 of its
//	       name, u32 count, u32 0, count u32 record numbers upwards, zeros up to a multiple of 8
//	atoff  u32 heap offset/4, in athash order
//	athash u64 keyed hash of each ip-port record's address, sorted
//	hoff   u32 heap offset/4, in hash order
//	hash   u64 keyed hash of each record's kind and value, sorted
//	sums   u64 xxhash64 of each 4 KiB block of everything before this section
//	table  per section: u32 id, u32 0, u64 offset, u64 length, u64 xxhash64
//	footer 256 bytes
//
// Format 1 had no post, fst, batch and repl, no urls in addr4 and addr6, its
// records of one time of change were in no order, and after roff there was
//
//	chg    u32 Unix second of each record's last change, in heap order
//
// Readers skip sections whose id they do not know. What may not be skipped sets
// a bit in the footer's needs.
//
// Every block is checked against sums the first time it is read, so a damaged
// byte becomes an error and never an answer. The footer holds:
//
//	  0 u64 xxhash64 of the table and of the footer behind this field
//	  8 u32 format             12 u32 needs
//	 16 u64 file size          24 u32 number of sections   28 u32 block size
//	 32 u32 records            36 u32 open records
//	 40 u64 seed check: hash of the magic under the store's seed
//	240 magic
const (
	segmentFormat = 2
	footerSize    = 256
	tableRow      = 32
	blockBits     = 12
	blockSize     = 1 << blockBits
	magic         = "elasticintel.seg"

	knownNeeds = 0 // no feature so far that a reader has to know
)

// Section ids. They are stored on disk: never renumber, never reuse. An id also
// says what is in the section: if the keys of the text index (keys.go) or the
// way words are cut ever change, post and fst get new ids, and segments with the
// old ones are read by the old rules.
const (
	secHeap   = 1
	secNames  = 2
	secWords  = 3
	secStat   = 4
	secRoff   = 5
	secChg    = 6
	secAddr4  = 7
	secAddr6  = 8
	secCIDR   = 9
	secAtOff  = 10
	secAtHash = 11
	secHoff   = 12
	secHash   = 13
	secSums   = 14
	secPost   = 15
	secFst    = 16
	// 17 was planned and never written
	secRepl  = 18
	secBatch = 19
)

// Sizes of rows in the sections that have rows.
const (
	statRow  = 16
	addr4Row = 8
	addr6Row = 20
	cidrRow  = 24
	batchRow = 16
)

var sectionNames = [...]string{secHeap: "heap", secNames: "names", secWords: "words", secStat: "stat", secRoff: "roff",
	secChg: "chg", secAddr4: "addr4", secAddr6: "addr6", secCIDR: "cidr", secAtOff: "atoff", secAtHash: "athash", secHoff: "hoff", secHash: "hash", secSums: "sums",
	secPost: "post", secFst: "fst", secRepl: "repl", secBatch: "batch"}

// section is one row of the table: where a section lies and its checksum.
type section struct {
	id       uint32
	off, len int
	sum      uint64
}

func (s section) String() string {
	if int(s.id) < len(sectionNames) && s.id > 0 {
		return sectionNames[s.id]
	}
	return fmt.Sprintf("section %d", s.id)
}

// footer is what the last bytes of a segment say.
type footer struct {
	format    int
	sections  []section
	listings  int
	open      int
	seedCheck uint64
}

var le = binary.LittleEndian

func u32at(b []byte, i int) uint32 { return le.Uint32(b[i*4:]) }
func u64at(b []byte, i int) uint64 { return le.Uint64(b[i*8:]) }

// append writes the table and the footer for a file whose sections end at size.
func (f *footer) append(b []byte, size int) []byte {
	start := len(b)
	for _, s := range f.sections {
		b = le.AppendUint32(b, s.id)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(s.off))
		b = le.AppendUint64(b, uint64(s.len))
		b = le.AppendUint64(b, s.sum)
	}
	at := len(b)
	b = append(b, make([]byte, footerSize)...)
	x := b[at:]
	le.PutUint32(x[8:], uint32(f.format))
	le.PutUint64(x[16:], uint64(size+len(b)-start))
	le.PutUint32(x[24:], uint32(len(f.sections)))
	le.PutUint32(x[28:], blockSize)
	le.PutUint32(x[32:], uint32(f.listings))
	le.PutUint32(x[36:], uint32(f.open))
	le.PutUint64(x[40:], f.seedCheck)
	copy(x[240:], magic)
	le.PutUint64(x, tailSum(b[start:at], x))
	return b
}

func tailSum(table, foot []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(table)
	_, _ = d.Write(foot[8:])
	return d.Sum64()
}

// readFooter checks the footer and the table of a whole segment file.
func readFooter(data []byte) (*footer, error) {
	if len(data) < footerSize {
		return nil, fmt.Errorf("%w: %d bytes are no segment", ErrCorrupt, len(data))
	}
	x := data[len(data)-footerSize:]
	if string(x[240:]) != magic {
		return nil, fmt.Errorf("%w: it does not end like a segment (truncated?)", ErrCorrupt)
	}
	if v := le.Uint32(x[8:]); v > segmentFormat {
		return nil, newer("it", int(v), segmentFormat)
	}
	if needs := le.Uint32(x[12:]); needs&^knownNeeds != 0 {
		return nil, fmt.Errorf("it needs features %#x: %w than this one; upgrade", needs, ErrNewer)
	}
	if size := le.Uint64(x[16:]); size != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes, its footer says %d", ErrCorrupt, len(data), size)
	}
	n := int(le.Uint32(x[24:]))
	if n > (len(data)-footerSize)/tableRow {
		return nil, fmt.Errorf("%w: %d sections do not fit in", ErrCorrupt, n)
	}
	end := len(data) - footerSize - n*tableRow
	table := data[end : len(data)-footerSize]
	if tailSum(table, x) != le.Uint64(x) {
		return nil, fmt.Errorf("%w: footer checksum", ErrCorrupt)
	}
	if bs := le.Uint32(x[28:]); bs != blockSize {
		return nil, fmt.Errorf("%w: block size %d", ErrCorrupt, bs)
	}
	f := &footer{format: int(le.Uint32(x[8:])), listings: int(le.Uint32(x[32:])), open: int(le.Uint32(x[36:])), seedCheck: le.Uint64(x[40:])}
	for i := range n {
		row := table[i*tableRow:]
		off, length := le.Uint64(row[8:]), le.Uint64(row[16:])
		if off > uint64(end) || length > uint64(end)-off || off%8 != 0 {
			return nil, fmt.Errorf("%w: section %d lies outside of the file", ErrCorrupt, le.Uint32(row))
		}
		f.sections = append(f.sections, section{le.Uint32(row), int(off), int(length), le.Uint64(row[24:])})
	}
	return f, nil
}
