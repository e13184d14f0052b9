package parse

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readIP2ASN reads the tables of iptoasn.com: first and last address, number, country
// and name of the autonomous system that announces them, separated by tabs. Number 0 is
// what nobody announces. A range becomes its networks, each of which is a record.
func readIP2ASN(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, func(no int, text string) {
		cells := strings.Split(text, "\t")
		if len(cells) < 3 {
			c.reject(no, text, fmt.Sprintf("%d columns, a record has 3 at least", len(cells)))
			return
		}
		first, err := netip.ParseAddr(intel.Trim(cells[0]))
		last, bad := netip.ParseAddr(intel.Trim(cells[1]))
		if err != nil || bad != nil || first.Zone()+last.Zone() != "" || first.BitLen() != last.BitLen() {
			c.reject(no, text, fmt.Sprintf("%s to %s is no range of addresses", shorten(cells[0]), shorten(cells[1])))
			return
		}
		asn, err := strconv.ParseUint(intel.Trim(cells[2]), 10, 32)
		switch {
		case err != nil:
			c.reject(no, text, fmt.Sprintf("%q is no number of an autonomous system", shorten(cells[2])))
			return
		case asn == 0:
			c.suppress("announced by nobody", 1)
			return
		}
		context := []pair{{FieldASN, strconv.FormatUint(asn, 10)}}
		if len(cells) > 4 {
			if name := intel.Trim(cells[4]); name != "" {
				context = append(context, pair{FieldASName, name})
			}
		}
		c.spread(no, text, first, last, context...)
	})
}
