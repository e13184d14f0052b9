package corpus

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Limits of a segment's vocabulary. What does not fit in is written out in full.
const (
	maxNames      = 1000
	maxDict       = 1 << 14
	maxDictBytes  = 512 << 10
	maxWord       = 1024
	maxSample     = 20_000  // entries looked at to learn from
	maxCandidates = 100_000 // distinct values counted
	minRepeats    = 3
)

// vocabulary is what the records of a segment need not repeat: field names, and
// words, which are frequent values and frequent beginnings of values. It only
// grows while segments are derived from each other, so that packed fields can be
// copied from one to the next; ids are places in the slices.
type vocabulary struct {
	names  []string
	words  []string
	nameID map[string]uint32
	wordID map[string]uint32
	bytes  int // of words
}

func newVocabulary(names, words []string) *vocabulary {
	v := &vocabulary{nameID: make(map[string]uint32, len(names)), wordID: make(map[string]uint32, len(words))}
	for _, n := range names {
		v.addName(n)
	}
	for _, s := range words {
		v.addWord(s)
	}
	return v
}

func (v *vocabulary) addName(name string) {
	v.nameID[name] = uint32(len(v.names))
	v.names = append(v.names, name)
}

func (v *vocabulary) addWord(s string) {
	v.wordID[s] = uint32(len(v.words))
	v.words = append(v.words, s)
	v.bytes += len(s)
}

// learn adds what a sample of n entries repeats; entry(i) gives each one's fields.
func (v *vocabulary) learn(n int, entry func(i int) intel.Fields) {
	values, names := tally{}, tally{}
	each := func(count func(name, value string)) {
		for i := 0; i < n; i += max(1, n/maxSample) {
			for _, f := range entry(i) {
				for _, s := range f.Values {
					count(f.Name, s)
				}
			}
		}
	}
	each(func(name, value string) {
		names.add(name)
		values.add(value)
	})
	heads := tally{}
	each(func(_, value string) {
		if _, known := v.wordID[value]; !known && values[value] < minRepeats {
			heads.add(value[:headLen(value)])
		}
	})
	for s, n := range values {
		heads[s] = max(heads[s], n)
	}
	for _, s := range heads.frequent(minRepeats) {
		if _, known := v.wordID[s]; !known && len(v.words) < maxDict && len(s) > 2 && len(s) <= maxWord && v.bytes+len(s) <= maxDictBytes {
			v.addWord(s)
		}
	}
	for _, s := range names.frequent(1) {
		if _, known := v.nameID[s]; !known && len(v.names) < maxNames {
			v.addName(s)
		}
	}
}

// tally counts strings, not too many different ones.
type tally map[string]int

func (t tally) add(s string) {
	if _, known := t[s]; known || len(t) < maxCandidates {
		t[s]++
	}
}

// frequent returns what was counted at least so often, the most frequent first:
// small ids take fewer bytes.
func (t tally) frequent(least int) []string {
	maps.DeleteFunc(t, func(_ string, n int) bool { return n < least })
	return slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) })
}

// headLen is the length of what a value may begin with as others do: up to the
// last separator that something follows; 0 where there is none.
func headLen(s string) int {
	if len(s) < 4 {
		return 0
	}
	return strings.LastIndexAny(s[:len(s)-1], "/=:-_ ") + 1
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

// readTable reads a table; ok is false where it is not well formed. No bytes are
// an empty table.
func readTable(b []byte) (t stringTable, ok bool) {
	if len(b) < 4 {
		return t, len(b) == 0
	}
	n := int(le.Uint32(b))
	if n > (len(b)-4)/4 {
		return t, false
	}
	t.n, t.ends, t.text = n, b[4:4+4*n], b[4+4*n:]
	last := uint32(0)
	for i := range n {
		end := u32at(t.ends, i)
		if end < last {
			return t, false
		}
		last = end
	}
	return t, uint64(last) == uint64(len(t.text))
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
