package registrytest

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// serveDNS answers A, PTR and TXT over UDP.
func (w *World) serveDNS(pc net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		host := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
		fault := w.came(DNS, host, "")
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		switch fault {
		case Slow, Reset, Empty, Malformed:
			continue // nobody answers
		case TooMany, Silent:
			reply.RCode = dnsmessage.RCodeRefused
		case Down:
			reply.RCode = dnsmessage.RCodeServerFailure
		default:
			w.fill(&reply, q, host)
		}
		if out, err := reply.Pack(); err == nil {
			_, _ = pc.WriteTo(out, from)
		}
	}
}

func (w *World) fill(m *dnsmessage.Message, q dnsmessage.Question, host string) {
	add := func(b dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: b})
	}
	switch q.Type {
	case dnsmessage.TypePTR:
		for _, n := range w.names(host) {
			add(&dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(n + ".")})
		}
	case dnsmessage.TypeTXT:
		for _, t := range w.texts(host) {
			add(&dnsmessage.TXTResource{TXT: []string{t}})
		}
	}
	if len(m.Answers) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
}

// names are those of an address, by its reverse name; odd addresses have none.
func (w *World) names(host string) []string {
	a := forward(host)
	if b := a.AsSlice(); !a.IsValid() || b[len(b)-1]%2 == 1 {
		return nil
	}
	return []string{"host-" + strings.NewReplacer(".", "-", ":", "-").Replace(a.String()) + ".holder.example"}
}

// texts are the records of the mapping.
func (w *World) texts(host string) []string {
	if as, ok := strings.CutSuffix(host, ".asn.cymru.com"); ok && strings.HasPrefix(as, "as") {
		n, err := strconv.Atoi(as[2:])
		if err != nil {
			return nil
		}
		return []string{fmt.Sprintf("%d | NL | ripencc | 2011-02-03 | SYSTEM-%d Holder of AS%d, NL", n, n, n)}
	}
	a := forward(strings.NewReplacer(".origin.asn.cymru.com", ".in-addr.arpa", ".origin6.asn.cymru.com", ".ip6.arpa").Replace(host))
	if !a.IsValid() {
		return nil
	}
	asn, prefix, _ := w.origin(a)
	if asn == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s | %s | NL | ripencc | 2011-02-03", asn, prefix)}
}

// forward is the address of a reverse name.
func forward(host string) netip.Addr {
	if four, ok := strings.CutSuffix(host, ".in-addr.arpa"); ok {
		parts := strings.Split(four, ".")
		slices.Reverse(parts)
		a, _ := netip.ParseAddr(strings.Join(parts, "."))
		return a
	}
	six, ok := strings.CutSuffix(host, ".ip6.arpa")
	parts := strings.Split(six, ".")
	if !ok || len(parts) != 32 {
		return netip.Addr{}
	}
	slices.Reverse(parts)
	b, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// memoryDNS answers the same without a socket. Names of hosts it knows are those of the whois servers.
type memoryDNS struct{ w *World }

func (m memoryDNS) fault(host string) error {
	switch m.w.came(DNS, host, "") {
	case "", Wrong, Huge, Page, Loop, Inward, Charset:
		return nil
	}
	return &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
}

// LookupNetIP implements registry.Resolver.
func (m memoryDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	for name, server := range map[string]string{"whois.registry.example": Whois, "whois.registrar.example": WhoisNames} {
		if host == name {
			return []netip.Addr{m.w.addrs[server].Addr()}, nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// LookupAddr implements registry.Resolver.
func (m memoryDNS) LookupAddr(_ context.Context, addr string) ([]string, error) {
	rev, err := reverse(addr)
	if err != nil {
		return nil, err
	}
	if err := m.fault(rev); err != nil {
		return nil, err
	}
	if names := m.w.names(rev); names != nil {
		return names, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: rev, IsNotFound: true}
}

// LookupTXT implements registry.Resolver.
func (m memoryDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if err := m.fault(name); err != nil {
		return nil, err
	}
	if texts := m.w.texts(name); texts != nil {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func reverse(addr string) (string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return "", err
	}
	var parts []string
	if a.Is4() {
		parts = strings.Split(a.String(), ".")
		slices.Reverse(parts)
		return strings.Join(parts, ".") + ".in-addr.arpa", nil
	}
	for _, c := range hex.EncodeToString(a.AsSlice()) {
		parts = append(parts, string(c))
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".ip6.arpa", nil
}
