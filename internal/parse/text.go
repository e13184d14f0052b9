package parse

import (
	"context"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readText reads lists with one indicator a line. With a separator, or with more
// columns than one, a line is a row, and the mapping says which cell counts.
func readText(ctx context.Context, r io.Reader, c *collector) error {
	in := newLines(ctx, r)
	rows := newRows(c)
	split := c.spec.Separator != "" || len(c.columns) > 1
	for {
		ln, ok := in.next()
		if !ok {
			return in.err
		}
		text, isRecord := rows.record(ln)
		switch {
		case !isRecord:
		case split:
			rows.row(ln.no, ln.text, c.splitText(rows.cells[:0], ln.text, text))
		case rows.header:
			rows.header = false // it only has to go: there are no columns to name
		default:
			c.value(ln.no, c.comments.cut(text))
		}
	}
}

// splitText cuts a line of text into cells. A comment ends the line where blanks
// separate, and the indicator's cell where something else does: there the sign
// can be a part of what a later cell says, or the separator itself.
func (c *collector) splitText(cells []string, whole, trimmed string) []string {
	sep := c.spec.Separator
	if strings.Trim(sep, " ") == "" {
		for cell := range strings.FieldsSeq(c.comments.cut(trimmed)) {
			if cells = append(cells, cell); len(cells) > maxColumns {
				break
			}
		}
		return cells
	}
	cells = splitPlain(cells, whole, sep)
	for _, i := range c.values {
		if i < len(cells) {
			cells[i] = c.comments.cut(cells[i])
		}
	}
	return cells
}

// splitPlain cuts s at every sep, one cell more than maxColumns at the most.
func splitPlain(cells []string, s, sep string) []string {
	for len(cells) < maxColumns {
		cell, rest, found := strings.Cut(s, sep)
		cells = append(cells, intel.Trim(cell))
		if !found {
			return cells
		}
		s = rest
	}
	return append(cells, s)
}
