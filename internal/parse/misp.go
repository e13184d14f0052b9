package parse

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Limits that keep hostile events bounded.
const (
	maxMISPEvent = 1000 // values of context of one event
	maxMISPDepth = 8    // answers and events inside each other
)

// misp reads MISP's JSON (misp-standard.org, core format): an event, a list of
// events, or what an instance answers. Every attribute is a record, also those
// in objects. Tags, galaxies and the event's own words are context; since they
// may come after the attributes, these are held back to the end of their event.
type misp struct {
	c     *collector
	tree  tree
	event []pair // context of the event at hand
	own   []pair // of the attribute or object at hand
	size  int    // bytes of the texts of attributes that are not held yet
	held  heldBack
	depth int
}

func readMISP(ctx context.Context, r io.Reader, c *collector) error {
	b := bufio.NewReaderSize(r, 4<<10)
	if head, _ := b.Peek(hashRow); isHashRow(string(head)) { // a shorter or broken stream shows itself when it is read
		return readHashes(ctx, b, c)
	}
	r = b
	m := &misp{c: c, held: heldBack{c: c}}
	err := c.documents(ctx, r, m.document)
	m.held.flush(m.event)
	return err
}

// hashRow is how long the rows of a feed's hashes.csv are: the MD5 sum of an
// attribute's value, a comma, and the UUID of its event.
const hashRow = 32 + 1 + 36

func isHashRow(row string) bool {
	return len(row) == hashRow && row[32] == ',' && isUUID(row[33:]) && strings.Trim(row[:32], "0123456789abcdefABCDEF") == ""
}

// readHashes accounts for a hashes.csv. Instances ask it whether a feed has a value
// of theirs; which values these are it does not say.
func readHashes(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, func(no int, text string) {
		if isHashRow(text) {
			c.suppress("a sum of a value, which does not say the value (hashes.csv)", 1)
			return
		}
		c.reject(no, text, "no row of a hashes.csv: an MD5 sum and the UUID of an event")
	})
}

// document takes an event, a list of them, or an answer around either.
func (m *misp) document(s *jsonStream) error {
	if m.depth++; m.depth > maxMISPDepth {
		return s.bad("more than %d answers and events inside each other", maxMISPDepth)
	}
	defer func() { m.depth-- }()
	return s.each(func() error {
		switch c, err := s.peek(); {
		case err != nil:
			return err
		case c != '{':
			return s.bad("a MISP event belongs here, not %s", cmp.Or(jsonKind(c), string(rune(c))))
		}
		known, others := false, false
		err := s.members(func(name string) error {
			if isUUID(name) {
				known = true
				m.c.suppress("an event that a manifest names, in a file of its own", 1)
				return s.skip()
			}
			ok, err := m.member(s, name)
			known, others = known || ok, others || !ok
			return err
		})
		m.held.flush(m.event)
		m.event = m.event[:0]
		if err == nil && others && !known {
			return s.bad("no MISP event: it has no info and no attributes")
		}
		return err
	})
}

// member takes one member of an answer or event, and says whether it is one of
// those that make it one.
func (m *misp) member(s *jsonStream, name string) (known bool, err error) {
	switch name {
	case "response":
		return true, m.document(s)
	case "Event":
		return true, m.document(s)
	case "Attribute":
		return true, s.each(func() error { return m.attribute(s) })
	case "Object":
		return true, s.each(func() error { return m.object(s) })
	case "info", "date", "uuid", "threat_level_id", "analysis", "publish_timestamp", "timestamp", "Orgc", "Tag", "Galaxy":
		_, ok, err := s.value(&m.tree)
		if ok {
			m.own = m.own[:0]
			m.about(name, 0)
			m.event = append(m.event, m.own[:min(len(m.own), max(0, maxMISPEvent-len(m.event)))]...)
		}
		return name == "info", err
	}
	return false, s.skip()
}

// about adds what a member of an event says to own.
func (m *misp) about(name string, at int32) {
	t := &m.tree
	keep := func(field, value string) { m.say(field, m.c.keep.keep(value)) }
	switch name {
	case "Tag", "Galaxy":
		m.labels(name, at)
	case "Orgc":
		keep("reporter", t.get(at, "name"))
	case "info":
		keep("event_info", t.plain(at))
	default:
		keep("event_"+name, t.plain(at))
	}
}

func (m *misp) say(field, value string) {
	if value != "" {
		m.own = append(m.own, pair{field, value})
	}
}

// labels adds tags, or the clusters of galaxies, to own.
func (m *misp) labels(name string, at int32) {
	t := &m.tree
	take := m.galaxy
	if name == "Tag" {
		take = func(i int32) { m.tag(t.get(i, "name")) }
	}
	if n := &t.nodes[at]; n.kind == '[' {
		for i := at + 1; i < n.next; i = t.nodes[i].next {
			take(i)
		}
	}
}

// tag adds a tag: a TLP, a cluster of a galaxy, or one in words.
func (m *misp) tag(name string) {
	name = m.c.keep.keep(name)
	if label, ok := strings.CutPrefix(strings.ToLower(name), "tlp:"); ok && tlps[label] != "" {
		m.say(intel.FieldTLP, label)
		return
	}
	if galaxy, ok := strings.CutPrefix(name, "misp-galaxy:"); ok {
		if kind, value, ok := strings.Cut(galaxy, `="`); ok {
			m.cluster(kind, strings.TrimSuffix(value, `"`))
			return
		}
	}
	m.say(intel.FieldTags, name)
}

// galaxy adds the clusters of one galaxy.
func (m *misp) galaxy(at int32) {
	t := &m.tree
	kind := t.get(at, "type")
	t.list(at, "GalaxyCluster", func(i int32) {
		m.cluster(cmp.Or(t.get(i, "type"), kind), m.c.keep.keep(t.get(i, "value")))
	})
}

// cluster adds one cluster: malware, an actor, a technique, or something else.
func (m *misp) cluster(kind, value string) {
	kind = strings.TrimPrefix(strings.TrimPrefix(kind, "mitre-enterprise-attack-"), "mitre-")
	switch kind {
	case "malware", "malpedia", "ransomware", "botnet", "banker", "stealer", "rat", "backdoor", "exploit-kit", "cryptominers", "android":
		m.say(intel.FieldMalware, value)
	case "threat-actor", "intrusion-set", "microsoft-activity-group", "360net-threat-actor":
		m.say("threat_actor", value)
	case "attack-pattern":
		m.say("attack", value)
	case "tool":
		m.say("tool", value)
	default:
		m.say("galaxy_"+m.c.ctx.name([]byte(kind)), value)
	}
}

// isUUID says whether s looks like the name of an event in a manifest.
func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}
