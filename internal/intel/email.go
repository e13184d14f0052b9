package intel

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Limits of mail addresses (RFC 5321 §4.5.3.1), in bytes.
const (
	maxLocal = 64
	maxEmail = 254
)

// parseEmail reads local@domain, with or without mailto: before it. The local
// part is lower-cased too: RFC 5321 lets a server tell cases apart, none that
// matters does, and feeds write one mailbox in both.
func parseEmail(s string) (Indicator, *fault) {
	if len(s) > 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	at := strings.LastIndexByte(s, '@')
	local := norm.NFC.String(strings.ToLower(norm.NFC.String(s[:at])))
	if f := checkLocal(local); f != nil {
		return Indicator{}, f
	}
	d, f := parseDomain(s[at+1:])
	if f != nil {
		if f.code != CodeTooLong {
			f = bad(f.reason)
		}
		return Indicator{}, &fault{f.code, "the domain of the mail address: " + f.reason}
	}
	if len(local)+1+len(d) > maxEmail {
		return Indicator{}, &fault{CodeTooLong, "a mail address has at most 254 bytes"}
	}
	return Indicator{Email, local + "@" + d}, nil
}

// checkLocal refuses local parts that are no dot-atom (RFC 5322 §3.2.3, RFC
// 6531 §3.3): quoted ones too, which nobody uses.
func checkLocal(s string) *fault {
	switch {
	case s == "":
		return bad("the mail address has nothing before the @")
	case len(s) > maxLocal:
		return &fault{CodeTooLong, "the part of a mail address before the @ has at most 64 bytes"}
	case s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, ".."):
		return bad("the part before the @ has a dot too many")
	}
	for _, r := range s {
		if r < 0x80 && !isAtext(byte(r)) || r >= 0x80 && (!unicode.IsPrint(r) || unicode.IsSpace(r)) {
			return bad("a character before the @ that no mail address has")
		}
	}
	return nil
}

// isAtext says whether c may stand in a dot-atom.
func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) >= 0
}
