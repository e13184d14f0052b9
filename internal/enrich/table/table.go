// Package table is the form in which offline data about networks is kept: who holds
// which range of addresses, by files of the address registries, and which autonomous
// system announces it. A table is one immutable object in which ranges can be looked up
// as it lies: they are in order and do not overlap, of those that did the narrowest won.
package table

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich/ranges"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Meta says what a table is.
type Meta struct {
	Feed string    `json:"feed"` // whose data it is
	Made time.Time `json:"made"` // when the data was fetched
	Rows int       `json:"rows"`
}

// Row is what is known of a range of addresses, both ends in it and of one family.
type Row struct {
	First, Last netip.Addr
	Country     string // ISO 3166-1 alpha-2, upper case
	Registry    string // afrinic, apnic, arin, lacnic or ripencc
	Org         string // who holds it
	ASN         uint32 // the autonomous system that announces it; 0 = not said
	ASName      string
	Allocated   intel.Date // to the day
}

// Errors of objects that are no tables.
var (
	ErrDamaged = errors.New("the table is damaged")
	ErrNewer   = errors.New("the table was written by a newer version of the program: update this one")
)

const (
	magic    = "EITB"
	version  = 1
	maxText  = 1 << 12 // bytes of a string
	checksum = sha256.Size
	size4    = 4 + 4 + 4 // of a range: first, last, number of its facts, big-endian
	size6    = 16 + 16 + 4
)

const secondsADay = 24 * 60 * 60

// Facts is what a table says of ranges: a Row without its ends.
type Facts struct {
	Country, Registry, Org string
	ASN                    uint32
	ASName                 string
	Allocated              intel.Date
}

// Table is one that was read. It never changes.
type Table struct {
	Meta  Meta
	Facts []Facts // by the Info of a range
	V4    ranges.Layer[ranges.IP4]
	V6    ranges.Layer[ranges.IP6]
}

// Write writes a table; m.Rows is counted here. The same rows make the same bytes.
func Write(w io.Writer, m Meta, rows iter.Seq[Row]) error {
	e := encoder{index: map[Facts]int32{}}
	m.Rows = 0
	for r := range rows {
		if err := e.row(r); err != nil {
			return err
		}
		m.Rows++
	}
	head, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("table of %s: %w", m.Feed, err)
	}
	sum := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(w, sum))
	_, _ = out.WriteString(magic) // errors stay with the writer until Flush
	_ = out.WriteByte(version)
	_, _ = out.Write(appendText(nil, string(head)))
	_, _ = out.Write(e.facts(nil))
	writeRanges(out, ranges.Flatten(e.v4), func(b []byte, a ranges.IP4) []byte { return binary.BigEndian.AppendUint32(b, uint32(a)) })
	writeRanges(out, ranges.Flatten(e.v6), func(b []byte, a ranges.IP6) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, a.High), a.Low)
	})
	err = out.Flush()
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	if err != nil {
		return fmt.Errorf("table of %s: %w", m.Feed, err)
	}
	return nil
}

// encoder collects rows.
type encoder struct {
	index map[Facts]int32
	list  []Facts
	v4    []ranges.Span[ranges.IP4]
	v6    []ranges.Span[ranges.IP6]
}

func (e *encoder) row(r Row) error {
	if !r.First.IsValid() || r.First.BitLen() != r.Last.BitLen() || r.Last.Less(r.First) || r.First.Zone() != "" || r.First.Is4In6() {
		return fmt.Errorf("table: %s to %s is no range of addresses", r.First, r.Last)
	}
	f := Facts{r.Country, r.Registry, r.Org, r.ASN, r.ASName, r.Allocated}
	n, ok := e.index[f]
	if !ok {
		for _, s := range [...]string{r.Country, r.Registry, r.Org, r.ASName} {
			if len(s) > maxText {
				return fmt.Errorf("table: a text of %d bytes at %s, more than the %d that are kept", len(s), r.First, maxText)
			}
		}
		n = int32(len(e.list))
		e.index[f] = n
		e.list = append(e.list, f)
	}
	if r.First.Is4() {
		e.v4 = append(e.v4, ranges.Span[ranges.IP4]{First: ranges.From4(r.First), Last: ranges.From4(r.Last), Info: n})
	} else {
		e.v6 = append(e.v6, ranges.Span[ranges.IP6]{First: ranges.From6(r.First), Last: ranges.From6(r.Last), Info: n})
	}
	return nil
}

// facts appends what ranges share.
func (e *encoder) facts(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(e.list)))
	for _, f := range e.list {
		for _, s := range [...]string{f.Country, f.Registry, f.Org, f.ASName} {
			b = appendText(b, s)
		}
		b = binary.AppendUvarint(b, uint64(f.ASN))
		days := uint64(0)
		if t := f.Allocated.Time(); !t.IsZero() && t.Unix() >= 0 {
			days = uint64(t.Unix()/secondsADay) + 1
		}
		b = binary.AppendUvarint(b, days)
	}
	return b
}

func writeRanges[K ranges.IP[K]](w *bufio.Writer, l ranges.Layer[K], number func([]byte, K) []byte) {
	_, _ = w.Write(binary.AppendUvarint(nil, uint64(len(l))))
	var b []byte
	for _, s := range l {
		b = binary.BigEndian.AppendUint32(number(number(b[:0], s.First), s.Last), uint32(s.Info))
		_, _ = w.Write(b)
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Read checks a table and reads it. Errors wrap ErrDamaged or ErrNewer.
func Read(data []byte) (*Table, error) {
	if len(data) < len(magic)+1+checksum || string(data[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	if v := data[len(magic)]; v > version {
		return nil, fmt.Errorf("%w (its version is %d)", ErrNewer, v)
	}
	body, sum := data[:len(data)-checksum], data[len(data)-checksum:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	t := new(Table)
	d := decoder{rest: body[len(magic)+1:]}
	if err := json.Unmarshal(d.bytes(d.number()), &t.Meta); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	d.facts(t)
	t.V4 = readRanges(&d, size4, len(t.Facts), func(b []byte) ranges.IP4 { return ranges.IP4(binary.BigEndian.Uint32(b)) })
	t.V6 = readRanges(&d, size6, len(t.Facts), func(b []byte) ranges.IP6 {
		return ranges.IP6{High: binary.BigEndian.Uint64(b), Low: binary.BigEndian.Uint64(b[8:])}
	})
	if d.bad || len(d.rest) != 0 {
		return nil, fmt.Errorf("%w: its rows do not fit", ErrDamaged)
	}
	return t, nil
}

// decoder reads a table. After bad everything it returns is empty.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.rest, d.bad = nil, true }

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.number())) }

func (d *decoder) facts(t *Table) {
	n := d.number()
	t.Facts = make([]Facts, 0, min(n, uint64(len(d.rest)/6))) // each has six bytes at least
	for ; n > 0 && !d.bad; n-- {
		f := Facts{Country: d.text(), Registry: d.text(), Org: d.text(), ASName: d.text()}
		asn, days := d.number(), d.number()
		if asn > 1<<32-1 || days > 1<<24 {
			d.fail()
		}
		f.ASN = uint32(asn)
		if days > 0 {
			f.Allocated = intel.Date(time.Unix(int64(days-1)*secondsADay, 0).UTC().Format(time.RFC3339))
		}
		t.Facts = append(t.Facts, f)
	}
}

// readRanges reads ranges of size bytes, which must be in order and name facts there are.
func readRanges[K ranges.IP[K]](d *decoder, size, facts int, number func([]byte) K) ranges.Layer[K] {
	n := d.number()
	if n > uint64(len(d.rest)/size) {
		d.fail()
		return nil
	}
	out := make(ranges.Layer[K], n)
	wide := (size - 4) / 2
	for i := range out {
		b := d.bytes(uint64(size))
		s := ranges.Span[K]{First: number(b), Last: number(b[wide:]), Info: int32(binary.BigEndian.Uint32(b[2*wide:]))}
		if s.Last.Compare(s.First) < 0 || i > 0 && s.First.Compare(out[i-1].Last) <= 0 || s.Info < 0 || int(s.Info) >= facts {
			d.fail()
			return nil
		}
		out[i] = s
	}
	return out
}
