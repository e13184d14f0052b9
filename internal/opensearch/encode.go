package opensearch

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// encoder makes the documents of listings, one after the other. It is for one
// goroutine. It writes their JSON by itself, in one pass over the texts of a
// listing, and keeps what texts become that come again and again: encoding/json
// over maps takes four times as long (BenchmarkEncoder).
type encoder struct {
	facts *facts // where is noted what fields of documents cannot say
	rows  []row
	forms map[string]form
	names map[string]ctxName
	tok   query.Tokenizer

	doc     query.Doc
	host    string
	context []contextValues
	list    []string // of what is being written
	seen    []string
	room    []byte // for documents: one piece of memory for many
	key     []byte
}

// row is a field of texts and what a listing has in it.
type row struct {
	field  query.Field
	words  string // the name in ei.words, "" for none
	whole  string // the name in ei.whole, "" for none
	folded bool   // whole values are only folded
	rare   bool   // texts seldom come again
	has    []form
}

// contextValues are the values of the context fields that have one name.
type contextValues struct {
	ctxName
	fields intel.Fields // of those spellings
	has    []form
}

// newEncoder returns an encoder that notes in f.
func newEncoder(f *facts) *encoder {
	e := &encoder{facts: f, forms: map[string]form{}, names: map[string]ctxName{}}
	for field, p := range places {
		r := row{field: field}
		r.words, _ = strings.CutPrefix(p.words, wordsPrefix)
		r.whole, _ = strings.CutPrefix(p.whole, wholePrefix)
		if r.whole == p.whole {
			r.whole = "" // it stands elsewhere in the document
		}
		switch field {
		case query.FieldValue, query.FieldDomain, query.FieldReference:
			r.rare = true
		}
		switch field {
		case query.FieldValue, query.FieldDomain, query.FieldCountry, query.FieldTLP:
			r.folded = true
		}
		if p.words != "" || p.whole != "" {
			e.rows = append(e.rows, r)
		}
	}
	slices.SortFunc(e.rows, func(a, b row) int { return strings.Compare(string(a.field), string(b.field)) })
	return e
}

const wordsPrefix = "ei.words."

// op returns what writes the listing, whose Changed must be set.
func (e *encoder) op(l *intel.Listing, p Presence) (Op, error) {
	if l.Kind == intel.KindNone || l.Canonical == "" || l.Feed == "" {
		return Op{}, fmt.Errorf("document of %s %.200q of feed %q: a listing has a kind, a value and a feed", l.Kind, l.Canonical, l.Feed)
	}
	e.read(l)
	start := len(e.room)
	if cap(e.room)-start < 4<<10 {
		e.room, start = make([]byte, 0, 256<<10), 0
	}
	e.room = e.write(e.room, l, p)
	i := intel.Indicator{Kind: l.Kind, Value: l.Canonical}
	op := Op{ID: DocumentID(i, l.Feed), Source: e.room[start:len(e.room):len(e.room)],
		Name: l.Kind.String() + " " + short(l.Canonical, 200) + " of feed " + l.Feed}
	if e.facts.Routed {
		op.Routing = RoutingOf(i)
	}
	return op, nil
}

// read takes the texts of a listing in hand.
func (e *encoder) read(l *intel.Listing) {
	e.doc = query.Doc{Listing: l}
	e.host = e.doc.Host()
	for i := range e.rows {
		r := &e.rows[i]
		r.has = r.has[:0]
		if r.field == query.FieldDomain {
			if e.host != "" {
				r.has = append(r.has, e.form(e.host, true))
			}
			continue
		}
		for s := range e.doc.Values(r.field) {
			f := e.form(s, r.rare)
			if f.folded == "" && !e.facts.Blank[string(r.field)] {
				e.facts.Blank = noted(e.facts.Blank, string(r.field))
			}
			r.has = append(r.has, f)
		}
	}
	e.readContext(l.Context)
}

// readContext groups the context by the names of its fields, of which several
// may be spellings of one.
func (e *encoder) readContext(fields intel.Fields) {
	e.context = e.context[:0]
	for i, f := range fields {
		name := e.name(f.Name)
		at := slices.IndexFunc(e.context, func(c contextValues) bool { return c.key == name.key })
		if at < 0 {
			at = len(e.context)
			e.context = slices.Grow(e.context, 1)[:at+1]
			e.context[at] = contextValues{ctxName: name, fields: fields[i : i+1 : i+1], has: e.context[at].has[:0]}
		} else {
			e.context[at].fields = append(e.context[at].fields, f)
		}
		for _, s := range f.Values {
			if s != "" {
				e.context[at].has = append(e.context[at].has, e.form(s, false))
			}
		}
	}
}

// write appends the document of the listing that was read.
func (e *encoder) write(b []byte, l *intel.Listing, p Presence) []byte {
	b = appendDate(append(b, `{"@timestamp":`...), l.Changed)
	b = appendKept(append(b, `,"listing":`...), l, p)
	b = append(b, `,"threat":{`...)
	if l.Info != nil && l.Info.Name != "" {
		b = appendText(append(b, `"feed":{"name":`...), l.Info.Name)
		b = append(b, `},`...)
	}
	b = e.ecs(append(b, `"indicator":{`...), l, p)
	b = append(b, `}}`...)
	if f := flat(l.Context); len(f) > 0 {
		b = f.AppendJSON(append(b, `,"context":`...))
	}
	b = e.own(append(b, `,"ei":{`...), l, p)
	return append(b, `}}`...)
}

// ecs appends what has a name in ECS, for dashboards.
func (e *encoder) ecs(b []byte, l *intel.Listing, p Presence) []byte {
	b = appendText(append(b, `"name":`...), l.Canonical)
	b = appendText(append(b, `,"type":`...), ecsType(l))
	b = appendText(append(b, `,"confidence":`...), ecsConfidence(l.Confidence))
	b = appendDate(append(b, `,"first_seen":`...), l.FirstSeen)
	if !p.Gone.IsZero() {
		b = appendDate(append(b, `,"last_seen":`...), p.Gone)
	}
	if prefix, ok := e.doc.Prefix(); ok && l.Kind != intel.CIDR {
		b = append(prefix.Addr().AppendTo(append(b, `,"ip":"`...)), '"')
	}
	b = appendNumbers(b, `,"port":[`, e.doc.Numbers(query.FieldPort), `]`)
	return appendNumbers(b, `,"as":{"number":[`, e.doc.Numbers(query.FieldASN), `]}`)
}

// own appends what is searched and ECS has no name for.
func (e *encoder) own(b []byte, l *intel.Listing, p Presence) []byte {
	b = appendText(append(b, `"kind":`...), l.Kind.String())
	b = strconv.AppendInt(append(b, `,"order":`...), int64(l.Kind), 10) // of kinds
	b = appendText(append(b, `,"feed":`...), l.Feed)
	if l.Snapshot != "" {
		b = appendText(append(b, `,"snapshot":`...), l.Snapshot)
	}
	b = strconv.AppendInt(append(b, `,"confidence":`...), int64(l.Confidence), 10)
	b = append(b, `,"intervals":[`...)
	for _, v := range l.Intervals {
		b = appendInterval(b, v, p.Ends)
	}
	b = append(b, ']')
	if e.host != "" {
		b = appendText(append(b, `,"host":`...), reversedHost(e.host))
	}
	if l.Kind == intel.CIDR {
		if prefix, ok := e.doc.Prefix(); ok {
			b = append(prefix.AppendTo(append(b, `,"range":"`...)), '"')
			if name := lengthName(prefix); !e.facts.Lengths[name] {
				e.facts.Lengths = noted(e.facts.Lengths, name)
			}
		}
	}
	b = appendDates(b, `,"feed_first_seen":[`, e.doc.Times(query.FieldFeedFirstSeen))
	b = appendDates(b, `,"feed_last_seen":[`, e.doc.Times(query.FieldFeedLastSeen))
	b = appendDates(b, `,"registered":[`, e.doc.Times(query.FieldRegistered))
	b = append(e.words(append(b, `,"words":{`...), l), '}')
	b = append(e.wholes(append(b, `,"whole":{`...), l), '}')
	if len(e.context) > 0 {
		b = append(e.ownContext(append(b, `,"context":{`...)), '}')
	}
	return b
}

// words appends the texts of the fields of words, cut into tokens as the query
// language cuts them, with a blank between: what analyses them then has nothing
// to decide.
func (e *encoder) words(b []byte, l *intel.Listing) []byte {
	for i := range e.rows {
		r := &e.rows[i]
		if r.words == "" {
			continue
		}
		e.list = e.list[:0]
		for _, f := range r.has {
			e.list = addNew(e.list, f.words)
		}
		b = appendList(b, r.words, e.list)
	}
	e.list = addNew(e.list[:0], e.form(l.Feed, false).words) // what else FieldAny finds
	if l.Info != nil {
		e.list = addNew(e.list, e.form(l.Info.Name, false).words)
	}
	for i := range e.context {
		for _, f := range e.context[i].has {
			e.list = addNew(e.list, f.words)
		}
	}
	return appendList(b, "more", e.list)
}

// addNew appends a text that is not empty and not there yet.
func addNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// wholes appends the texts as they are compared from end to end.
func (e *encoder) wholes(b []byte, l *intel.Listing) []byte {
	for i := range e.rows {
		r := &e.rows[i]
		if r.whole == "" {
			continue
		}
		e.list = e.list[:0]
		for _, f := range r.has {
			s := f.whole
			if r.folded {
				s = f.folded
			}
			if r.field == query.FieldValue && s != l.Canonical || r.field != query.FieldValue && s != "" {
				e.list = append(e.list, s)
			}
			if len(s) > maxFlat && r.field != query.FieldValue { // which has no limit
				e.facts.Long = noted(e.facts.Long, wholePrefix+r.whole)
			}
		}
		b = appendList(b, r.whole, distinct(e.list))
	}
	return b
}

func distinct(list []string) []string {
	if len(list) > 1 {
		slices.Sort(list)
		list = slices.Compact(list)
	}
	return list
}

// ownContext appends the context as it is searched.
func (e *encoder) ownContext(b []byte) []byte {
	e.list = e.list[:0]
	for i := range e.context {
		if len(e.context[i].has) > 0 {
			e.list = append(e.list, e.context[i].key)
		}
	}
	b = appendList(b, "name", e.list)
	e.list = e.list[:0]
	for i := range e.context {
		c := &e.context[i]
		for _, f := range c.has {
			if f.words != "" {
				e.list = append(e.list, c.key+strings.ReplaceAll(f.words, " ", " "+c.key))
			}
		}
	}
	b = appendList(b, "words", e.list)
	e.list = e.list[:0]
	for i := range e.context {
		c := &e.context[i]
		e.seen = e.seen[:0]
		for _, f := range c.has {
			if f.whole != "" {
				e.seen = append(e.seen, f.whole)
			}
		}
		for _, s := range distinct(e.seen) {
			e.list = append(e.list, c.key+s)
			if len(c.key)+len(s) > maxFlat {
				e.facts.noteContext(c.key)
			}
		}
	}
	b = appendList(b, "whole", e.list)
	return e.contextValues(b)
}

// contextValues appends the numbers and dates of the context.
func (e *encoder) contextValues(b []byte) []byte {
	var part intel.Listing
	d := query.Doc{Listing: &part}
	e.list, e.seen = e.list[:0], e.seen[:0]
	for i := range e.context {
		c := &e.context[i]
		part.Context = c.fields
		for _, n := range d.Numbers(c.field) {
			e.list = append(e.list, c.key+sortableNumber(n))
		}
		for _, t := range d.Times(c.field) {
			e.seen = append(e.seen, c.key+sortableTime(t))
		}
	}
	return appendList(appendList(b, "number", e.list), "date", e.seen)
}

// digest is a hash of texts, none of which has a NUL in it, n bytes of it in base64.
func digest(n int, parts ...string) string {
	var room [256]byte
	b := room[:0]
	for i, s := range parts {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}

// appendInterval appends an interval of a listing, half open; one that has not ended
// ends at ends, if that is set. An empty interval is none: OpenSearch refuses it.
func appendInterval(b []byte, v intel.Interval, ends time.Time) []byte {
	if v.To != nil {
		ends = *v.To
	}
	if !ends.IsZero() && ends.UnixMilli() <= v.From.UnixMilli() {
		return b
	}
	b = appendDate(append(comma(b), `{"gte":`...), v.From)
	if !ends.IsZero() {
		b = appendDate(append(b, `,"lt":`...), ends)
	}
	return append(b, '}')
}
