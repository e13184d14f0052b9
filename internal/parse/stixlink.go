package parse

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// How the objects of STIX give each other context.

// id is what is remembered of an object's id, 0 of none.
func (x *stix) id(s string) uint64 {
	if s == "" {
		return 0
	}
	return maphash.String(x.seed, s)
}

// keep returns a member of the object at hand for good.
func (x *stix) keep(name string) string { return x.c.keep.keep(shorten(x.tree.get(0, name))) }

// around gathers the context of an indicator or observable.
func (x *stix) around(at int32) {
	t, r := &x.tree, &x.rec
	r.around(t, at, stixFields)
	t.list(at, "kill_chain_phases", func(i int32) {
		r.say("kill_chain_phase", t.get(i, "kill_chain_name")+":"+t.get(i, "phase_name"))
	})
	x.late = x.late[:0]
	refer := func(i int32) {
		id := x.id(t.plain(i))
		if pairs, ok := x.names[id]; ok {
			r.extra = append(r.extra, pairs...)
		} else if id != 0 {
			x.late = append(x.late, id)
		}
	}
	t.list(0, "created_by_ref", refer)
	t.list(0, "object_marking_refs", refer)
}

// took remembers the entries of the object at hand, and to what it refers that
// was not seen yet.
func (x *stix) took(entries []int) {
	for _, e := range entries {
		for len(x.owners) <= e {
			x.owners = append(x.owners, 0)
		}
		x.owners[e]++
	}
	id := x.id(x.tree.get(0, "id"))
	if len(entries) == 0 || id == 0 {
		return
	}
	p := x.places[id]
	if p.modified != 0 && len(p.entries) == 0 {
		x.bare--
	}
	for _, e := range entries {
		p.entries = append(p.entries, int32(e))
	}
	x.places[id] = p
	for _, to := range x.late {
		x.link(id, to)
	}
}

// stixPlace is what became of an object.
type stixPlace struct {
	entries  []int32
	modified int64 // its version, in nanoseconds since 1970; 0 = none
}

// maxStixVersions is of how many objects without entries the version is known.
const maxStixVersions = 1 << 16

// newest says whether no later version of the object at hand was seen. Of an
// earlier one it takes back what only that offers.
func (x *stix) newest() bool {
	id := x.id(x.tree.get(0, "id"))
	t, err := time.Parse(time.RFC3339, x.tree.get(0, "modified"))
	if id == 0 || err != nil {
		return true
	}
	modified := t.UnixNano()
	p, seen := x.places[id]
	switch {
	case !seen && x.bare >= maxStixVersions:
		return true
	case !seen:
		x.bare++
	case p.modified > modified:
		return false
	case p.modified != 0 && p.modified < modified:
		if len(p.entries) > 0 {
			x.bare++
		}
		x.takeBack(p.entries)
		p.entries = nil
	}
	p.modified = modified
	x.places[id] = p
	return true
}

// takeBack suppresses what an object offered that has a newer version.
func (x *stix) takeBack(entries []int32) {
	for _, e := range entries {
		if x.owners[e]--; x.owners[e] == 0 {
			x.c.retire(int(e), suppressedOlder)
			continue
		}
		x.c.res.Duplicate--
		x.c.res.Suppressed++
		x.c.res.SuppressedFor[suppressedOlder]++
	}
}

// link connects two objects. Once the limit is reached it does nothing.
func (x *stix) link(from, to uint64) {
	if from != 0 && to != 0 && len(x.links) < maxStixLinks {
		x.links = append(x.links, stixLink{from, to})
	}
}

// say says pairs of an object, within the same limit.
func (x *stix) say(of uint64, pairs []pair) {
	if of != 0 && len(x.said) < maxStixLinks {
		x.said = append(x.said, stixSaying{of, pairs})
	}
}

// name remembers what the object at hand says of others; who calls it has seen to
// the limit.
func (x *stix) name(pairs []pair) {
	if id := x.tree.get(0, "id"); id != "" {
		x.names[x.id(id)] = pairs
	}
}

// named takes malware, an actor, a technique …: its name, and the number that
// catalogues give a technique.
func (x *stix) named(field string) {
	if len(x.names) >= maxStixNames {
		return
	}
	t := &x.tree
	pairs := []pair{{field, x.keep("name")}}
	if field == "attack" {
		t.list(0, "external_references", func(i int32) {
			if n := t.get(i, "external_id"); n != "" && len(pairs) < 4 {
				pairs = append(pairs, pair{field, x.c.keep.keep(shorten(n))})
			}
		})
	}
	if field == intel.FieldMalware {
		t.list(0, "malware_types", func(i int32) {
			if len(pairs) < 4 {
				pairs = append(pairs, pair{intel.FieldThreatType, x.c.keep.keep(shorten(t.plain(i)))})
			}
		})
	}
	x.name(pairs)
}

// marking takes a marking that is no standard one: its TLP, or its statement.
func (x *stix) marking() {
	if len(x.names) >= maxStixNames {
		return
	}
	t := &x.tree
	pairs := []pair{{"marking", x.keep("name")}}
	if d := t.member(0, "definition"); d > 0 {
		pairs = append(pairs, pair{intel.FieldTLP, x.c.keep.keep(shorten(t.get(d, "tlp")))},
			pair{"marking", x.c.keep.keep(shorten(t.get(d, "statement")))})
	}
	if _, fixed := x.names[x.id(t.get(0, "id"))]; !fixed {
		x.name(pairs)
	}
}

// sighting takes a sighting: when and how often its indicator was seen.
func (x *stix) sighting() {
	x.say(x.id(x.tree.get(0, "sighting_of_ref")), []pair{
		{intel.FieldFeedFirstSeen, x.keep("first_seen")},
		{intel.FieldFeedLastSeen, x.keep("last_seen")},
		{"sightings", x.keep("count")},
	})
}

// collection says pairs of every object that the one at hand refers to.
func (x *stix) collection(pairs []pair) {
	t := &x.tree
	t.list(0, "object_refs", func(i int32) { x.say(x.id(t.plain(i)), pairs) })
}

// observed takes observed data: since 2.1 it refers to observables, in 2.0 it
// holds them.
func (x *stix) observed() {
	t := &x.tree
	x.collection([]pair{
		{intel.FieldFeedFirstSeen, x.keep("first_observed")},
		{intel.FieldFeedLastSeen, x.keep("last_observed")},
	})
	m := t.member(0, "objects")
	if m == 0 {
		return
	}
	line := x.rec.line
	t.members(m, func(_ string, at int32) {
		x.rec.begin(line, t.text)
		x.rec.say(intel.FieldFeedFirstSeen, t.get(0, "first_observed"))
		x.rec.say(intel.FieldFeedLastSeen, t.get(0, "last_observed"))
		x.observable(at, t.get(at, "type"))
	})
}

// connect adds to the entries what the links say of them.
func (x *stix) connect() {
	left := maxStixMentions
	say := func(id uint64, pairs []pair) {
		for _, pos := range x.places[id].entries {
			has := x.c.list.at(int(pos)).Fields
			for _, p := range pairs {
				if p = typed(p.name, p.value); left > 0 && p.value != "" && x.c.added(int(pos)) < maxStixSaid && !slices.Contains(has.Get(p.name), p.value) {
					left--
					x.c.addition(int(pos), p)
				}
			}
			if left <= 0 {
				return
			}
		}
	}
	for _, s := range x.said {
		say(s.of, s.pairs)
	}
	for _, l := range x.links {
		say(l.from, x.names[l.to])
		say(l.to, x.names[l.from])
	}
}
