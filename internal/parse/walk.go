package parse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// CheckPath says what is wrong with a path as Walk and Find take it.
func CheckPath(path string) error {
	_, err := parsePath(path)
	return err
}

// Record is one JSON value that Walk found. It is good during its call only.
type Record struct {
	tree *tree
	key  string
}

// Get returns the first plain value at a path within the record, "" where there
// is none: "." is the record itself, "*" the name that the last * of the walk's
// path stood for.
func (r Record) Get(path string) string {
	if path == keyPath {
		return r.key
	}
	want, err := sourcePath(path)
	if err != nil {
		return ""
	}
	found, done := "", false
	r.tree.flatten(0, nil, func(at []byte, value string) {
		if !done && string(at) == want {
			found, done = value, true
		}
	})
	return found
}

// Walk calls each for every value at path in a JSON document, in order. What the
// document does not have there is no error; what is no JSON is one.
func Walk(ctx context.Context, r io.Reader, path string, each func(Record) error) error {
	steps, err := parsePath(path)
	if err != nil {
		return err
	}
	w := &walker{each: each}
	s := newJSONStream(ctx, decoded(r), readSize, steps, w)
	s.lenient = true
	return s.run()
}

// Find returns the last plain value at path in a JSON document, "" where there
// is none.
func Find(ctx context.Context, r io.Reader, path string) (string, error) {
	last := ""
	err := Walk(ctx, r, path, func(rec Record) error {
		last = rec.tree.plain(0)
		return nil
	})
	return last, err
}

// walker hands the values of a stream on.
type walker struct {
	tree tree
	each func(Record) error
}

func (w *walker) object(text string, line int, key string) error {
	if err := w.tree.parse(text); err != nil {
		return fmt.Errorf("line %d: %s", line+strings.Count(text[:err.pos], "\n"), err.reason)
	}
	return w.each(Record{&w.tree, key})
}

func (w *walker) unusable(string, int, string) {}

// Lines calls each for every line of a list with a value a line; blank lines and
// those that begin with # are none.
func Lines(ctx context.Context, r io.Reader, each func(line string) error) error {
	in := newLines(ctx, r)
	for {
		ln, ok := in.next()
		if !ok {
			return in.err
		}
		text := strings.TrimSpace(ln.text)
		if text == "" || text[0] == '#' {
			continue
		}
		if err := each(text); err != nil {
			return err
		}
	}
}

// Part is one of the documents that a pull is put together of.
type Part struct {
	Name      string    // for messages
	Body      io.Reader // may be nil where Bad says why there is nothing to read
	Bad       string    // why it cannot be read at all
	Reference string    // where people find it, context of all its entries; may be empty
}

// CollectParts is Collect for a feed that came as several documents of its type:
// next gives one after the other, io.EOF at the end. What they say of one
// indicator is merged into one entry. Lines are counted in each part; the reasons
// of rejects name it.
//
// A part that is not of the format, is cut off or cannot be read counts as one
// reject with its name and the reason, beside the records that were read of it; bad
// lists them. The error is that of next, of the context or of the spec: where a Body
// fails for a reason that is not the part's, next must say so.
func CollectParts(ctx context.Context, next func() (*Part, error), s Spec, o Options) (res *Result, bad []string, err error) {
	c := newCollector(s, o)
	if err := s.Check(); err != nil {
		return c.finish(), nil, err
	}
	f, _ := formatOf(s.Type)
	for {
		p, err := next()
		if errors.Is(err, io.EOF) {
			return c.finish(), bad, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return c.finish(), bad, err
		}
		why, err := c.part(ctx, f, p)
		if err != nil {
			return c.finish(), bad, fmt.Errorf("parse %s: %s: %w", s.Type, p.Name, err)
		}
		if why != "" {
			c.reject(0, p.Name, why)
			bad = append(bad, p.Name+": "+why)
		}
	}
}

// part reads one part. why says what is wrong with its content.
func (c *collector) part(ctx context.Context, f format, p *Part) (why string, err error) {
	c.around.column = nowhere
	c.inPart = p
	defer func() { c.around.column, c.inPart = nowhere, nil }()
	if p.Bad != "" {
		return p.Bad, nil
	}
	switch err = f.read(ctx, p.Body, c); {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return err.Error(), nil
}
