package parse

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Looking into a tree by name.

// member returns the node of an object's member, 0 where there is none.
func (t *tree) member(at int32, name string) int32 {
	n := &t.nodes[at]
	if n.kind != '{' {
		return 0
	}
	for i := at + 1; i < n.next; {
		value := t.nodes[i].next
		if key := &t.nodes[i]; t.text[key.start:key.end] == name || key.escaped && t.string(key) == name {
			return value
		}
		i = t.nodes[value].next
	}
	return 0
}

// plain returns the text of a string, number or boolean, "" of anything else.
func (t *tree) plain(at int32) string {
	switch n := &t.nodes[at]; n.kind {
	case '{', '[', 'n':
		return ""
	default:
		return t.string(n)
	}
}

// get returns the text of an object's plain member, "" where there is none.
func (t *tree) get(at int32, name string) string {
	if i := t.member(at, name); i > 0 {
		return t.plain(i)
	}
	return ""
}

// list calls each for every element of an object's member that is an array, or
// for the member itself where it is something else.
func (t *tree) list(at int32, name string, each func(at int32)) {
	m := t.member(at, name)
	if m == 0 {
		return
	}
	n := &t.nodes[m]
	if n.kind != '[' {
		each(m)
		return
	}
	for i := m + 1; i < n.next; i = t.nodes[i].next {
		each(i)
	}
}

// members calls each for every member of an object.
func (t *tree) members(at int32, each func(name string, value int32)) {
	n := &t.nodes[at]
	if n.kind != '{' {
		return
	}
	for i := at + 1; i < n.next; {
		value := t.nodes[i].next
		each(t.string(&t.nodes[i]), value)
		i = t.nodes[value].next
	}
}

// flatten calls each for every plain value in the node, with the names that lead
// to it joined by dots. Elements of an array have the path of the array.
func (t *tree) flatten(at int32, path []byte, each func(path []byte, value string)) {
	switch n := &t.nodes[at]; n.kind {
	case '[':
		for i := at + 1; i < n.next; i = t.nodes[i].next {
			t.flatten(i, path, each)
		}
	case '{':
		base := len(path)
		t.members(at, func(name string, value int32) {
			if path = path[:base]; base > 0 {
				path = append(path, '.')
			}
			path = append(path, name...)
			t.flatten(value, path, each)
		})
	case 'n':
	default:
		each(path, t.string(n))
	}
}

// value captures the value at pos and takes it apart; ok is false where it was
// longer than a record may be, which is rejected.
func (s *jsonStream) value(t *tree) (line int, ok bool, err error) {
	if _, err = s.peek(); err != nil {
		return 0, false, err
	}
	line = s.line
	text, err := s.capture()
	switch {
	case err != nil:
		return line, false, err
	case s.big:
		s.to.unusable(text, line, longRecord)
		return line, false, nil
	}
	if bad := t.parse(text); bad != nil {
		return line, false, fmt.Errorf("line %d: %s", line+strings.Count(text[:bad.pos], "\n"), bad.reason)
	}
	return line, true, nil
}

const longRecord = "the record is longer than 4 MiB, or has more than 262,144 names and values"

// each calls take for every element of the array at pos, or once where something
// else is there.
func (s *jsonStream) each(take func() error) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c == '[' {
		return s.elements(take)
	}
	return take()
}

// documents calls document at every JSON value of r: one, or several behind each
// other.
func (c *collector) documents(ctx context.Context, r io.Reader, document func(s *jsonStream) error) error {
	s := newJSONStream(ctx, decoded(r), readSize, nil, onlyRejects{c})
	for {
		if _, err := s.peek(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := document(s); err == io.EOF {
			return s.bad("the document ends in the middle of a value")
		} else if err != nil {
			return err
		}
	}
}

// onlyRejects is the sink of formats that walk by themselves.
type onlyRejects struct{ c *collector }

func (onlyRejects) object(string, int, string) error { return nil }

func (o onlyRejects) unusable(text string, line int, reason string) { o.c.reject(line, text, reason) }
