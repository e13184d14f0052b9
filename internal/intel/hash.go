package intel

import (
	"fmt"
	"strings"
)

// hashNames are the names that stand before a hash ("sha256:…", "MD5=…") and
// the number of hex digits that each promises.
var hashNames = [...]struct {
	name   string
	digits int
}{{"md5", 32}, {"sha1", 40}, {"sha-1", 40}, {"sha256", 64}, {"sha-256", 64}, {"sha512", 128}, {"sha-512", 128}}

// hashKind returns the kind of a hash with that many hex digits, KindNone where
// there is none.
func hashKind(digits int) Kind {
	switch digits {
	case 32:
		return MD5
	case 40:
		return SHA1
	case 64:
		return SHA256
	case 128:
		return SHA512
	}
	return KindNone
}

// parseHash reads a hash, bare or behind its algorithm's name. ok is false where
// s does not have the shape of one.
func parseHash(s string) (i Indicator, f *fault, ok bool) {
	for _, h := range hashNames {
		if s[0]|0x20 != h.name[0] || len(s) <= len(h.name) || !strings.EqualFold(s[:len(h.name)], h.name) {
			continue
		}
		sep := s[len(h.name)]
		if sep != ':' && sep != '=' {
			continue
		}
		digits := Trim(s[len(h.name)+1:])
		if len(digits) != h.digits || !allHex(digits) {
			return i, bad(fmt.Sprintf("%s has %d hex digits", h.name, h.digits)), true
		}
		return Indicator{hashKind(h.digits), strings.ToLower(digits)}, nil, true
	}
	if len(s) < 32 || !allHex(s) {
		return i, nil, false
	}
	k := hashKind(len(s))
	if k == KindNone {
		return i, bad(fmt.Sprintf("%d hex digits, which is no MD5, SHA-1, SHA-256 or SHA-512", len(s))), true
	}
	return Indicator{k, strings.ToLower(s)}, nil, true
}

// isHex says whether c is a hex digit of either case.
func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// allHex says whether s is made of hex digits of either case.
func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return s != ""
}

// lowerHex says whether s is made of decimal digits and a-f.
func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
