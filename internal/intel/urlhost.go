package intel

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What no host may have (WHATWG URL, forbidden host and domain code points).
const (
	forbiddenHost   = "\x00\t\n\r #/:<>?@[\\]^|"
	forbiddenDomain = forbiddenHost + "%\x7f" // and all C0 controls
)

// appendHost appends a URL's host as the standard's host parser and serializer
// have it.
func appendHost(b []byte, host string, special bool) ([]byte, *fault) {
	if host[0] == '[' {
		return appendIPv6(b, host)
	}
	if !special {
		if strings.ContainsAny(host, forbiddenHost) {
			return b, bad("the URL's host has a forbidden character")
		}
		return appendEncoded(b, host, encC0), nil
	}
	if strings.IndexByte(host, '%') >= 0 {
		if host = percentDecode(host); !utf8.ValidString(host) {
			return b, bad("the URL's host is not valid UTF-8")
		}
	}
	ascii, err := domainToASCII(host)
	if err != nil {
		return b, bad("the URL's host is not a valid international domain name: " + strings.TrimPrefix(err.Error(), "idna: "))
	}
	if ascii == "" {
		return b, bad("the URL has no host")
	}
	for i := range len(ascii) {
		if c := ascii[i]; c < 0x20 || c >= utf8.RuneSelf || strings.IndexByte(forbiddenDomain, c) >= 0 {
			return b, bad("the URL's host has a forbidden character")
		}
	}
	if !endsInNumber(ascii) {
		return append(b, ascii...), nil
	}
	a, ok := looseIPv4(ascii)
	if !ok {
		return b, bad("the URL's host ends in a number and is not an IPv4 address")
	}
	return a.AppendTo(b), nil
}

// appendIPv6 appends an IPv6 host in brackets; a mapped IPv4 address in
// hexadecimal, as the standard serialises it.
func appendIPv6(b []byte, host string) ([]byte, *fault) {
	inner, ok := strings.CutSuffix(host[1:], "]")
	a, err := netip.ParseAddr(inner)
	if !ok || err != nil || !a.Is6() || a.Zone() != "" {
		return b, bad("the brackets of the URL hold no IPv6 address")
	}
	b = append(b, '[')
	if v := a.As16(); a.Is4In6() {
		b = append(b, "::ffff:"...)
		b = strconv.AppendUint(b, uint64(v[12])<<8|uint64(v[13]), 16)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(v[14])<<8|uint64(v[15]), 16)
	} else {
		b = a.AppendTo(b)
	}
	return append(b, ']'), nil
}

// looseIPv4 reads an IPv4 address as URLs may write it: one to four numbers,
// decimal, octal (0…) or hexadecimal (0x…), the last one filling what is left
// (WHATWG URL, IPv4 parser).
func looseIPv4(s string) (netip.Addr, bool) {
	parts := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		n, ok := looseNumber(p)
		last := i == len(parts)-1
		if !ok || !last && n > 255 || last && n >= 1<<(8*(4-i)) {
			return netip.Addr{}, false
		}
		if !last {
			n <<= 8 * (3 - i)
		}
		v |= n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// looseNumber reads one number of looseIPv4. "0x" alone is zero.
func looseNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"):
		if s, base = s[2:], 16; s == "" {
			return 0, true
		}
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if !allHex(s) { // ParseUint would take signs and underscores in other bases
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// percentDecode decodes each %XX; a percent sign without two hex digits stays.
func percentDecode(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b = append(b, byte(n))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
