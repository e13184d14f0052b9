package parse

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// xmlReader walks an XML document token by token. Entities that a document
// declares are never expanded, nothing outside the document is read, and one
// token, record or nesting may only be so large.
type xmlReader struct {
	d     *xml.Decoder
	in    *xmlInput
	depth int
	paths map[leafName]string
	free  []*leaf // by depth in a record, for reuse
}

// leafName is the name of an element below a path.
type leafName struct{ around, name string }

// xmlInput counts what the decoder reads, so that no token can grow without end.
type xmlInput struct {
	ctx  context.Context
	r    io.Reader
	left int // bytes that may still be read before the next token, at most maxToken
}

// maxToken is how long a text or a tag may be, in bytes. A tag may hold an
// attribute in every four of them, so that is far more in memory.
const maxToken = 1 << 20

var errLongToken = errors.New("text or a tag of more than 1 MiB")

func (in *xmlInput) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	if in.left <= 0 {
		return 0, errLongToken
	}
	n, err := in.r.Read(p[:min(len(p), 4<<10, in.left)])
	in.left -= n
	return n, err
}

func newXMLReader(ctx context.Context, r io.Reader) *xmlReader {
	x := &xmlReader{in: &xmlInput{ctx: ctx, r: decoded(r), left: maxToken}}
	x.d = xml.NewDecoder(x.in)
	x.d.Strict = false // publishers forget to escape
	x.d.Entity = xml.HTMLEntity
	x.d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return in, nil // its BOM told, and it is UTF-8 by now
		}
		e, err := htmlindex.Get(label)
		if err != nil {
			return nil, fmt.Errorf("the encoding %.40q is not known", label)
		}
		return e.NewDecoder().Reader(in), nil
	}
	return x
}

// next returns the next token, which is good until the one after it; io.EOF at
// the end.
func (x *xmlReader) next() (xml.Token, error) {
	x.in.left = maxToken
	t, err := x.d.Token()
	if err != nil {
		var syntax *xml.SyntaxError
		switch {
		case err == io.EOF:
			return nil, err
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("line %d: %s", syntax.Line, syntax.Msg)
		}
		return nil, fmt.Errorf("line %d: %w", x.line(), err)
	}
	switch t.(type) {
	case xml.StartElement:
		if x.depth++; x.depth > maxDepth {
			return nil, fmt.Errorf("line %d: more than %d elements inside each other", x.line(), maxDepth)
		}
	case xml.EndElement:
		x.depth--
	}
	return t, nil
}

// line is the line at which the decoder stands.
func (x *xmlReader) line() int {
	line, _ := x.d.InputPos()
	return line
}

// leaf is an element inside a record, with the text right in it.
type leaf struct {
	path  string // from the record down, in lower case, without prefixes
	attrs []xml.Attr
	text  []byte
}

// leaves calls take for every element inside the one that was just begun, at
// its end, then for that one itself, whose path is "", and goes behind it. Of a
// record that is longer than a record may be, it says so.
func (x *xmlReader) leaves(begun xml.StartElement, take func(l *leaf)) (long bool, err error) {
	open := append([]*leaf(nil), x.leaf(0, "", begun.Attr))
	size := attrSize(begun.Attr)
	for {
		t, err := x.next()
		if err == io.EOF {
			err = fmt.Errorf("line %d: the document ends in the middle of an element", x.line())
		}
		if err != nil {
			return long, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			around := open[len(open)-1].path
			if size > maxRecord {
				around = ""
			}
			l := x.leaf(len(open), x.below(around, t.Name.Local), t.Attr)
			size += len(l.path) + attrSize(t.Attr) + 64 // an element costs more than its bytes
			open = append(open, l)
		case xml.CharData:
			if size += len(t); size <= maxRecord {
				l := open[len(open)-1]
				l.text = append(l.text, t...)
			}
		case xml.EndElement:
			if size <= maxRecord {
				take(open[len(open)-1])
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return size > maxRecord, nil
			}
		}
	}
}

// leaf begins a leaf, which is good until another at its depth begins.
func (x *xmlReader) leaf(depth int, path string, attrs []xml.Attr) *leaf {
	for len(x.free) <= depth {
		x.free = append(x.free, &leaf{})
	}
	l := x.free[depth]
	if cap(l.text) > 64<<10 { // one long text must not stay at every depth
		l.text = nil
	}
	l.path, l.attrs, l.text = path, attrs, l.text[:0]
	return l
}

// maxPaths is how many paths are remembered; more are no layout.
const maxPaths = 10_000

// below is the path of an element of that name. Documents repeat theirs.
func (x *xmlReader) below(around, name string) string {
	key := leafName{around, name}
	path, ok := x.paths[key]
	if ok {
		return path
	}
	if path = strings.ToLower(name); around != "" {
		path = around + "/" + path
	}
	if x.paths == nil {
		x.paths = map[leafName]string{}
	}
	if len(x.paths) < maxPaths && len(path) < maxShown {
		x.paths[key] = path
	}
	return path
}

// attrSize is the length of attributes in bytes.
func attrSize(attrs []xml.Attr) (size int) {
	for _, a := range attrs {
		size += len(a.Name.Local) + len(a.Value)
	}
	return size
}

// attr returns an attribute by its name without prefix, "" where there is none.
func attr(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
