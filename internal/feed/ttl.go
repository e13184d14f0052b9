package feed

import (
	"cmp"
	"encoding/json"
	"math/bits"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TTL is how long an absent entry stays listed: in JSON a duration for all
// kinds, or an object of durations by kind, where "default" is for the rest.
// Names are those of kinds, and ipaddress, ip, hash and proxy; of two that hold for
// one kind the narrower one does. 0: the presence model alone decides.
type TTL struct {
	Default intel.Duration
	Kinds   map[intel.Kind]intel.Duration // what differs from Default; nil where nothing does
}

// IsZero says whether no kind has a time to live.
func (t TTL) IsZero() bool { return t.Default == 0 && len(t.Kinds) == 0 }

// MarshalJSON writes what a definition has: a duration, or one for each kind
// that differs.
func (t TTL) MarshalJSON() ([]byte, error) {
	if len(t.Kinds) == 0 {
		return json.Marshal(t.Default)
	}
	out := map[string]intel.Duration{ttlDefault: t.Default}
	for k, d := range t.Kinds {
		out[k.String()] = d
	}
	return json.Marshal(out)
}

const ttlDefault = "default"

// ttlGroups are the names of several kinds, and another of one. Read-only.
var ttlGroups = map[string]intel.KindSet{
	"ipaddress": intel.Address, "ip": intel.Networks, "hash": intel.Hashes, "proxy": intel.IPPort.Set(),
}

// ttlNames lists the keys that an object may have.
func ttlNames() []string {
	names := []string{ttlDefault}
	for _, k := range intel.AnyKind.Kinds() {
		names = append(names, k.String())
	}
	for name := range ttlGroups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ttlRule is one entry of the object.
type ttlRule struct {
	name  string
	line  int
	kinds intel.KindSet
	ttl   intel.Duration
}

// fillTTL reads a duration, or an object of them.
func (s *strict) fillTTL(n *node, t *TTL, key string) {
	switch n.kind {
	case stringNode:
		s.fillText(n, &t.Default, key)
	case objectNode:
		t.set(s.ttlRules(n, key))
	default:
		s.wrong(n, key, `a duration such as "30d", or an object of durations by kind`)
	}
}

// ttlRules reads the object's entries and reports those that are none, or say
// twice what holds for the same kinds.
func (s *strict) ttlRules(n *node, key string) (rules []ttlRule) {
	for _, m := range n.members {
		path := join(key, m.key)
		kinds, known := ttlKinds(m.key)
		if !known {
			s.report(m.line, path, `unknown kind%s; "default" is for all others`, didYouMean(m.key, ttlNames()))
			continue
		}
		if i := slices.IndexFunc(rules, func(r ttlRule) bool { return r.kinds == kinds }); i >= 0 {
			s.report(m.line, path, "%q in line %d says it for the same kinds already", rules[i].name, rules[i].line)
			continue
		}
		r := ttlRule{name: m.key, line: m.line, kinds: kinds}
		s.fillText(m.value, &r.ttl, path)
		rules = append(rules, r)
	}
	if len(n.members) == 0 {
		s.report(n.line, key, `an empty object; write a duration, or one by kind such as {"ipv4": "7d", "default": "90d"}`)
	}
	return rules
}

// ttlKinds returns what a name stands for: unlike as a feed's indicator_type, a
// kind's own name stands for that kind alone. All kinds are the default.
func ttlKinds(name string) (intel.KindSet, bool) {
	if name == ttlDefault {
		return intel.AnyKind, true
	}
	var k intel.Kind
	if k.UnmarshalText([]byte(name)) == nil {
		return k.Set(), true
	}
	set, known := ttlGroups[name]
	return set, known
}

// set applies the rules, the widest first. The sets that have names lie in each
// other or apart, so that their order decides.
func (t *TTL) set(rules []ttlRule) {
	slices.SortStableFunc(rules, func(a, b ttlRule) int {
		return cmp.Compare(bits.OnesCount32(uint32(b.kinds)), bits.OnesCount32(uint32(a.kinds)))
	})
	all := map[intel.Kind]intel.Duration{}
	for _, r := range rules {
		if r.kinds == intel.AnyKind {
			t.Default = r.ttl
			continue
		}
		for _, k := range r.kinds.Kinds() {
			all[k] = r.ttl
		}
	}
	for k, d := range all {
		if d == t.Default {
			delete(all, k)
		}
	}
	if len(all) > 0 {
		t.Kinds = all
	}
}

// of is the time to live of a kind; 0: it has none.
func (t TTL) of(k intel.Kind) intel.Duration {
	if d, own := t.Kinds[k]; own {
		return d
	}
	return t.Default
}

// mayHold is the set of kinds that the feed may list.
func (d *Definition) mayHold() intel.KindSet {
	set, _ := intel.ParseKindSet(d.Kind) // checked when it was decoded
	for _, t := range d.Mapping.Types {
		own, _ := intel.ParseKindSet(t.Kind)
		set |= own
	}
	if set == 0 {
		return intel.AnyKind
	}
	return set
}

// shortestTTL is the shortest time to live of the kinds that the feed may list; 0
// where none has one.
func (d *Definition) shortestTTL() (shortest intel.Duration) {
	for _, k := range d.mayHold().Kinds() {
		if ttl := d.TTL.of(k); ttl > 0 && (shortest == 0 || ttl < shortest) {
			shortest = ttl
		}
	}
	return shortest
}

// allLive says whether every kind that the feed may list has a time to live.
func (d *Definition) allLive() bool {
	return !slices.ContainsFunc(d.mayHold().Kinds(), func(k intel.Kind) bool { return d.TTL.of(k) == 0 })
}
