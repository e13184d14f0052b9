package parse

import (
	"context"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// suppressedSetting is the reason of statements of configuration files that
// block nothing.
const suppressedSetting = "a setting that lists nothing"

// readLayout hands the lines that may be records to take, trimmed.
func readLayout(ctx context.Context, r io.Reader, c *collector, take func(no int, text string)) error {
	return readRecords(ctx, r, c, func(ln line, text string) { take(ln.no, text) })
}

// readRecords is readLayout for formats in which the blanks before a line mean
// something: take gets the line, and its text trimmed.
func readRecords(ctx context.Context, r io.Reader, c *collector, take func(ln line, text string)) error {
	in := newLines(ctx, r)
	rows := newRows(c)
	for {
		ln, ok := in.next()
		if !ok {
			return in.err
		}
		if text, isRecord := rows.record(ln); isRecord {
			take(ln, text)
		}
	}
}

// listing takes a value and what its line says of it.
func (c *collector) listing(no int, value string, context ...pair) {
	c.around.column = nowhere
	r := &c.one
	r.begin(no, "")
	r.extra = append(r.extra, context...) // copied, so that what callers give need not stay
	if !c.kept(r) {
		c.suppress(suppressedFilter, 1)
		return
	}
	c.take(r, offer{-1, value}, c.kinds)
	c.around.column = nowhere // what comes next may say something else
}

// cutWords cuts a line into its words, which are good until the next call.
func (c *collector) cutWords(text string) []string {
	c.words = c.words[:0]
	for w := range strings.FieldsSeq(text) {
		c.words = append(c.words, w)
	}
	return c.words
}

// except takes a value that the list says is not to be blocked. What listed just
// this value, before or behind, counts as suppressed too.
func (c *collector) except(value string) {
	c.suppress(suppressedExclusion, 1)
	if ind, err := intel.Parse(bareName(value, c.kinds), c.kinds); err == nil {
		ind.Value = c.keep.keep(ind.Value)
		c.excepted = append(c.excepted, ind)
	}
}

// retire takes an entry out of the result, which counts as suppressed from now on,
// unless another record offers it later.
func (c *collector) retire(pos int, why string) {
	if c.retired == nil {
		c.retired = map[int]bool{}
	}
	c.retired[pos] = true
	delete(c.more, pos)
	c.res.Accepted--
	c.res.Suppressed++
	c.res.SuppressedFor[why]++
}

// withdraw takes excepted and retired entries out of the result. Their duplicates
// stay counted as what they are.
func (c *collector) withdraw() {
	for _, ind := range c.excepted {
		if pos, _ := c.index.find(ind, &c.list); pos >= 0 && !c.retired[pos] {
			c.retire(pos, suppressedExclusion)
		}
	}
	gone := c.retired
	all := c.list.take()
	if len(gone) > 0 {
		kept := all[:0]
		for i, e := range all {
			if !gone[i] {
				kept = append(kept, e)
			}
		}
		clear(all[len(kept):])
		all = kept
	}
	c.res.Entries = all
}
