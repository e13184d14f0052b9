package parse

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readDShield reads block lists of DShield: the first address of a network, its
// last one and its length, then what is known of it, separated by tabs. A line
// of names says what that is. Each line is a record.
func readDShield(ctx context.Context, r io.Reader, c *collector) error {
	// The columns beyond the network, as the list's own remarks have them.
	names := []string{"Attacks", "Name", "Country", "email"}
	var context []pair
	return readLayout(ctx, r, c, func(no int, text string) {
		cells := strings.Split(text, "\t")
		if strings.EqualFold(intel.Trim(cells[0]), "start") {
			names = cloneAll(cells[min(3, len(cells)):])
			return
		}
		value, why := dshieldNetwork(cells)
		if why != "" {
			c.reject(no, text, why)
			return
		}
		context = context[:0]
		for i, cell := range cells[3:min(len(cells), maxColumns)] {
			name := ""
			if i < len(names) {
				name = names[i]
			}
			if name == "" {
				name = fmt.Sprintf("col%d", i+4)
			}
			if cell = intel.Trim(cell); !c.blank(cell) {
				context = append(context, pair{name, cell})
			}
		}
		c.listing(no, value, context...)
	})
}

// dshieldNetwork makes the network of its three columns, which must agree.
func dshieldNetwork(cells []string) (value, why string) {
	if len(cells) < 3 {
		return "", fmt.Sprintf("%d columns; a network has a start, an end and a length", len(cells))
	}
	start, end, length := intel.Trim(cells[0]), intel.Trim(cells[1]), intel.Trim(cells[2])
	p, err := netip.ParsePrefix(start + "/" + length)
	if err != nil {
		return "", fmt.Sprintf("%s/%s is no network", shorten(start), shorten(length))
	}
	if last, err := netip.ParseAddr(end); err != nil || p.Masked().Addr() != p.Addr() || intel.LastAddr(p) != last {
		return "", fmt.Sprintf("%s to %s is not the network %s", shorten(start), shorten(end), p)
	}
	return p.String(), ""
}
