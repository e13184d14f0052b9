package corpus

import (
	"encoding/binary"
	"math"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Packed fields are a count of fields and, for each: its name (uvarint 0 and the
// text, or its id in the vocabulary plus one, shifted left by one; the low bit
// says that a count of values follows, else there is one) and its values.
//
// A packed value is a tag byte: how it is written in bits 0-3, and a number n in
// bits 4-7, where 15 says that a uvarint with n-15 follows. Then come n bytes for
// asText and asHex, and another packed value for asHead, which is never asHead.
const (
	asText  = 0 // n bytes as they are
	asWord  = 1 // word n
	asInt   = 2 // n in decimal, without leading zeros
	asHex   = 3 // n bytes, shown in lower-case hex
	asTime  = 4 // Unix second n: 2006-01-02 15:04:05
	asTimeZ = 5 // 2006-01-02T15:04:05Z
	asDate  = 6 // day n after 1970-01-01: 2006-01-02
	asTimeU = 7 // 2006-01-02 15:04:05 UTC
	asHead  = 8 // word n, then the value that follows

	tagMax = 15
)

// pack appends the packed fields.
func (v *vocabulary) pack(b []byte, fields intel.Fields) []byte {
	b = binary.AppendUvarint(b, uint64(len(fields)))
	for _, f := range fields {
		many := uint64(1)
		if len(f.Values) == 1 {
			many = 0
		}
		if id, ok := v.nameID[f.Name]; ok {
			b = binary.AppendUvarint(b, uint64(id+1)<<1|many)
		} else {
			b = appendText(binary.AppendUvarint(b, many), f.Name)
		}
		if many == 1 {
			b = binary.AppendUvarint(b, uint64(len(f.Values)))
		}
		for _, s := range f.Values {
			b = v.packValue(b, s)
		}
	}
	return b
}

func (v *vocabulary) packValue(b []byte, s string) []byte {
	if id, ok := v.wordID[s]; ok {
		return appendTag(b, asWord, uint64(id))
	}
	if how, n, ok := number(s); ok {
		return appendTag(b, how, n)
	}
	if n := headLen(s); n > 0 {
		if id, ok := v.wordID[s[:n]]; ok {
			return packRest(appendTag(b, asHead, uint64(id)), s[n:])
		}
	}
	return packRest(b, s)
}

// packRest packs what is no word.
func packRest(b []byte, s string) []byte {
	if how, n, ok := number(s); ok {
		return appendTag(b, how, n)
	}
	if len(s) >= 8 && len(s)%2 == 0 && isHex(s) {
		b = appendTag(b, asHex, uint64(len(s)/2))
		for i := 0; i < len(s); i += 2 {
			b = append(b, nibble(s[i])<<4|nibble(s[i+1]))
		}
		return b
	}
	return append(appendTag(b, asText, uint64(len(s))), s...)
}

func appendTag(b []byte, tag byte, n uint64) []byte {
	if n < tagMax {
		return append(b, tag|byte(n)<<4)
	}
	return binary.AppendUvarint(append(b, tag|tagMax<<4), n-tagMax)
}

// number reads what can be written as one.
func number(s string) (how byte, n uint64, ok bool) {
	if n, ok := decimal(s); ok {
		return asInt, n, true
	}
	return timestamp(s)
}

func decimal(s string) (uint64, bool) {
	if len(s) == 0 || len(s) > 19 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := uint64(0)
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return n, true
}

func isHex(s string) bool {
	for i := range len(s) {
		if nibble(s[i]) > 15 {
			return false
		}
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// unpacker reads packed fields of one segment.
type unpacker struct {
	cursor
	names []string
	words *stringTable
}

// field reads a field's name and number of values; id is -1 for a name that is
// not in the vocabulary, which is then text.
func (u *unpacker) field() (id int, text []byte, values int) {
	head := u.uvarint()
	id, values = int(min(head>>1, math.MaxInt32))-1, 1
	if id < 0 {
		text = u.bytes(u.uvarint())
	} else if id >= len(u.names) {
		u.bad, u.b = true, nil
		return -1, nil, 0
	}
	if head&1 == 1 {
		values = u.length()
	}
	return id, text, values
}

// value appends the next value.
func (u *unpacker) value(dst []byte) []byte {
	how, n := u.tag()
	if how == asHead {
		dst = u.word(dst, n)
		how, n = u.tag()
	}
	switch how {
	case asText:
		return append(dst, u.bytes(n)...)
	case asWord:
		return u.word(dst, n)
	case asInt:
		return appendUint(dst, n)
	case asHex:
		const digits = "0123456789abcdef"
		for _, x := range u.bytes(n) {
			dst = append(dst, digits[x>>4], digits[x&15])
		}
		return dst
	case asTime, asTimeZ, asDate, asTimeU:
		return appendTimestamp(dst, how, n)
	}
	u.bad = true
	return dst
}

func (u *unpacker) tag() (how byte, n uint64) {
	tag := u.byte()
	if n = uint64(tag >> 4); n == tagMax {
		n += u.uvarint()
	}
	return tag & 15, n
}

func (u *unpacker) word(dst []byte, n uint64) []byte {
	if n >= uint64(u.words.n) {
		u.bad = true
		return dst
	}
	return append(dst, u.words.at(n)...)
}

func appendUint(dst []byte, n uint64) []byte {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(dst, b[i:]...)
		}
	}
}

// equal says whether the packed fields are these. scratch is memory to use.
func (u *unpacker) equal(fields intel.Fields, scratch []byte) (bool, []byte) {
	if u.length() != len(fields) {
		return false, scratch
	}
	for _, f := range fields {
		id, text, values := u.field()
		if values != len(f.Values) || id >= 0 && u.names[id] != f.Name || id < 0 && string(text) != f.Name {
			return false, scratch
		}
		for _, want := range f.Values {
			var same bool
			if same, scratch = u.is(want, scratch); !same {
				return false, scratch
			}
		}
	}
	return !u.bad, scratch
}

// is says whether the next value is this one: in place where it is a text.
func (u *unpacker) is(want string, scratch []byte) (bool, []byte) {
	c := u.cursor
	how, n := u.tag()
	if how == asHead {
		head := u.words.at(n)
		if len(head) > len(want) || string(head) != want[:len(head)] {
			return false, scratch
		}
		want = want[len(head):]
		c = u.cursor
		how, n = u.tag()
	}
	switch how {
	case asText:
		return string(u.bytes(n)) == want && !u.bad, scratch
	case asWord:
		return n < uint64(u.words.n) && string(u.words.at(n)) == want, scratch
	case asHead:
		return false, scratch // damage
	}
	u.cursor = c
	scratch = u.value(scratch[:0])
	return string(scratch) == want, scratch
}

// fields unpacks everything into memory of its own.
func (u *unpacker) fields() intel.Fields {
	n := u.length()
	out := make(intel.Fields, 0, n)
	for range n {
		id, text, values := u.field()
		f := intel.Field{Name: string(text), Values: make([]string, 0, values)}
		if id >= 0 {
			f.Name = u.names[id]
		}
		for range values {
			f.Values = append(f.Values, string(u.value(nil)))
		}
		out = append(out, f)
	}
	return out
}
