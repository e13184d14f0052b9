package parse

import (
	"cmp"
	"context"
	"io"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// otx reads pulses of Open Threat Exchange (the API's /pulses/subscribed): a page
// with results, a list of pulses, or one pulse. Each indicator of a pulse is a
// record; the pulse is its context, wherever in it the indicators stand.
type otx struct {
	c     *collector
	tree  tree
	rec   record
	pulse []pair // context of the pulse at hand
	held  heldBack
}

// maxPulse is how many values of context a pulse has for its indicators.
const maxPulse = 1000

func readOTX(ctx context.Context, r io.Reader, c *collector) error {
	o := &otx{c: c, held: heldBack{c: c}}
	err := c.documents(ctx, r, func(s *jsonStream) error {
		return s.each(func() error { return o.document(s, true) })
	})
	o.held.flush(o.pulse)
	return err
}

// document takes a pulse, or a page of pulses.
func (o *otx) document(s *jsonStream, page bool) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return s.bad("a pulse belongs here, not %s", cmp.Or(jsonKind(c), string(rune(c))))
	}
	known := false
	err = s.members(func(name string) error {
		switch {
		case name == "results" && page:
			known = true
			return s.each(func() error { return o.document(s, false) })
		case name == "indicators":
			known = true
			return s.each(func() error { return o.indicator(s) })
		}
		return o.member(s, name)
	})
	o.held.flush(o.pulse)
	o.pulse = o.pulse[:0]
	if err == nil && !known && page {
		return s.bad("no pulses: the document has neither results nor indicators")
	}
	return err
}

// pulseFields says where the members of a pulse go; "" are those that are no
// context. Read-only.
var pulseFields = names{
	"name": "pulse", "id": "pulse_id", "description": "pulse_description", "author_name": "reporter", "author.username": "reporter",
	"created": "pulse_created", "modified": "pulse_modified", "tags": intel.FieldTags, "references": intel.FieldReference,
	"tlp": intel.FieldTLP, "TLP": intel.FieldTLP, "adversary": "threat_actor", "malware_families": intel.FieldMalware,
	"malware_families.display_name": intel.FieldMalware, "attack_ids": "attack", "attack_ids.id": "attack",
	"targeted_countries": "targeted_countries", "industries": "industries",
}

// member takes one member of a pulse that is context.
func (o *otx) member(s *jsonStream, name string) error {
	switch name {
	case "name", "id", "description", "author_name", "author", "created", "modified", "tags", "references", "tlp", "TLP", "adversary",
		"malware_families", "attack_ids", "targeted_countries", "industries":
	default:
		return s.skip()
	}
	_, ok, err := s.value(&o.tree)
	if !ok {
		return err
	}
	o.tree.flatten(0, []byte(name), func(path []byte, value string) {
		if field := pulseFields[string(path)]; field != "" && value != "" && len(o.pulse) < maxPulse {
			o.pulse = append(o.pulse, pair{field, o.c.keep.keep(value)})
		}
	})
	return nil
}

// otxKinds says what the types of indicators are; those that are not here are
// not held. Read-only.
var otxKinds = map[string]intel.KindSet{
	"IPv4": intel.Networks, "IPv6": intel.Networks, "CIDR": intel.Networks, "domain": intel.Domain.Set(), "hostname": intel.Domain.Set(),
	"URL": intel.URL.Set(), "URI": intel.URL.Set(), "email": intel.Email.Set(), "FileHash-MD5": intel.MD5.Set(),
	"FileHash-SHA1": intel.SHA1.Set(), "FileHash-SHA256": intel.SHA256.Set(), "SSLCertFingerprint": intel.SHA1.Set(),
}

// otxFields says where the members of an indicator go. Read-only.
var otxFields = names{
	"indicator": "", "_id": "", "id": "", "pulse_key": "", "is_active": "", "created": intel.FieldFeedFirstSeen,
	"content": "", "title": "title", "role": intel.FieldThreatType, "description": intel.FieldDescription,
}

// indicator takes one indicator of the pulse at hand.
func (o *otx) indicator(s *jsonStream) error {
	line, ok, err := s.value(&o.tree)
	if !ok {
		return err
	}
	t := &o.tree
	value, kind := t.get(0, "indicator"), t.get(0, "type")
	kinds := otxKinds[kind]
	switch {
	case t.nodes[0].kind != '{' || value == "":
		o.c.reject(line, t.text, "an indicator without a value")
	case kinds == 0 && kind != "":
		o.c.suppress(suppressedKind, 1)
	case t.get(0, "is_active") == "0" || t.get(0, "is_active") == "false":
		o.c.suppress("not active any longer", 1)
	case o.c.expired(t.get(0, "expiration")):
		o.c.suppress(suppressedExpired, 1)
	default:
		if kinds == 0 {
			kinds = o.c.kinds
		}
		o.rec.begin(line, t.text)
		o.rec.around(t, 0, otxFields)
		o.held.hold(line, finding{value, kinds}, o.rec.extra, o.pulse, len(t.text))
	}
	return nil
}
