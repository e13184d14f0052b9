package parse

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readDnsmasq reads configurations of dnsmasq(8) that block names: address=,
// local= and server= with names between slashes. Each name is a record.
func readDnsmasq(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, c.dnsmasqLine)
}

// dnsmasqLine takes the names of one option. The text behind the last slash says
// where they lead: nowhere, or the option blocks nothing.
func (c *collector) dnsmasqLine(no int, text string) {
	option, value, _ := strings.Cut(c.comments.cut(text), "=")
	option, value = strings.TrimPrefix(intel.Trim(option), "--"), intel.Trim(value)
	if strings.Trim(option, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || option == "" {
		c.reject(no, text, "no option of dnsmasq")
		return
	}
	list, slashed := strings.CutPrefix(value, "/")
	end := strings.LastIndexByte(list, '/')
	if option != "address" && option != "server" && option != "local" || !slashed {
		c.suppress(suppressedSetting, 1)
		return
	}
	if end < 0 {
		c.reject(no, text, "no slash behind the name")
		return
	}
	names, target := list[:end], intel.Trim(list[end+1:])
	why := notNowhere(option, target)
	for name := range strings.SplitSeq(names, "/") {
		switch {
		case why != "":
			c.reject(no, name, why)
		case option != "address" && target == "#":
			c.except(name)
		case name == "#":
			c.reject(no, name, "every name there is, which is no indicator")
		default:
			c.value(no, name)
		}
	}
}

// notNowhere says why an option does not block, or "". Of address, nothing is
// "no such name" and # the address 0.0.0.0; of server and local, # is the way that
// all other names go.
func notNowhere(option, target string) string {
	switch {
	case target == "" || target == "#":
		return ""
	case option == "address":
		return notSink(target)
	}
	return fmt.Sprintf("it is asked for at %s, not blocked", shorten(target))
}
