package parse

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/maphash"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Limits on what is remembered of a STIX stream beside its entries, which keep
// hostile ones bounded. Context beyond them is not connected.
const (
	maxStixLinks    = 1 << 18 // relationships, sightings, references of reports
	maxStixNames    = 1 << 16 // malware, actors, identities, markings, …
	maxStixMentions = 1 << 19 // values that links add to entries
	maxStixSaid     = 1 << 12 // of these, to one entry
)

// stix reads STIX 2.0 and 2.1 (OASIS, stix-v2.1-os): a bundle, a TAXII envelope
// or a bare array of objects. The records are indicators, one for each value that
// the pattern lists, and observables. All other objects are context: their names
// go to the indicators that relationships connect them with, wherever in the
// stream each of them stands.
type stix struct {
	c       *collector
	tree    tree
	pattern pattern
	rec     record
	found   []finding
	seed    maphash.Seed
	places  map[uint64]stixPlace // object → its entries
	owners  []uint32             // entry → how many objects offer it
	names   map[uint64][]pair    // object → what it says of those that it is linked with
	links   []stixLink
	said    []stixSaying
	bare    int      // places of objects that have no entries
	late    []uint64 // what the object at hand refers to and was not seen yet
}

// stixLink connects two objects.
type stixLink struct{ from, to uint64 }

// stixSaying is what a sighting or a report says of an object.
type stixSaying struct {
	of    uint64
	pairs []pair
}

func readSTIX(ctx context.Context, r io.Reader, c *collector) error {
	if c.shared != nil { // a further page: what it refers to may be on an earlier one
		return c.documents(ctx, r, c.shared.document)
	}
	x := &stix{c: c, seed: maphash.MakeSeed(), places: map[uint64]stixPlace{}, names: map[uint64][]pair{}}
	c.shared = x // finish connects
	for id, label := range stixTLP {
		x.names[x.id("marking-definition--"+id)] = []pair{{intel.FieldTLP, label}}
	}
	return c.documents(ctx, r, x.document)
}

// stixTLP are the markings that the standards fix: those of TLP 1 in STIX 2.1
// section 7.2.1.4, those of TLP 2 in the OASIS common objects. Read-only.
var stixTLP = map[string]string{
	"613f2e26-407d-48c7-9eca-b8e91df99dc9": "white",
	"34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
	"f88d31f6-486f-44da-b317-01333bde0b82": "amber",
	"5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
	"94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
	"bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
	"55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
	"939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
	"e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}

// document takes a bundle, an envelope, an array or a single object. Both of the
// first have their objects in a member of that name, which may be missing: then
// there are none.
func (x *stix) document(s *jsonStream) error {
	object := func() error { return x.object(s) }
	switch c, err := s.peek(); {
	case err != nil:
		return err
	case c == '[':
		return s.elements(object)
	case c != '{':
		return s.bad("a STIX bundle, TAXII envelope or array belongs here, not %s", cmp.Or(jsonKind(c), string(rune(c))))
	}
	known := false
	single := stixSingle{line: s.line}
	err := s.members(func(name string) error {
		switch c, err := s.peek(); {
		case err != nil:
			return err
		case name == "objects" && c == '[':
			known = true
			return s.elements(object)
		case name == "more", name == "next":
			known = true
			return s.skip()
		}
		_, ok, err := s.value(&x.tree)
		known = known || ok && name == "type" && x.tree.plain(0) == "bundle"
		single.add(name, &x.tree, ok)
		return err
	})
	if err == nil && !known && single.text.Len() > 0 {
		return x.single(s, &single)
	}
	return err
}

// stixSingle gathers the members of a document that may be a single object.
type stixSingle struct {
	line int
	text strings.Builder
	long bool
}

func (o *stixSingle) add(name string, value *tree, ok bool) {
	if o.long = o.long || !ok || o.text.Len()+len(value.text) > maxRecord; o.long {
		return
	}
	key, _ := json.Marshal(name) // a string always encodes
	o.text.WriteString(string(key) + ":" + value.text + ",")
}

// single takes a document that is neither bundle nor envelope: a single object,
// if its id says so, or an object of objects.
func (x *stix) single(s *jsonStream, o *stixSingle) error {
	bad := s.bad("no STIX bundle and no TAXII envelope: the document has no objects, and no id of one")
	if o.long {
		return bad
	}
	if err := x.tree.parse("{" + strings.TrimSuffix(o.text.String(), ",") + "}"); err != nil {
		return bad
	}
	if kind := x.tree.get(0, "type"); kind == "" || !strings.HasPrefix(x.tree.get(0, "id"), kind+"--") {
		return bad
	}
	x.take(o.line)
	return nil
}

// object takes one object.
func (x *stix) object(s *jsonStream) error {
	line, ok, err := s.value(&x.tree)
	switch {
	case !ok:
		return err
	case x.tree.nodes[0].kind != '{':
		x.c.reject(line, x.tree.text, "not an object")
	default:
		x.take(line)
	}
	return nil
}

// take takes the object that is in the tree.
func (x *stix) take(line int) {
	x.rec.begin(line, x.tree.text)
	switch kind := x.tree.get(0, "type"); kind {
	case "":
		x.c.reject(line, x.tree.text, "an object without a type")
	case "indicator":
		x.indicator()
	case "relationship":
		x.link(x.id(x.tree.get(0, "source_ref")), x.id(x.tree.get(0, "target_ref")))
	case "sighting":
		x.sighting()
	case "report", "grouping":
		x.collection([]pair{{kind, x.keep("name")}})
	case "observed-data":
		x.observed()
	case "marking-definition":
		x.marking()
	default:
		if f, ok := stixNamed[kind]; ok {
			x.named(f)
		} else if !stixContext[kind] {
			x.observable(0, kind)
		}
	}
}

// stixNamed are the objects whose name is context of what they are related to,
// and the field that it goes to. Read-only.
var stixNamed = map[string]string{
	"malware": intel.FieldMalware, "tool": "tool", "threat-actor": "threat_actor", "intrusion-set": "threat_actor",
	"campaign": "campaign", "attack-pattern": "attack", "infrastructure": "infrastructure", "vulnerability": "vulnerability",
	"identity": "reporter",
}

// stixContext are objects that say nothing of indicators. Read-only.
var stixContext = map[string]bool{
	"course-of-action": true, "location": true, "note": true, "opinion": true, "language-content": true,
	"extension-definition": true, "malware-analysis": true, "incident": true,
}

// stixFields says where the members of indicators and observables go.
var stixFields = names{
	"type": "", "spec_version": "", "revoked": "", "pattern": "", "pattern_type": "", "pattern_version": "", "value": "", "created_by_ref": "",
	"object_marking_refs": "", "kill_chain_phases.kill_chain_name": "", "kill_chain_phases.phase_name": "",
	"labels": intel.FieldTags, "indicator_types": intel.FieldThreatType, "created": intel.FieldFeedFirstSeen,
	"confidence": intel.FieldConfidence, "external_references.url": intel.FieldReference, "name": "name",
}

// indicator takes an indicator: the values of its pattern.
func (x *stix) indicator() {
	t := &x.tree
	text := t.get(0, "pattern")
	if !x.newest() {
		x.c.suppress(suppressedOlder, 1)
		return
	}
	switch language := t.get(0, "pattern_type"); {
	case t.get(0, "revoked") == "true":
		x.c.suppress(suppressedRevoked, 1)
		return
	case x.c.expired(t.get(0, "valid_until")):
		x.c.suppress(suppressedExpired, 1)
		return
	case language != "" && language != "stix":
		x.c.suppress("a pattern that is not of STIX", 1)
		return
	case text == "":
		x.c.reject(x.rec.line, t.text, "an indicator without a pattern")
		return
	}
	if err := x.pattern.parse(text); err != nil {
		x.c.reject(x.rec.line, text, err.Error())
		return
	}
	x.around(0)
	x.found = x.found[:0]
	for i := range x.pattern.terms {
		x.term(&x.pattern.terms[i])
	}
	if len(x.pattern.terms) > 1 {
		x.rec.say("pattern", text)
	}
	x.took(x.c.offered(&x.rec, x.found...))
}

// term takes one comparison of a pattern: its values, or context where all
// comparisons hold together.
func (x *stix) term(t *patternTerm) {
	kinds, field := stixKinds(t.path)
	equal := t.op == "=" || t.op == "==" || t.op == "IN" || t.op == "ISSUBSET" && kinds.Has(intel.CIDR)
	if !equal || t.not {
		return
	}
	for _, v := range t.values {
		switch {
		case kinds != 0:
			x.found = append(x.found, finding{v, kinds})
		case !x.pattern.or:
			x.rec.say(field, v)
		}
	}
}

// stixKinds says what the values at an object path are; where they are no
// indicators, it returns the context field that they go to.
func stixKinds(path string) (kinds intel.KindSet, field string) {
	object, property, _ := strings.Cut(path, ":")
	if i := strings.LastIndex(property, "hashes."); i >= 0 {
		return stixHash(property[i+len("hashes."):]), path
	}
	switch property {
	case "value":
		return stixValues[object], path
	case "from_ref.value", "sender_ref.value":
		return intel.Email.Set(), path
	case "src_ref.value", "dst_ref.value":
		return intel.Networks | intel.Domain.Set(), path
	case "src_port", "dst_port":
		return 0, "port"
	case "name":
		if object == "file" {
			return 0, "filename"
		}
	}
	return 0, path
}

// stixValues are the observables whose value is an indicator. Read-only.
var stixValues = map[string]intel.KindSet{
	"ipv4-addr": intel.Networks, "ipv6-addr": intel.Networks, "url": intel.URL.Set(),
	"domain-name": intel.Domain.Set(), "hostname": intel.Domain.Set(), "email-addr": intel.Email.Set(),
}

// stixHash returns the kind of the hashes of an algorithm, 0 where it is not held.
func stixHash(name string) intel.KindSet {
	switch strings.ToUpper(strings.ReplaceAll(name, "-", "")) {
	case "MD5":
		return intel.MD5.Set()
	case "SHA1":
		return intel.SHA1.Set()
	case "SHA256":
		return intel.SHA256.Set()
	case "SHA512":
		return intel.SHA512.Set()
	}
	return 0
}

// observable takes an observable: its value, or its hashes.
func (x *stix) observable(at int32, kind string) {
	t := &x.tree
	x.found = x.found[:0]
	if kinds := stixValues[kind]; kinds != 0 {
		if v := t.get(at, "value"); v != "" {
			x.found = append(x.found, finding{v, kinds})
		} else {
			x.c.reject(x.rec.line, t.text, "an observable without a value")
			return
		}
	}
	if h := t.member(at, "hashes"); h > 0 {
		t.members(h, func(name string, value int32) {
			if kinds := stixHash(name); kinds != 0 && t.plain(value) != "" {
				x.found = append(x.found, finding{t.plain(value), kinds})
			}
		})
	}
	x.around(at)
	if kind == "file" {
		x.rec.say("filename", t.get(at, "name"))
	}
	x.took(x.c.offered(&x.rec, x.found...))
}
