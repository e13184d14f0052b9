package corpus

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// keyFields are the fields with keys, but for those of the context.
var keyFields = []query.Field{query.FieldTag, query.FieldMalware, query.FieldThreatType, query.FieldTLP, query.FieldCountry,
	query.FieldFeedFirstSeen, query.FieldFeedLastSeen, query.FieldRegistered, query.FieldOrg, query.FieldReference, query.FieldDescription, query.FieldConfidence, query.FieldPort, query.FieldASN, query.FieldKind}

// wantKeys is what the index should have of a record: what query.Doc says of a
// listing of it, made as answers make it, from a feed that adds nothing.
func wantKeys(l *intel.Listing, h *history, confidence bool) map[string]bool {
	keys := map[string]bool{}
	add := func(sort byte, parts ...string) { keys[string(sort)+strings.Join(parts, "")] = true }
	doc := query.Doc{Listing: l}
	for s := range doc.Values(query.FieldAny) {
		for _, t := range query.Tokens(nil, s) {
			add(keyToken, t)
		}
	}
	if host := []byte(doc.Host()); len(host) > 0 {
		slices.Reverse(host)
		add(keyHost, string(host))
	}
	fields := slices.Clone(keyFields)
	for _, f := range l.Context {
		fields = append(fields, query.Context(f.Name))
	}
	for _, f := range fields {
		if f == query.FieldConfidence && !confidence {
			continue
		}
		forms := doc.Facet(f)
		tooLong := slices.ContainsFunc(forms, func(s string) bool { return len(s) > maxForm })
		for _, s := range forms {
			if tooLong {
				add(keyOver, string(f))
			} else {
				add(keyForm, string(f), "\x00", s)
			}
		}
		for _, s := range forms {
			if tokens := query.Tokens(nil, s); !tooLong && isWords(f) && (len(tokens) != 1 || tokens[0] != s) {
				for _, t := range tokens {
					add(keyWord, string(f), "\x00", t)
				}
			}
		}
		exists := len(doc.Numbers(f)) > 0 || len(doc.Times(f)) > 0
		for range doc.Values(f) {
			exists = true
		}
		if exists {
			add(keyExists, string(f))
		}
	}
	add(keyFirst, string(appendTimeKey(nil, h.firstSeen())))
	if h.gone != 0 {
		add(keyGone, string(appendTimeKey(nil, h.gone)))
	}
	if !h.isOpen() {
		add(keyClosed)
	}
	return keys
}

// isWords says whether the field's values are compared by words.
func isWords(f query.Field) bool {
	switch f {
	case query.FieldTag, query.FieldMalware, query.FieldThreatType, query.FieldOrg, query.FieldReference, query.FieldDescription:
		return true
	}
	_, ok := f.Context()
	return ok
}

// asListing makes a listing of a record with these texts, as answers do: packed
// and unpacked. own says whether it has a confidence of its own.
func asListing(t *testing.T, ind intel.Indicator, original string, fields intel.Fields) (l *intel.Listing, ownConfidence bool) {
	t.Helper()
	v := newVocabulary(nil, nil)
	v.learn(1, func(int) intel.Fields { return fields })
	s := &segment{names: v.names}
	for _, n := range v.names {
		s.slots = append(s.slots, slotOf(n))
	}
	s.words, _ = readTable(appendTable(nil, v.words))
	r := record{kind: ind.Kind, value: []byte(ind.Value), original: []byte(original)}
	var packed []byte
	if len(fields) > 0 {
		r.flags, packed = flagFields, v.pack(nil, fields)
	}
	if original != ind.Value {
		r.flags |= flagOriginal
	}
	make := func(confidence int) *intel.Listing {
		var mem scratch
		l := &intel.Listing{Kind: ind.Kind, Info: &intel.FeedInfo{Confidence: confidence}}
		if !mem.unpack(s, &r, packed, true) {
			t.Fatal("the fields were not unpacked")
		}
		mem.fill(l, s, &r)
		l.Info = nil
		return l
	}
	l = make(1000)
	return l, l.Confidence != 1000
}

// randomFields makes fields with names that mean something and names that do
// not, and with values of every sort.
func randomFields(r *rand.Rand) (out intel.Fields) {
	names := []string{"confidence", "tags", "malware", "threat_type", "description", "reference", "tlp", "feed_first_seen", "feed_last_seen",
		"country", "Country Code", "cc", "asn", "AS-Number", "org", "ISP", "port", "dst_port", "File Name", "file_name", "ÜBER", "#", "Tags", "registered"}
	values := []string{"80", "443", "8080/tcp", "101", "07", "+5", "AS15169 Example", "as64496", "64497", "DE", " de ", "red", "TLP:RED", "amber+strict",
		"Cobalt Strike", "cobalt_strike", "#phishing", "!!!", "https://feed.example/item/1/", "2026-01-02", "2026-01-02 03:04:05",
		"2026-02-03T23:59:59Z", "2026-03-04 05:06:07 UTC", "2026-02-30", "2026-03-04T23:30:00-05:00", "1772000000", "Straße", "İstanbul",
		"e\u0301", "x", strings.Repeat("long words ", 30), strings.Repeat("y", 300), strings.Repeat("\ufdfa", 12), "5 %", "-3.5"}
	for range r.IntN(6) {
		name := names[r.IntN(len(names))]
		for range 1 + r.IntN(2)*r.IntN(4) {
			v := values[r.IntN(len(values))]
			if r.IntN(4) == 0 {
				v = fmt.Sprint(v, " ", r.IntN(1000))
			}
			out.Add(name, v)
		}
	}
	return out
}

func randomValue(t *testing.T, r *rand.Rand) (intel.Indicator, string) {
	written := []string{"203.0.113.%d", "203.0.113.%d:8080", "[2001:db8::%d]:443", "2001:db8::%d", "198.51.%d.0/24", "host%d.bad-site.example", "www.%d.example",
		"HTTP://Host%d.Example:8080/Path?q=a%%20b", "http://203.0.113.%d/x.exe", "https://user@a.example/%d", "ftp://b.example:2121/%d", "mail%d@c.example",
		"https://bücher.example/%d", "http://[2001:db8::%d]:81/", "%032x", "%040x", "%064x"}
	s := fmt.Sprintf(written[r.IntN(len(written))], r.IntN(250))
	return ind(t, s), s
}

func randomHistory(r *rand.Rand) *history {
	from := t0.UnixMilli() + r.Int64N(5)
	h := &history{spans: []span{{from, open}}, changed: from}
	if r.IntN(2) == 0 {
		h.spans[0].to = from + r.Int64N(9)
	}
	if r.IntN(3) == 0 {
		h.gone = from + r.Int64N(4)
	}
	if r.IntN(5) == 0 {
		h.first = -r.Int64N(3) - 1 // before 1970
	}
	return h
}

// keysOf returns the keys of each document of an index.
func keysOf(t *testing.T, post, fst []byte) []map[string]bool {
	t.Helper()
	x, err := terms.Open(post, fst, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]map[string]bool, x.Docs())
	for i := range out {
		out[i] = map[string]bool{}
	}
	err = x.Range(nil, nil, func(key []byte, p terms.Postings) bool {
		for _, d := range p.Append(nil) {
			out[d][string(key)] = true
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func diffKeys(t *testing.T, what string, have, want map[string]bool) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !have[k] {
			t.Errorf("%s: key %q is missing", what, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if !want[k] {
			t.Errorf("%s: key %q is not expected", what, k)
		}
	}
}

// TestKeys compares the keys of random records with what query.Doc says of them.
func TestKeys(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		const n = 1500
		x := newIndexer(n)
		var want []map[string]bool
		var what []string
		for range n {
			i, original := randomValue(t, r)
			if r.IntN(2) == 0 {
				original = i.Value
			}
			fields, h := randomFields(r), randomHistory(r)
			x.add(i.Kind, i.Value, original, h, fields)
			l, confidence := asListing(t, i, original, fields)
			want = append(want, wantKeys(l, h, confidence))
			what = append(what, fmt.Sprintf("seed %d, %v %q, %.300q", seed, i, original, fields))
		}
		post, fst, err := x.finish()
		if err != nil {
			t.Fatal(err)
		}
		have := keysOf(t, post, fst)
		if len(have) != n {
			t.Fatalf("%d documents, want %d", len(have), n)
		}
		for i := range have {
			diffKeys(t, what[i], have[i], want[i])
			if t.Failed() {
				return
			}
		}
	}
}

// TestKeysOfManyForms checks that a field with too many different values has none
// in the index, but says which records have any.
func TestKeysOfManyForms(t *testing.T) {
	const n = 3000
	x := newIndexer(n)
	h := &history{spans: []span{{1000, open}}, changed: 1000}
	for i := range n {
		var f intel.Fields
		f.Add("few", strconv.Itoa(i%leastMost))
		if i%3 > 0 {
			f.Add("reference", fmt.Sprint("https://feed.example/", i))
			f.Add("many", strconv.Itoa(i))
		}
		x.add(intel.Domain, "a.example", "a.example", h, f)
	}
	post, fst, err := x.finish()
	if err != nil {
		t.Fatal(err)
	}
	for i, keys := range keysOf(t, post, fst) {
		for _, f := range []query.Field{query.FieldReference, query.Context("many")} {
			if has := keys[string(keyOver)+string(f)]; has != (i%3 > 0) || has != keys[string(keyExists)+string(f)] {
				t.Fatalf("record %d: %q", i, slices.Sorted(maps.Keys(keys)))
			}
		}
		for k := range keys {
			if (k[0] == keyForm || k[0] == keyWord) && (strings.Contains(k, "reference") || strings.Contains(k, "many")) {
				t.Fatalf("record %d has %q", i, k)
			}
		}
		if want := fmt.Sprintf("fcontext.few\x00%d", i%leastMost); !keys[want] {
			t.Fatalf("record %d has no %q", i, want)
		}
		if i%3 > 0 && !keys["t"+strconv.Itoa(i)] {
			t.Fatalf("record %d is not found by its token", i)
		}
	}
}

func TestIndexerDiscard(t *testing.T) {
	for _, n := range []int{0, 1, indexBatch, 20 * indexBatch} {
		x := newIndexer(n)
		for range n {
			x.add(intel.Domain, "a.example", "a.example", &history{spans: []span{{1000, open}}}, nil)
		}
		x.discard()
		x.discard()
	}
}
