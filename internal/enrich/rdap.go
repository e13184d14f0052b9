package enrich

import (
	"encoding/json"
	"fmt"
	"strings"
)

// rdapObject is what is read of an object of RDAP (RFC 9083). Members of wrong
// types are left out one by one, as servers differ in small things.
type rdapObject struct {
	raw map[string]json.RawMessage
}

func (o rdapObject) text(key string) string {
	var s string
	_ = json.Unmarshal(o.raw[key], &s) // another type is as good as none
	return s
}

func (o rdapObject) texts(key string) []string {
	var list []json.RawMessage
	_ = json.Unmarshal(o.raw[key], &list)
	var out []string
	for _, m := range list[:min(len(list), maxList)] {
		var s string
		if json.Unmarshal(m, &s) == nil {
			out = append(out, s)
		}
	}
	return out
}

func (o rdapObject) number(key string) uint32 {
	var n uint32
	_ = json.Unmarshal(o.raw[key], &n)
	return n
}

func (o rdapObject) members(key string) []rdapObject {
	var list []json.RawMessage
	_ = json.Unmarshal(o.raw[key], &list)
	var out []rdapObject
	for _, m := range list[:min(len(list), maxList)] {
		var x rdapObject
		if json.Unmarshal(m, &x.raw) == nil {
			out = append(out, x)
		}
	}
	return out
}

// event returns when something happened last.
func (o rdapObject) event(action string) Date {
	var d Date
	for _, e := range o.members("events") {
		if strings.EqualFold(e.text("eventAction"), action) {
			d = max(d, parseDate(e.text("eventDate")))
		}
	}
	return d
}

// parseRDAP reads an answer of RDAP about a domain, a network or an autonomous system.
func parseRDAP(answer []byte, name string) (*Record, error) {
	var o rdapObject
	if err := json.Unmarshal(answer, &o.raw); err != nil {
		return nil, fmt.Errorf("the answer begins as JSON of RDAP and is none: %w", err)
	}
	class := strings.ToLower(o.text("objectClassName"))
	switch code := o.number("errorCode"); {
	case code == 404:
		return nil, ErrUnregistered
	case code == 403 || code == 429:
		return nil, ErrRefused
	case code != 0:
		return nil, fmt.Errorf("%w: error %d of the server: %s", ErrNoRecord, code, clean(o.text("title")))
	case o.text("ldhName") != "" && (class == "domain" || class == "") || class == "domain":
		return rdapDomain(o, name)
	case name != "":
		return nil, fmt.Errorf("%w for %s: it is no answer about a domain", ErrNoRecord, name)
	case o.raw["startAddress"] != nil:
		return rdapNetwork(o)
	case class == "autnum" || o.raw["startAutnum"] != nil:
		return rdapSystem(o)
	}
	return nil, fmt.Errorf("%w: RDAP about %q", ErrNoRecord, clean(o.text("objectClassName")))
}

func rdapDomain(o rdapObject, name string) (*Record, error) {
	d := &Domain{NameServers: []string{}, Status: []string{}, Created: o.event("registration"), Updated: o.event("last changed"), Expires: o.event("expiration")}
	for _, key := range []string{"ldhName", "unicodeName", "handle"} {
		if d.Name == "" {
			d.Name = domainName(o.text(key))
		}
	}
	if d.Name == "" {
		return nil, fmt.Errorf("%w: RDAP about a domain without a name", ErrNoRecord)
	}
	if !about(d.Name, name) {
		return nil, otherDomain(d.Name, name)
	}
	for _, n := range o.members("nameservers") {
		d.NameServers = add(d.NameServers, host(n.text("ldhName")))
	}
	for _, s := range o.texts("status") {
		d.Status = add(d.Status, status(s))
	}
	for _, e := range entities(o, "registrar") {
		if d.Registrar == "" {
			d.Registrar = clean(e.orgName())
		}
		if d.Registrar == "" {
			d.Registrar = clean(e.text("handle"))
		}
	}
	return &Record{Domain: d}, nil
}

func rdapNetwork(o rdapObject) (*Record, error) {
	at, ok := newSpan(o.text("startAddress"), o.text("endAddress"))
	if !ok {
		return nil, fmt.Errorf("%w: RDAP about the range %q to %q", ErrNoRecord, clean(o.text("startAddress")), clean(o.text("endAddress")))
	}
	if at.first == at.last { // the address that was asked about, not the network that holds it
		at = o.network(at)
	}
	n := &Network{CIDR: at.prefixes()}
	n.rdap(o)
	var origins []uint32
	if _ = json.Unmarshal(o.raw["arin_originas0_originautnums"], &origins); len(origins) > 0 {
		n.ASN = origins[0]
	}
	return &Record{Network: n}, nil
}

// network returns the network around an address, as the handle or the extension
// cidr0 has it.
func (o rdapObject) network(at span) span {
	ranges := []string{o.text("handle")}
	for _, c := range o.members("cidr0_cidrs") {
		if p := c.text("v4prefix") + c.text("v6prefix"); p != "" && c.raw["length"] != nil {
			ranges = append(ranges, fmt.Sprintf("%s/%d", p, c.number("length")))
		}
	}
	for _, r := range ranges {
		if s, ok := parseRange(r); ok && s.first.Is4() == at.first.Is4() && !at.first.Less(s.first) && !s.last.Less(at.last) {
			return s
		}
	}
	return at
}

func rdapSystem(o rdapObject) (*Record, error) {
	n := &Network{CIDR: []string{}, ASN: o.number("startAutnum")}
	if n.ASN == 0 {
		n.ASN = parseASN(o.text("handle"))
	}
	if n.ASN == 0 {
		return nil, fmt.Errorf("%w: RDAP about an autonomous system without a number", ErrNoRecord)
	}
	n.rdap(o)
	return &Record{Network: n}, nil
}

// rdap takes what networks and autonomous systems have in common.
func (n *Network) rdap(o rdapObject) {
	n.Name, n.Country, n.Allocated = clean(o.text("name")), country(o.text("country")), o.event("registration")
	for word, r := range registries {
		if strings.Contains(strings.ToLower(o.text("port43")), "whois."+word+".") {
			n.Registry = r
		}
	}
	for _, e := range entities(o, "registrant") {
		if n.Org == "" {
			n.Org = clean(e.orgName())
		}
		if n.Country == "" {
			n.Country = e.country()
		}
	}
	for _, e := range o.members("entities") { // AFRINIC's had no roles
		if n.Org == "" && e.raw["roles"] == nil && strings.EqualFold(e.card("kind"), "org") {
			n.Org = clean(e.orgName())
		}
	}
	if n.Org == "" && n.Registry == "apnic" {
		n.Org = clean(described(o))
	}
	for _, e := range entities(o, "abuse") {
		if n.Abuse == "" {
			n.Abuse = mail(e.card("email"))
		}
	}
	n.dropPersons(o.persons())
}

// persons are the names of those of an object's entities that are one, and of theirs.
func (o rdapObject) persons() []string {
	var names []string
	for _, e := range o.members("entities") {
		for _, x := range append(e.members("entities"), e) {
			if strings.EqualFold(x.card("kind"), "individual") {
				names = append(names, x.card("fn"))
			}
		}
	}
	return names
}

// described is the first line of the description, which at APNIC names the holder
// where no entity does.
func described(o rdapObject) string {
	for _, r := range o.members("remarks") {
		if lines := r.texts("description"); len(lines) > 0 && (r.raw["title"] == nil || strings.EqualFold(r.text("title"), "description")) {
			return lines[0]
		}
	}
	return ""
}

// entities returns those with a role: of an object, then of its entities.
func entities(o rdapObject, role string) []rdapObject {
	var out, inner []rdapObject
	for _, e := range o.members("entities") {
		if e.has(role) {
			out = append(out, e)
		}
		for _, x := range e.members("entities") {
			if x.has(role) {
				inner = append(inner, x)
			}
		}
	}
	return append(out, inner...)
}

func (o rdapObject) has(role string) bool {
	for _, r := range o.texts("roles") {
		if strings.EqualFold(r, role) {
			return true
		}
	}
	return false
}

// property returns parameters and value of the first property of that name in an
// entity's jCard (RFC 7095): ["vcard", [[name, parameters, type, value…]…]].
func (o rdapObject) property(name string) (map[string]json.RawMessage, json.RawMessage) {
	var card []json.RawMessage
	var list [][]json.RawMessage
	if json.Unmarshal(o.raw["vcardArray"], &card) != nil || len(card) < 2 {
		return nil, nil
	}
	_ = json.Unmarshal(card[1], &list) // what is no list of lists has no properties
	for _, p := range list[:min(len(list), maxList)] {
		var have string
		if len(p) < 4 || json.Unmarshal(p[0], &have) != nil || !strings.EqualFold(have, name) {
			continue
		}
		var params map[string]json.RawMessage
		_ = json.Unmarshal(p[1], &params)
		return params, p[3]
	}
	return nil, nil
}

// card returns a property that is text.
func (o rdapObject) card(name string) string {
	_, value := o.property(name)
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

// orgName returns the name of an organisation. The names of persons, and of who
// may be one, are personal data and left out.
func (o rdapObject) orgName() string {
	kind := strings.ToLower(o.card("kind"))
	if kind == "org" || kind == "group" || kind == "" && o.has("registrar") {
		if fn := o.card("fn"); fn != "" {
			return fn
		}
	}
	return o.card("org")
}

// countries are the names that ARIN writes into addresses. Read-only.
var countries = map[string]string{
	"united states": "US", "canada": "CA", "puerto rico": "PR", "bahamas": "BS", "barbados": "BB", "bermuda": "BM", "cayman islands": "KY", "jamaica": "JM",
	"antigua and barbuda": "AG", "dominica": "DM", "grenada": "GD", "saint lucia": "LC", "guadeloupe": "GP", "martinique": "MQ",
}

// country returns the country of an entity's address, by RFC 8605, by the last
// part of its address, or by the last line of its label.
func (o rdapObject) country() string {
	params, value := o.property("adr")
	var cc, label string
	_ = json.Unmarshal(params["cc"], &cc)
	if c := country(cc); c != "" {
		return c
	}
	var parts []json.RawMessage
	if json.Unmarshal(value, &parts) == nil && len(parts) == 7 {
		_ = json.Unmarshal(parts[6], &label)
	}
	if label == "" {
		_ = json.Unmarshal(params["label"], &label)
	}
	label = strings.TrimSpace(label[strings.LastIndexByte(label, '\n')+1:])
	if len(label) == 2 {
		return country(label)
	}
	return countries[strings.ToLower(label)]
}
