package intel

import (
	"bytes"
	"strings"
)

// Refang undoes what people do to a value so that nobody clicks on it:
//
//   - hxxp, hXXps, hxxxp, hzzp, htxp, h[tt]p, h**p, meow, http[s], fxp … before a colon
//   - a dot, colon, slash, at sign or "://" in brackets of any kind, also nested and
//     mismatched: [.] (.) {.} [.) [:]// [://] [/] [@]; "dot" and "at" in brackets
//   - in front of the path only, since paths may have them: half a bracket at a dot
//     (evil[.com, evil.]com) and a backslash before one (evil\.com)
//
// It changes nothing else, is idempotent, and returns s itself where there is
// nothing to undo. A path or query that really has a bracketed dot loses the
// brackets: feeds defang whole URLs, and hardly any server has such paths.
func Refang(s string) string {
	for {
		t := refangScheme(refangMarks(s))
		if t == s {
			return s
		}
		s = t // a mark may have hidden another; each turn makes s shorter
	}
}

// refangNames are ways to write a scheme so that it is none, in lower case.
var refangNames = [...]struct{ fanged, plain string }{
	{"hxxp", "http"}, {"hxxxp", "http"}, {"hzzp", "http"}, {"hzzzp", "http"},
	{"hxtp", "http"}, {"htxp", "http"}, {"h__p", "http"}, {"h**p", "http"},
	{"h[tt]p", "http"}, {"h(tt)p", "http"}, {"h[xx]p", "http"}, {"meow", "http"},
	{"fxp", "ftp"}, {"fxxp", "ftp"}, {"f*p", "ftp"}, {"f_p", "ftp"},
	{"http", "http"}, // for http[s]
}

// refangScheme replaces a defanged scheme at the start of s.
func refangScheme(s string) string {
	colon := strings.IndexByte(s, ':')
	if colon < 0 || colon > len("h[tt]p[s]") || !strings.Contains("hHmMfF", s[:1]) {
		return s
	}
	name := strings.ToLower(s[:colon])
	if name == "http" || name == "https" {
		return s
	}
	for _, n := range refangNames {
		rest, ok := strings.CutPrefix(name, n.fanged)
		if !ok {
			continue
		}
		switch rest {
		case "":
			return n.plain + s[colon:]
		case "s", "[s]", "(s)":
			return n.plain + "s" + s[colon:]
		}
	}
	return s
}

// Brackets and the backslash: what marks are made of.
const (
	openers = "[({"
	closers = "])}"
	marks   = openers + closers + `\`
)

// refanger is the state of refangMarks.
type refanger struct {
	out    []byte
	rest   string // of the input
	host   bool   // the path has not begun
	scheme bool   // "://" was seen
}

// refangMarks undoes everything but the scheme, in one pass.
func refangMarks(s string) string {
	first := strings.IndexAny(s, marks)
	if first < 0 {
		return s
	}
	r := refanger{out: make([]byte, 0, len(s)), rest: s, host: true}
	for r.rest != "" {
		r.step()
	}
	return string(r.out)
}

// step moves one token from the input to the output, without the brackets around it.
func (r *refanger) step() {
	c := r.rest[0]
	if strings.IndexByte(tokenStarts, c) < 0 {
		r.out, r.rest = append(r.out, c), r.rest[1:]
		return
	}
	for _, t := range refangTokens {
		if !hasPrefixFold(r.rest, t.text) {
			continue
		}
		after := r.rest[len(t.text):]
		if t.word && !r.wrapped(after) {
			continue
		}
		for r.wrapped(after) {
			r.out, after = r.out[:len(r.out)-1], after[1:]
		}
		if t.plain == "." && r.host {
			r.out = bytes.TrimRight(r.out, openers)
			after = strings.TrimLeft(after, closers)
		}
		r.rest = after
		r.emit(t.plain)
		return
	}
	r.rest = r.rest[1:]
	if c == '\\' && r.host {
		if strings.HasPrefix(r.rest, ".") {
			return
		}
		r.host = false
	}
	if c == '?' || c == '#' {
		r.host = false
	}
	r.out = append(r.out, c)
}

// tokenStarts are the bytes that begin a token or end a host.
const tokenStarts = `.:/@dDaA\?#`

// refangTokens are what may stand in brackets; a word is a token only there.
var refangTokens = [...]struct {
	text, plain string
	word        bool
}{
	{".", ".", false}, {"://", "://", false}, {":", ":", false}, {"/", "/", false}, {"@", "@", false},
	{"dot", ".", true}, {"at", "@", true},
}

// wrapped says whether the token between output and after stands in brackets.
func (r *refanger) wrapped(after string) bool {
	return len(r.out) > 0 && after != "" &&
		strings.IndexByte(openers, r.out[len(r.out)-1]) >= 0 && strings.IndexByte(closers, after[0]) >= 0
}

// emit writes a token and notes where the host ends. The slashes after a
// scheme, bracketed or turned around, are written with its colon.
func (r *refanger) emit(token string) {
	r.out = append(r.out, token...)
	switch {
	case token == "/", token == "://" && r.scheme:
		r.host = false
	case token == "://":
		r.scheme = true
	case token == ":" && !r.scheme:
		for _, slashes := range [...]string{"//", "[//]", "(//)", "[/][/]", `\\`} {
			if after, ok := strings.CutPrefix(r.rest, slashes); ok {
				r.rest, r.scheme = after, true
				r.out = append(r.out, strings.Trim(strings.ReplaceAll(slashes, "][", ""), marks[:6])...)
				return
			}
		}
	}
}

// hasPrefixFold is strings.HasPrefix without regard to ASCII case; prefix is lower case.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// Defang makes a value harmless to paste, for people: hxxp://evil[.]example/x,
// 192.0.2[.]1, a[@]b[.]c. Parse and Refang read it back. Values without a dot in
// the host (hashes, IPv6 addresses) stay as they are.
func Defang(s string) string {
	s = Refang(s)
	prefix := ""
	if i := strings.Index(s, "://"); i > 0 && isSchemeName(s[:i]) {
		prefix, s = defangScheme(s[:i]), s[i+3:]
	}
	end := strings.IndexAny(s, `/?#\`)
	if end < 0 {
		end = len(s)
	}
	host, path := s[:end], s[end:]
	user := ""
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		user, host = host[:at], host[at+1:]
		if prefix == "" {
			user += "[@]"
		} else {
			user += "@"
		}
	}
	return prefix + user + defangHost(host) + path
}

// defangScheme returns the scheme and its slashes so that no program links them.
func defangScheme(name string) string {
	switch strings.ToLower(name) {
	case "http":
		return "hxxp://"
	case "https":
		return "hxxps://"
	case "ftp":
		return "fxp://"
	}
	return name + "[:]//"
}

// defangHost brackets the dots of a name, and the last one of an IPv4 address.
func defangHost(h string) string {
	if strings.Count(h, ":") > 1 {
		return h // IPv6
	}
	name, _, _ := strings.Cut(h, ":")
	if _, ok := plainIPv4(name); ok {
		i := strings.LastIndexByte(name, '.')
		return h[:i] + "[.]" + h[i+1:]
	}
	return strings.ReplaceAll(h, ".", "[.]")
}

// isSchemeName says whether s is an ASCII letter and letters, digits, +, - or dots.
func isSchemeName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !(c >= 'a' && c <= 'z') && (i == 0 || !(s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.')) {
			return false
		}
	}
	return s != ""
}
