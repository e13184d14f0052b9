package registrytest

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// question reads the line of a client of port 43.
func question(c net.Conn) (string, bool) {
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReaderSize(c, 1<<10).ReadString('\n')
	return strings.TrimSpace(line), err == nil
}

// root is IANA's server, which knows who knows.
func (w *World) root(c net.Conn) {
	q, ok := question(c)
	if !ok || w.plain(c, w.came(WhoisRoot, q, "")) {
		return
	}
	switch {
	case strings.HasPrefix(strings.ToUpper(q), "AS"):
		fmt.Fprintf(c, "%% IANA WHOIS server\n\nas-block:     0-4294967295\nrefer:        whois.registry.example\n")
	case strings.Contains(q, ":"):
		fmt.Fprintf(c, "%% IANA WHOIS server\n\nrefer:        whois.registry.example\n\ninet6num:     2000::/3\norganisation: Example Registry\n")
	case strings.Trim(q, "0123456789.") == "":
		first, _, _ := strings.Cut(q, ".")
		fmt.Fprintf(c, "%% IANA WHOIS server\n\nrefer:        whois.registry.example\n\ninetnum:      %s.0.0.0 - %s.255.255.255\norganisation: Example Registry\n", first, first)
	case strings.HasSuffix(q, "nowhois"):
		fmt.Fprintf(c, "%% IANA WHOIS server\n\ndomain:       %s\nstatus:       ACTIVE\n", strings.ToUpper(q))
	default:
		fmt.Fprintf(c, "%% IANA WHOIS server\n\nrefer:        whois.registry.example\n\ndomain:       %s\nwhois:        whois.registry.example\nstatus:       ACTIVE\n", strings.ToUpper(q))
	}
}

// whois is the server of a registry or of a registrar.
func (w *World) whois(server string) func(net.Conn) {
	return func(c net.Conn) {
		q, ok := question(c)
		if !ok {
			return
		}
		fault := w.came(server, q, "")
		if w.plain(c, fault) {
			return
		}
		text := w.record(server, q, fault)
		if fault == Charset {
			text = strings.ReplaceAll(text, "Holder of", "Holder \xfc of")
		}
		_, _ = c.Write([]byte(text))
	}
}

func (w *World) record(server, q string, f Fault) string {
	words := strings.Fields(q)
	if len(words) == 0 {
		return "% no query\n"
	}
	subject := words[len(words)-1]
	if a, err := netip.ParseAddr(subject); err == nil {
		if f == Wrong {
			a = netip.MustParseAddr("4.4.4.4")
		}
		p := w.NetworkOf(a)
		key := "inetnum"
		if a.Is6() {
			key = "inet6num"
		}
		return fmt.Sprintf("%% This is the RIPE Database query service.\n%% Abuse contact for '%s' is 'abuse@holder.example'\n\n%s:  %s - %s\nnetname: NET-%s\norg: ORG-1\ncountry: NL\ncreated: 2011-02-03T04:05:06Z\nsource: RIPE\n\n"+
			"organisation: ORG-1\norg-name: Holder of %s\nsource: RIPE\n\nperson: Jane Doe\naddress: 1 Road\nnic-hdl: JD1\nsource: RIPE\n", p, key, p.Addr(), intel.LastAddr(p), name(p), p)
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(subject), "AS"), 10, 32); err == nil {
		if f == Wrong {
			n = 4
		}
		return fmt.Sprintf("aut-num: AS%d\nas-name: SYSTEM-%d\norg: ORG-1\nsource: RIPE\n\norganisation: ORG-1\norg-name: Holder of AS%d\nsource: RIPE\n", n, n, n)
	}
	if strings.HasPrefix(subject, "free") {
		return "No match for \"" + strings.ToUpper(subject) + "\".\n"
	}
	if f == Wrong {
		subject = "other.example"
	}
	text := fmt.Sprintf("Domain Name: %s\nRegistrar: Example Registrar\nRegistrar WHOIS Server: whois.registrar.example\nDomain Status: clientTransferProhibited https://icann.org/epp\nName Server: ns1.%s\nName Server: ns2.%s\n", strings.ToUpper(subject), subject, subject)
	if !w.Thin || server == WhoisNames {
		text += "Updated Date: 2024-01-02T03:04:05Z\nCreation Date: 2019-01-02T03:04:05Z\nRegistry Expiry Date: 2029-01-02T03:04:05Z\n"
	}
	if server == WhoisNames {
		text += "Registrant Name: Jane Doe\nRegistrant Email: jane@holder.example\n"
	}
	return text
}

// plain plays a fault of port 43, and says whether that was all.
func (w *World) plain(c net.Conn, f Fault) bool {
	switch f {
	case TooMany, Silent:
		_, _ = c.Write([]byte("%ERROR:201: access denied\n%\n% Query rate limit exceeded. Try again later.\n"))
	case Slow:
		drip(w.stop, func() bool {
			_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
			_, err := c.Write([]byte("%"))
			return err == nil
		})
	case Huge:
		for range 3 << 10 {
			if _, err := c.Write([]byte(strings.Repeat("remarks: x\n", 100))); err != nil {
				break
			}
		}
	case Malformed:
		_, _ = c.Write([]byte{0, 1, 2, 0xff, 0xfe, '\n', 0x1b, '[', 'm'})
	case Page:
		fmt.Fprint(c, "<html><title>Maintenance</title><body>Please come back later</body></html>")
	case Loop:
		fmt.Fprintf(c, "refer: %s\nReferralServer: whois://%s\n", "whois.registry.example", "whois.registry.example")
	case Inward:
		fmt.Fprintf(c, "refer: 127.0.0.1:%d\nReferralServer: whois://127.0.0.1:%d\n", w.addrs[Whois].Port(), w.addrs[Whois].Port())
	case Reset:
		fmt.Fprint(c, "inetnum: 4.")
		reset(c)
	case Empty, Down:
	default:
		return false
	}
	return true
}

// cymru serves bulk queries: begin, verbose, addresses, end.
func (w *World) cymru(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	in := bufio.NewScanner(c)
	var asked []netip.Addr
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "end" {
			break
		}
		if a, err := netip.ParseAddr(line); err == nil {
			asked = append(asked, a)
		}
	}
	f := w.came(Cymru, strconv.Itoa(len(asked)), "")
	if w.plain(c, f) {
		return
	}
	out := bufio.NewWriter(c)
	defer out.Flush()
	fmt.Fprintf(out, "Bulk mode; whois.cymru.com [2026-01-01 00:00:00 +0000]\n")
	for _, a := range asked {
		if f == Wrong {
			a = a.Next().Next()
		}
		asn, prefix, as := w.origin(a)
		if asn == "" {
			fmt.Fprintf(out, "NA      | %-16s | NA                  |    | other    |            | NA\n", a)
			continue
		}
		fmt.Fprintf(out, "%-7s | %-16s | %-19s | NL | ripencc  | 2011-02-03 | %s\n", asn, a, prefix, as)
	}
}

// origin is who announces an address; nobody does those of 9.0.0.0/8.
func (w *World) origin(a netip.Addr) (asn, prefix, as string) {
	if a.Is4() && a.As4()[0] == 9 {
		return "", "", ""
	}
	n := w.ASNOf(a)
	return strconv.Itoa(int(n)), w.NetworkOf(a).String(), fmt.Sprintf("SYSTEM-%d Holder of AS%d, NL", n, n)
}
