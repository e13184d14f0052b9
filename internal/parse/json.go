package parse

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// readJSON reads documents whose records lie at a path. The document is walked,
// not loaded: one record is in memory at a time.
func readJSON(ctx context.Context, r io.Reader, c *collector) error {
	steps, err := parsePath(c.spec.Records)
	if err != nil {
		return err
	}
	return newJSONStream(ctx, decoded(r), readSize, steps, newObjects(c)).run()
}

// objects turns JSON values into records.
type objects struct {
	c     *collector
	paths map[string][]int // source path → columns
	tree  tree
	path  []byte // of the node at hand
	why   string // of records without an indicator
	rec   record
}

func newObjects(c *collector) *objects {
	o := &objects{c: c, paths: map[string][]int{}}
	o.rec.cols = make([][]string, len(c.columns))
	o.why = "nothing at " + c.columns[c.values[0]].Source
	if c.columns[c.values[0]].path == "" {
		o.why = "not a plain value"
	}
	for i, col := range c.columns {
		if col.Source != "" {
			o.paths[col.path] = append(o.paths[col.path], i)
		}
	}
	return o
}

// object takes the text of one record.
func (o *objects) object(text string, line int, key string) error {
	if err := o.tree.parse(text); err != nil {
		return fmt.Errorf("line %d: %s", line+strings.Count(text[:err.pos], "\n"), err.reason)
	}
	o.reset(text, line, key)
	var owners []int
	if text[0] != '{' {
		owners = o.paths[""]
	}
	o.leaves(0, owners, 0)
	o.c.record(&o.rec)
	return nil
}

func (o *objects) unusable(text string, line int, reason string) {
	o.c.reject(line, text, reason)
}

// reset begins a record.
func (o *objects) reset(text string, line int, key string) {
	o.rec.line, o.rec.raw, o.rec.why = line, text, o.why
	for i := range o.rec.cols {
		o.rec.cols[i] = o.rec.cols[i][:0]
	}
	o.rec.extra = o.rec.extra[:0]
	o.path = o.path[:0]
	if key == "" {
		return
	}
	for _, i := range o.paths[keyPath] {
		o.rec.cols[i] = append(o.rec.cols[i], key)
	}
}

// leaves gives every plain value in the node to the columns whose path leads to
// it or to something around it; what no column wants is extra. owners are the
// columns of the nearest path so far, which was from bytes long.
func (o *objects) leaves(at int32, owners []int, from int) {
	n := &o.tree.nodes[at]
	switch n.kind {
	case '[':
		for i := at + 1; i < n.next; i = o.tree.nodes[i].next {
			o.leaves(i, owners, from)
		}
	case '{':
		base := len(o.path)
		for i := at + 1; i < n.next; {
			value := o.tree.nodes[i].next
			o.enter(o.tree.string(&o.tree.nodes[i]))
			if cols, ok := o.paths[string(o.path)]; ok {
				o.leaves(value, cols, len(o.path))
			} else {
				o.leaves(value, owners, from)
			}
			o.path = o.path[:base]
			i = o.tree.nodes[value].next
		}
	case 'n':
	default:
		o.leaf(o.tree.string(n), owners, o.path[from:])
	}
}

// enter goes down to a member.
func (o *objects) enter(name string) {
	if len(o.path) > 0 {
		o.path = append(o.path, '.')
	}
	if name == "" {
		name = `""`
	}
	o.path = append(o.path, name...)
}

// leaf gives one value to its columns. rest is how the path goes on behind
// theirs, where a column is mapped to an object.
func (o *objects) leaf(value string, owners []int, rest []byte) {
	if len(owners) == 0 {
		o.rec.extra = append(o.rec.extra, pair{o.c.ctx.name(o.path), value})
		return
	}
	for _, i := range owners {
		switch col := &o.c.columns[i]; {
		case len(rest) == 0:
			o.rec.cols[i] = append(o.rec.cols[i], value)
		case col.Field == Indicator:
			o.rec.extra = append(o.rec.extra, pair{o.c.ctx.name(o.path), value})
		case col.Field != "":
			o.rec.extra = append(o.rec.extra, pair{col.name + string(rest), value})
		}
	}
}
