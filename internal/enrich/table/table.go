// Package table is the form in which offline data about networks is kept: who holds
// which range of addresses, by files of the address registries, and which autonomous
// system announces it. A table is one immutable object: a line that says what it is,
// its strings, its rows, and a checksum.
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
)

const secondsADay = 24 * 60 * 60

// Write writes a table; m.Rows is counted here. The same rows make the same bytes.
func Write(w io.Writer, m Meta, rows iter.Seq[Row]) error {
	e := encoder{index: map[string]uint64{"": 0}, strings: []string{""}}
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
	text := func(s string) {
		_, _ = out.Write(binary.AppendUvarint(nil, uint64(len(s)))) // errors stay with the writer until Flush
		_, _ = out.WriteString(s)
	}
	_, _ = out.WriteString(magic)
	_ = out.WriteByte(version)
	text(string(head))
	_, _ = out.Write(binary.AppendUvarint(nil, uint64(len(e.strings))))
	for _, s := range e.strings {
		text(s)
	}
	_, _ = out.Write(e.rows)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("table of %s: %w", m.Feed, err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("table of %s: %w", m.Feed, err)
	}
	return nil
}

type encoder struct {
	rows    []byte
	strings []string
	index   map[string]uint64
	last    uint32 // end of the IPv4 row before: rows in order have small distances
}

func (e *encoder) row(r Row) error {
	if !r.First.IsValid() || r.First.BitLen() != r.Last.BitLen() || r.Last.Less(r.First) || r.First.Zone() != "" || r.First.Is4In6() {
		return fmt.Errorf("table: %s to %s is no range of addresses", r.First, r.Last)
	}
	if r.First.Is4() {
		first, last := v4(r.First), v4(r.Last)
		e.rows = append(e.rows, 4)
		e.rows = binary.AppendVarint(e.rows, int64(first)-int64(e.last))
		e.rows = binary.AppendUvarint(e.rows, uint64(last-first))
		e.last = last
	} else {
		first, last := r.First.As16(), r.Last.As16()
		e.rows = append(append(append(e.rows, 6), first[:]...), last[:]...)
	}
	for _, s := range [...]string{r.Country, r.Registry, r.Org, r.ASName} {
		if len(s) > maxText {
			return fmt.Errorf("table: a text of %d bytes at %s, more than the %d that are kept", len(s), r.First, maxText)
		}
		n, ok := e.index[s]
		if !ok {
			n = uint64(len(e.strings))
			e.index[s] = n
			e.strings = append(e.strings, s)
		}
		e.rows = binary.AppendUvarint(e.rows, n)
	}
	e.rows = binary.AppendUvarint(e.rows, uint64(r.ASN))
	days := uint64(0)
	if t := r.Allocated.Time(); !t.IsZero() && t.Unix() >= 0 {
		days = uint64(t.Unix()/secondsADay) + 1
	}
	e.rows = binary.AppendUvarint(e.rows, days)
	return nil
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// Read checks a table and returns what it is, and its rows. Their strings are shared.
// Errors wrap ErrDamaged or ErrNewer; none comes while rows are read.
func Read(data []byte) (Meta, iter.Seq[Row], error) {
	var m Meta
	if len(data) < len(magic)+1+checksum || string(data[:len(magic)]) != magic {
		return m, nil, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	if v := data[len(magic)]; v > version {
		return m, nil, fmt.Errorf("%w (its version is %d)", ErrNewer, v)
	}
	body, sum := data[:len(data)-checksum], data[len(data)-checksum:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return m, nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	d := decoder{rest: body[len(magic)+1:]}
	if err := json.Unmarshal([]byte(d.text()), &m); err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for n := d.number(); n > 0 && !d.bad; n-- {
		d.strings = append(d.strings, d.text())
	}
	check := d
	for n := m.Rows; n > 0 && !check.bad; n-- {
		check.row()
	}
	if d.bad || check.bad || m.Rows < 0 || len(check.rest) != 0 {
		return m, nil, fmt.Errorf("%w: its rows do not fit", ErrDamaged)
	}
	return m, func(yield func(Row) bool) {
		d := d
		for range m.Rows {
			if !yield(d.row()) {
				return
			}
		}
	}, nil
}

// decoder reads rows. After bad everything it returns is empty.
type decoder struct {
	rest    []byte
	strings []string
	last    uint32
	bad     bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.rest)
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

func (d *decoder) shared() string {
	n := d.number()
	if n >= uint64(len(d.strings)) {
		d.fail()
		return ""
	}
	return d.strings[n]
}

func (d *decoder) row() Row {
	var r Row
	switch family := d.bytes(1); {
	case len(family) == 1 && family[0] == 4:
		first := int64(d.last) + d.signed()
		n := d.number()
		if first < 0 || first > 1<<32-1 || n > uint64(1<<32-1-first) {
			d.fail()
			return r
		}
		d.last = uint32(first) + uint32(n)
		r.First, r.Last = addr4(uint32(first)), addr4(d.last)
	case len(family) == 1 && family[0] == 6:
		b := d.bytes(32)
		if len(b) != 32 {
			return r
		}
		r.First, r.Last = netip.AddrFrom16([16]byte(b[:16])), netip.AddrFrom16([16]byte(b[16:]))
		if r.Last.Less(r.First) {
			d.fail()
		}
	default:
		d.fail()
	}
	r.Country, r.Registry, r.Org, r.ASName = d.shared(), d.shared(), d.shared(), d.shared()
	asn, days := d.number(), d.number()
	if asn > 1<<32-1 || days > 1<<24 {
		d.fail()
	}
	r.ASN = uint32(asn)
	if days > 0 {
		r.Allocated = dayOf(days)
	}
	return r
}

func dayOf(days uint64) intel.Date {
	return intel.Date(time.Unix(int64(days-1)*secondsADay, 0).UTC().Format(time.RFC3339))
}
