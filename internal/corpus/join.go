package corpus

import (
	"fmt"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// join fills in match and returns the old records that no entry has the hash of.
func (m *merger) join() (missing []uint32, err error) {
	m.match = make([]uint32, len(m.entries))
	keys := make([]hashed, len(m.entries))
	for i := range m.entries {
		ind := &m.entries[i].Indicator
		keys[i] = hashed{m.c.hash.sum(ind.Kind, ind.Value), uint32(i)}
	}
	keys = sortHashed(keys)
	var old keyed
	if m.old != nil {
		old = m.old.byHash
	}
	n := old.len()
	for i, j := 0, 0; i < len(keys) || j < n; {
		i0, j0 := i, j
		var h uint64
		if i < len(keys) && (j == n || keys[i].hash <= u64at(old.hash, j)) {
			h = keys[i].hash
		} else {
			h = u64at(old.hash, j)
		}
		for i < len(keys) && keys[i].hash == h {
			i++
		}
		for j < n && u64at(old.hash, j) == h {
			j++
		}
		switch {
		case i == i0 && j == j0:
			return nil, fmt.Errorf("%w: hashes of segment %s are not sorted", ErrCorrupt, m.old.key)
		case i == i0 && j == j0+1:
			missing = append(missing, u32at(old.ref, j0))
		case i == i0+1 && j == j0:
			m.match[keys[i0].ref] = none
		case i == i0+1 && j == j0+1:
			m.match[keys[i0].ref] = u32at(old.ref, j0)
		default:
			if missing, err = m.group(keys[i0:i], old, j0, j, missing); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// group joins several entries or old records [from, to) that have one hash:
// doubles, or different values that collide.
func (m *merger) group(keys []hashed, old keyed, from, to int, missing []uint32) ([]uint32, error) {
	taken := make([]bool, to-from)
	for k, key := range keys {
		e := &m.entries[key.ref]
		if m.unite(keys[:k], e) {
			m.match[key.ref] = doubled
			continue
		}
		m.match[key.ref] = none
		for j := range taken {
			ref := u32at(old.ref, from+j)
			if taken[j] || m.stale.has(ref) {
				continue
			}
			r, err := m.old.record(ref)
			if err != nil {
				if err := m.lose(ref, err); err != nil {
					return nil, err
				}
				continue
			}
			if r.is(e.Indicator.Kind, e.Indicator.Value) {
				m.match[key.ref], taken[j] = ref, true
				break
			}
		}
	}
	for j, t := range taken {
		if ref := u32at(old.ref, from+j); !t && !m.stale.has(ref) {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

// unite adds the entry's fields to the one of before that is about the same, if
// there is one.
func (m *merger) unite(before []hashed, e *intel.Entry) bool {
	for _, k := range before {
		first := &m.entries[k.ref]
		if m.match[k.ref] == doubled || first.Indicator != e.Indicator {
			continue
		}
		fields, ok := m.united[k.ref]
		if !ok {
			fields = cloneFields(first.Fields)
		}
		fields.Merge(e.Fields)
		if m.united == nil {
			m.united = map[uint32]intel.Fields{}
		}
		m.united[k.ref] = fields
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
