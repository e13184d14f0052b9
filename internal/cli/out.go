package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"golang.org/x/text/width"
)

// printer writes a command's data to stdout in the format asked for. JSON is
// compact on a pipe and indented on a terminal.
type printer struct {
	w      *bufio.Writer
	format string // table, json, ndjson or csv
	tty    bool
	color  bool
	width  int
}

func newPrinter(w io.Writer, format string, environ []string) *printer {
	p := &printer{w: bufio.NewWriterSize(w, 64<<10), format: format}
	p.tty, p.width = terminal(w)
	p.color = p.tty && lookEnv(environ, "NO_COLOR") == "" && lookEnv(environ, "TERM") != "dumb"
	return p
}

func (p *printer) flush() error { return p.w.Flush() }

// column is one column of a table and of a CSV file.
type column[T any] struct {
	name  string
	csv   string          // its name in CSV; "" = name
	text  func(*T) string // what machines read
	cell  func(*T) string // what people read; nil = text
	paint func(*T) string // ANSI colour of the cell; nil = none
	right bool            // numbers
	in    place
}

// place says in which of the two a column stands.
type place int

const (
	both place = iota
	tableOnly
	csvOnly
)

// lister prints items one after the other; memory stays flat however many there are.
type lister[T any] struct {
	p      *printer
	cols   []column[T]
	n      int
	rows   [][]string // table rows not printed yet
	paints [][]string
	widths []int
}

// tableBatch is the number of rows whose widths are fitted together.
const tableBatch = 500

func newLister[T any](p *printer, cols []column[T]) *lister[T] {
	l := &lister[T]{p: p}
	for _, c := range cols {
		if p.format == "csv" && c.in != tableOnly || p.format == "table" && c.in != csvOnly {
			l.cols = append(l.cols, c)
		}
	}
	return l
}

// printList prints items as one list.
func printList[T any](p *printer, items []T, cols []column[T]) error {
	l := newLister(p, cols)
	for i := range items {
		if err := l.add(&items[i]); err != nil {
			return err
		}
	}
	return l.close()
}

// add prints one item. For json it becomes a member of an array.
func (l *lister[T]) add(v *T) error {
	l.n++
	switch l.p.format {
	case "table":
		return l.addRow(v)
	case "csv":
		if l.n == 1 {
			l.csvHeader()
		}
		return l.csvRow(v)
	case "ndjson":
		b, err := marshal(v, false, "")
		l.p.w.Write(append(b, '\n'))
		return err
	}
	sep := ","
	if l.n == 1 {
		sep = "["
	}
	return l.jsonMember(sep, v)
}

func (l *lister[T]) jsonMember(sep string, v *T) error {
	if l.p.tty {
		sep += "\n  "
	}
	b, err := marshal(v, l.p.tty, "  ")
	l.p.w.WriteString(sep)
	_, _ = l.p.w.Write(b)
	return err
}

// close prints what is left. A list without items is an empty array, or a
// header alone.
func (l *lister[T]) close() error {
	switch l.p.format {
	case "table":
		l.drawRows()
	case "csv":
		if l.n == 0 {
			l.csvHeader()
		}
	case "json":
		end := "]\n"
		if l.n == 0 {
			end = "[]\n"
		} else if l.p.tty {
			end = "\n]\n"
		}
		l.p.w.WriteString(end)
	}
	return nil // the buffered writer keeps its error for flush
}

func (l *lister[T]) addRow(v *T) error {
	row, paint := make([]string, len(l.cols)), make([]string, len(l.cols))
	for i, c := range l.cols {
		f := c.cell
		if f == nil {
			f = c.text
		}
		if row[i] = printable(f(v), false); row[i] == "" {
			row[i] = "–"
		}
		if c.paint != nil && l.p.color {
			paint[i] = c.paint(v)
		}
	}
	l.rows, l.paints = append(l.rows, row), append(l.paints, paint)
	if len(l.rows) >= tableBatch {
		l.drawRows()
	}
	return nil
}

func (l *lister[T]) drawRows() {
	first := l.widths == nil
	if first {
		l.widths = make([]int, len(l.cols))
		for i, c := range l.cols {
			l.widths[i] = cellWidth(strings.ToUpper(c.name))
		}
	}
	for _, r := range l.rows {
		for i, s := range r {
			l.widths[i] = max(l.widths[i], min(cellWidth(s), 80))
		}
	}
	if first && len(l.rows) > 0 {
		head := make([]string, len(l.cols))
		for i, c := range l.cols {
			head[i] = strings.ToUpper(strings.ReplaceAll(c.name, "_", "-"))
		}
		l.drawRow(head, make([]string, len(l.cols)))
	}
	for i, r := range l.rows {
		l.drawRow(r, l.paints[i])
	}
	l.rows, l.paints = nil, nil
}

func (l *lister[T]) drawRow(row, paint []string) {
	used := 0
	for i, s := range row {
		last := i == len(row)-1
		pad := max(0, l.widths[i]-cellWidth(s))
		if last && l.p.tty {
			s = shorten(s, max(20, l.p.width-used-1))
		}
		if last && !l.cols[i].right {
			pad = 0
		}
		fill := strings.Repeat(" ", pad)
		if paint[i] != "" {
			s = "\x1b[" + paint[i] + "m" + s + "\x1b[0m"
		}
		if l.cols[i].right {
			s = fill + s
		} else {
			s += fill
		}
		if !last {
			s += "  "
		}
		used += l.widths[i] + 2
		l.p.w.WriteString(s)
	}
	l.p.w.WriteByte('\n')
}

func (l *lister[T]) csvHeader() {
	names := make([]string, len(l.cols))
	for i, c := range l.cols {
		if names[i] = c.name; c.csv != "" {
			names[i] = c.csv
		}
	}
	writeCSV(l.p.w, names)
}

func (l *lister[T]) csvRow(v *T) error {
	row := make([]string, len(l.cols))
	for i, c := range l.cols {
		row[i] = noFormula(c.text(v))
	}
	writeCSV(l.p.w, row)
	return nil
}

// printOne prints a single object: an object in JSON, a row in CSV, and for
// people one line a column.
func printOne[T any](p *printer, v *T, cols []column[T]) error {
	switch p.format {
	case "json", "ndjson":
		b, err := marshal(v, p.tty && p.format == "json", "")
		p.w.Write(append(b, '\n'))
		return err
	case "csv":
		return printList(p, []T{*v}, cols)
	}
	l := newLister(p, cols)
	w := 0
	for _, c := range l.cols {
		w = max(w, cellWidth(c.name))
	}
	for _, c := range l.cols {
		f := c.cell
		if f == nil {
			f = c.text
		}
		if s := f(v); s != "" {
			p.w.WriteString(c.name + strings.Repeat(" ", w-cellWidth(c.name)+2) + printable(s, false) + "\n")
		}
	}
	return nil
}

// marshal writes JSON without escaping <, > and &, which are frequent in URLs.
// Indented, prefix stands before every line but the first.
func marshal(v any, indented bool, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indented {
		enc.SetIndent(prefix, "  ")
	}
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// writeCSV writes one record as RFC 4180 says.
func writeCSV(w *bufio.Writer, row []string) {
	for i, s := range row {
		if i > 0 {
			w.WriteByte(',')
		}
		if strings.ContainsAny(s, ",\"\r\n") || s != strings.TrimSpace(s) {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		w.WriteString(s)
	}
	w.WriteString("\r\n")
}

// noFormula keeps a spreadsheet from running what a feed wrote.
func noFormula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// cellWidth counts the columns a text takes on a terminal.
func cellWidth(s string) int {
	n := 0
	for _, r := range s {
		n++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}

// shorten cuts a text to n columns.
func shorten(s string, n int) string {
	if cellWidth(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += cellWidth(string(r)); used >= n {
			return s[:i] + "…"
		}
	}
	return s
}
