package parse

import (
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// The attributes of MISP.

// mispKinds says what the values of an attribute of a type are. Types that are
// not here are not held; among them are those that are no sign of a threat, such
// as link (a report) or target-email (a victim). Read-only.
var mispKinds = map[string]intel.KindSet{
	"ip-src": intel.Networks, "ip-dst": intel.Networks,
	"ip-src|port": intel.IPPort.Set(), "ip-dst|port": intel.IPPort.Set(),
	"domain": intel.Domain.Set(), "hostname": intel.Domain.Set(), "domain|ip": intel.Domain.Set(), "hostname|port": intel.Domain.Set(),
	"url": intel.URL.Set(), "uri": intel.URL.Set(),
	"email": intel.Email.Set(), "email-src": intel.Email.Set(), "email-dst": intel.Email.Set(), "email-reply-to": intel.Email.Set(),
	"whois-registrant-email": intel.Email.Set(), "dns-soa-email": intel.Email.Set(),
	"md5": intel.MD5.Set(), "sha1": intel.SHA1.Set(), "sha256": intel.SHA256.Set(), "sha512": intel.SHA512.Set(),
	"filename|md5": intel.MD5.Set(), "filename|sha1": intel.SHA1.Set(), "filename|sha256": intel.SHA256.Set(), "filename|sha512": intel.SHA512.Set(),
	"malware-sample": intel.MD5.Set(), "x509-fingerprint-md5": intel.MD5.Set(),
	"x509-fingerprint-sha1": intel.SHA1.Set(), "x509-fingerprint-sha256": intel.SHA256.Set(),
}

// mispFields says where the members of an attribute go. What only the instance
// that sent it can use is left out. Read-only.
var mispFields = names{
	"value": "", "id": "", "event_id": "", "object_id": "", "sharing_group_id": "", "distribution": "", "disable_correlation": "",
	"deleted": "", "to_ids": "", "data": "", "attribute_tag": "",
	"comment": intel.FieldDescription, "first_seen": intel.FieldFeedFirstSeen, "last_seen": intel.FieldFeedLastSeen,
}

// confidenceWithoutIDS is the confidence in attributes that their author does not
// want to be used for detection.
const confidenceWithoutIDS = "25"

// attribute takes one attribute of the event at hand.
func (m *misp) attribute(s *jsonStream) error {
	line, ok, err := s.value(&m.tree)
	if ok {
		m.size += len(m.tree.text)
		m.take(line, 0, nil)
	}
	return err
}

// object takes an object: attributes that belong together.
func (m *misp) object(s *jsonStream) error {
	line, ok, err := s.value(&m.tree)
	if !ok {
		return err
	}
	t := &m.tree
	if t.nodes[0].kind != '{' {
		m.c.reject(line, t.text, "not an object")
		return nil
	}
	around := []pair{{"object", m.c.ctx.name([]byte(t.get(0, "name")))}, {"object_comment", t.get(0, "comment")}}
	gone := deleted(t, 0)
	m.size += len(t.text)
	from := int32(0)
	t.list(0, "Attribute", func(i int32) {
		line += strings.Count(t.text[from:t.nodes[i].start], "\n")
		from = t.nodes[i].start
		if gone {
			m.c.suppress(suppressedDeleted, 1)
			return
		}
		m.take(line, i, around)
	})
	return nil
}

const suppressedDeleted = "deleted"

func deleted(t *tree, at int32) bool {
	v := t.get(at, "deleted")
	return v == "true" || v == "1"
}

// take decides about the attribute at a node: not held, or held back.
func (m *misp) take(line int, at int32, around []pair) {
	t := &m.tree
	kind, value := t.get(at, "type"), t.get(at, "value")
	kinds := mispKinds[kind]
	switch {
	case t.nodes[at].kind != '{':
		m.c.reject(line, t.text, "not an attribute")
	case kind == "":
		m.c.reject(line, value, "an attribute without a type")
	case deleted(t, at):
		m.c.suppress(suppressedDeleted, 1)
	case kinds == 0:
		m.refer(kind, value)
		m.c.suppress(suppressedKind, 1)
	case value == "":
		m.c.reject(line, t.text, "an attribute without a value")
	default:
		m.own = append(m.own[:0], around...)
		value = m.split(kind, value)
		m.members(at)
		m.held.hold(line, finding{value, kinds}, m.own, m.event, m.size)
		m.size = 0
	}
}

// refer keeps links of an event as its references.
func (m *misp) refer(kind, value string) {
	if kind == "link" && len(value) <= 2048 && len(m.event) < maxMISPEvent {
		m.event = append(m.event, pair{intel.FieldReference, m.c.keep.keep(value)})
	}
}

// split takes the indicator out of a value of several parts. The other part is
// context; the name of a file stays where it is, for all formats know it.
func (m *misp) split(kind, value string) string {
	first, second, ok := strings.Cut(value, "|")
	switch {
	case !ok:
		return value
	case kind == "domain|ip":
		m.say("ip", second)
		return first
	case kind == "hostname|port":
		m.say("port", second)
		return first
	case strings.HasPrefix(kind, "ip-"):
		if strings.Contains(first, ":") {
			first = "[" + first + "]"
		}
		return first + ":" + second
	}
	return value
}

// members adds what an attribute says of its value to own.
func (m *misp) members(at int32) {
	t := &m.tree
	t.members(at, func(name string, i int32) {
		switch name {
		case "Tag", "Galaxy":
			m.labels(name, i)
			return
		case "Event":
			m.say("event_info", t.get(i, "info"))
			return
		}
		field, known := mispFields[name]
		if !known {
			field = m.c.ctx.name([]byte(name))
		}
		if field != "" {
			m.say(field, t.plain(i))
		}
	})
	if ids := t.get(at, "to_ids"); ids == "false" || ids == "0" {
		m.say("to_ids", "false")
		m.say(intel.FieldConfidence, confidenceWithoutIDS)
	}
}
