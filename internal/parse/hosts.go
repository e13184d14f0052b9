package parse

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// readHosts reads hosts files that block names: an address that leads nowhere,
// then one or more names, as hosts(5) has it. Each name is a record.
func readHosts(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, c.hostsLine)
}

// hostsLine takes the names of one line.
func (c *collector) hostsLine(no int, text string) {
	if c.spec.Inline == nil {
		text, _, _ = strings.Cut(text, "#")
	}
	text = c.comments.cut(text)
	names := 0
	var why string
	for word := range strings.FieldsSeq(text) {
		if names++; names == 1 {
			why = notSink(word)
			continue
		}
		switch {
		case localName(word):
			c.suppress("a name of the machine itself (hosts file)", 1)
		case why != "":
			c.reject(no, word, why)
		default:
			c.value(no, word)
		}
	}
	if names == 1 {
		c.reject(no, text, "one word; a line has an address and a name")
	}
}

// notSink says why names at this address are not blocked, or "".
func notSink(word string) string {
	if word == "0" { // 0.0.0.0, as inet_aton(3) reads it
		return ""
	}
	a, err := netip.ParseAddr(word)
	if err != nil {
		return fmt.Sprintf("%q before the name is no address", shorten(word))
	}
	if a = a.Unmap(); a.IsLoopback() || a.IsUnspecified() || a.Is4() && a.As4()[0] == 0 {
		return ""
	}
	return fmt.Sprintf("the address %s does not block the name", shorten(word))
}

// localName says whether a name is one of those that every system's own hosts
// file has. Names in .local and addresses are left to intel.Reserved.
func localName(name string) bool {
	switch strings.ToLower(strings.TrimSuffix(name, ".")) {
	case "localhost", "localhost.localdomain", "localhost4", "localhost6", "localhost4.localdomain4", "localhost6.localdomain6",
		"local", "broadcasthost", "loopback", "0.0.0.0", "127.0.0.1", "::1",
		"ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts":
		return true
	}
	return false
}
