package parse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// htmlTable is a table that is open, with the row at hand.
type htmlTable struct {
	chosen bool     // the definition chose it
	fits   bool     // it has a column that the indicator is in
	names  []string // of its columns, by its last header, as headerText has them
	rows   int      // ended so far

	inRow, inCell bool
	line          int        // on which the row began
	cells         []htmlCell // of the row; a column's place is its index
	raw           []byte     // text of the open cell's last line
	at            int        // the open cell
	size          int        // bytes of the row's texts, and pieceSize for each piece
	above         []htmlCell // cells of rows above, some of which reach down, by their column
	own, fallen   int        // cells that were read, and that came from above
}

// htmlCell is a cell: its lines, and what its links lead to.
type htmlCell struct {
	lines, links []string
	head         bool
	down         int // how many further rows it covers
}

// beginCell opens a cell at the next free column.
func (t *htmlTable) beginCell(head bool, columns, rows int) {
	t.fall()
	t.own++
	t.inCell, t.at = true, len(t.cells)
	t.cells = append(t.cells, htmlCell{head: head, down: rows - 1})
	for range columns - 1 {
		t.cells = append(t.cells, htmlCell{head: head, down: rows - 1})
	}
	if len(t.cells) > maxColumns { // the row will be rejected: no more needs to be kept
		t.cells = t.cells[:maxColumns+1]
		t.at = min(t.at, maxColumns)
	}
}

// fall puts the cells that reach down from above into the columns that come next.
func (t *htmlTable) fall() {
	for i := len(t.cells); i < len(t.above) && t.above[i].down > 0 && t.fallen < 4*t.own+maxFallen; i++ {
		t.fallen++
		c := t.above[i]
		c.down--
		t.cells = append(t.cells, c)
	}
}

// text adds to the open cell.
func (t *htmlTable) text(s string) {
	if t.size += len(s); t.size <= maxLine {
		t.raw = append(t.raw, s...)
	}
}

// endLine ends a line of the open cell.
func (t *htmlTable) endLine() {
	s := strings.TrimSpace(string(t.raw))
	if strings.ContainsAny(s, "\t\r\n\f\v\u00a0") || strings.Contains(s, "  ") {
		s = strings.Join(strings.Fields(s), " ")
	}
	if s != "" && t.piece() {
		t.cells[t.at].lines = append(t.cells[t.at].lines, s)
	}
	t.raw = t.raw[:0]
}

// link adds a link of the open cell.
func (t *htmlTable) link(href string) {
	if t.size += len(href); href != "" && t.piece() {
		t.cells[t.at].links = append(t.cells[t.at].links, href)
	}
}

// pieceSize is what a line or a link costs beyond its bytes.
const pieceSize = 32

// piece says whether the row may have one more line or link.
func (t *htmlTable) piece() bool {
	t.size += pieceSize
	return t.size <= maxLine
}

func (t *htmlTable) endCell() {
	if t.inCell {
		t.endLine()
	}
	t.inCell = false
}

// endRow ends the row at hand, if there is one: a header, or a record of a table
// that is read.
func (p *htmlPage) endRow(t *htmlTable) {
	t.endCell()
	if !t.inRow {
		return
	}
	t.fall()
	switch header, empty := t.header(); {
	case empty:
	case header || t.rows == 0 && p.o.c.spec.HasHeaders:
		t.rows++
		p.header(t)
	default:
		t.rows++
		if t.chosen && t.fits {
			p.record(t)
		}
	}
	t.above, t.cells = t.cells, t.above[:0]
	t.inRow, t.size = false, 0
}

// header says whether all cells of the row that say something are header cells,
// and whether none says anything.
func (t *htmlTable) header() (header, empty bool) {
	header, empty = true, true
	for _, c := range t.cells {
		if len(c.lines) > 0 || len(c.links) > 0 {
			header, empty = header && c.head, false
		}
	}
	return header, empty
}

// header takes the names of the columns. A later row of headers counts only where
// it has what is needed, or the one before has not: it may be a heading in between.
func (p *htmlPage) header(t *htmlTable) {
	names := make([]string, 0, len(t.cells))
	for _, c := range t.cells[:min(len(t.cells), maxColumns)] {
		names = append(names, headerText(strings.Join(c.lines, " ")))
	}
	if text := headerText(string(p.choice)); text != "" && slices.Contains(names, text) {
		t.chosen = true
	}
	fits := len(p.needs) == 0 || slices.ContainsFunc(p.needs, func(n string) bool { return slices.Contains(names, n) })
	if fits || !t.fits {
		t.names, t.fits = names, fits
	}
	p.note(t)
}

// note remembers that a table was chosen, and whether it can be read.
func (p *htmlPage) note(t *htmlTable) {
	if t.chosen {
		p.chosen = t
		p.read = p.read || t.fits
	}
}

// record takes the row at hand.
func (p *htmlPage) record(t *htmlTable) {
	o := p.o
	switch {
	case len(t.cells) > maxColumns:
		o.c.reject(t.line, "", fmt.Sprintf("more than %d columns", maxColumns))
		return
	case t.size > maxLine:
		o.c.reject(t.line, "", "the row is longer than 1 MiB")
		return
	}
	o.reset("", t.line, "")
	for i, c := range t.cells {
		number := p.numbered(i)
		name := number
		if i < len(t.names) && t.names[i] != "" {
			name = t.names[i]
		}
		p.part(name, number, "", c.lines)
		p.part(name, number, hrefPath, c.links)
		if o.rec.raw == "" && len(c.lines) > 0 {
			o.rec.raw = c.lines[0]
		}
	}
	o.c.record(&o.rec)
}

// numbered is the name of column i by its place.
func (p *htmlPage) numbered(i int) string {
	for len(p.number) <= i {
		p.number = append(p.number, "col"+strconv.Itoa(len(p.number)+1))
	}
	return p.number[i]
}

// part gives the values of a cell to the columns that name it.
func (p *htmlPage) part(name, number, end string, values []string) {
	if len(values) == 0 {
		return
	}
	o := p.o
	owners := o.paths[name+end]
	if name != number {
		owners = slices.Concat(owners, o.paths[number+end])
	}
	for _, i := range owners {
		o.rec.cols[i] = append(o.rec.cols[i], values...)
	}
	if len(owners) > 0 {
		return
	}
	for _, v := range values {
		o.rec.extra = append(o.rec.extra, pair{o.c.ctx.name([]byte(name + end)), v})
	}
}
