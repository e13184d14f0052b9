package corpus

import (
	"cmp"
	"maps"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Limits of a segment's vocabulary. What does not fit in is written out in full.
const (
	maxNames      = 1000
	maxDict       = 1 << 14
	maxDictBytes  = 512 << 10
	maxSample     = 20_000  // entries looked at to learn from
	maxCandidates = 100_000 // distinct values counted
	minRepeats    = 3
)

// vocabulary is what the records of a segment need not repeat: field names, a
// prefix that the values of a field share, and frequent values. It only grows
// while segments are derived from each other, so that packed fields can be
// copied from one to the next; ids are places in the slices.
type vocabulary struct {
	names    []string
	prefixes []string // by name; "" where there is none
	values   []string
	nameID   map[string]uint32
	valueID  map[string]uint32
	bytes    int // of values
}

func newVocabulary(names, prefixes, values []string) *vocabulary {
	v := &vocabulary{nameID: make(map[string]uint32, len(names)), valueID: make(map[string]uint32, len(values))}
	for i, n := range names {
		v.addName(n, prefixes[i])
	}
	for _, s := range values {
		v.addValue(s)
	}
	return v
}

func (v *vocabulary) addName(name, prefix string) {
	v.nameID[name] = uint32(len(v.names))
	v.names = append(v.names, name)
	v.prefixes = append(v.prefixes, prefix)
}

func (v *vocabulary) addValue(s string) {
	v.valueID[s] = uint32(len(v.values))
	v.values = append(v.values, s)
	v.bytes += len(s)
}

// learn adds what a sample of n entries repeats; entry(i) gives each one's fields.
func (v *vocabulary) learn(n int, entry func(i int) intel.Fields) {
	step := max(1, n/maxSample)
	counts := map[string]int{}
	samples := map[string][]string{} // by field name: values for its prefix
	for i := 0; i < n; i += step {
		for _, f := range entry(i) {
			for _, s := range f.Values {
				if _, known := counts[s]; len(s) > 2 && (known || len(counts) < maxCandidates) {
					counts[s]++
				}
			}
			if _, known := v.nameID[f.Name]; known || (samples[f.Name] == nil && len(v.names)+len(samples) >= maxNames) {
				continue
			}
			if s := samples[f.Name]; len(s) < 256 {
				samples[f.Name] = append(s, f.Values...)
			}
		}
	}
	v.learnValues(counts)
	v.learnNames(samples)
}

func (v *vocabulary) learnValues(counts map[string]int) {
	frequent := make([]string, 0, 64)
	for s, n := range counts {
		if _, known := v.valueID[s]; !known && n >= minRepeats && len(s) <= 1024 {
			frequent = append(frequent, s)
		}
	}
	// The most frequent first: small ids take fewer bytes.
	slices.SortFunc(frequent, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, s := range frequent {
		if len(v.values) < maxDict && v.bytes+len(s) <= maxDictBytes {
			v.addValue(s)
		}
	}
}

func (v *vocabulary) learnNames(samples map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		var rare []string
		for _, s := range samples[name] {
			if _, known := v.valueID[s]; !known {
				rare = append(rare, s)
			}
		}
		v.addName(name, sharedPrefix(rare))
	}
}

// sharedPrefix returns what the middle half of the values, in order, begin
// with; "" unless that is worth it.
func sharedPrefix(values []string) string {
	if len(values) < 8 {
		return ""
	}
	slices.Sort(values)
	a, b := values[len(values)/4], values[len(values)*3/4]
	n := 0
	for n < min(len(a), len(b), 200) && a[n] == b[n] {
		n++
	}
	if n < 4 {
		return ""
	}
	return a[:n]
}

// A string table is a count, the end offset of each string (all u32) and the bytes.
type stringTable struct {
	n    int
	ends []byte
	text []byte
}

func appendTable(b []byte, strs []string) []byte {
	b = le.AppendUint32(b, uint32(len(strs)))
	end := 0
	for _, s := range strs {
		end += len(s)
		b = le.AppendUint32(b, uint32(end))
	}
	for _, s := range strs {
		b = append(b, s...)
	}
	return b
}

// readTable reads a table and returns what follows it; ok is false where it is
// not well formed.
func readTable(b []byte) (t stringTable, rest []byte, ok bool) {
	if len(b) < 4 {
		return t, nil, false
	}
	n := int(le.Uint32(b))
	if n > (len(b)-4)/4 {
		return t, nil, false
	}
	t.n, t.ends, t.text = n, b[4:4+4*n], b[4+4*n:]
	last := uint32(0)
	for i := range n {
		end := u32at(t.ends, i)
		if end < last || uint64(end) > uint64(len(t.text)) {
			return t, nil, false
		}
		last = end
	}
	rest, t.text = t.text[last:], t.text[:last]
	return t, rest, true
}

// at returns string i in place, nil where there is none.
func (t *stringTable) at(i uint64) []byte {
	if i >= uint64(t.n) {
		return nil
	}
	start := uint32(0)
	if i > 0 {
		start = u32at(t.ends, int(i)-1)
	}
	return t.text[start:u32at(t.ends, int(i))]
}

func (t *stringTable) strings() []string {
	out := make([]string, t.n)
	for i := range out {
		out[i] = string(t.at(uint64(i)))
	}
	return out
}
