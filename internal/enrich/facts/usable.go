package facts

import (
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

// unreadable is when to ask again after an answer that says nothing usable.
const unreadable = 7 * 24 * time.Hour

// usable returns a finding as it is kept, false where it is about nothing. A network
// that is too wide, or does not have the address that was asked about, is no answer.
func usable(f enrich.Finding) (enrich.Finding, bool) {
	s := f.Subject
	if !s.Addr.IsValid() && s.Domain == "" && s.ASN == 0 || s.Addr.Zone() != "" || len(s.Domain) > 253 || f.Source == "" || len(f.Source) > 64 {
		return f, false
	}
	if f.Negative != "" && (s.ASN != 0 || s.Addr.IsValid() && !asksNetworks(f.Source)) {
		return f, false // asked again with the network, not for its own sake
	}
	s.Addr = s.Addr.Unmap()
	f.Subject = s
	f.Fetched, f.Retry = f.Fetched.Truncate(time.Second), f.Retry.Truncate(time.Second)
	if f.Network != nil && s.Addr.IsValid() {
		n := *f.Network
		n.CIDR = nil
		covers, wide := false, false
		for _, p := range prefixes(f.Network) {
			if p.Addr().Is4() != s.Addr.Is4() || len(n.CIDR) == maxNames {
				continue
			}
			n.CIDR = append(n.CIDR, p.String())
			covers = covers || p.Contains(s.Addr)
			wide = wide || p.Bits() < enrich.HolderBits(s.Addr)
		}
		if f.Network = &n; !covers || wide {
			f.Network, f.Negative, f.Retry = nil, enrich.Unreadable, f.Fetched.Add(unreadable)
		}
	}
	return f, true
}

// Covers returns the addresses about which registries need not be asked after such a
// finding: those of its network, or those that its failure counts for; nil for one
// that is not of a registry.
func Covers(f *enrich.Finding) []netip.Prefix {
	g, ok := usable(*f)
	switch {
	case !ok || !g.Subject.Addr.IsValid() || g.Source != "rdap" && g.Source != "whois":
		return nil
	case g.Network != nil:
		return prefixes(g.Network)
	case g.Negative != "":
		return []netip.Prefix{block(g.Subject.Addr)}
	}
	return nil
}
