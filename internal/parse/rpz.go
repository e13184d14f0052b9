package parse

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readRPZ reads response policy zones: master files (RFC 1035, section 5) whose
// names are triggers and whose data are actions (draft-vixie-dnsop-dns-rpz). Each
// resource record but the zone's own is a record.
func readRPZ(ctx context.Context, r io.Reader, c *collector) error {
	z := &zone{c: c}
	err := readRecords(ctx, r, c, func(ln line, _ string) { z.line(ln.no, ln.text) })
	if err == nil && z.open > 0 {
		c.reject(z.no, z.owner, "the file ends inside parentheses")
	}
	return err
}

// zone walks over the resource records of a file. Names in it are in lower case
// and without the last dot.
type zone struct {
	c      *collector
	origin string // $ORIGIN
	apex   string // the owner of SOA, where it is absolute
	owner  string // of the record at hand, as it is written
	words  []string
	open   int // parentheses
	no     int // the line on which the record began
}

// line takes one line. A record ends with it, unless parentheses are open.
func (z *zone) line(no int, text string) {
	if z.open == 0 {
		z.words, z.no = z.words[:0], no
		if text[0] != ' ' && text[0] != '\t' { // else the owner of the last one
			end := strings.IndexAny(text, " \t;()\"")
			if end < 0 {
				end = len(text)
			}
			z.owner, text = strings.Clone(text[:end]), text[end:]
		}
	}
	before := len(z.words)
	z.split(text)
	if z.open > 0 {
		for i := before; i < len(z.words); i++ {
			z.words[i] = strings.Clone(z.words[i])
		}
		return
	}
	if len(z.words) > maxColumns {
		z.c.reject(z.no, z.owner, fmt.Sprintf("more than %d words", maxColumns))
		return
	}
	z.record()
}

// split adds the words of a line, up to a comment; quotes hold one together.
// Beyond maxColumns they are only counted as too many.
func (z *zone) split(text string) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" || text[0] == ';' {
			return
		}
		var word string
		switch text[0] {
		case '(':
			z.open++
			text = text[1:]
			continue
		case ')':
			z.open = max(0, z.open-1)
			text = text[1:]
			continue
		case '"':
			word, text, _ = strings.Cut(text[1:], `"`)
		default:
			end := strings.IndexAny(text, " \t;()\"")
			if end < 0 {
				end = len(text)
			}
			word, text = text[:end], text[end:]
		}
		if len(z.words) <= maxColumns {
			z.words = append(z.words, shortWord(word))
		}
	}
}

// shortWord cuts what is longer than any name.
func shortWord(w string) string { return w[:min(len(w), 4*maxShown)] }

// record takes a whole record, or a control entry.
func (z *zone) record() {
	words := z.words
	if strings.HasPrefix(z.owner, "$") {
		if strings.EqualFold(z.owner, "$ORIGIN") && len(words) > 0 {
			z.origin = z.name(words[0])
		}
		if strings.EqualFold(z.owner, "$INCLUDE") || strings.EqualFold(z.owner, "$GENERATE") {
			z.c.reject(z.no, z.owner, "names that are not in the file")
		}
		z.owner = ""
		return
	}
	for len(words) > 1 && (isClass(words[0]) || isTTL(words[0])) {
		words = words[1:]
	}
	if len(words) < 2 {
		z.c.reject(z.no, z.owner, "no type and data behind the name")
		return
	}
	kind, data := strings.ToUpper(words[0]), words[1]
	name := z.name(z.owner)
	if kind == "SOA" {
		if z.apex = name; z.origin == "" {
			z.origin = name
		}
		return
	}
	switch {
	case z.owner == "@" || z.apex != "" && name == z.apex:
		return // the zone's own name servers
	case name == "":
		z.c.reject(z.no, data, "no name before the record")
		return
	}
	z.trigger(strings.TrimSuffix(name, "."+z.apex), kind, data)
}

// name makes a name absolute.
func (z *zone) name(owner string) string {
	switch {
	case owner == "@":
		return z.origin
	case strings.HasSuffix(owner, "."):
		return strings.ToLower(owner[:len(owner)-1])
	case z.origin == "":
		return strings.ToLower(owner)
	}
	return strings.ToLower(owner) + "." + z.origin
}

func isClass(w string) bool {
	return slices.ContainsFunc([]string{"IN", "CH", "HS", "CS"}, func(c string) bool { return strings.EqualFold(c, w) })
}

// isTTL knows seconds, and BIND's 1h30m.
func isTTL(w string) bool {
	return w[:min(1, len(w))] != "" && w[0] >= '0' && w[0] <= '9' && strings.Trim(strings.ToLower(w), "0123456789smhdw") == ""
}

// trigger takes what the policy is about and what it does.
func (z *zone) trigger(name, kind, data string) {
	action := z.action(name, kind, data)
	value, sort := name, ""
	for _, s := range []string{"rpz-client-ip", "rpz-ip", "rpz-nsip", "rpz-nsdname"} {
		if v, ok := strings.CutSuffix(name, "."+s); ok {
			value, sort = v, s
		}
	}
	switch sort {
	case "rpz-client-ip":
		z.c.suppress("a client of the server", 1)
		return
	case "rpz-ip", "rpz-nsip":
		p, ok := triggerPrefix(value)
		if !ok {
			z.c.reject(z.no, name, "no network as "+sort+" writes it")
			return
		}
		value = p.String()
	}
	if action == "" {
		z.c.except(value)
		return
	}
	z.c.listing(z.no, value, pair{"action", action}, pair{"trigger", sort})
}

// action names what a record does, as the draft calls it; "" lets through.
func (z *zone) action(name, kind, data string) string {
	if kind != "CNAME" {
		return "local-data"
	}
	switch target := strings.ToLower(data); target {
	case ".":
		return "nxdomain"
	case "*.":
		return "nodata"
	case "rpz-drop.":
		return "drop"
	case "rpz-passthru.", "rpz-tcp-only.", name + ".":
		return ""
	}
	return "local-data"
}

// triggerPrefix reads LENGTH.B4.B3.B2.B1, and for IPv6 LENGTH.W8…W1 in which zz
// stands for the longest run of zeros.
func triggerPrefix(s string) (netip.Prefix, bool) {
	parts := strings.Split(s, ".")
	bits, err := strconv.Atoi(parts[0])
	words := parts[1:]
	slices.Reverse(words)
	text := strings.Join(words, ".")
	if len(words) != 4 || slices.Contains(words, "zz") {
		text = strings.Join(words, ":")
		text = strings.Replace(text, "zz", "", 1)
		if strings.HasPrefix(text, ":") {
			text = ":" + text
		}
		if strings.HasSuffix(text, ":") {
			text += ":"
		}
	}
	a, err2 := netip.ParseAddr(text)
	p, err3 := a.Prefix(bits)
	return p, err == nil && err2 == nil && err3 == nil && intel.Trim(text) == text
}
