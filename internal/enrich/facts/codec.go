package facts

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// The bounds of a finding; a larger one is cut.
const (
	maxNames  = 32
	maxFields = 64
	maxText   = 1 << 10
)

// Findings are kept in sections, each sorted by key.
const (
	sectionAddr    = 'a' // address, source: names and reports of one address
	sectionDomain  = 'd' // name
	sectionNetwork = 'n' // first address, last address, source
	sectionNothing = 'x' // block, source: why nothing is known of its addresses
	sectionASN     = 's' // number
	sectionFailed  = 'y' // name: why a registry would not say anything of a domain; what it said before stays
)

// key returns what a finding is kept under: a later one of the same key replaces it.
func key(f *enrich.Finding) []byte {
	switch s := f.Subject; {
	case s.Domain != "" && f.Negative != "" && f.Negative != enrich.Unregistered:
		return append([]byte{sectionFailed}, s.Domain...)
	case s.Domain != "":
		return append([]byte{sectionDomain}, s.Domain...)
	case s.ASN != 0 && !s.Addr.IsValid():
		return binary.BigEndian.AppendUint32([]byte{sectionASN}, s.ASN)
	case f.Network != nil:
		first, last := ends(f.Network)
		return append(addrKey(addrKey([]byte{sectionNetwork}, first), last), f.Source...)
	case f.Negative != "" && asksNetworks(f.Source):
		return append(addrKey([]byte{sectionNothing}, block(s.Addr).Addr()), f.Source...)
	default:
		return append(addrKey([]byte{sectionAddr}, s.Addr), f.Source...)
	}
}

// addrKey appends an address so that all sort as netip compares: IPv4 first.
func addrKey(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v4 := a.As4()
		return append(append(b, 4), v4[:]...)
	}
	v6 := a.As16()
	return append(append(b, 6), v6[:]...)
}

// asksNetworks says whether a source's silence about an address is one about its network.
func asksNetworks(source string) bool {
	return source == "rdap" || source == "whois" || source == "cymru"
}

// block is what a negative answer about an address counts for: its neighbours would
// get the same, and each would be a query.
func block(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // the length fits
	return p
}

// appendFinding appends a finding without its key's section.
func appendFinding(b []byte, f *enrich.Finding) []byte {
	b = appendAddr(b, f.Subject.Addr)
	b = appendText(b, f.Subject.Domain)
	b = binary.AppendUvarint(b, uint64(f.Subject.ASN))
	b = appendTime(b, f.Fetched)
	created := intel.Date("")
	if f.Domain != nil {
		created = f.Domain.Created
	}
	b = appendTime(b, created.Time()) // near the front, for who reads no further
	b = appendText(b, f.Source)
	b = appendText(b, f.Negative)
	b = appendTime(b, f.Retry)
	b = appendText(b, f.ASName)
	b = appendTexts(b, f.Names)
	n := min(len(f.Report), maxFields)
	b = binary.AppendUvarint(b, uint64(n))
	for _, field := range f.Report[:n] {
		b = appendTexts(appendText(b, field.Name), field.Values)
	}
	switch {
	case f.Network != nil:
		n := f.Network
		b = append(b, 1)
		b = appendTexts(b, n.CIDR)
		for _, s := range [...]string{n.Name, n.Org, n.Country, n.Registry, n.Abuse, string(n.Allocated)} {
			b = appendText(b, s)
		}
		b = binary.AppendUvarint(b, uint64(n.ASN))
	case f.Domain != nil:
		d := f.Domain
		b = append(b, 2)
		for _, s := range [...]string{d.Name, d.Registrar, string(d.Created), string(d.Updated), string(d.Expires)} {
			b = appendText(b, s)
		}
		b = appendTexts(appendTexts(b, d.NameServers), d.Status)
	default:
		b = append(b, 0)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts(b []byte, list []string) []byte {
	list = list[:min(len(list), maxNames)]
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(b, t.Unix())
}

func appendAddr(b []byte, a netip.Addr) []byte {
	raw := a.AsSlice() // nil for none
	return append(append(b, byte(len(raw))), raw...)
}

// reader reads what append wrote. After bad everything it returns is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = nil, true }

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes(r.number())) }

// texts returns a list that is never nil.
func (r *reader) texts() []string {
	n := r.number()
	out := make([]string, 0, min(n, maxNames))
	for ; n > 0 && !r.bad; n-- {
		out = append(out, r.text())
	}
	return out
}

func (r *reader) time() time.Time {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return time.Time{}
	}
	r.rest = r.rest[size:]
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func (r *reader) small() uint32 {
	n := r.number()
	if n > 1<<32-1 {
		r.fail()
	}
	return uint32(n)
}

func (r *reader) addr() netip.Addr {
	n := r.bytes(1)
	if len(n) == 0 || n[0] == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(r.bytes(uint64(n[0])))
	if !ok {
		r.fail()
	}
	return a
}

// finding reads what appendFinding wrote.
func (r *reader) finding() enrich.Finding {
	f := enrich.Finding{Subject: enrich.Subject{Addr: r.addr(), Domain: r.text(), ASN: r.small()}, Fetched: r.time()}
	r.time()
	f.Source, f.Negative, f.Retry, f.ASName = r.text(), r.text(), r.time(), r.text()
	if names := r.texts(); len(names) > 0 {
		f.Names = names
	}
	for n := r.number(); n > 0 && !r.bad; n-- {
		f.Report = append(f.Report, intel.Field{Name: r.text(), Values: r.texts()})
	}
	what := r.bytes(1)
	switch {
	case len(what) == 0:
	case what[0] == 1:
		f.Network = &enrich.Network{CIDR: r.texts(), Name: r.text(), Org: r.text(), Country: r.text(), Registry: r.text(), Abuse: r.text(),
			Allocated: intel.Date(r.text()), ASN: r.small()}
	case what[0] == 2:
		f.Domain = &enrich.Domain{Name: r.text(), Registrar: r.text(), Created: intel.Date(r.text()), Updated: intel.Date(r.text()), Expires: intel.Date(r.text()),
			NameServers: r.texts(), Status: r.texts()}
	}
	return f
}

// dates reads of a finding only when it was made and its domain registered.
func (r *reader) dates() (fetched, created time.Time) {
	r.addr()
	r.bytes(r.number())
	r.number()
	return r.time(), r.time()
}
