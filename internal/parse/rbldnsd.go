package parse

import (
	"context"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// maxTXT is how much of a text rbldnsd answers with, in bytes.
const maxTXT = 255

// readRBLDNSD reads zone files of rbldnsd(8): the datasets ip4set, ip4trie,
// ip4tset, ip6trie, ip6tset and dnset, told apart by their entries. Each entry is
// a record, a range as many as it has networks.
func readRBLDNSD(ctx context.Context, r io.Reader, c *collector) error {
	var usual []pair // what :address:text lines say of the entries that follow
	return readLayout(ctx, r, c, func(no int, text string) {
		switch {
		case text[0] == '$':
			return // $SOA, $NS, $TTL, $0 … of the zone itself
		case text[0] == ':':
			usual = answer(usual[:0], text)
			return
		}
		entry, said := text, ""
		if i := strings.IndexAny(text, " \t"); i >= 0 {
			entry, said = text[:i], intel.Trim(text[i:])
		}
		if excluded, ok := strings.CutPrefix(entry, "!"); ok {
			c.rblExcept(excluded)
			return
		}
		context := usual
		if said != "" && said[0] != '#' {
			context = answer(nil, said)
		}
		first, last, ok := rblRange(entry)
		switch a, b, dashed := strings.Cut(entry, "-"); {
		case ok && first == last && !dashed && strings.IndexByte(entry, '/') < 0:
			c.listing(no, entry, context...) // an address, as nearly all entries are
		case ok:
			c.spread(no, entry, first, last, context...)
		case dashed && strings.Trim(a+b, "0123456789.") == "": // it may look like a name
			c.reject(no, entry, "a broken range")
		default:
			c.listing(no, entry, context...)
		}
	})
}

// answer reads ":127.0.0.2:text", ":2:text", ":2" or a text. The text is kept as
// the template it is: $ stands for the entry.
func answer(list []pair, text string) []pair {
	if code, ok := strings.CutPrefix(text, ":"); ok {
		code, text, _ = strings.Cut(code, ":")
		if n, err := strconv.ParseUint(code, 10, 8); err == nil {
			code = "127.0.0." + strconv.FormatUint(n, 10)
		}
		list = append(list, pair{"answer", strings.Clone(shorten(code))})
	}
	return append(list, pair{intel.FieldDescription, strings.Clone(strings.ToValidUTF8(text[:min(len(text), maxTXT)], ""))})
}

// rblExcept takes an exclusion.
func (c *collector) rblExcept(entry string) {
	if first, last, ok := rblRange(entry); ok {
		if list := prefixes(first, last); len(list) == 1 {
			entry = list[0].String()
		}
	}
	c.except(entry)
}

// rblRange reads what names more than an address or is short for it: a network,
// which may leave out octets and begin anywhere, first-last, and a.b.c.d-e.
func rblRange(entry string) (first, last netip.Addr, ok bool) {
	a, b, dashed := strings.Cut(entry, "-")
	a, length, slashed := strings.Cut(a, "/")
	first, octets, ok := rblAddr(a)
	switch {
	case !ok || dashed && slashed:
		return first, last, false
	case slashed:
		n, err := strconv.Atoi(length)
		p, err2 := first.Prefix(n)
		if err != nil || err2 != nil {
			return first, last, false
		}
		return p.Addr(), intel.LastAddr(p), true
	case !dashed:
		return first, intel.LastAddr(netip.PrefixFrom(first, 8*octets)), true
	}
	if first.Is4() && strings.Count(b, ".") < octets-1 { // only the end differs
		keep := octets - 1 - strings.Count(b, ".")
		b = strings.Join(strings.Split(a, ".")[:keep], ".") + "." + b
	}
	if last, octets, ok = rblAddr(b); !ok || first.BitLen() != last.BitLen() {
		return first, last, false
	}
	return first, intel.LastAddr(netip.PrefixFrom(last, 8*octets)), true
}

// rblAddr reads an address. An IPv4 one of fewer octets is its first address.
func rblAddr(s string) (a netip.Addr, octets int, ok bool) {
	if strings.IndexByte(s, ':') >= 0 {
		a, err := netip.ParseAddr(s)
		return a, 16, err == nil && a.Zone() == ""
	}
	octets = strings.Count(s, ".") + 1
	if octets > 4 || strings.HasSuffix(s, ".") {
		return a, 0, false
	}
	a, err := netip.ParseAddr(s + strings.Repeat(".0", 4-octets))
	return a, octets, err == nil
}
