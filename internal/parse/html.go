package parse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Limits on cells that span others.
const (
	maxColSpan = 100    // columns
	maxRowSpan = 1000   // rows
	maxFallen  = 10_000 // cells that reach down into rows, beyond four for each that was read
)

// readHTML reads the rows of tables of HTML pages, as the HTML standard has them
// (tags that may be left out, cells that span others, tables in cells). It goes
// tag by tag and keeps one row in memory. A cell is found by the text of its header
// or as colN, and NAME/@href is what its links lead to.
func readHTML(ctx context.Context, r io.Reader, c *collector) error {
	in := &xmlInput{ctx: ctx, r: decoded(r), left: math.MaxInt} // the tokenizer has a limit of its own
	p := &htmlPage{o: newObjects(c), z: html.NewTokenizer(in), line: 1, choice: tableChoice(c.spec.Records)}
	p.z.SetMaxBuf(maxToken)
	for _, i := range c.values {
		if path := strings.TrimSuffix(c.columns[i].path, hrefPath); !isColumn(path) {
			p.needs = append(p.needs, path)
		}
	}
	return p.run()
}

// tableChoice says which tables are read: #id, .class, the Nth of the page, or
// those with a header of that text. "" is every table that has the columns.
type tableChoice string

// hrefPath ends the path of a cell's links.
const hrefPath = "/@href"

// cellPath brings a source into the form in which cells are compared with it: lower
// case, and single blanks.
func cellPath(s string) (string, error) {
	name, link := strings.CutSuffix(strings.TrimSpace(s), hrefPath)
	if name = headerText(name); strings.HasPrefix(name, "@") || link && name == "" {
		return "", fmt.Errorf("%q: the header of the cell's column, or colN, belongs before %s", s, hrefPath)
	}
	if link {
		name += hrefPath
	}
	return name, nil
}

// checkTable says whether the choice of a table can be used.
func checkTable(s string) error {
	if n, err := strconv.Atoi(s); s == "#" || s == "." || err == nil && n < 1 {
		return fmt.Errorf("%q chooses no table; #id, .class, a number from 1 on, or the text of a header does", s)
	}
	return nil
}

// headerText is how the texts of headers are compared.
func headerText(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

func isColumn(path string) bool { _, ok := columnNumber(path); return ok }

// htmlPage walks over a page.
type htmlPage struct {
	o      *objects
	z      *html.Tokenizer
	choice tableChoice
	needs  []string // headers of which a table must have one
	line   int
	number []string     // col1, col2, …
	values []string     // of attributes, for reuse
	tables int          // begun so far
	open   []*htmlTable // inside each other
	hidden string       // the element whose text is none that people see
	chosen *htmlTable   // the last that was chosen, for messages
	read   bool         // there was one with all that is needed
}

func (p *htmlPage) run() error {
	for {
		kind := p.z.Next()
		raw := p.z.Raw()
		switch kind {
		case html.ErrorToken:
			return p.ended(p.z.Err())
		case html.TextToken:
			if t := p.table(); t != nil && t.inCell && p.hidden == "" {
				t.text(pageText(p.z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			if err := p.begin(); err != nil {
				return err
			}
		case html.EndTagToken:
			p.end()
		}
		p.line += bytes.Count(raw, []byte("\n"))
	}
}

// pageText reads what is not UTF-8 as latin-1.
func pageText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return latin1(string(b))
}

// ended says how reading ended.
func (p *htmlPage) ended(err error) error {
	switch {
	case err == html.ErrBufferExceeded:
		return fmt.Errorf("line %d: %w", p.line, errLongToken)
	case err != io.EOF:
		return fmt.Errorf("reading after line %d: %w", p.line, err)
	case len(p.open) > 0:
		return fmt.Errorf("line %d: the page ends in the middle of a table", p.line)
	case p.read:
		return nil
	case p.tables == 0:
		return fmt.Errorf("the page has no table")
	case p.chosen == nil:
		return fmt.Errorf("records %s: none of the page's %d tables is it", p.choice, p.tables)
	}
	return fmt.Errorf("no table has a column called %q; the last one has %q", strings.Join(p.needs, `" or "`), p.chosen.names)
}

// table is the innermost table.
func (p *htmlPage) table() *htmlTable {
	if len(p.open) == 0 {
		return nil
	}
	return p.open[len(p.open)-1]
}

// begin takes a start tag.
func (p *htmlPage) begin() error {
	name, more := p.z.TagName()
	tag := string(name)
	t := p.table()
	switch {
	case tag == "table":
		return p.beginTable(more)
	case t == nil:
	case tag == "tr", tag == "thead", tag == "tbody", tag == "tfoot":
		p.endRow(t)
		t.inRow, t.line = tag == "tr", p.line
	case tag == "td", tag == "th":
		t.endCell()
		if !t.inRow {
			t.inRow, t.line = true, p.line
		}
		a := p.attrs(more, "colspan", "rowspan")
		t.beginCell(tag == "th", span(a[0], maxColSpan), span(a[1], maxRowSpan))
	case !t.inCell:
	case tag == "a":
		t.link(p.attrs(more, "href")[0])
	case tag == "br", tag == "p", tag == "div", tag == "li", tag == "dd", tag == "dt":
		t.endLine()
	case tag == "script", tag == "style", tag == "template", tag == "title":
		p.hidden = strings.Clone(tag) // else the name of every tag would have to stay
	}
	return nil
}

// beginTable opens a table, inside the cell of another where one is open.
func (p *htmlPage) beginTable(more bool) error {
	if len(p.open) >= maxDepth {
		return fmt.Errorf("line %d: more than %d tables inside each other", p.line, maxDepth)
	}
	p.tables++
	p.hidden = ""
	a := p.attrs(more, "id", "class")
	t := &htmlTable{chosen: p.choice.takes(p.tables, a[0], strings.Fields(a[1])), fits: len(p.needs) == 0}
	p.open = append(p.open, t)
	p.note(t)
	return nil
}

// takes says whether a table is chosen. One that is chosen by a header is not yet.
func (c tableChoice) takes(number int, id string, classes []string) bool {
	switch n, err := strconv.Atoi(string(c)); {
	case c == "":
		return true
	case err == nil:
		return n == number
	case c[0] == '#':
		return string(c[1:]) == id
	case c[0] == '.':
		return slices.Contains(classes, string(c[1:]))
	}
	return false
}

// end takes an end tag.
func (p *htmlPage) end() {
	name, _ := p.z.TagName()
	tag := string(name)
	if tag == p.hidden {
		p.hidden = ""
	}
	t := p.table()
	if t == nil {
		return
	}
	switch tag {
	case "td", "th":
		t.endCell()
	case "tr", "thead", "tbody", "tfoot":
		p.endRow(t)
	case "table":
		p.endRow(t)
		p.open = p.open[:len(p.open)-1]
	case "p", "div", "li", "dd", "dt":
		if t.inCell {
			t.endLine()
		}
	}
}

// attrs returns the values of the named attributes of the tag at hand, which are
// good until the next call.
func (p *htmlPage) attrs(more bool, names ...string) []string {
	values := p.values[:0]
	for range names {
		values = append(values, "")
	}
	p.values = values
	for more {
		var key, value []byte
		key, value, more = p.z.TagAttr()
		for i, name := range names {
			if string(key) == name && values[i] == "" {
				values[i] = pageText(value)
			}
		}
	}
	return values
}

// span reads how many columns or rows a cell covers.
func span(s string, most int) int {
	if s == "" { // as nearly always
		return 1
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 1
	}
	return min(max(n, 1), most)
}
