package parse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// rows turns cells into records: what csv and separated text have in common.
type rows struct {
	c      *collector
	header bool     // the header is still to come
	above  string   // the last comment before the first row
	names  []string // of the columns, from the header
	split  func(cells []string, text string) []string
	cells  []string // of the last row, for reuse
	rec    record
}

func newRows(c *collector) *rows {
	r := &rows{c: c, header: c.spec.HasHeaders}
	r.split = func(cells []string, text string) []string { return c.splitText(cells, text, text) }
	r.rec.cols = make([][]string, len(c.columns))
	return r
}

// record says whether a line is one, and returns it trimmed. It accounts for all
// other lines.
func (r *rows) record(ln line) (text string, ok bool) {
	kind, text := r.c.comments.classify(ln.text)
	switch {
	case kind == lineComment:
		if r.header && !ln.long {
			r.above = text
		}
	case kind == lineExclusion:
		r.c.suppress(suppressedExclusion, 1)
	case kind == lineRecord && ln.long:
		r.c.reject(ln.no, ln.text, longLine)
	default:
		return text, kind == lineRecord
	}
	return "", false
}

// longLine is the reason of lines longer than maxLine.
const longLine = "the line is longer than 1 MiB"

// row takes the cells of one row; raw is its text.
func (r *rows) row(no int, raw string, cells []string) {
	r.cells = cells
	if r.header {
		r.header = false
		if r.isHeader(cells) {
			r.names = cloneAll(cells)
			return
		}
	}
	if len(cells) > maxColumns {
		r.c.reject(no, raw, fmt.Sprintf("more than %d columns", maxColumns))
		return
	}
	r.rec.line, r.rec.raw, r.rec.why = no, raw, ""
	r.rec.extra = r.rec.extra[:0]
	for i := range r.rec.cols {
		r.rec.cols[i] = nil
		if i < len(cells) {
			r.rec.cols[i] = cells[i : i+1 : i+1]
		}
	}
	for i := len(r.rec.cols); i < len(cells); i++ {
		if cells[i] != "" {
			r.rec.extra = append(r.rec.extra, pair{r.name(i), cells[i]})
		}
	}
	if missing := r.missing(cells); missing != "" {
		r.rec.why = missing
	}
	r.c.record(&r.rec)
}

// missing says why a row offers no indicator, where it does not.
func (r *rows) missing(cells []string) string {
	for _, i := range r.c.values {
		if i < len(cells) && !r.c.blank(cells[i]) {
			return ""
		}
	}
	i := r.c.values[0]
	if i < len(cells) {
		_, err := intel.Parse("", r.c.kinds)
		return reasonOf(err)
	}
	return fmt.Sprintf("the row ends after column %d, and the indicator is in column %d", len(cells), i+1)
}

// isHeader says whether the first row is the header. It is not where the header
// is in the comment before it: a row itself, while the first row has an indicator
// where it should.
func (r *rows) isHeader(cells []string) bool {
	above := r.split(nil, r.above)
	if len(above) < 2 {
		return true
	}
	for _, i := range r.c.values {
		if i >= len(cells) {
			continue
		}
		if _, err := intel.Parse(bareName(cells[i], r.c.columns[i].Kinds), r.c.columns[i].Kinds); err == nil {
			if len(above) == len(cells) {
				r.names = cloneAll(above)
			}
			return false
		}
	}
	return true
}

// name returns the context name of column i, which the mapping does not have.
func (r *rows) name(i int) string {
	for len(r.names) <= i {
		r.names = append(r.names, "")
	}
	if r.names[i] == "" {
		r.names[i] = "col" + strconv.Itoa(i+1)
	}
	return r.names[i]
}

// cloneAll copies cells that outlive their block.
func cloneAll(cells []string) []string {
	cells = slices.Clone(cells[:min(len(cells), maxColumns)])
	for i, s := range cells {
		cells[i] = strings.Clone(intel.Trim(s))
	}
	return cells
}
