package parse

import (
	"context"
	"encoding/hex"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readRules reads rules of Snort 2, Snort 3 and Suricata, by their manuals. A
// rule is a record, and one more for each further indicator in it. Rules that are
// commented out are none.
func readRules(ctx context.Context, r io.Reader, c *collector) error {
	var rule strings.Builder // of lines that a backslash continues
	begin := 0
	err := readLayout(ctx, r, c, func(no int, text string) {
		if rule.Len() == 0 {
			begin = no
		}
		part, more := strings.CutSuffix(text, `\`)
		if more && rule.Len() < maxLine {
			rule.WriteString(part + " ")
			return
		}
		if rule.Len() > 0 {
			text = rule.String() + part
			rule.Reset()
		}
		c.rule(begin, text)
	})
	if err == nil && rule.Len() > 0 {
		c.rule(begin, rule.String())
	}
	return err
}

// rule takes one rule.
func (c *collector) rule(no int, text string) {
	header, body, ok := strings.Cut(text, "(")
	words := strings.Fields(header)
	actions := []string{"alert", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "block", "sdrop", "log", "pass"}
	if !ok || len(words) < 2 || !slices.Contains(actions, words[0]) {
		c.reject(no, text, "no rule: action, protocol, addresses, and options in parentheses")
		return
	}
	s := signature{values: headerAddresses(header)}
	s.options(body)
	values := s.indicators()
	switch {
	case words[0] == "pass":
		c.suppress(suppressedExclusion, max(1, len(values)))
	case len(values) == 0:
		c.reject(no, text, "a rule without an address, a name or a URL")
	default:
		for _, v := range values {
			c.listing(no, v, s.context...)
		}
	}
}

// headerAddresses returns the literal addresses and networks of a header. What
// is negated, as ![192.0.2.1,192.0.2.2] is, is not meant.
func headerAddresses(header string) (list []string) {
	depth, not := 0, -1 // inside brackets; negated down to this depth
	for i := 0; i < len(header); i++ {
		switch ch := header[i]; {
		case ch == '[':
			depth++
		case ch == ']':
			if depth--; not >= depth {
				not = -1
			}
		case ch == ' ' || ch == '\t' || ch == ',' || ch == '!':
		default:
			end := i + strings.IndexAny(header[i:]+" ", " \t,[]!")
			word, negated := header[i:end], i > 0 && header[i-1] == '!'
			if not < 0 && !negated && isAddress(word) {
				list = append(list, word)
			}
			i = end - 1
		}
		if header[i] == '!' && i+1 < len(header) && header[i+1] == '[' && not < 0 {
			not = depth
		}
	}
	return list
}

func isAddress(word string) bool {
	_, err := netip.ParseAddr(word)
	_, err2 := netip.ParsePrefix(word)
	return err == nil || err2 == nil
}

// signature gathers what the options of a rule say.
type signature struct {
	values  []string // addresses of the header, names
	plain   []string // contents of no buffer, decoded
	hosts   []string // contents of the host
	paths   []string // contents of the URI
	sticky  string   // the buffer that following contents are of
	last    string   // the last content, until something else takes it
	pending bool
	comma   bool // it is written as in Snort 3
	context []pair
}

// options walks over the options, each of which ends with a semicolon.
func (s *signature) options(body string) {
	for body != "" {
		end, quoted := 0, false
		for ; end < len(body) && (quoted || body[end] != ';'); end++ {
			switch body[end] {
			case '\\':
				end++
			case '"':
				quoted = !quoted
			}
		}
		end = min(end, len(body))
		name, value, _ := strings.Cut(intel.Trim(body[:end]), ":")
		s.option(strings.ToLower(intel.Trim(name)), intel.Trim(value))
		body = body[min(end+1, len(body)):]
	}
	s.flush("")
}

// option takes one option.
func (s *signature) option(name, value string) {
	add := func(field, v string) { s.context = append(s.context, pair{field, v}) }
	switch name {
	case "content":
		s.flush("")
		if text, ok := contentText(value); ok {
			s.last, s.pending = text, true
			s.comma = strings.Contains(value, `",`)
		}
	case "msg":
		add(intel.FieldDescription, unescapeRule(strings.Trim(value, `"`)))
	case "classtype":
		add(intel.FieldThreatType, value)
	case "sid", "rev", "gid", "priority":
		if words := strings.Fields(value); len(words) > 0 {
			add(name, strings.TrimRight(words[0], ")"))
		}
	case "reference":
		add(intel.FieldReference, strings.TrimPrefix(value, "url,"))
	case "metadata":
		for part := range strings.SplitSeq(value, ",") {
			key, v, _ := strings.Cut(intel.Trim(part), " ")
			add(typedName(key), v)
		}
	default:
		s.buffer(name, value)
	}
}

// buffer takes an option that names a buffer. In Snort 2, and in Suricata of old,
// http_ ones are about the content before; else all are about what follows. Only
// Snort 3 writes what else it says of a content behind a comma.
func (s *signature) buffer(name, value string) {
	b := bufferOf(name, value)
	switch {
	case name == "pkt_data" || name == "raw_data" || name == "file_data":
		s.flush("")
		s.sticky = ""
	case b == "":
	case s.pending && s.sticky == "" && !s.comma && strings.HasPrefix(name, "http_"):
		s.flush(b)
	default:
		s.flush("")
		s.sticky = b
	}
}

// bufferOf says what a buffer holds: host, path, dns, or other things.
func bufferOf(name, value string) string {
	switch name {
	case "http.host", "http.host.raw", "http_host", "http_raw_host", "tls.sni", "tls_sni", "ssl_sni":
		return "host"
	case "dns.query", "dns_query", "dns.queries.rrname", "dns.query.name":
		return "host"
	case "http.uri", "http.uri.raw", "http_uri", "http_raw_uri":
		return "path"
	case "http_header", "http.header":
		if strings.EqualFold(value, "field host") {
			return "host"
		}
		return "other"
	}
	if strings.HasPrefix(name, "http") || strings.HasPrefix(name, "tls.") || strings.HasPrefix(name, "file.") || strings.HasPrefix(name, "ssh.") {
		return "other"
	}
	return ""
}

// flush gives the last content to its buffer.
func (s *signature) flush(buffer string) {
	if !s.pending {
		return
	}
	s.pending = false
	if buffer == "" {
		buffer = s.sticky
	}
	switch buffer {
	case "host":
		s.hosts = append(s.hosts, s.last)
	case "path":
		s.paths = append(s.paths, s.last)
	case "":
		s.plain = append(s.plain, s.last)
	case "other":
		if strings.EqualFold(s.last, "Host") || len(s.last) > 5 && strings.EqualFold(s.last[:5], "Host:") {
			s.plain = append(s.plain, s.last)
		}
	}
}

// indicators returns what the rule is about. A host with one path is a URL, and
// not the host: others may be at home there.
func (s *signature) indicators() []string {
	inHost := slices.ContainsFunc(s.plain, func(p string) bool { return strings.EqualFold(p, "Host") })
	for _, p := range s.plain {
		name, encoded := labels(p)
		host, named := "", len(p) > 5 && strings.EqualFold(p[:5], "Host:")
		if named {
			host = intel.Trim(p[5:])
		}
		switch {
		case encoded:
			s.hosts = append(s.hosts, name)
		case named && host != "":
			s.hosts = append(s.hosts, host)
		case inHost && strings.IndexByte(p, '.') > 0:
			s.hosts = append(s.hosts, p)
		}
	}
	if len(s.hosts) == 1 && len(s.paths) == 1 && strings.HasPrefix(s.paths[0], "/") {
		return append(s.values, "http://"+s.hosts[0]+s.paths[0])
	}
	return append(s.values, s.hosts...)
}

// labels reads a name as DNS messages have it: the length of each label before it.
func labels(s string) (string, bool) {
	var parts []string
	for s = strings.TrimSuffix(s, "\x00"); s != ""; {
		n := int(s[0])
		if n == 0 || n > 63 || n >= len(s) {
			return "", false
		}
		parts, s = append(parts, s[1:1+n]), s[1+n:]
	}
	return strings.Join(parts, "."), len(parts) > 1
}

// contentText decodes a content: text in quotes, in which |0d 0a| are bytes in
// hexadecimal. What must not be there is none.
func contentText(value string) (string, bool) {
	start := strings.IndexByte(value, '"')
	end := strings.LastIndexByte(value, '"')
	if start < 0 || end <= start || strings.HasPrefix(value, "!") {
		return "", false
	}
	var b strings.Builder
	for i, part := range strings.Split(value[start+1:end], "|") {
		if i%2 == 0 {
			b.WriteString(unescapeRule(part))
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			return "", false
		}
		b.Write(raw)
	}
	return b.String(), true
}

// unescapeRule takes the backslashes off \" \; \: and \\.
func unescapeRule(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\;`, `;`, `\:`, `:`).Replace(s)
}
