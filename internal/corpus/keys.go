package corpus

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// The keys of a record in the text index, by their first byte. They tell what
// query.Doc says of the record's own texts; what a record has from its feed
// (names, default tags …) is in no index.
const (
	keyToken  = 't' // token: a text of the record has it (query.FieldAny)
	keyHost   = 'd' // Doc.Host, its bytes backwards
	keyForm   = 'f' // field, 0, form: a value of the field, as Doc.Facet gives it
	keyWord   = 'w' // field, 0, token: a value of the field has it and is more than it
	keyOver   = 'u' // field: it has values in the field that are not under keyForm
	keyExists = 'e' // field: it has any value in the field
	keyFirst  = 's' // when it was first seen: 8 bytes, see appendTimeKey
	keyGone   = 'g' // history.gone, where that is not 0: 8 bytes
	keyClosed = 'c' // its last interval has ended
)

// Limits of the values under keyForm. A record with a longer form in a field has
// none of the field there; a field with more different forms is not there at all.
const (
	maxForm   = 256
	leastMost = 1024 // forms a field may always have; else a quarter of the records
)

// Limits of the cache of values.
const (
	maxCached      = 1 << 16
	maxCachedValue = 256
)

// appendTimeKey appends a time in milliseconds so that keys sort as times do.
func appendTimeKey(b []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(ms)^1<<63)
}

// keyer finds the keys of records. The keys of a value in a field do not depend
// on what else the record has, but for maxForm, and most values come again: their
// keys' numbers are kept.
type keyer struct {
	b    *terms.Builder
	most int // forms a field may have

	fields map[query.Field]*indexField
	names  map[string]*fieldName
	cache  map[valueOf]cut
	ids    []uint32 // that the cache refers to

	rec  []uint32      // keys of the current record
	long []*indexField // fields in which it has a form that is too long

	tokens  query.Tokenizer
	buf     []byte
	listing intel.Listing // scratch, to ask query.Doc with
	values  [1]string
	context [1]intel.Field

	kinds       [256]cachedKey
	closed      uint32
	first, gone cachedKey
}

// indexField is a field with values under keyForm.
type indexField struct {
	field        query.Field
	prefix       []byte // of the keys of its forms
	forms        int    // different ones so far
	over, exists uint32 // keys
	collapsed    bool   // too many: every record has over
	skip         bool   // the current record has a form that is too long
}

// cachedKey is the number of the key that was last made for n.
type cachedKey struct {
	n  int64
	id uint32
	ok bool
}

// valueOf is a value in a role.
type valueOf struct {
	role  *role
	value string
}

type cut struct{ from, to uint32 } // of ids

func newKeyer(b *terms.Builder, records int) *keyer {
	return &keyer{b: b, most: max(leastMost, records/4), fields: map[query.Field]*indexField{}, names: map[string]*fieldName{},
		cache: map[valueOf]cut{}, closed: b.ID([]byte{keyClosed})}
}

// record adds the next record.
func (k *keyer) record(x *indexed) {
	k.rec, k.long = k.rec[:0], k.long[:0]
	k.collect(x, true)
	if len(k.long) > 0 {
		k.again(x)
	}
	for _, id := range k.rec {
		k.b.AddID(id)
	}
	k.b.Next()
}

// again collects the keys of a record once more, without the forms of the fields
// in which it has one that is too long.
func (k *keyer) again(x *indexed) {
	for _, f := range k.long {
		f.skip = true
	}
	k.rec = k.rec[:0]
	k.collect(x, false)
	for _, f := range k.long {
		f.skip = false
	}
}

func (k *keyer) collect(x *indexed, cache bool) {
	k.own(x)
	for i := range x.fields {
		f := &x.fields[i]
		n := k.name(f.Name)
		switch {
		case len(f.Values) == 1:
			k.value(n.only(f.Values[0]), f.Values[0], cache)
			continue
		case n.slot == inConfidence && len(f.Values) > 1:
			if r := n.only(f.Values[0]); r != &n.rest { // shown as the confidence, and in the context
				k.value(r, f.Values[0], cache)
			}
		}
		r := &n.rest
		if n.slot == inTags {
			r = &n.alone
		}
		for _, v := range f.Values {
			k.value(r, v, cache)
		}
	}
}

// own collects what the record has without any field.
func (k *keyer) own(x *indexed) {
	k.kind(x.kind)
	k.text(x.value)
	if x.original != x.value {
		k.text(x.original)
	}
	k.listing = intel.Listing{Kind: x.kind, Canonical: x.value}
	doc := query.Doc{Listing: &k.listing}
	switch x.kind {
	case intel.Domain, intel.URL, intel.Email:
		if host := doc.Host(); host != "" {
			k.buf = append(k.buf[:0], keyHost)
			k.buf = append(k.buf, host...)
			slices.Reverse(k.buf[1:])
			k.add(k.buf)
		}
	}
	if x.kind == intel.URL || x.kind == intel.IPPort {
		f := k.field(query.FieldPort)
		for _, n := range doc.Numbers(query.FieldPort) {
			var digits [8]byte
			k.form(f, string(strconv.AppendUint(digits[:0], uint64(n), 10)))
			k.rec = append(k.rec, f.exists)
		}
	}
	k.rec = append(k.rec, k.time(&k.first, keyFirst, x.first))
	if x.gone != 0 {
		k.rec = append(k.rec, k.time(&k.gone, keyGone, x.gone))
	}
	if x.closed {
		k.rec = append(k.rec, k.closed)
	}
}

func (k *keyer) add(key []byte) { k.rec = append(k.rec, k.b.ID(key)) }

func (k *keyer) kind(kind intel.Kind) {
	c := &k.kinds[kind]
	if !c.ok {
		*c = cachedKey{0, k.b.ID(append(k.field(query.FieldKind).prefix, kind.String()...)), true}
	}
	k.rec = append(k.rec, c.id)
}

// time returns the key of a time; the one before is often the same.
func (k *keyer) time(c *cachedKey, sort byte, ms int64) uint32 {
	if !c.ok || c.n != ms {
		k.buf = appendTimeKey(append(k.buf[:0], sort), ms)
		*c = cachedKey{ms, k.b.ID(k.buf), true}
	}
	return c.id
}

// text collects the tokens of a text.
func (k *keyer) text(s string) {
	k.tokens.Reset(s)
	k.buf = append(k.buf[:0], keyToken)
	for t := k.tokens.Next(); t != nil; t = k.tokens.Next() {
		k.buf = append(k.buf[:1], t...)
		k.add(k.buf)
	}
}

// field returns what is known of a field.
func (k *keyer) field(f query.Field) *indexField {
	x := k.fields[f]
	if x == nil {
		prefix := slices.Concat([]byte{keyForm}, []byte(f), []byte{0})
		x = &indexField{field: f, prefix: slices.Clip(prefix),
			over: k.b.ID(append([]byte{keyOver}, f...)), exists: k.b.ID(append([]byte{keyExists}, f...))}
		k.fields[f] = x
	}
	return x
}

// form collects the key of a value's form.
func (k *keyer) form(f *indexField, form string) {
	switch {
	case len(form) > maxForm && !f.skip:
		k.long = append(k.long, f)
		return
	case f.collapsed, f.skip:
		k.rec = append(k.rec, f.over)
		return
	}
	k.buf = append(append(k.buf[:0], f.prefix...), form...)
	known := k.b.Keys()
	id := k.b.ID(k.buf)
	k.rec = append(k.rec, id)
	if int(id) < known {
		return
	}
	if f.forms++; f.forms > k.most {
		f.collapsed = true
		over := append([]byte{keyOver}, f.field...)
		k.b.Replace(f.prefix, over)
		k.b.Replace(slices.Concat([]byte{keyWord}, f.prefix[1:]), over)
	}
}

// value collects the keys of one value of a field.
func (k *keyer) value(r *role, v string, cache bool) {
	if v == "" || r.empty() {
		return
	}
	if cache = cache && len(v) <= maxCachedValue && r.worthwhile(); !cache {
		k.compute(r, v)
		return
	}
	if c, ok := k.cache[valueOf{r, v}]; ok {
		r.hits++
		k.rec = append(k.rec, k.ids[c.from:c.to]...)
		return
	}
	start, long := len(k.rec), len(k.long)
	k.compute(r, v)
	if len(k.long) == long && len(k.cache) < maxCached {
		from := uint32(len(k.ids))
		k.ids = append(k.ids, k.rec[start:]...)
		k.cache[valueOf{r, v}] = cut{from, uint32(len(k.ids))}
	}
}

// compute finds the keys of a value.
func (k *keyer) compute(r *role, v string) {
	if r.text {
		k.text(v)
	}
	if len(r.words) > 0 {
		form := ""
		if slices.ContainsFunc(r.words, func(f *indexField) bool { return !f.collapsed }) {
			form = query.Keyword(v)
		}
		for _, f := range r.words {
			if form != "" || f.collapsed {
				k.form(f, form)
				k.words(f, form)
			}
			k.rec = append(k.rec, f.exists)
		}
	}
	for _, f := range r.asked {
		k.ask(r, f, v)
	}
}

// words collects the tokens of a form that is more than one.
func (k *keyer) words(f *indexField, form string) {
	if f.collapsed || f.skip || len(form) > maxForm || !strings.Contains(form, " ") && len(form) <= query.MaxToken {
		return
	}
	k.tokens.Reset(form)
	k.buf = append(append(append(k.buf[:0], keyWord), f.field...), 0)
	start := len(k.buf)
	for t := k.tokens.Next(); t != nil; t = k.tokens.Next() {
		k.buf = append(k.buf[:start], t...)
		k.add(k.buf)
	}
}

// ask collects what query.Doc says of a field for a listing with this value only.
func (k *keyer) ask(r *role, f *indexField, v string) {
	k.values[0] = v
	k.listing = intel.Listing{}
	if r.slot == inContext {
		k.context[0] = intel.Field{Name: r.name, Values: k.values[:]}
		k.listing.Context = k.context[:]
	} else {
		place(&k.listing, r.slot, v)
	}
	forms := k.facet(f, v)
	for _, s := range forms {
		k.form(f, s)
	}
	if len(forms) > 0 || !isNumeric(f.field) {
		k.rec = append(k.rec, f.exists)
	}
}

// facet is Doc.Facet of the listing at hand, whose only value is v.
func (k *keyer) facet(f *indexField, v string) []string {
	if isDate(f.field) { // there are many, and of most the day is easily seen
		if _, _, ok := timestamp(v); ok {
			k.values[0] = v[:len("2006-01-02")]
			return k.values[:]
		}
	}
	doc := query.Doc{Listing: &k.listing}
	return doc.Facet(f.field)
}

func isDate(f query.Field) bool {
	return f == query.FieldFeedFirstSeen || f == query.FieldFeedLastSeen || f == query.FieldRegistered
}

// isNumeric says whether the field's values are numbers or instants: text that is
// none does not count as a value.
func isNumeric(f query.Field) bool {
	return f == query.FieldConfidence || f == query.FieldPort || f == query.FieldASN || isDate(f)
}
