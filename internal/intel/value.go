package intel

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxValue is the length in bytes above which a value is refused, before and
// after it is made canonical. Servers refuse longer URLs (RFC 9110 asks
// them to take 8,000 bytes; feeds have some that are a little longer).
const MaxValue = 16384

// The codes of a ValueError: what a program can act on.
const (
	CodeEmpty        = "empty"            // nothing but blanks and invisible characters
	CodeTooLong      = "too_long"         // longer than MaxValue, or than its kind can be
	CodeNotIndicator = "not_an_indicator" // has the shape of no kind
	CodeInvalid      = "invalid"          // has the shape of a kind and breaks its rules
	CodeWrongKind    = "wrong_kind"       // a good indicator of a kind that was not asked for
)

// ValueError says why a value cannot be used as an indicator.
type ValueError struct {
	Code   string // one of the Code constants
	Value  string // what was given, shortened to 200 bytes
	Reason string // why, in words, without the value
}

// Error gives the value and the reason.
func (e *ValueError) Error() string { return fmt.Sprintf("%q: %s", e.Value, e.Reason) }

// fault is a ValueError before its value is known: what the parsers of single
// kinds return, so that a failing one costs no formatting.
type fault struct {
	code   string
	reason string
}

// bad returns the fault of a value that breaks its kind's rules.
func bad(reason string) *fault { return &fault{CodeInvalid, reason} }

// Parse cleans, refangs and canonicalises one value that must be one of kinds.
//
// White space, controls, BOM, NBSP and zero-width characters are removed at the
// ends. The canonical forms, and what is refused:
//
//   - ipv4: four decimal numbers. Leading zeros, octal, hex and short forms are refused,
//     since programs read them differently.
//   - ipv6: RFC 5952 text, brackets around it dropped, zones refused. An IPv4-mapped address
//     is the IPv4 address that it maps: the same peer, written by a dual-stack socket.
//   - cidr: host bits masked; /32 and /128 are addresses; /0 is refused. An IPv4 network may
//     have a netmask in place of the prefix length.
//   - ip-port: address:port or [address]:port, port 1-65535 without leading zeros; also
//     address|port.
//   - domain: UTS-46 A-labels in lower case without the trailing dot; A-labels that are written
//     as such are not held against IDNA; underscores and hyphens may stand anywhere in a
//     label; at least one dot, save localhost. Last labels that a URL would read as part
//     of an IPv4 address are refused.
//   - url: as the WHATWG URL standard serialises it, without fragment. It needs a host, whose
//     A-labels are as in domain. host/path is read as http://host/path.
//   - email: lower case; the domain as in domain; mailto: dropped.
//   - hashes: lower-case hex, the kind by its length; also "sha256:…" and "filename|…".
//
// The canonical form of a canonical form is itself. The error is a *ValueError.
func Parse(s string, kinds KindSet) (Indicator, error) {
	t := Trim(s)
	if len(t) <= MaxValue {
		if i, ok := parsePlain(t, kinds); ok {
			return i, nil
		}
	}
	i, f := parseAny(t, kinds)
	if f != nil {
		return Indicator{}, &ValueError{Code: f.code, Value: shorten(s, 200), Reason: f.reason}
	}
	return i, nil
}

// Detect canonicalises a value whose kind nobody stated, as a person typed it.
// It is Parse(s, AnyKind).
func Detect(s string) (Indicator, error) { return Parse(s, AnyKind) }

// parsePlain accepts values that are canonical already, which is what nearly
// every line of a feed is, without allocating. It is only a short cut: parseAny
// gives the same for everything it accepts.
func parsePlain(s string, kinds KindSet) (Indicator, bool) {
	if s == "" {
		return Indicator{}, false
	}
	if s[0] <= '9' {
		if i, ok := plainAddress(s); ok && kinds.Has(i.Kind) {
			return i, true
		}
	}
	if kinds&Hashes != 0 {
		if k := hashKind(len(s)); k != KindNone && kinds.Has(k) && lowerHex(s) {
			return Indicator{k, s}, true
		}
	}
	if kinds.Has(Domain) && plainDomain(s) {
		return Indicator{Domain, s}, true
	}
	if kinds.Has(URL) {
		if u, ok := plainURL(s); ok {
			return Indicator{URL, u}, true
		}
	}
	return Indicator{}, false
}

// parseAny parses a trimmed value the long way.
func parseAny(s string, kinds KindSet) (Indicator, *fault) {
	switch {
	case s == "":
		return Indicator{}, &fault{CodeEmpty, "nothing but blanks"}
	case len(s) > MaxValue:
		return Indicator{}, &fault{CodeTooLong, fmt.Sprintf("%d bytes long, more than %d", len(s), MaxValue)}
	case !utf8.ValidString(s):
		return Indicator{}, bad("not valid UTF-8")
	}
	s = Refang(s)
	if strings.IndexByte(s, '|') >= 0 && !(kinds.Has(URL) && hasScheme(s)) {
		if _, v, ok := SplitComposite(s); ok {
			s = v
		}
	}
	i, f := parseShape(s, kinds)
	if f != nil {
		return Indicator{}, f
	}
	if len(i.Value) > MaxValue {
		return Indicator{}, &fault{CodeTooLong, fmt.Sprintf("%d bytes long in canonical form, more than %d", len(i.Value), MaxValue)}
	}
	if !kinds.Has(i.Kind) {
		return Indicator{}, &fault{CodeWrongKind, fmt.Sprintf("is of kind %s, not %s", i.Kind, kinds)}
	}
	return i, nil
}

// parseShape decides by its shape what a value means to be and parses it as
// that. The kinds asked for matter in one place: where no networks are, a slash
// after an address begins a path.
func parseShape(s string, kinds KindSet) (Indicator, *fault) {
	if i, f, ok := parseHash(s); ok {
		return i, f
	}
	if hasScheme(s) {
		return parseURLIndicator(s)
	}
	if strings.ContainsAny(s, " \t\r\n") {
		return Indicator{}, &fault{CodeNotIndicator, "contains white space"}
	}
	if left, right, ok := strings.Cut(s, "/"); ok {
		if numeric(left) && networkTail(right) && (kinds&Networks != 0 || !kinds.Has(URL)) {
			return parseCIDR(left, right)
		}
		return parseHostPath(s, left)
	}
	switch colons := strings.Count(s, ":"); {
	case strings.IndexByte(s, '@') >= 0:
		return parseEmail(s)
	case s[0] == '[' || colons == 1 && numeric(s[:strings.IndexByte(s, ':')]):
		return parseIPPort(s)
	case colons == 1:
		return Indicator{}, &fault{CodeNotIndicator, "a name with a port, which is no indicator; as a URL it would be one"}
	case colons > 1:
		if addr, _, _ := strings.Cut(s, "%"); numeric(addr) {
			return parseIPv6(s)
		}
		return Indicator{}, &fault{CodeNotIndicator, "has the shape of no kind"}
	case numeric(s):
		return parseIPv4(s)
	}
	return parseDomainIndicator(s)
}

// numeric says whether s has the characters of an address: it can be nothing else.
func numeric(s string) bool {
	colon := strings.IndexByte(s, ':') >= 0
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c == '.' || c == ':' || colon && isHex(c)) {
			return false
		}
	}
	return s != ""
}

// networkTail says whether what follows a slash means to be a prefix length or a netmask.
func networkTail(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c == '.') {
			return false
		}
	}
	return s != ""
}

// SplitComposite splits a value that two things were put into: `filename|hash`
// gives the file name and the hash, `address|port` gives "" and the ip-port.
// Where s is neither, ok is false and value is s.
func SplitComposite(s string) (name, value string, ok bool) {
	i := strings.LastIndexByte(s, '|')
	if i < 0 {
		return "", s, false
	}
	left, right := Trim(s[:i]), Trim(s[i+1:])
	if hashKind(len(right)) != KindNone && allHex(right) {
		return left, right, true
	}
	a, err := parseAddr(strings.TrimSuffix(strings.TrimPrefix(left, "["), "]"))
	if err != nil {
		return "", s, false
	}
	if a.Is6() {
		return "", "[" + a.String() + "]:" + right, true
	}
	return "", a.String() + ":" + right, true
}

// shorten cuts s to at most n bytes, at the start of a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
