package parse

import (
	"context"
	"io"
	"strings"
)

// readNDJSON reads one JSON value a line. A line that is none is rejected, and
// reading goes on.
func readNDJSON(ctx context.Context, r io.Reader, c *collector) error {
	steps, err := parsePath(c.spec.Records)
	if err != nil {
		return err
	}
	in := newLines(ctx, r)
	rows := newRows(c)
	to := newObjects(c)
	for {
		ln, ok := in.next()
		if !ok {
			return in.err
		}
		text, isRecord := rows.record(ln)
		if !isRecord {
			continue
		}
		before := c.res.Read
		if len(steps) == 0 && text[0] == '{' {
			err = to.object(text, ln.no, "")
		} else {
			s := newJSONStream(ctx, strings.NewReader(text), len(text)+1, steps, to)
			s.line = ln.no
			err = s.run()
		}
		switch {
		case err != nil:
			c.reject(ln.no, text, err.Error())
		case len(steps) == 0 && c.res.Read == before:
			c.reject(ln.no, text, "a list without elements")
		}
	}
}
