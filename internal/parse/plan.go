package parse

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// plan is a spec made ready: what every record would have to ask again.
type plan struct {
	spec     Spec
	kinds    intel.KindSet
	columns  []column
	values   []int // the indicator columns
	filters  []filter
	blanks   []string
	comments comments
}

// column is a column with its context name and its path worked out.
type column struct {
	Column
	name string // the context field; of an indicator, where it is context of others, its name in the feed
	path string // as pathOf gives it
	list bool   // its text is split at Split
}

// filter is a rule with its column found.
type filter struct {
	FilterRule
	column int // of the mapping; -1: name among what the mapping does not name
}

// compile makes s ready. It accepts a wrong spec, so that Check can use it.
func compile(s Spec) *plan {
	p := &plan{spec: s, kinds: s.Kinds, blanks: s.Blanks, comments: newComments(s)}
	f, _ := formatOf(s.Type)
	if p.kinds == 0 {
		p.kinds = cmp.Or(f.kinds, domains)
	}
	if s.Type == "txt" && s.Separator != "" && len(s.Columns) == 0 {
		s.Columns = []Column{{Field: Indicator}} // the first cell
	}
	for i, c := range s.Columns {
		if c.Split == "" {
			c.Split = ","
		}
		if c.Kinds == 0 {
			c.Kinds = p.kinds
		}
		col := column{Column: c, name: typedName(c.Field), list: c.Type == "list"}
		col.path, _ = pathOf(f, c.Source)
		if c.Field == Indicator {
			col.name = cmp.Or(strings.ReplaceAll(c.Source, "[]", ""), c.Kinds.String())
			p.values = append(p.values, i)
		}
		p.columns = append(p.columns, col)
	}
	for _, rule := range s.Filter {
		at := p.find(rule.Column)
		if path, err := pathOf(f, rule.Column); err == nil && at < 0 {
			rule.Column = path
		}
		p.filters = append(p.filters, filter{rule, at})
	}
	return p
}

// pathOf brings a source into the form in which parts of records are compared with
// it, where the format has such.
func pathOf(f format, source string) (string, error) {
	if f.path == nil {
		return source, nil
	}
	return f.path(source)
}

// find returns the column of the mapping that a filter means, or -1.
func (p *plan) find(name string) int {
	for i, c := range p.columns {
		if name != "" && (name == c.Source || name == c.Field) {
			return i
		}
	}
	if n, ok := columnNumber(name); ok && n <= len(p.columns) {
		return n - 1
	}
	return -1
}

// columnNumber reads colN, N from 1.
func columnNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "col")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0
}

// blank says whether a cell says nothing.
func (p *plan) blank(cell string) bool {
	return cell == "" || len(p.blanks) > 0 && slices.Contains(p.blanks, cell)
}

// record is one row or object as its format read it, before anything is decided
// about it. The collector keeps none of its slices.
type record struct {
	line  int
	raw   string     // what is shown where the record has no indicator
	why   string     // why it has none
	cols  [][]string // the values of column i of the mapping; in rows at most one each
	extra []pair     // what the mapping does not name
}

// kept says whether the record keeps all rules of the filter.
func (p *plan) kept(r *record) bool {
	for i := range p.filters {
		if f := &p.filters[i]; p.matches(f, r) == f.Not {
			return false
		}
	}
	return true
}

// matches says whether a value of the rule's column is one of the rule's values.
func (p *plan) matches(f *filter, r *record) bool {
	if f.column < 0 {
		return slices.ContainsFunc(r.extra, func(e pair) bool {
			return e.name == f.Column && slices.Contains(f.Values, intel.Trim(e.value))
		})
	}
	for _, v := range r.cols[f.column] {
		if slices.Contains(f.Values, intel.Trim(v)) {
			return true
		}
		if c := &p.columns[f.column]; c.list {
			for part := range strings.SplitSeq(v, c.Split) {
				if slices.Contains(f.Values, intel.Trim(part)) {
					return true
				}
			}
		}
	}
	return false
}
