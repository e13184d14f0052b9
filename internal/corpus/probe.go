package corpus

import (
	"net/netip"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// addressOf stands for the kind when the address of an ip-port is hashed.
const addressOf intel.Kind = 0x80

// probe is one search of the directory and, afterwards, the slots it found:
// scratch.slots up to end, from the end of the probe before.
type probe struct {
	of   hashOf
	hash uint64
	end  int
}

// probe searches the directory for all keys and, where the question is about one
// address, for the ip:ports at it. What a look-up waits for is memory, so all
// places that will be read are touched first: those reads wait together.
func (f *finder) probe(q *intel.Question) {
	m := f.mem
	m.probes, m.slots = m.probes[:0], m.slots[:0]
	for i := range q.Keys {
		m.probes = append(m.probes, probe{of: ofValue, hash: f.v.c.hash.sum(q.Keys[i].Kind, q.Keys[i].Value)})
	}
	if q.Inside.IsSingleIP() {
		var stack [48]byte
		m.probes = append(m.probes, probe{of: ofAddress, hash: f.v.c.hash.sumBytes(addressOf, q.Inside.Addr().AppendTo(stack[:0]))})
	}
	if d := f.v.dir.directory(); d != nil {
		for i := range m.probes {
			m.touched += d.slots[d.first(m.probes[i].hash)]
		}
		for i := range m.probes {
			p := &m.probes[i]
			m.slots = d.find(p.of, p.hash, m.slots)
			p.end = len(m.slots)
		}
	} else {
		f.search()
	}
	for _, x := range m.slots {
		seg, ref := slotRecord(x)
		if heap := f.v.segs[seg].heap; int(ref) < len(heap)/4 {
			m.touched += uint64(heap[int(ref)*4])
		}
	}
}

// search does the probes without the directory.
func (f *finder) search() {
	m := f.mem
	for i := range m.probes {
		var err error
		if m.slots, err = f.v.dir.search(m.probes[i].of, m.probes[i].hash, m.slots); err != nil {
			f.fail(err)
		}
		m.probes[i].end = len(m.slots)
	}
}

// found returns the slots that probe i found.
func (f *finder) found(i int) []uint64 {
	start := 0
	if i > 0 {
		start = f.mem.probes[i-1].end
	}
	return f.mem.slots[start:f.mem.probes[i].end]
}

// exact adds the records that the keys are about.
func (f *finder) exact(q *intel.Question) {
	for i := range q.Keys {
		for _, x := range f.found(i) {
			seg, ref := slotRecord(x)
			s := f.v.segs[seg]
			r, err := s.record(ref)
			if err != nil {
				f.fail(err)
			} else if k := &q.Keys[i]; r.is(k.Kind, k.Value) {
				f.add(f.v.owner[seg], s, &r, k.Relation, k.Value)
			}
		}
	}
}

// portsAt adds the ip:ports at an address, which the last probe was for.
func (f *finder) portsAt(a netip.Addr) {
	for _, x := range f.found(len(f.mem.probes) - 1) {
		seg, ref := slotRecord(x)
		s := f.v.segs[seg]
		r, err := s.record(ref)
		if err != nil {
			f.fail(err)
		} else if at, ok := addressIn(r.kind, r.value); ok && at == a && r.kind == intel.IPPort {
			f.related(f.v.owner[seg], s, ref, intel.RelMember)
		}
	}
}
