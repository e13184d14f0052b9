package enrich

import (
	"regexp"
	"strings"
)

// field is what a key says about a domain.
type field int

const (
	fName field = iota + 1
	fRegistrar
	fServer
	fStatus
	fCreated
	fUpdated
	fExpires
	fHost    // begins the record of a host, which a registry shows besides
	fContact // begins that of a contact or of a set of name servers
	fSection // a heading after which words mean something else
)

// Dates of an answer as a whole are no dates of the domain: RIPN's "Last updated on",
// and what .lv writes below [Whois], which was another one for the same domain at
// another time though nothing else had changed.
//
// keys are the words of registries and registrars for the fields of a domain. A
// word with a * counts within a contact, too; the others may speak of the
// contact there. Read-only.
var keys = wordTable(map[field]string{
	fName: `domain|domain name|domainname|nombre de dominio`,
	fRegistrar: `registrar|*sponsoring registrar|*registrar name|*registrar-name|*current registar|*current registrar|*registration service provider|
		*registrar organization`,
	fServer: `*name server|*nserver|*nameserver|*nameservers|*name servers|*dns|*primary server|*secondary server|*domain servers in listed order|*domain servers|
		*domain nameservers|*name server information|*name servers information|*name servers in the listed order|*nameserver in listed order|*nservers|
		*servidor(es) de nombres de dominio`,
	fStatus: `*domain status|status|eppstatus|*epp status|*registration status|*domaintype|state|*lock status|*estatus del dominio`,
	fCreated: `created|registered|*created on|*creation date|*registered on|*registered date|*registration date|*first registration date|*record created|
		*domain created|*assigned|*domain name commencement date|*fecha de creación`,
	fUpdated: `changed|modified|updated|last update|last-update|last modified|*updated date|*last updated|*last updated on|*last modified on|*modification date|
		*record last updated on|*ultima actualización`,
	fExpires: `expires|expire|*expires on|*expire date|*expiry date|*expiration date|*registry expiry date|*registrar registration expiration date|*renewal date|
		*paid-till|*valid until|*validity|*record expires on|*fecha de vencimiento`,
	fHost:    `server name`,
	fContact: `contact|nic-hdl|nic-hdl-br|person|personname|role|nsset|keyset|irt`,
	fSection: `registrant|holder|owner|titular|admin contact|administrative contact|technical contact|technical contacts|technical contact(s)|technical|billing contact|
		tech-c|zone-c|admin-c|tech|whois|keys|reseller|abuse contact|holder of domain name|disclaimer|relevant dates`,
})

type word struct {
	field field
	loose bool // counts in a contact, too
}

func wordTable(words map[field]string) map[string]word {
	m := map[string]word{}
	for f, list := range words {
		for _, w := range strings.Split(list, "|") {
			w, loose := strings.CutPrefix(strings.TrimSpace(w), "*")
			m[w] = word{f, loose}
		}
	}
	return m
}

// prose are the sentences that stand for keys: "Record created on 2003-09-12 21:43:11."
var prose = regexp.MustCompile(`(?i)^(?:record|domain) (created|expires|last updated) on:? +(.+)$`)

// kgHead is how one registry begins: "Domain GOOGLE.KG (ACTIVE)".
var kgHead = regexp.MustCompile(`(?i)^domain ([^ ]+\.[^ ]+) \(([^()]+)\)$`)

// domains collects the records that an answer has: that of a registry may be
// followed by that of the registrar, and preceded by those of hosts or of the
// top level domain.
type domains struct {
	all     []*Domain
	now     *Domain // nil before the first record and in that of a host
	contact bool    // words that are not loose speak of a contact
	section field   // what lines without a key mean: a name, registrar, server, status or created; 0 = nothing
	fresh   bool    // the section had no value yet
	start   bool    // the next line is the first one of a block
	handle  string  // of the registrar that the block is about, whose name may follow
}

// parseDomain returns the record about name, completed from later records about
// the same domain, or nil.
func parseDomain(lines []line, name string) (*Domain, error) {
	p := domains{start: true}
	for _, l := range lines {
		p.line(l)
	}
	var best, other *Domain
	for _, d := range p.all {
		switch {
		case d.Name == "" && name != "" && d.known():
			d.Name = name
		case d.Name == "":
			continue
		case !about(d.Name, name):
			other = d
			continue
		}
		if best == nil || len(d.Name) > len(best.Name) && strings.HasSuffix(d.Name, "."+best.Name) {
			best = d // nearer to what was asked than that of the top level domain
		} else if d.Name == best.Name {
			best.complete(d)
		}
	}
	if best == nil && other != nil {
		return nil, otherDomain(other.Name, name)
	}
	if best == nil || !best.known() || free(best.Status) {
		return nil, nil
	}
	return best, nil
}

// known says whether a record has more than a name, which servers repeat that
// know nothing.
func (d *Domain) known() bool {
	return d.Registrar != "" || d.Created != "" || d.Updated != "" || d.Expires != "" || len(d.NameServers) > 0 || len(d.Status) > 0
}

// free says whether the state of a domain is that nobody has it.
func free(states []string) bool {
	for _, s := range states {
		switch strings.ToLower(s) {
		case "free", "available", "not registered":
			return true
		}
	}
	return false
}

// complete takes from e what d lacks.
func (d *Domain) complete(e *Domain) {
	for _, f := range []struct{ to, from *Date }{{&d.Created, &e.Created}, {&d.Updated, &e.Updated}, {&d.Expires, &e.Expires}} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if d.Registrar == "" {
		d.Registrar = e.Registrar
	}
	if len(d.NameServers) == 0 {
		d.NameServers = e.NameServers
	}
	if len(d.Status) == 0 {
		d.Status = e.Status
	}
}

func (p *domains) line(l line) {
	if l.blank {
		p.start, p.contact, p.handle = true, false, ""
		if !p.fresh {
			p.section = 0 // a list ends at a blank line, but may begin behind one
		}
		return
	}
	first := p.start
	p.start = false
	if p.section == fServer {
		if h := host(firstWord(l.value)); l.key == "" && h != "" || hasServer(l, &h) {
			p.set(fServer, h)
			p.fresh = false
			return
		}
	}
	if m := prose.FindStringSubmatch(l.whole()); m != nil {
		p.set(map[string]field{"created": fCreated, "expires": fExpires, "last updated": fUpdated}[strings.ToLower(m[1])], m[2])
		return
	}
	if m := kgHead.FindStringSubmatch(l.whole()); m != nil {
		p.set(fName, m[1])
		p.set(fStatus, m[2])
		return
	}
	w, ok := keys[l.key]
	if l.key == "" {
		if w, ok = keys[normalKey(l.value)]; !ok || w.field != fSection && w.field != fServer && w.field != fRegistrar {
			p.plain(l)
			return
		}
		l.key, l.value = normalKey(l.value), "" // a heading without a colon
	}
	p.keyed(l, w, ok, first)
}

// hasServer finds the server in "ns3.example (2001:db8::1)", which looks as if it had a key.
func hasServer(l line, h *string) bool {
	if l.key == "" || keys[l.key].field != 0 {
		return false
	}
	if i := strings.IndexAny(l.key, " ("); i > 0 {
		*h = host(l.key[:i])
		return *h != ""
	}
	return false
}

// keyed takes a line with a key, or a heading.
func (p *domains) keyed(l line, w word, known, first bool) {
	inRegistrar := p.section == fRegistrar && (l.key == "name" || l.key == "organization" || l.key == "organisation")
	switch {
	case inRegistrar:
		p.set(fRegistrar, l.value)
		return
	case p.handle != "" && (l.key == "organization" || l.key == "organisation"):
		if p.now != nil && p.now.Registrar == p.handle && l.value != "" {
			p.now.Registrar, p.handle = registrar(l.value), ""
		}
		return
	case !known:
		return
	case w.field == fContact && strings.HasSuffix(l.key, "set") && !first:
		return // which set of servers the domain uses
	case w.field == fSection || w.field == fContact && l.value != "":
		if w.field == fContact || l.value == "" {
			p.contact, p.section, p.fresh = l.key != "relevant dates", 0, false
		}
		return
	case p.contact && !w.loose && w.field != fName && !(w.field == fRegistrar && l.value == ""):
		return
	case l.value == "":
		p.section, p.fresh = w.field, true
		if w.field == fServer || w.field == fRegistrar {
			p.contact = w.field == fRegistrar
		}
		return
	}
	p.section, p.fresh = 0, false
	if w.field == fServer || w.field == fStatus {
		p.section = w.field // more of them may stand on the next lines
	}
	p.set(w.field, l.value)
	if w.field == fRegistrar && first && p.now != nil { // the block is about the registrar
		p.contact, p.handle = true, registrar(l.value)
	}
}

// plain takes a line without a key: the value of the heading before.
func (p *domains) plain(l line) {
	switch {
	case p.section == fServer && !p.fresh, p.section == fStatus && !p.fresh && !l.indent:
		p.section = 0
	case p.section == fStatus && !p.fresh:
		if s := status(l.value); eppCodes[strings.ToLower(s)] != "" {
			p.set(fStatus, s)
		}
	case p.section != 0 && p.fresh && p.section != fServer:
		p.set(p.section, l.value)
		p.section, p.fresh = 0, false
	}
}

// set takes one value. The first one counts, of changes the last; lists grow.
func (p *domains) set(f field, v string) {
	if f == fHost {
		p.now, p.contact, p.section = nil, false, 0
		p.all = append(p.all, &Domain{}) // so that what follows is not taken for the record before
		return
	}
	if f == fName {
		name := domainName(firstWord(v))
		if name == "" {
			return
		}
		if p.now == nil || p.now.Name != "" {
			p.begin()
		}
		p.now.Name, p.contact = name, false
		return
	}
	if p.now == nil {
		if len(p.all) > 0 {
			return // of a host
		}
		p.begin() // keys may stand before the name
	}
	d := p.now
	switch f {
	case fRegistrar:
		if d.Registrar == "" {
			d.Registrar = registrar(v)
		}
	case fServer:
		d.NameServers = add(d.NameServers, host(firstWord(v)))
	case fStatus:
		p.state(v)
	case fCreated:
		if d.Created == "" {
			d.Created = parseDate(v)
		}
	case fUpdated:
		d.Updated = max(d.Updated, lastDate(v))
	case fExpires:
		if d.Expires == "" {
			d.Expires = parseDate(v)
		}
	}
}

func (p *domains) begin() {
	p.now = &Domain{NameServers: []string{}, Status: []string{}}
	if len(p.all) < maxList {
		p.all = append(p.all, p.now)
	}
}

// connected is how one registry says until when a domain is paid for.
var connected = regexp.MustCompile(`^(.+) \((\d{4}/\d\d/\d\d)\)$`)

func (p *domains) state(v string) {
	if m := connected.FindStringSubmatch(v); m != nil {
		v = m[1]
		p.set(fExpires, m[2])
	}
	for _, s := range strings.Split(v, ",") {
		p.now.Status = add(p.now.Status, status(s))
	}
}

// registrar returns the name in "Example Inc. ( https://nic.example/1 )" and
// "Example Inc. [Tag = EXAMPLE]".
func registrar(s string) string {
	s = clean(s)
	for _, cut := range []string{" [Tag", " ( http", " (http"} {
		if i := strings.Index(s, cut); i > 0 {
			s = strings.TrimSpace(s[:i])
		}
	}
	if strings.HasPrefix(strings.ToLower(s), "no registrar") {
		return ""
	}
	return s
}

// whole puts a line together again, as far as it matters.
func (l line) whole() string {
	if l.key == "" {
		return l.value
	}
	return l.key + ":" + l.value
}
