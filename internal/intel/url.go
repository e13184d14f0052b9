package intel

import (
	"bytes"
	"strings"
)

// hasScheme says whether s means to be a URL with its scheme: one of the
// WHATWG special schemes and a colon, or any other of two or more characters
// without dots and "://".
func hasScheme(s string) bool {
	colon := strings.IndexByte(s, ':')
	if colon < 2 || !isSchemeName(s[:colon]) {
		return false
	}
	if special(strings.ToLower(s[:colon])) {
		return true
	}
	return strings.HasPrefix(s[colon:], "://") && strings.IndexByte(s[:colon], '.') < 0
}

// special says whether a lower-case scheme is special in the sense of the
// WHATWG URL standard: its URLs have a host that is a domain or an address.
func special(scheme string) bool {
	switch scheme {
	case "http", "https", "ftp", "ws", "wss", "file":
		return true
	}
	return false
}

// defaultPort is the port that a URL of the scheme leaves out.
func defaultPort(scheme string) int {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	case "ftp":
		return 21
	}
	return -1
}

// parseURLIndicator reads a URL with a scheme.
func parseURLIndicator(s string) (Indicator, *fault) {
	u, f := parseURL(s)
	for n := 0; f == nil; n++ {
		plain := Refang(u)
		if plain == u {
			return Indicator{URL, u}, nil
		}
		if n == 3 {
			return Indicator{}, bad("defanged in more ways than can be undone")
		}
		u, f = parseURL(plain) // normalising brought marks together
	}
	return Indicator{}, f
}

// parseHostPath reads host/path, which is http://host/path; host is what stands
// before the first slash. It must be a name or address that could stand alone.
func parseHostPath(s, host string) (Indicator, *fault) {
	name, port := host, "80"
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	f := checkHost(name)
	if f == nil {
		f = checkPort(port)
	}
	if f != nil {
		return Indicator{}, &fault{f.code, "before the slash: " + f.reason}
	}
	return parseURLIndicator("http://" + s)
}

// checkHost refuses what is neither a domain nor an address, IPv6 in brackets.
func checkHost(name string) (f *fault) {
	switch {
	case name == "":
		return &fault{CodeNotIndicator, "no host"}
	case name[0] == '[':
		_, f = parseBracketed(name[1:])
	case numeric(name) && strings.IndexByte(name, ':') >= 0:
		return bad("an IPv6 address without brackets")
	case numeric(name):
		_, f = parseIPv4(name)
	default:
		_, f = parseDomain(name)
	}
	return f
}

// parseURL serialises a URL as the WHATWG URL standard does (basic URL parser
// without a base, URL serializer with exclude fragment). It refuses what has no
// host: opaque paths and file. Time and space are linear in the length of s.
func parseURL(s string) (string, *fault) {
	p, f := splitURL(dropTabsAndNewlines(s))
	if f != nil {
		return "", f
	}
	b := make([]byte, 0, len(s)+8)
	b = append(append(b, p.scheme...), "://"...)
	b = appendUserinfo(b, p.userinfo)
	if b, f = appendHost(b, p.host, p.special); f != nil {
		return "", f
	}
	if b, f = appendPort(b, p.port, defaultPort(p.scheme)); f != nil {
		return "", f
	}
	b = appendPath(b, p.path, p.special)
	if p.special {
		b = appendEncoded(b, p.query, encSpecialQuery)
	} else {
		b = appendEncoded(b, p.query, encQuery)
	}
	return string(b), nil
}

// urlParts are the pieces of a URL as it is written.
type urlParts struct {
	scheme   string // lower case
	special  bool
	userinfo string // before the last @
	host     string
	port     string // after the colon
	path     string // from its first slash
	query    string // from its question mark
}

// splitURL finds the parts of a URL that has a scheme; the fragment is left out.
func splitURL(s string) (p urlParts, f *fault) {
	colon := strings.IndexByte(s, ':')
	if colon < 1 || !isSchemeName(s[:colon]) {
		return p, bad("the URL has no scheme")
	}
	p.scheme = strings.ToLower(s[:colon])
	p.special = special(p.scheme)
	s, _, _ = strings.Cut(s[colon+1:], "#")
	ends, ok := "/?", true
	if p.special {
		s, ends = strings.TrimLeft(s, `/\`), `/\?`
	} else if s, ok = strings.CutPrefix(s, "//"); !ok {
		return p, bad("the URL has no host")
	}
	if p.scheme == "file" {
		return p, bad("a file URL, which names a place on one machine")
	}
	end := strings.IndexAny(s, ends)
	if end < 0 {
		end = len(s)
	}
	p.host, p.path = s[:end], s[end:]
	if i := strings.IndexByte(p.path, '?'); i >= 0 {
		p.path, p.query = p.path[:i], p.path[i:]
	}
	if i := strings.LastIndexByte(p.host, '@'); i >= 0 {
		p.userinfo, p.host = p.host[:i], p.host[i+1:]
	}
	from := 0
	if strings.HasPrefix(p.host, "[") {
		from = strings.LastIndexByte(p.host, ']') + 1
	}
	if i := strings.IndexByte(p.host[from:], ':'); i >= 0 {
		p.host, p.port = p.host[:from+i], p.host[from+i+1:]
	}
	if p.host == "" {
		return p, bad("the URL has no host")
	}
	return p, nil
}

// dropTabsAndNewlines removes what the standard ignores anywhere in a URL.
func dropTabsAndNewlines(s string) string {
	if !strings.ContainsAny(s, "\t\n\r") {
		return s
	}
	return strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
}

// appendUserinfo appends the credentials and their @, nothing where they are empty.
func appendUserinfo(b []byte, userinfo string) []byte {
	user, password, _ := strings.Cut(userinfo, ":")
	if user == "" && password == "" {
		return b
	}
	b = appendEncoded(b, user, encUserinfo)
	if password != "" {
		b = appendEncoded(append(b, ':'), password, encUserinfo)
	}
	return append(b, '@')
}

// appendPort appends a colon and the port, nothing where it is empty or the default.
func appendPort(b []byte, port string, std int) ([]byte, *fault) {
	if port == "" {
		return b, nil
	}
	port = strings.TrimLeft(port, "0")
	if port == "" {
		port = "0"
	}
	n, ok := decimal(port, 65535)
	if !ok {
		return b, bad("the port of the URL is not a number up to 65535")
	}
	if n == std {
		return b, nil
	}
	return append(append(b, ':'), port...), nil
}

// appendPath appends the path with its dot segments resolved.
func appendPath(b []byte, path string, special bool) []byte {
	if path == "" {
		if special {
			b = append(b, '/')
		}
		return b
	}
	seps := "/"
	if special {
		seps = `/\`
	}
	start := len(b)
	for more := true; more; {
		path = path[1:] // the separator
		end := strings.IndexAny(path, seps)
		if more = end >= 0; !more {
			end = len(path)
		}
		segment := path[:end]
		path = path[end:]
		switch dots(segment) {
		case 0:
			b = appendEncoded(append(b, '/'), segment, encPath)
			continue
		case 2:
			b = b[:max(start, lastSlash(b))]
		}
		if !more {
			b = append(b, '/')
		}
	}
	return b
}

// lastSlash returns the index of the last slash in b.
func lastSlash(b []byte) int { return bytes.LastIndexByte(b, '/') }

// dots returns 1 for a single-dot segment, 2 for a double-dot one, 0 for others.
// A dot may be written %2e.
func dots(segment string) int {
	n := 0
	for segment != "" {
		rest, ok := strings.CutPrefix(segment, ".")
		if !ok {
			if !hasPrefixFold(segment, "%2e") {
				return 0
			}
			rest = segment[3:]
		}
		if n++; n > 2 {
			return 0
		}
		segment = rest
	}
	return n
}

// encodeSet is a percent-encode set of the standard: the bytes to be encoded.
// Beyond those given, each has C0 controls, DEL and all that is not ASCII.
type encodeSet [256]bool

// newEncodeSet returns the set with the bytes of extra.
func newEncodeSet(extra string) *encodeSet {
	var e encodeSet
	for c := range e {
		e[c] = c < 0x20 || c > 0x7e || strings.IndexByte(extra, byte(c)) >= 0
	}
	return &e
}

// The percent-encode sets of the standard. Read-only.
var (
	encC0           = newEncodeSet("")
	encQuery        = newEncodeSet(" \"#<>")
	encSpecialQuery = newEncodeSet(" \"#<>'")
	encPath         = newEncodeSet(" \"#<>?^`{}")
	encUserinfo     = newEncodeSet(" \"#<>?^`{}/:;=@[\\]|")
)

// appendEncoded appends s with the bytes of the set percent-encoded.
func appendEncoded(b []byte, s string, set *encodeSet) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; set[c] {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
