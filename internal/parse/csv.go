package parse

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// maxQuotedLines is how many lines a record with quoted line breaks may have. A
// quote that is not closed within them is taken for a stray one, so that it costs
// one record and not the rest of the file.
const maxQuotedLines = 100

// readCSV reads delimited rows as RFC 4180 has them, and as publishers have them:
// any separator, blanks around cells and before a quote, comments, rows of
// differing length, text after a closing quote, quotes that are never closed.
func readCSV(ctx context.Context, r io.Reader, c *collector) error {
	in := &csvReader{lines: newLines(ctx, r), cut: newCutter(c.spec)}
	rows := newRows(c)
	rows.split = func(cells []string, text string) []string {
		cells, _ = in.cut.split(cells, text)
		return cells
	}
	for {
		ln, ok := in.next()
		if !ok {
			return in.lines.err
		}
		if _, isRecord := rows.record(ln); !isRecord {
			continue
		}
		cells, why := in.record(rows.cells[:0], ln)
		if why != "" {
			rows.header = false
			c.reject(ln.no, ln.text, why)
			continue
		}
		rows.row(ln.no, ln.text, cells)
	}
}

// csvReader gives lines, and takes back those that were read for a quoted cell
// which turned out to be none.
type csvReader struct {
	lines *lines
	ahead []line // read already, to be given again
	cut   *cutter
}

func (r *csvReader) next() (line, bool) {
	if len(r.ahead) > 0 {
		ln := r.ahead[0]
		r.ahead = r.ahead[1:]
		return ln, true
	}
	return r.lines.next()
}

// peek returns the line i lines ahead.
func (r *csvReader) peek(i int) (line, bool) {
	for len(r.ahead) <= i {
		ln, ok := r.lines.next()
		if !ok {
			return line{}, false
		}
		r.ahead = append(r.ahead, ln)
	}
	return r.ahead[i], true
}

// record returns the cells of the record that begins with ln, reading on where a
// quoted cell has line breaks. A reason instead says that it cannot be read.
func (r *csvReader) record(cells []string, ln line) ([]string, string) {
	out, open := r.cut.split(cells, ln.text)
	if !open {
		return out, ""
	}
	text, used := ln.text, 0
	for open {
		var b strings.Builder
		b.WriteString(text)
		for closed := false; !closed; used++ {
			next, ok := r.peek(used)
			switch {
			case !ok:
				return nil, "a quote is not closed"
			case next.long || used+1 >= maxQuotedLines || b.Len()+len(next.text) >= maxLine:
				return nil, fmt.Sprintf("a quote is not closed within %d lines or 1 MiB", maxQuotedLines)
			}
			var good bool
			if closed, good = r.cut.closes(next.text); !good {
				return nil, fmt.Sprintf("a quote is not closed: the next one, on line %d, does not end a cell", next.no)
			}
			b.WriteByte('\n')
			b.WriteString(next.text)
		}
		text = b.String()
		out, open = r.cut.split(cells[:0], text)
	}
	r.ahead = r.ahead[used:]
	return out, ""
}

// cutter cuts one record into cells.
type cutter struct {
	sep   string
	core  string // sep without blanks: what may follow a closing quote too
	quote bool
}

func newCutter(s Spec) *cutter {
	sep := unquoteSeparator(s.Separator)
	if sep == "" {
		sep = ","
	}
	core := strings.TrimSpace(sep)
	if core == "" {
		core = sep
	}
	return &cutter{sep: sep, core: core, quote: !s.NoQuotes}
}

// unquoteSeparator takes the quotes off a separator given as `","`: the quoting
// of cells is understood anyway.
func unquoteSeparator(sep string) string {
	if len(sep) > 2 && sep[0] == '"' && sep[len(sep)-1] == '"' {
		return sep[1 : len(sep)-1]
	}
	return strings.TrimPrefix(sep, `""`)
}

// split cuts s. open says that the last cell is quoted and not closed in s.
func (c *cutter) split(cells []string, s string) (out []string, open bool) {
	if !c.quote || strings.IndexByte(s, '"') < 0 {
		return splitPlain(cells, s, c.sep), false
	}
	for len(cells) <= maxColumns {
		var cell string
		var more bool
		if quoted, ok := c.quoted(s); ok {
			if cell, s, more, open = c.cutQuoted(quoted); open {
				return cells, true
			}
		} else {
			cell, s, more = strings.Cut(s, c.sep)
		}
		cells = append(cells, intel.Trim(cell))
		if !more {
			break
		}
	}
	return cells, false
}

// quoted says whether s begins a quoted cell, and returns what follows the quote.
// Blanks may stand before it, unless they are what separates.
func (c *cutter) quoted(s string) (string, bool) {
	if t := strings.TrimLeft(s, " \t"); len(t) < len(s) && strings.TrimSpace(c.sep) != "" {
		s = t
	}
	return strings.CutPrefix(s, `"`)
}

// cutQuoted reads a quoted cell, from behind its opening quote.
func (c *cutter) cutQuoted(s string) (cell, rest string, more, open bool) {
	end := closing(s)
	if end < 0 {
		return "", "", false, true
	}
	cell, rest = s[:end], s[end+1:]
	if strings.IndexByte(cell, '"') >= 0 {
		cell = strings.ReplaceAll(cell, `""`, `"`)
	}
	tail, after, more := strings.Cut(rest, c.sep)
	if t := strings.TrimLeft(tail, " \t"); c.core != c.sep && strings.HasPrefix(t, c.core) {
		// "a","b" where the separator is said to be comma and blank
		return cell, rest[len(tail)-len(t)+len(c.core):], true, false
	}
	if intel.Trim(tail) != "" { // text behind the quote belongs to the cell, as other readers have it
		cell += tail
	}
	return cell, after, more, false
}

// closing returns where the quote is that closes a cell, or -1. Two quotes stand
// for one.
func closing(s string) int {
	for i := 0; i < len(s); i++ {
		j := strings.IndexByte(s[i:], '"')
		if j < 0 {
			return -1
		}
		if i += j; i+1 == len(s) || s[i+1] != '"' {
			return i
		}
		i++
	}
	return -1
}

// closes says whether a cell that was opened on an earlier line is closed in s.
// good is false where its closing quote does not end it: then the opening one was
// a stray quote.
func (c *cutter) closes(s string) (closed, good bool) {
	i := closing(s)
	if i < 0 {
		return false, true
	}
	rest := s[i+1:]
	t := strings.TrimLeft(rest, " \t")
	return true, intel.Trim(t) == "" || strings.HasPrefix(rest, c.sep) || strings.HasPrefix(t, c.core)
}
