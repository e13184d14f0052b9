package enrich

import (
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// object is a block of an answer: lines of one kind of thing.
type object []line

// get returns the first value of a key that says something.
func (o object) get(keys ...string) string {
	for _, k := range keys {
		for _, l := range o {
			if l.key == k && l.value != "" {
				return l.value
			}
		}
	}
	return ""
}

func objects(lines []line) []object {
	var all []object
	var now object
	for _, l := range lines {
		if !l.blank {
			now = append(now, l)
		} else if len(now) > 0 {
			all, now = append(all, now), nil
		}
	}
	if len(now) > 0 {
		all = append(all, now)
	}
	return all
}

// parseNetwork returns the narrowest network of an answer, or the autonomous
// system that it is about; nil where there is neither.
func parseNetwork(text string, lines []line) *Network {
	all := objects(lines)
	var best object
	var at span
	for _, o := range all {
		s, ok := parseRange(o.get("cidr", "inetnum", "inet6num", "netrange", "network number", "ipv4 address", "ipv6 address"))
		if r, found := parseRange(o.get("netrange")); found {
			s, ok = r, true
		}
		if ok && (best == nil || s.size() < at.size()) {
			best, at = o, s
		}
	}
	n := &Network{CIDR: []string{}}
	if best != nil {
		n.CIDR = at.prefixes()
	} else if best = system(all); best == nil {
		return nil
	}
	n.ASN = parseASN(best.get("aut-num", "asnumber", "originas", "origin"))
	n.Name = clean(best.get("netname", "network name", "service name", "as-name", "asname", "owner"))
	n.Registry = registryOf(text, best)
	n.Allocated = parseDate(best.get("regdate", "created", "assigned date", "registration date", "allocation date"))
	n.Country = country(best.get("country"))
	n.org(all, best)
	if n.ASN == 0 && len(n.CIDR) > 0 {
		n.ASN = routed(all, at)
	}
	n.Abuse = abuse(text, all, best)
	n.dropPersons(personsOf(all, best))
	return n
}

func system(all []object) object {
	for _, o := range all {
		if parseASN(o.get("aut-num", "asnumber")) != 0 {
			return o
		}
	}
	return nil
}

// org finds who holds the network: the object that it refers to, or what it says
// itself. Objects about persons are not looked at.
func (n *Network) org(all []object, o object) {
	id := o.get("org")
	name := o.get("organization", "organization name", "owner")
	if i := strings.LastIndex(name, " ("); i > 0 && strings.HasSuffix(name, ")") && o.get("organization") != "" {
		name, id = name[:i], name[i+2:len(name)-1]
	}
	for _, x := range all {
		if id == "" || !strings.EqualFold(x.get("organisation", "orgid", "custid"), id) {
			continue
		}
		if name == "" {
			name = x.get("org-name", "orgname", "custname")
		}
		if n.Country == "" {
			n.Country = country(x.get("country"))
		}
	}
	if name == "" && (n.Registry == "apnic" || n.Registry == "afrinic") {
		name = o.get("descr") // there it is the holder's name; elsewhere it may be anything, a person too
	}
	n.Org = clean(name)
}

// cpf is how Brazil numbers persons; organisations have a longer number.
var cpf = regexp.MustCompile(`^\d{3}\.?\d{3}\.?\d{3}-?\d{2}$`)

// personsOf are the names of persons in an answer. LACNIC's holder is one where it
// answers for itself, and where its number is that of a person.
func personsOf(all []object, o object) []string {
	persons := []string{o.get("responsible")}
	if cpf.MatchString(o.get("ownerid")) {
		persons = append(persons, o.get("owner"))
	}
	for _, x := range all {
		persons = append(persons, x.get("person"))
	}
	return persons
}

// orgHandle is what some registries wrote where the name of the holder belongs.
var orgHandle = regexp.MustCompile(`^ORG-[A-Z0-9]+-[A-Z]+$`)

// dropPersons empties what is the name of a person after all, though it stands
// where that of an organisation does, and an organisation that is a handle.
func (n *Network) dropPersons(persons []string) {
	for _, p := range persons {
		p = clean(p)
		if p == "" {
			continue
		}
		if strings.EqualFold(n.Org, p) {
			n.Org = ""
		}
		if strings.EqualFold(n.Name, p) {
			n.Name = ""
		}
	}
	if orgHandle.MatchString(n.Org) {
		n.Org = ""
	}
}

// routed is the origin of the narrowest route that covers a range.
func routed(all []object, at span) uint32 {
	best, asn := -1, uint32(0)
	for _, o := range all {
		p, err := netip.ParsePrefix(firstWord(o.get("route", "route6")))
		if err == nil && p.Contains(at.first) && p.Contains(at.last) && p.Bits() > best {
			best, asn = p.Bits(), parseASN(o.get("origin"))
		}
	}
	return asn
}

// abuseComment is how RIPE names the address for reports of what was asked for.
var abuseComment = regexp.MustCompile(`(?m)^% Abuse contact for '[^'\n]*' is '([^'\n]+)'`)

// abuse finds the address for reports.
func abuse(text string, all []object, o object) string {
	if m := abuseComment.FindStringSubmatch(text); m != nil {
		if a := mail(m[1]); a != "" {
			return a
		}
	}
	handle := o.get("abuse-c", "mnt-irt")
	for _, x := range all {
		if handle != "" && strings.EqualFold(x.get("nic-hdl", "irt"), handle) {
			if a := mail(x.get("abuse-mailbox", "e-mail")); a != "" {
				return a
			}
		}
	}
	for _, x := range all {
		if a := mail(x.get("rabuseemail", "orgabuseemail", "abuse-mailbox")); a != "" {
			return a
		}
	}
	return ""
}

func parseASN(s string) uint32 {
	s = strings.TrimPrefix(strings.ToUpper(firstWord(s)), "AS")
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// country returns a two-letter code in upper case, or "".
func country(s string) string {
	s = strings.ToUpper(firstWord(s))
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}

// registries are the words by which an answer or a server is known to be one's.
// National registries are members of APNIC or LACNIC. Read-only.
var registries = map[string]string{
	"afrinic": "afrinic", "apnic": "apnic", "krnic": "apnic", "jpnic": "apnic", "twnic": "apnic", "cnnic": "apnic", "idnic": "apnic", "irinn": "apnic", "vnnic": "apnic",
	"arin": "arin", "lacnic": "lacnic", "nic.br": "lacnic", "registro.br": "lacnic", "ripe": "ripencc", "ripencc": "ripencc",
}

// registryOf goes by the source of an object, else by how a registry introduces itself.
func registryOf(text string, o object) string {
	if r := registries[strings.ToLower(firstWord(o.get("source")))]; r != "" {
		return r
	}
	for _, sign := range []struct{ text, registry string }{
		{"ARIN WHOIS data", "arin"}, {"whois.lacnic.net", "lacnic"}, {"registro.br", "lacnic"}, {"RIPE Database", "ripencc"}, {"AfriNIC", "afrinic"},
		{"whois.apnic.net", "apnic"}, {"JPNIC", "apnic"}, {"KRNIC", "apnic"},
	} {
		if strings.Contains(text, sign.text) {
			return sign.registry
		}
	}
	if o.get("netrange") != "" || o.get("ashandle") != "" {
		return "arin" // no other registry has these words
	}
	return ""
}

// span is a range of addresses of one family, both ends in it.
type span struct{ first, last netip.Addr }

// parseRange reads "192.0.2.0 - 192.0.2.255", a prefix, or one of LACNIC's short
// ones: "200.57.128/19". Of a list of prefixes the first counts.
func parseRange(s string) (span, bool) {
	s = strings.TrimSpace(s)
	if a, b, ok := strings.Cut(s, "-"); ok {
		return newSpan(strings.TrimSpace(a), firstWord(strings.TrimSpace(b)))
	}
	addr, bits, ok := strings.Cut(firstWord(s), "/")
	if !ok {
		return span{}, false
	}
	if !strings.Contains(addr, ":") && addr != "" {
		addr += strings.Repeat(".0", max(0, 3-strings.Count(addr, ".")))
	}
	p, err := netip.ParsePrefix(addr + "/" + bits)
	if err != nil {
		return span{}, false
	}
	p = p.Masked()
	return span{p.Addr(), intel.LastAddr(p)}, true
}

// newSpan reads the ends of a range. ARIN's RDAP writes 074.125.000.000, RIPE's
// once put /32 behind the ends.
func newSpan(first, last string) (span, bool) {
	a, aok := parseAddr(first)
	b, bok := parseAddr(last)
	if !aok || !bok || a.Is4() != b.Is4() || b.Less(a) {
		return span{}, false
	}
	return span{a, b}, true
}

func parseAddr(s string) (netip.Addr, bool) {
	s, _, _ = strings.Cut(s, "/")
	if strings.Count(s, ".") == 3 && !strings.Contains(s, ":") {
		parts := strings.Split(s, ".")
		for i, p := range parts {
			parts[i] = strings.TrimLeft(p[:max(0, len(p)-1)], "0") + p[max(0, len(p)-1):]
		}
		s = strings.Join(parts, ".")
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil && a.Zone() == ""
}

// size orders ranges: the logarithm of how many addresses there are, with what
// is above it, as a float holds it.
func (s span) size() float64 {
	var a, b big.Int
	a.SetBytes(s.first.AsSlice())
	b.SetBytes(s.last.AsSlice())
	f, _ := new(big.Float).SetInt(b.Sub(&b, &a)).Float64()
	return f
}

// prefixes cuts a range into the fewest prefixes, at most maxList of them.
func (s span) prefixes() []string {
	out := []string{}
	for at := s.first; len(out) < maxList; {
		bits := at.BitLen()
		p := netip.PrefixFrom(at, bits)
		for bits > 0 {
			wider := netip.PrefixFrom(at, bits-1)
			if wider.Masked().Addr() != at || s.last.Less(intel.LastAddr(wider)) {
				break
			}
			bits, p = bits-1, wider
		}
		out = append(out, p.String())
		end := intel.LastAddr(p)
		if end == s.last {
			break
		}
		at = end.Next()
	}
	return out
}
