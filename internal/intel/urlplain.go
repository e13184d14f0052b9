package intel

import "strings"

// plainInPath and plainInQuery are the bytes of a path and a query that stay as
// they are and are no marks for Refang. Read-only.
var (
	plainInPath  = plainBytes(encPath)
	plainInQuery = plainBytes(encSpecialQuery)
)

// plainBytes returns the bytes that the set leaves alone, without marks.
func plainBytes(set *encodeSet) *[256]bool {
	var t [256]bool
	for c := range t {
		t[c] = !set[c] && strings.IndexByte(marks, byte(c)) < 0
	}
	return &t
}

// plainURL returns a URL that is in canonical form but for its fragment, without
// that. It knows http and https URLs of printable ASCII; ok is false for all
// others, canonical or not.
func plainURL(s string) (u string, ok bool) {
	rest, std := "", ""
	switch {
	case strings.HasPrefix(s, "http://"):
		rest, std = s[7:], "80"
	case strings.HasPrefix(s, "https://"):
		rest, std = s[8:], "443"
	default:
		return "", false
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return "", false
	}
	host, path := rest[:slash], rest[slash:]
	if i := strings.IndexByte(host, ':'); i >= 0 {
		n, ok := decimal(host[i+1:], 65535)
		if !ok || host[i+1:] == std || n < 0 {
			return "", false
		}
		host = host[:i]
	}
	if !plainDomain(host) {
		if _, ok := plainIPv4(host); !ok {
			return "", false
		}
	}
	end, ok := plainPath(path)
	return s[:len(s)-len(path)+end], ok
}

// plainPath returns where the fragment of path and query begins. ok is false
// where they would change in canonical form or may hold marks for Refang.
func plainPath(s string) (end int, ok bool) {
	set := plainInPath
	for i := range len(s) {
		c := s[i]
		if set[c] {
			if (c == '.' || c == '%') && s[i-1] == '/' && set == plainInPath {
				return 0, false // perhaps a dot segment
			}
			continue
		}
		switch {
		case c == '#':
			return i, true
		case c == '?' && set == plainInPath:
			set = plainInQuery
		default:
			return 0, false
		}
	}
	return len(s), true
}
