package enrich

import (
	"regexp"
	"strings"
	"unicode"
)

// line is one line of an answer of port 43.
type line struct {
	key    string // in lower case, without the dots that lead to the value; "" = the line has none
	value  string
	indent bool
	blank  bool
}

// readLine takes a line apart: "key: value", "key....: value" and "[key] value".
// Comments count as blank, as they stand between the objects of a registry.
func readLine(raw string) line {
	text := strings.TrimSpace(raw)
	l := line{indent: raw != "" && unicode.IsSpace(rune(raw[0]))}
	text = strings.TrimSpace(strings.TrimPrefix(text, "** "))
	if text == "" || strings.ContainsRune("%#*>", rune(text[0])) || strings.HasPrefix(text, "---") {
		l.blank = true
		return l
	}
	if len(text) > 3 && text[1] == '.' && text[2] == ' ' && strings.HasPrefix(text[3:], "[") { // "a. [Domain Name]  X"
		text = text[3:]
	}
	if text[0] == '[' {
		key, value, ok := strings.Cut(text[1:], "]")
		if ok && key != "" && key[0] != ' ' {
			l.key, l.value = normalKey(key), strings.TrimSpace(value)
			return l
		}
	}
	if key, value, ok := strings.Cut(text, ":"); ok {
		l.key, l.value = normalKey(key), strings.TrimSpace(value)
	}
	if l.key == "" {
		l.value = text
	}
	return l
}

// normalKey returns "" for what is too long to be a key.
func normalKey(s string) string {
	s = strings.ToLower(strings.TrimRight(s, " .\t"))
	if len(s) > 60 || strings.IndexFunc(s, unicode.IsLetter) < 0 {
		return ""
	}
	return strings.Join(strings.Fields(s), " ")
}

// firstWord returns what stands before the addresses behind a name server.
func firstWord(s string) string {
	s = strings.TrimPrefix(s, "- ")
	if i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("[(|,;", r) }); i >= 0 {
		return s[:i]
	}
	return s
}

// Words in which servers say that there is no record, or refuse. Read-only.
var (
	unregistered = []string{"no match", "not found", "object_not_found", "no found", "no entries found", "no data found", "no object found", "nothing found", "no such domain", "does not exist",
		"is available for", "status: free", "status: available", "not registered", "not been registered", "no information available about domain", "is free", ": no existe", "no se encuentra registrado"}
	refused = []string{"quota exceeded", "limit exceeded", "exceeded the", "been exceeded", "queries exceeded", "too many", "try again later", "access denied", "permission denied", "not permitted",
		"blacklisted", "been banned", "rate limit", "not authorized to query", "connection refused"}
)

// instead says why an answer without a record has none, by the words of its
// beginning.
func instead(text string) error {
	text = strings.ToLower(strings.Join(strings.Fields(text[:min(len(text), 4096)]), " "))
	for _, w := range unregistered {
		if strings.Contains(text, w) {
			return ErrUnregistered
		}
	}
	for _, w := range refused {
		if strings.Contains(text, w) {
			return ErrRefused
		}
	}
	return ErrNoRecord
}

// tags are those of HTML.
var tags = regexp.MustCompile(`<[^<>]*>`)

// parseText reads an answer of port 43: one about a network has the keys of
// networks at the beginning of lines, everything else is about a domain.
func parseText(text, name string) (*Record, error) {
	if strings.HasPrefix(text, "<") { // some registries answer with a page
		text = tags.ReplaceAllString(text, "")
	}
	lines := make([]line, 0, 256)
	for raw := range strings.Lines(text) {
		lines = append(lines, readLine(raw))
	}
	if n := parseNetwork(text, lines); n != nil && name == "" {
		return &Record{Network: n}, nil
	}
	d, err := parseDomain(lines, name)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, instead(text)
	}
	return &Record{Domain: d}, nil
}
