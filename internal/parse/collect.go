package parse

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Reasons of SuppressedFor beside those of intel.Reserved.
const (
	suppressedFilter    = "filter"
	suppressedExclusion = "exclusion"
)

// maxShown is how much of a rejected value is kept, in bytes.
const maxShown = 200

// collector decides what becomes of each record, and keeps the entries.
type collector struct {
	*plan
	options  Options
	res      *Result
	list     entries
	index    *index
	keep     arena
	ctx      *contexts
	offers   []offer
	around   surroundings       // of the record at hand
	more     map[int]*additions // entry → what its duplicates add
	excepted []intel.Indicator  // not to be listed
	took     []int              // entries of the record at hand, for formats that ask
	inPart   *Part              // the part at hand, nil where the feed is one document
	shared   *stix              // what a format remembers from part to part
	one      record             // of listing, for reuse
	words    []string           // of a line, for reuse
	retired  map[int]bool       // entries that are none any longer, unless something offers them anew
}

// offer is one indicator that a record offers; column is its column, or -1 where
// the record is nothing but the value.
type offer struct {
	column int
	value  string
}

// surroundings are what a record says of the indicators in one of its columns. A
// record may offer thousands, so they are gathered once for each column.
type surroundings struct {
	column int // gathered for this one; nowhere = not gathered
	pairs  []pair
	built  bool
	fields intel.Fields
}

const nowhere = -2

// additions are context pairs of duplicates that their entry does not have. They
// are made distinct when they have doubled, so that a value repeated a million
// times does not cost a million merges.
type additions struct {
	pairs []pair
	limit int
}

func newCollector(s Spec, o Options) *collector {
	if o.MaxRejects == 0 {
		o.MaxRejects = 20
	}
	c := &collector{plan: compile(s), options: o, res: &Result{SuppressedFor: map[string]int{}}, index: newIndex(), more: map[int]*additions{}}
	c.ctx = newContexts(&c.keep, s.Constants)
	c.around.column = nowhere
	return c
}

// value takes a record that is nothing but its value.
func (c *collector) value(line int, value string) {
	r := &record{line: line}
	if len(c.filters) > 0 && !c.kept(r) {
		c.suppress(suppressedFilter, 1)
		return
	}
	c.take(r, offer{-1, value}, c.kinds)
}

// record takes a row or an object.
func (c *collector) record(r *record) {
	c.around.column = nowhere
	c.offers = c.offers[:0]
	for _, i := range c.values {
		for _, v := range r.cols[i] {
			if v = intel.Trim(v); !c.blank(v) {
				c.offers = append(c.offers, offer{i, v})
			}
		}
	}
	switch {
	case !c.kept(r):
		c.suppress(suppressedFilter, max(1, len(c.offers)))
		return
	case len(c.offers) == 0:
		c.reject(r.line, r.raw, r.why)
	}
	for _, o := range c.offers {
		c.take(r, o, c.columns[o.column].Kinds)
	}
}

// take decides about one indicator of a record. It returns its entry, -1 where it
// became none.
func (c *collector) take(r *record, o offer, kinds intel.KindSet) int {
	ind, err := intel.Parse(bareName(o.value, kinds), kinds)
	if err != nil {
		c.reject(r.line, o.value, reasonOf(err))
		return -1
	}
	pos, hash := c.index.find(ind, &c.list)
	if pos < 0 {
		if why := intel.Reserved(ind); why != "" {
			c.suppress(why, 1)
			return -1
		}
		pos = c.list.count
		c.index.put(hash, pos)
		c.list.add(c.entry(r, o, ind))
		c.res.Accepted++
	} else if len(c.retired) > 0 && c.retired[pos] {
		delete(c.retired, pos)
		*c.list.at(pos) = c.entry(r, o, ind)
		c.res.Accepted++
	} else {
		c.merge(pos, r, o.column)
		c.res.Duplicate++
	}
	c.res.Read++
	if intel.Hashes.Has(ind.Kind) && strings.IndexByte(o.value, '|') >= 0 {
		if name, _, ok := intel.SplitComposite(o.value); ok {
			c.addition(pos, pair{"filename", intel.Trim(name)})
		}
	}
	return pos
}

// bareName takes the wildcard off *.name and .name where names are wanted.
func bareName(v string, kinds intel.KindSet) string {
	if kinds.Has(intel.Domain) && len(v) > 2 {
		if v[0] == '*' && v[1] == '.' {
			return v[2:]
		}
		if v[0] == '.' && v[1] != '.' {
			return v[1:]
		}
	}
	return v
}

// entry makes the entry of an indicator's first mention.
func (c *collector) entry(r *record, o offer, ind intel.Indicator) intel.Entry {
	same := ind.Value == o.value
	ind.Value = c.keep.keep(ind.Value)
	e := intel.Entry{Indicator: ind, Original: ind.Value, Line: r.line}
	if !same {
		e.Original = c.keep.keep(o.value)
	}
	c.gather(r, o.column)
	if !c.around.built {
		c.around.fields = c.ctx.build(c.around.pairs)
		c.around.built = true
	}
	e.Fields = c.around.fields
	return e
}

// gather collects what a record says of the indicators in one of its columns.
func (c *collector) gather(r *record, column int) {
	x := &c.around
	if x.column == column {
		return
	}
	c.ctx.reset()
	if c.inPart != nil {
		c.ctx.add(intel.FieldReference, c.inPart.Reference)
	}
	for i := range r.cols {
		col, values := &c.columns[i], r.cols[i]
		switch {
		case col.Field == "":
		case col.Field != Indicator:
			for _, v := range values {
				c.cell(col, v)
			}
		// What else a row offers is context of each indicator in it, under its
		// column's name in the feed. Lists of indicators are not: every one of
		// them would hold all others.
		case i != column && len(values) == 1 && !c.blank(intel.Trim(values[0])):
			c.ctx.add(col.name, values[0])
		}
	}
	for _, e := range r.extra {
		if !c.blank(intel.Trim(e.value)) {
			c.ctx.add(e.name, e.value)
		}
	}
	*x = surroundings{column: column, pairs: c.ctx.normal()}
}

// cell adds one cell to the context.
func (c *collector) cell(col *column, v string) {
	if !col.list {
		if !c.blank(intel.Trim(v)) {
			c.ctx.add(col.name, v)
		}
		return
	}
	for part := range strings.SplitSeq(v, col.Split) {
		if !c.blank(intel.Trim(part)) {
			c.ctx.add(col.name, part)
		}
	}
}

// merge keeps what a duplicate says beyond its entry.
func (c *collector) merge(pos int, r *record, column int) {
	c.gather(r, column)
	has := c.list.at(pos).Fields
	if equal(has, c.around.pairs) {
		return
	}
	for _, p := range c.around.pairs {
		if _, ok := slices.BinarySearch(has.Get(p.name), p.value); !ok {
			c.addition(pos, p)
		}
	}
}

// addition adds a pair to an entry that exists.
func (c *collector) addition(pos int, p pair) {
	if p.value == "" {
		return
	}
	a := c.more[pos]
	if a == nil {
		a = &additions{limit: 64}
		c.more[pos] = a
	}
	a.pairs = append(a.pairs, pair{c.ctx.name([]byte(p.name)), c.keep.keep(p.value)})
	if len(a.pairs) > a.limit {
		a.pairs = normal(a.pairs)
		a.limit = max(64, 2*len(a.pairs))
	}
}

// added is how many pairs an entry's duplicates added, repeated ones included.
func (c *collector) added(pos int) int {
	if a := c.more[pos]; a != nil {
		return len(a.pairs)
	}
	return 0
}

// finish puts the additions into their entries and hands over the result.
func (c *collector) finish() *Result {
	if c.shared != nil {
		c.shared.connect()
	}
	for pos, a := range c.more {
		e, pairs := c.list.at(pos), a.pairs
		for _, f := range e.Fields {
			for _, v := range f.Values {
				pairs = append(pairs, pair{f.Name, v})
			}
		}
		e.Fields = c.ctx.build(normal(pairs))
	}
	clear(c.more)
	c.withdraw()
	return c.res
}

// suppress counts n records that were understood and left out by rule.
func (c *collector) suppress(why string, n int) {
	c.res.Read += n
	c.res.Suppressed += n
	c.res.SuppressedFor[why] += n
}

// reject counts a record that cannot be used, and says why.
func (c *collector) reject(line int, value, reason string) {
	c.res.Read++
	c.res.Rejected++
	keep := len(c.res.Rejects) < c.options.MaxRejects
	if !keep && c.options.OnReject == nil {
		return
	}
	if c.inPart != nil {
		reason = c.inPart.Name + ": " + reason
	}
	r := intel.Reject{Line: line, Value: strings.Clone(shorten(value)), Reason: reason}
	if keep {
		c.res.Rejects = append(c.res.Rejects, r)
	}
	if c.options.OnReject != nil {
		c.options.OnReject(r)
	}
}

// reasonOf returns the reason of an unusable value, without the value.
func reasonOf(err error) string {
	var v *intel.ValueError
	if errors.As(err, &v) {
		return v.Reason
	}
	return err.Error()
}

// shorten cuts s to what is shown of a rejected value, at a character's start.
func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
