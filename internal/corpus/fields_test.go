package corpus

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// packed packs fields and unpacks them again, by every way there is.
func packed(t testing.TB, v *vocabulary, fields intel.Fields) []byte {
	t.Helper()
	b := v.pack(nil, fields)
	words, ok := readTable(appendTable(nil, v.words))
	if !ok {
		t.Fatal("words cannot be read")
	}
	u := unpacker{cursor: cursor{b: b}, names: v.names, words: &words}
	w := u
	if same, _ := w.equal(fields, nil); !same {
		t.Errorf("%q is not equal to itself", fields)
	}
	got := u.fields()
	if u.bad || len(u.b) != 0 || len(got) != len(fields) || len(got) > 0 && !reflect.DeepEqual(got, fields) {
		t.Errorf("%q became %q (bad %v, %d bytes left)", fields, got, u.bad, len(u.b))
	}
	return b
}

var oddValues = []string{"", "0", "00", "7", "999999999999999999", "9999999999999999999", "-1", "+1", "1e3", "deadbeef", "DEADBEEF", "deadbeef0",
	"d41d8cd98f00b204e9800998ecf8427e", "2026-02-29", "2024-02-29", "2026-02-28", "1969-12-31", "1970-01-01", "9999-12-31", "0000-00-00",
	"2026-11-20 08:00:00", "2026-11-20 24:00:00", "2026-11-20T08:00:00Z", "2026-11-20T08:00:00z", "2026-11-20 08:00:00 UTC", "2026-11-20 08:00:00 utc",
	"2026-1a-20", "20x6-11-20 08:00:00", "https://feed.example/item/", "https://feed.example/item/17/", "\x00\xff", strings.Repeat("long ", 100)}

func TestPackOddValues(t *testing.T) {
	plain := newVocabulary(nil, nil)
	full := newVocabulary([]string{"a", "b"}, []string{"https://feed.example/item/", "7", "deadbeef", "2024-02-29", "2026-11-", "long long "})
	for _, v := range []*vocabulary{plain, full} {
		for _, s := range oddValues {
			packed(t, v, intel.Fields{{Name: "a", Values: []string{s}}})
			packed(t, v, intel.Fields{{Name: "a", Values: []string{s, s + "x"}}, {Name: "b", Values: []string{s}}, {Name: "unknown", Values: []string{s}}})
		}
		packed(t, v, nil)
		packed(t, v, intel.Fields{{Name: "", Values: []string{}}})
	}
}

func TestTimestampsAgreeWithTime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	layouts := map[byte]string{asDate: "2006-01-02", asTime: "2006-01-02 15:04:05", asTimeZ: "2006-01-02T15:04:05Z", asTimeU: "2006-01-02 15:04:05 UTC"}
	for range 20_000 {
		at := time.Unix(r.Int64N(253402300800), 0).UTC()
		for how, layout := range layouts {
			text := at.Format(layout)
			gotHow, n, ok := timestamp(text)
			want := uint64(at.Unix())
			if how == asDate {
				want /= 86400
			}
			if !ok || gotHow != how || n != want {
				t.Fatalf("%s: %d %d %v, want %d %d", text, gotHow, n, ok, how, want)
			}
			if back := string(appendTimestamp(nil, how, n)); back != text {
				t.Fatalf("%s became %s", text, back)
			}
		}
	}
}

// TestContextTakesLittleSpace holds the promise that context packs to well below its size.
func TestContextTakesLittleSpace(t *testing.T) {
	v := newVocabulary(nil, nil)
	var all []intel.Fields
	raw := 0
	for _, e := range benchEntries(5000, func(i int) uint64 { return uint64(i) }) {
		all = append(all, e.Fields)
		for _, f := range e.Fields {
			raw += len(f.Name)
			for _, s := range f.Values {
				raw += len(s)
			}
		}
	}
	v.learn(len(all), func(i int) intel.Fields { return all[i] })
	size := len(appendTable(appendTable(nil, v.names), v.words))
	for _, f := range all {
		size += len(packed(t, v, f))
	}
	if share := float64(size) / float64(raw); share > 0.3 {
		t.Errorf("context takes %.0f %% of its %d bytes", 100*share, raw)
	} else {
		t.Logf("context takes %.0f %% of its %d bytes", 100*share, raw)
	}
}

func FuzzPack(f *testing.F) {
	for i, s := range oddValues {
		f.Add("name", s, fmt.Sprint(i), true)
	}
	f.Fuzz(func(t *testing.T, name, a, b string, learn bool) {
		fields := intel.Fields{{Name: name, Values: []string{a, b, a + b}}, {Name: name + "2", Values: []string{b + a}}}
		v := newVocabulary([]string{"name"}, []string{a[:headLen(a)], b})
		if learn {
			v.learn(3, func(int) intel.Fields { return fields })
		}
		packed(t, v, fields)
	})
}

func FuzzUnpack(f *testing.F) {
	v := newVocabulary([]string{"name"}, []string{"prefix ", "value"})
	f.Add(v.pack(nil, intel.Fields{{Name: "name", Values: []string{"value", "prefix 1", "17"}}, {Name: "x", Values: oddValues}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		words, _ := readTable(appendTable(nil, v.words))
		u := unpacker{cursor: cursor{b: b}, names: v.names, words: &words}
		w := u
		fields := u.fields()
		if !u.bad {
			if same, _ := w.equal(fields, nil); !same {
				t.Errorf("%x: unpacked as %q, which it is not equal to", b, fields)
			}
		}
	})
}
