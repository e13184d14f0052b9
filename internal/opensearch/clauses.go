package opensearch

import (
	"math"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// part is what a node becomes. Where it is not exact it matches all that the node
// matches and more, and each listing has to be held against the node
// (query.Match): the language of the cluster cannot say it.
type part struct {
	c     clause
	exact bool
}

func exactly(c clause) part { return part{c, true} }
func atLeast(c clause) part { return part{c, false} }

// compiler turns a query in normal form into a clause, for one state of the
// feeds and one instant.
type compiler struct {
	facts *facts
	asOf  bool
	when  int64 // the instant asked about, or now; Unix milliseconds
	// tight: phrases whose last word is begun match with the first maxBegun words that
	// begin so, and no more. That may be too little, which the part does not say.
	tight bool
}

// compile returns the clause for a whole query: the listings that match it.
func (c *compiler) compile(n query.Node) part {
	p := c.node(query.Normal(n))
	filter := []clause{aListing(), p.c}
	if c.asOf {
		until := c.when + 1
		filter = append(filter, millis(pathFirstSeen, nil, &until))
	}
	return part{allOf(filter...), p.exact}
}

func (c *compiler) node(n query.Node) part {
	switch n := n.(type) {
	case query.And:
		return c.join(n.Nodes, true)
	case query.Or:
		return c.join(n.Nodes, false)
	case query.Not:
		return c.not(n.Node)
	case query.All:
		return exactly(matchAll())
	case query.Listed:
		if n.Listed {
			return c.open()
		}
		return opposite(c.open())
	case query.Kinds:
		return exactly(terms(pathKind, kindNames(n.Set)))
	case query.Exact:
		return c.exact(n)
	case query.Number:
		return c.number(n)
	case query.Date:
		return c.date(n)
	case query.Net:
		return part{insideOf(n.Prefix), !mixed(n.Prefix)}
	case query.Domain:
		host := reversedHost(n.Name)
		if n.Below {
			return exactly(clause{"bool": clause{"filter": []clause{prefixed(pathHost, host)}, "must_not": []clause{term(pathHost, host)}}})
		}
		return exactly(term(pathHost, host))
	case query.Exists:
		return c.exists(n.Field)
	}
	return c.text(n)
}

func (c *compiler) not(n query.Node) part {
	if _, ok := n.(query.All); ok {
		return exactly(matchNone())
	}
	loose := *c
	loose.tight = false // the opposite of too little is too much
	return opposite(loose.node(n))
}

// maxAhead is of how many feeds it can be said in one clause that they are ahead.
const maxAhead = 100

// open matches what is listed at the instant. Where the clock was set back and a
// feed's last run seems to lie ahead, what is listed now is what was after it.
func (c *compiler) open() part {
	if c.asOf {
		return exactly(at(pathIntervals, c.when))
	}
	var ahead []string
	var out []clause
	for id, f := range c.facts.Feeds {
		if f.LastGood > c.when {
			ahead = append(ahead, id)
			out = append(out, allOf(term(pathFeed, id), at(pathIntervals, f.LastGood)))
		}
	}
	switch n := len(ahead); {
	case n == 0:
		return exactly(at(pathIntervals, c.when))
	case n > maxAhead:
		return atLeast(matchAll())
	}
	slices.Sort(ahead)
	return exactly(anyOf(append(out, allOf(noneOf(terms(pathFeed, ahead)), at(pathIntervals, c.when)))...))
}

func (c *compiler) exact(n query.Exact) part {
	is := allOf(term(pathKind, n.Indicator.Kind.String()), term(pathName, n.Indicator.Value))
	if n.Tokens == nil {
		return exactly(is)
	}
	p := c.in(n.Field, func(path, key string) part { return c.sideBySide(path, key, n.Tokens, false) })
	return part{anyOf(is, p.c), p.exact}
}

// exists matches what has any value in the field.
func (c *compiler) exists(f query.Field) part {
	if name, ok := f.Context(); ok {
		return exactly(term(contextName, contextKey(name)))
	}
	p := places[f]
	switch f {
	case query.FieldAny, query.FieldValue, query.FieldKind, query.FieldFeed, query.FieldListed, query.FieldConfidence, query.FieldFirstSeen, query.FieldLastSeen:
		return exactly(matchAll())
	case query.FieldEnriched:
		return exactly(matchNone())
	case query.FieldNet:
		return exactly(anyOf(exists(p.exact), exists(p.more)))
	case query.FieldDomain:
		return exactly(exists(pathHost))
	}
	if c.facts.Blank[string(f)] { // what is there and yet has no form
		return atLeast(matchAll())
	}
	var any []clause
	for _, path := range []string{p.words, p.whole, p.exact} {
		if path != "" {
			any = append(any, exists(path))
		}
	}
	if any == nil {
		return atLeast(matchAll())
	}
	return exactly(anyOf(any...))
}

// number matches a number in the range.
func (c *compiler) number(n query.Number) part {
	low, high := "gte", "lte"
	if n.MinOpen {
		low = "gt"
	}
	if n.MaxOpen {
		high = "lt"
	}
	if name, ok := n.Field.Context(); ok {
		key := contextKey(name)
		return exactly(between(contextNumber, low, key+sortableNumber(n.Min), high, key+sortableNumber(n.Max)))
	}
	var from, to any
	if !math.IsInf(n.Min, 0) {
		from = n.Min
	}
	if !math.IsInf(n.Max, 0) {
		to = n.Max
	}
	path := places[n.Field].exact
	if path == "" {
		return atLeast(matchAll())
	}
	return exactly(between(path, low, from, high, to))
}

// date matches an instant in the range. The index has milliseconds: where a bound
// lies between two, what feeds wrote may too, and is looked at. Our own dates
// are whole milliseconds.
func (c *compiler) date(n query.Date) part {
	var from, to *int64
	aligned := true
	our := n.Field == query.FieldFirstSeen || n.Field == query.FieldLastSeen
	if !n.From.IsZero() {
		f := ceilMillis(n.From)
		if !our && f != floorMillis(n.From) {
			f, aligned = f-1, false
		}
		from = &f
	}
	if !n.To.IsZero() {
		t := ceilMillis(n.To)
		aligned = aligned && (our || t == floorMillis(n.To))
		to = &t
	}
	switch n.Field {
	case query.FieldLastSeen:
		return c.lastSeen(from, to)
	case query.FieldEnriched:
		return exactly(matchNone())
	}
	if name, ok := n.Field.Context(); ok {
		return part{contextDates(contextKey(name), from, to), aligned}
	}
	path := places[n.Field].exact
	if path == "" {
		return atLeast(matchAll())
	}
	return part{millis(path, from, to), aligned}
}

// contextDates is millis for the dates of the context field with this key.
func contextDates(key string, from, to *int64) clause {
	low, high, op := key, key+"~", "lte" // behind every hex digit
	if from != nil {
		low = key + sortableMillis(*from)
	}
	if to != nil {
		high, op = key+sortableMillis(*to), "lt"
	}
	return between(contextDate, "gte", low, op, high)
}

// lastSeen matches what was last seen in [from, to): what is present was last
// seen by its feed's last good run, and of the rest the document says when.
func (c *compiler) lastSeen(from, to *int64) part {
	if c.asOf && from != nil && c.when < *from {
		return exactly(matchNone()) // nothing is seen later than the instant asked about
	}
	if c.asOf && (to == nil || c.when < *to) {
		to = nil
		if from == nil {
			return exactly(matchAll())
		}
	} else if c.asOf {
		to = nil // what was seen later counts as seen at the instant
	}
	var feeds []string
	for id, f := range c.facts.Feeds {
		if (from == nil || f.LastGood >= *from) && (to == nil || f.LastGood < *to) {
			feeds = append(feeds, id)
		}
	}
	slices.Sort(feeds)
	c1 := matchAll()
	if from != nil || to != nil {
		c1 = anyOf(millis(pathGone, from, to), allOf(noneOf(exists(pathGone)), terms(pathFeed, nonNil(feeds))))
	}
	return part{c1, !c.asOf}
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// keysOf matches the documents of the indicators of the question.
func keysOf(keys []intel.Key) clause {
	by := map[intel.Kind][]string{}
	for _, k := range keys {
		by[k.Kind] = append(by[k.Kind], k.Value)
	}
	var any []clause
	for _, kind := range intel.AnyKind.Kinds() {
		for values := range slices.Chunk(by[kind], maxKeys) {
			any = append(any, allOf(term(pathKind, kind.String()), terms(pathName, values)))
		}
	}
	return anyOf(any...)
}

// maxKeys is how many values one clause has.
const maxKeys = 1000
