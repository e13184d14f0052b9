package parse

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// What delegation files say of ranges. Enrichment reads these names.
const (
	FieldCountry   = "country"
	FieldRegistry  = "registry"
	FieldAllocated = "allocated" // YYYY-MM-DD
	FieldASN       = "asn"
	FieldASName    = "as_name"
)

// readDelegated reads the files in which address registries say who was given what,
// delegated and delegated-extended (apnic.net, "RIR statistics exchange format"):
// registry|country|type|start|value|date|status and in the latter |holder's number. The
// value of a range of IPv4 is how many addresses it has, which need not be a power of
// two; that of IPv6 is a prefix length. A range becomes its networks, each of which is a
// record; version and summary lines are none.
func readDelegated(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, func(no int, text string) {
		cells := strings.Split(text, "|")
		if text[0] == '#' || isVersion(cells) || len(cells) > 5 && cells[5] == "summary" {
			return
		}
		c.delegation(no, text, cells)
	})
}

// isVersion knows the first line: version|registry|serial|records|startdate|enddate|offset.
func isVersion(cells []string) bool {
	_, err := strconv.ParseFloat(cells[0], 64)
	return err == nil && len(cells) == 7
}

func (c *collector) delegation(no int, text string, cells []string) {
	if len(cells) < 7 {
		c.reject(no, text, fmt.Sprintf("%d columns, a record has 7 at least", len(cells)))
		return
	}
	kind, status := cells[2], cells[6]
	switch {
	case kind == "asn":
		c.suppress("an autonomous system, which is no range of addresses", 1)
		return
	case kind != "ipv4" && kind != "ipv6":
		c.reject(no, text, fmt.Sprintf("type %q is none of asn, ipv4, ipv6", shorten(kind)))
		return
	case status == "available" || status == "reserved":
		c.suppress("given to nobody ("+status+")", 1)
		return
	case status != "allocated" && status != "assigned":
		c.reject(no, text, fmt.Sprintf("status %q is none of allocated, assigned, available, reserved", shorten(status)))
		return
	}
	first, last, why := delegatedRange(kind, cells[3], cells[4])
	if why != "" {
		c.reject(no, text, why)
		return
	}
	context := make([]pair, 0, 3)
	context = append(context, pair{FieldRegistry, strings.ToLower(cells[0])})
	if country := strings.ToUpper(cells[1]); len(country) == 2 && country != "ZZ" {
		context = append(context, pair{FieldCountry, country})
	}
	if day, err := time.Parse("20060102", cells[5]); err == nil {
		context = append(context, pair{FieldAllocated, day.Format(time.DateOnly)})
	}
	c.spread(no, text, first, last, context...)
}

// delegatedRange reads where a range begins and how large it is.
func delegatedRange(kind, start, value string) (first, last netip.Addr, why string) {
	first, err := netip.ParseAddr(start)
	if err != nil || first.Zone() != "" || first.Is4() != (kind == "ipv4") {
		return first, last, fmt.Sprintf("%q is no address of %s", shorten(start), kind)
	}
	n, err := strconv.ParseUint(value, 10, 64)
	switch {
	case err != nil:
		return first, last, fmt.Sprintf("size %q is no number", shorten(value))
	case kind == "ipv6":
		p, err := first.Prefix(int(min(n, 129)))
		if err != nil || p.Addr() != first {
			return first, last, fmt.Sprintf("%s/%s is no network", first, shorten(value))
		}
		return first, intel.LastAddr(p), ""
	}
	b := first.As4()
	at := uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	if n == 0 || n > 1<<32 || at+n-1 > math.MaxUint32 {
		return first, last, fmt.Sprintf("%s addresses from %s on end behind the last one", shorten(value), first)
	}
	end := at + n - 1
	return first, netip.AddrFrom4([4]byte{byte(end >> 24), byte(end >> 16), byte(end >> 8), byte(end)}), ""
}
