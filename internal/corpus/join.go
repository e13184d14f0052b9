package corpus

import (
	"fmt"
	"slices"
	"sort"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// join fills in match and returns the records of base and delta that no entry
// has the hash of.
func (s *shardMerge) join() (missing []spot, err error) {
	s.match = make([]spot, len(s.mine))
	keys := make([]hashed, len(s.mine))
	for i, entry := range s.mine {
		keys[i] = hashed{hash: s.hashes[entry], ref: uint32(i)}
	}
	keys = sortHashed(keys, s.bits)
	old, err := s.current()
	if err != nil {
		return nil, err
	}
	past := s.past()
	for len(keys) > 0 || len(old) > 0 {
		h := ^uint64(0)
		if len(keys) > 0 {
			h = keys[0].hash
		}
		if len(old) > 0 {
			h = min(h, old[0].hash)
		}
		i, j := same(keys, h), same(old, h)
		switch {
		case i == 0 && j == 1:
			missing = append(missing, spot{old[0].seg, old[0].ref})
		case i == 1 && j == 1:
			s.match[keys[0].ref] = spot{old[0].seg, old[0].ref}
		case i == 1 && j == 0 && len(past) == 0:
			s.match[keys[0].ref] = spot{seg: nowhere}
		default:
			missing, err = s.group(keys[:i], slices.Concat(old[:j], recall(past, h)), j, missing)
		}
		if err != nil {
			return nil, err
		}
		keys, old = keys[i:], old[j:]
	}
	return missing, nil
}

// same is how many of those in front have the hash.
func same(hs []hashed, h uint64) (n int) {
	for n < len(hs) && hs[n].hash == h {
		n++
	}
	return n
}

// current returns the records of base and delta that are not dead, by hash.
func (s *shardMerge) current() ([]hashed, error) {
	first := s.stack.history()
	n := 0
	for _, seg := range s.stack.segs[first:] {
		n += seg.byHash.len()
	}
	out := make([]hashed, 0, n)
	for i := first; i < len(s.stack.segs); i++ {
		k, last := s.stack.segs[i].byHash, uint64(0)
		was := len(out)
		for j := range k.len() {
			h, ref := u64at(k.hash, j), u32at(k.ref, j)
			if h < last {
				return nil, unsorted(s.stack.segs[i])
			}
			if last = h; !s.skip[i].has(ref) {
				out = append(out, hashed{h, ref, uint32(i)})
			}
		}
		if was > 0 {
			out = mergeHashed(out[:was], out[was:])
		}
	}
	return out, nil
}

// unsorted says that a segment's hashes are not in order.
func unsorted(s *segment) error {
	return fmt.Errorf("segment %s: %w: its hashes are not sorted", s.key, ErrCorrupt)
}

// mergeHashed merges two lists sorted by hash.
func mergeHashed(a, b []hashed) []hashed {
	out := make([]hashed, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].hash <= b[0].hash {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// lookup finds records of one history segment by hashes that only grow.
type lookup struct {
	keyed
	seg  uint32
	at   int
	dead bitset
}

// past prepares to find records in the history.
func (s *shardMerge) past() (out []*lookup) {
	for i := range s.stack.history() {
		out = append(out, &lookup{keyed: s.stack.segs[i].byHash, seg: uint32(i), dead: s.skip[i]})
	}
	return out
}

// recall returns the records with the hash that are not dead.
func recall(past []*lookup, h uint64) (out []hashed) {
	for _, l := range past {
		step, n := 1, l.len()
		for l.at+step < n && u64at(l.hash, l.at+step) < h {
			l.at += step
			step *= 2
		}
		l.at += sort.Search(min(step+1, n-l.at), func(i int) bool { return u64at(l.hash, l.at+i) >= h })
		for i := l.at; i < n && u64at(l.hash, i) == h; i++ {
			if ref := u32at(l.ref, i); !l.dead.has(ref) {
				out = append(out, hashed{h, ref, l.seg})
			}
		}
	}
	return out
}

// group joins entries and records that have one hash: doubles, different values
// that collide, or listings that come back from the history. Of old, the first
// current ones are those that are missing where no entry is about them.
func (s *shardMerge) group(keys, old []hashed, current int, missing []spot) ([]spot, error) {
	taken := make([]bool, len(old))
	for k, key := range keys {
		e := &s.entries[s.mine[key.ref]]
		if s.unite(keys[:k], e) {
			s.match[key.ref] = spot{seg: doubled}
			continue
		}
		s.match[key.ref] = spot{seg: nowhere}
		for j, o := range old {
			p := spot{o.seg, o.ref}
			if taken[j] || s.skip[o.seg].has(o.ref) {
				continue
			}
			r, err := s.record(p)
			if err != nil {
				if err := s.lose(p, err); err != nil {
					return nil, err
				}
				continue
			}
			if r.is(e.Indicator.Kind, e.Indicator.Value) {
				s.match[key.ref], taken[j] = p, true
				break
			}
		}
	}
	for j, o := range old[:current] {
		if !taken[j] && !s.skip[o.seg].has(o.ref) {
			missing = append(missing, spot{o.seg, o.ref})
		}
	}
	return missing, nil
}

// unite adds the entry's fields to the one of before that is about the same, if
// there is one.
func (s *shardMerge) unite(before []hashed, e *intel.Entry) bool {
	for _, k := range before {
		entry := s.mine[k.ref]
		first := &s.entries[entry]
		if s.match[k.ref].seg == doubled || first.Indicator != e.Indicator {
			continue
		}
		fields, ok := s.united[entry]
		if !ok {
			fields = cloneFields(first.Fields)
		}
		fields.Merge(e.Fields)
		if s.united == nil {
			s.united = map[uint32]intel.Fields{}
		}
		s.united[entry] = fields
		return true
	}
	return false
}

func cloneFields(fs intel.Fields) intel.Fields {
	out := make(intel.Fields, 0, len(fs)+1)
	for _, f := range fs {
		out = append(out, intel.Field{Name: f.Name, Values: slices.Clone(f.Values)})
	}
	return out
}
