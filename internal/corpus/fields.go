package corpus

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Packed fields are a count of fields and, for each: its name (uvarint 0 and the
// text, or its id in the vocabulary plus one, shifted left by one; the low bit
// says that a count of values follows, else there is one) and its values.
//
// A packed value is a tag byte: how it is written in bits 0-2; bit 3 where the
// field's prefix comes first; and a number n in bits 4-7, where 15 says that a
// uvarint with n-15 follows. Then come n bytes for asText and asHex.
const (
	asText  = 0 // n bytes as they are
	asDict  = 1 // string n of the dictionary
	asInt   = 2 // n in decimal, without leading zeros
	asHex   = 3 // n bytes, shown in lower-case hex
	asTime  = 4 // Unix second n: 2006-01-02 15:04:05
	asTimeZ = 5 // 2006-01-02T15:04:05Z
	asDate  = 6 // day n after 1970-01-01: 2006-01-02
	asTimeU = 7 // 2006-01-02 15:04:05 UTC

	prefixed = 8
	tagMax   = 15
)

// pack appends the packed fields.
func (v *vocabulary) pack(b []byte, fields intel.Fields) []byte {
	b = binary.AppendUvarint(b, uint64(len(fields)))
	for _, f := range fields {
		many := uint64(1)
		if len(f.Values) == 1 {
			many = 0
		}
		prefix := ""
		if id, ok := v.nameID[f.Name]; ok {
			b = binary.AppendUvarint(b, uint64(id+1)<<1|many)
			prefix = v.prefixes[id]
		} else {
			b = appendText(binary.AppendUvarint(b, many), f.Name)
		}
		if many == 1 {
			b = binary.AppendUvarint(b, uint64(len(f.Values)))
		}
		for _, s := range f.Values {
			b = v.packValue(b, prefix, s)
		}
	}
	return b
}

func (v *vocabulary) packValue(b []byte, prefix, s string) []byte {
	if id, ok := v.valueID[s]; ok {
		return appendTag(b, asDict, uint64(id))
	}
	tag := byte(0)
	how, n, ok := number(s)
	if !ok && prefix != "" && strings.HasPrefix(s, prefix) {
		tag, s = prefixed, s[len(prefix):]
		how, n, ok = number(s)
	}
	if ok {
		return appendTag(b, tag|how, n)
	}
	if len(s) >= 8 && len(s)%2 == 0 && isHex(s) {
		b = appendTag(b, tag|asHex, uint64(len(s)/2))
		for i := 0; i < len(s); i += 2 {
			b = append(b, nibble(s[i])<<4|nibble(s[i+1]))
		}
		return b
	}
	return append(appendTag(b, tag|asText, uint64(len(s))), s...)
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
	if len(s) == 0 || len(s) > 18 || s[0] == '0' && len(s) > 1 {
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
	names    []string
	prefixes []string
	dict     *stringTable
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

// value appends the next value of the field with this id.
func (u *unpacker) value(dst []byte, id int) []byte {
	tag := u.byte()
	n := uint64(tag >> 4)
	if n == tagMax {
		n += u.uvarint()
	}
	if tag&prefixed != 0 {
		if id < 0 {
			u.bad = true
			return dst
		}
		dst = append(dst, u.prefixes[id]...)
	}
	switch how := tag & 7; how {
	case asText:
		return append(dst, u.bytes(n)...)
	case asDict:
		if n >= uint64(u.dict.n) {
			u.bad = true
			return dst
		}
		return append(dst, u.dict.at(n)...)
	case asInt:
		return appendUint(dst, n)
	case asHex:
		const digits = "0123456789abcdef"
		for _, x := range u.bytes(n) {
			dst = append(dst, digits[x>>4], digits[x&15])
		}
		return dst
	default:
		return appendTimestamp(dst, how, n)
	}
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
			if scratch = u.value(scratch[:0], id); string(scratch) != want {
				return false, scratch
			}
		}
	}
	return !u.bad, scratch
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
			f.Values = append(f.Values, string(u.value(nil, id)))
		}
		out = append(out, f)
	}
	return out
}
