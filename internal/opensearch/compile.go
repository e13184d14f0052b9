package opensearch

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/query"
)

// dsl is an object of OpenSearch's query language. Its keys are ours; what users
// and feeds wrote is never more than a value.
type dsl map[string]any

// moment is what a query is asked in: an instant, and when each feed last had a
// good run, which documents do not hold.
type moment struct {
	at       time.Time
	lastGood map[string]time.Time // by feed id
}

// compile writes a query for the cluster. It finds what query.Match matches, save
// that texts above 8191 characters are not compared from end to end.
func (m *moment) compile(n query.Node) (dsl, error) {
	switch n := n.(type) {
	case query.And:
		return m.combine("filter", n.Nodes)
	case query.Or:
		return m.combine("should", n.Nodes)
	case query.Not:
		return m.combine("must_not", []query.Node{n.Node})
	case query.All:
		return dsl{"match_all": dsl{}}, nil
	case query.Listed:
		in := dsl{"range": dsl{"ei.intervals": dsl{"gte": m.at, "lte": m.at, "relation": "contains"}}}
		if n.Listed {
			return in, nil
		}
		return not(in), nil
	case query.Date:
		return m.date(n), nil
	}
	return leaf(n)
}

// leaf is compile for the nodes that do not depend on the moment.
func leaf(n query.Node) (dsl, error) {
	switch n := n.(type) {
	case query.Kinds:
		names := []string{}
		for _, k := range n.Set.Kinds() {
			names = append(names, k.String())
		}
		return dsl{"terms": dsl{"ei.kind": names}}, nil
	case query.Exact:
		exact := dsl{"bool": dsl{"filter": []dsl{term("threat.indicator.name", n.Indicator.Value), term("ei.kind", n.Indicator.Kind.String())}}}
		if n.Tokens == nil {
			return exact, nil
		}
		return either(exact, phrase(wordsOf(n.Field), n.Tokens, false)), nil
	case query.Net:
		p := n.Prefix
		return either(term("threat.indicator.ip", p.String()), dsl{"range": dsl{"ei.range": dsl{"gte": p.Addr(), "lte": lastAddr(p), "relation": "within"}}}), nil
	case query.Domain:
		if n.Below {
			return dsl{"prefix": dsl{"ei.host": reversedHost(n.Name)}}, nil
		}
		return term("ei.host", reversedHost(n.Name)), nil
	case query.Number:
		return number(n), nil
	case query.Exists:
		return exists(n.Field), nil
	}
	return text(n)
}

func (m *moment) combine(how string, nodes []query.Node) (dsl, error) {
	parts := make([]dsl, 0, len(nodes))
	for _, n := range nodes {
		p, err := m.compile(n)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	switch {
	case how == "should":
		return either(parts...), nil
	case len(parts) == 0:
		return dsl{"match_all": dsl{}}, nil
	}
	return dsl{"bool": dsl{how: parts}}, nil
}

func term(field, value string) dsl { return dsl{"term": dsl{field: dsl{"value": value}}} }
func not(q dsl) dsl                { return dsl{"bool": dsl{"must_not": []dsl{q}}} }

// either is any of the queries; of none, nothing.
func either(qs ...dsl) dsl {
	switch len(qs) {
	case 0:
		return dsl{"match_none": dsl{}}
	case 1:
		return qs[0]
	}
	return dsl{"bool": dsl{"should": qs, "minimum_should_match": 1}}
}

// each asks the same of several fields.
func each(fields []string, q func(field string) dsl) dsl {
	qs := make([]dsl, len(fields))
	for i, f := range fields {
		qs[i] = q(f)
	}
	return either(qs...)
}

// target is where a text of a field of the query language is looked for: the
// fields, and what stands in front of every token and text there.
type target struct {
	fields []string
	key    string
}

func wordsOf(f query.Field) target {
	if name, ok := f.Context(); ok {
		return target{[]string{contextWords}, contextKey(name)}
	}
	if f == query.FieldAny {
		return target{anyWords, ""}
	}
	return target{[]string{places[f].words}, ""}
}

func wholeOf(f query.Field) target {
	if name, ok := f.Context(); ok {
		return target{[]string{contextWhole}, contextKey(name)}
	}
	if f == query.FieldValue {
		return target{[]string{places[f].whole, places[f].exact}, ""}
	}
	return target{[]string{places[f].whole}, ""}
}

// text is compile for the nodes that look at texts.
func text(n query.Node) (dsl, error) {
	switch n := n.(type) {
	case query.Term:
		t := wordsOf(n.Field)
		return each(t.fields, func(f string) dsl { return term(f, t.key+n.Token) }), nil
	case query.Prefix:
		t := wordsOf(n.Field)
		return each(t.fields, func(f string) dsl { return dsl{"prefix": dsl{f: dsl{"value": t.key + n.Text}}} }), nil
	case query.Phrase:
		return phrase(wordsOf(n.Field), n.Tokens, n.Prefix), nil
	case query.Equal:
		t := wholeOf(n.Field)
		return each(t.fields, func(f string) dsl { return term(f, t.key+n.Value) }), nil
	case query.Wildcard:
		t := wordsOf(n.Field)
		if n.Whole {
			t = wholeOf(n.Field)
		}
		return each(t.fields, func(f string) dsl { return dsl{"wildcard": dsl{f: dsl{"value": t.key + string(n.Pattern)}}} }), nil
	}
	return nil, fmt.Errorf("opensearch: the query has a part of an unknown kind, %T", n)
}

// phrase is tokens side by side, the last of them whole or as the beginning of one.
func phrase(t target, tokens []string, prefix bool) dsl {
	line := ""
	for i, token := range tokens {
		if i > 0 {
			line += " "
		}
		line += t.key + token
	}
	return each(t.fields, func(f string) dsl {
		if prefix {
			return dsl{"match_phrase_prefix": dsl{f: dsl{"query": line, "max_expansions": math.MaxInt32}}} // fewer would leave some out
		}
		return dsl{"match_phrase": dsl{f: dsl{"query": line}}}
	})
}

func number(n query.Number) dsl {
	r := dsl{}
	low, high := "gte", "lte"
	if n.MinOpen {
		low = "gt"
	}
	if n.MaxOpen {
		high = "lt"
	}
	if name, ok := n.Field.Context(); ok {
		key := contextKey(name)
		r[low], r[high] = key+sortableNumber(n.Min), key+sortableNumber(n.Max)
		return dsl{"range": dsl{contextNumber: r}}
	}
	if !math.IsInf(n.Min, 0) {
		r[low] = n.Min
	}
	if !math.IsInf(n.Max, 0) {
		r[high] = n.Max
	}
	return dsl{"range": dsl{places[n.Field].exact: r}}
}

// date is a range of instants. What a feed's last good run had was last seen then.
func (m *moment) date(n query.Date) dsl {
	r := dsl{}
	n.From, n.To = wholeMilli(n.From), wholeMilli(n.To)
	if name, ok := n.Field.Context(); ok {
		key := contextKey(name)
		r["gte"], r["lt"] = key, key+"g" // behind every hex digit
		if !n.From.IsZero() {
			r["gte"] = key + sortableTime(n.From)
		}
		if !n.To.IsZero() {
			r["lt"] = key + sortableTime(n.To)
		}
		return dsl{"range": dsl{contextDate: r}}
	}
	if !n.From.IsZero() {
		r["gte"] = n.From
	}
	if !n.To.IsZero() {
		r["lt"] = n.To
	}
	p := places[n.Field]
	in := dsl{"range": dsl{p.exact: r}}
	if n.Field != query.FieldLastSeen {
		return in
	}
	feeds := []string{}
	for id, at := range m.lastGood {
		if (n.From.IsZero() || !at.Before(n.From)) && (n.To.IsZero() || at.Before(n.To)) {
			feeds = append(feeds, id)
		}
	}
	slices.Sort(feeds)
	return either(in, dsl{"bool": dsl{"filter": []dsl{{"terms": dsl{p.more: feeds}}}, "must_not": []dsl{{"exists": dsl{"field": p.exact}}}}})
}

// wholeMilli is the first whole millisecond at or after t: documents hold no parts of one.
func wholeMilli(t time.Time) time.Time {
	if down := t.Truncate(time.Millisecond); down.Before(t) {
		return down.Add(time.Millisecond)
	}
	return t
}

// exists is any value in the field.
func exists(f query.Field) dsl {
	if name, ok := f.Context(); ok {
		return term(contextName, contextKey(name))
	}
	p := places[f]
	var fields []string
	switch f {
	case query.FieldAny, query.FieldValue, query.FieldKind, query.FieldListed, query.FieldFirstSeen, query.FieldLastSeen:
		return dsl{"match_all": dsl{}}
	case query.FieldNet, query.FieldDomain, query.FieldFeed:
		fields = []string{p.exact, p.more}
	default:
		fields = []string{p.words, p.whole, p.exact}
	}
	fields = slices.DeleteFunc(fields, func(s string) bool { return s == "" })
	return each(fields, func(f string) dsl { return dsl{"exists": dsl{"field": f}} })
}
