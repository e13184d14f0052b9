package intel

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of DNS names (RFC 1035 §2.3.4), in bytes, without the trailing dot; and
// what is given to IDNA at most, whose Punycode takes time by the square of it.
const (
	maxDomain = 253
	maxLabel  = 63
	maxIDN    = 1024
)

// toASCII is UTS-46 processing as the WHATWG URL standard asks for it
// ("domain to ASCII" with beStrict false): non-transitional, so that ß stays
// ß; hyphens, underscores and lengths are left to the caller.
var toASCII = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.ValidateLabels(true),
	idna.CheckHyphens(false),
	idna.StrictDomainName(false),
	idna.Transitional(false),
	idna.VerifyDNSLength(false),
)

// domainToASCII maps a host name to lower-case A-labels. A name in ASCII is only
// lower-cased. The standard would refuse A-labels that stand for what IDNA does
// not allow, such as zero-width joiners; DNS does not, phishers register them by
// the hundred, and feeds list them.
func domainToASCII(s string) (string, error) {
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			continue
		}
		if len(s) > maxIDN {
			return "", errors.New("too long")
		}
		return toASCII.ToASCII(s)
	}
	return strings.ToLower(s), nil
}

// plainDomain says whether s is a canonical domain for certain: it keeps every
// rule of checkDomain.
func plainDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	start, name := 0, false // of the current label: where it starts, whether it is more than a decimal number
	for i := range len(s) {
		switch domainClass[s[i]] {
		case classDigit:
		case className:
			name = true
		case classDot:
			if i == start || i-start > maxLabel {
				return false
			}
			start, name = i+1, false
		default:
			return false
		}
	}
	last := s[start:]
	return start > 0 && name && len(last) <= maxLabel && !strings.HasPrefix(last, "0x")
}

// Classes of bytes in a canonical domain.
const (
	classNone  = iota
	classDigit // 0-9
	className  // what no decimal number has: a-z, hyphen, underscore
	classDot
)

// domainClass is the class of each byte. Read-only.
var domainClass = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c] = className
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = classDigit
	}
	t['-'], t['_'], t['.'] = className, className, classDot
	return t
}()

// parseDomainIndicator reads what has no shape but that of a name.
func parseDomainIndicator(s string) (Indicator, *fault) {
	d, f := parseDomain(s)
	if f != nil {
		return Indicator{}, f
	}
	return Indicator{Domain, d}, nil
}

// parseDomain returns the canonical form of a host name.
func parseDomain(s string) (string, *fault) {
	if strings.HasPrefix(s, "*.") {
		return "", bad("a wildcard, not a domain")
	}
	d, err := domainToASCII(s)
	if err != nil {
		return "", bad("not a valid international domain name: " + strings.TrimPrefix(err.Error(), "idna: "))
	}
	d = strings.TrimSuffix(d, ".")
	if f := checkDomain(d); f != nil {
		return "", f
	}
	return d, nil
}

// checkDomain holds a lower-case A-label name against the rules of Parse.
func checkDomain(d string) *fault {
	if strings.IndexByte(d, '.') < 0 && d != "localhost" {
		return &fault{CodeNotIndicator, "a single word"}
	}
	for i := range len(d) {
		if domainClass[d[i]] == classNone {
			return bad("a character that no domain has")
		}
	}
	if len(d) > maxDomain {
		return &fault{CodeTooLong, "a domain has at most 253 bytes"}
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" {
			return bad("an empty label")
		}
		if len(label) > maxLabel {
			return &fault{CodeTooLong, "a label of a domain has at most 63 bytes"}
		}
	}
	if endsInNumber(d) {
		return bad("the last label is a number: neither a domain nor a plain IPv4 address")
	}
	return nil
}

// endsInNumber says whether a URL would read the host as an IPv4 address: its
// last label is decimal digits, or 0x with or without hex digits (WHATWG URL,
// "ends in a number checker").
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(last, "0x"); ok {
		return rest == "" || allHex(rest)
	}
	for i := range len(last) {
		if last[i] < '0' || last[i] > '9' {
			return false
		}
	}
	return true
}
