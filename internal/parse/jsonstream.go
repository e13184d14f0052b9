package parse

import (
	"cmp"
	"context"
	"fmt"
	"io"
)

// jsonStream walks down a JSON text to the records of a path. It holds one record
// at a time, whatever the size of the text.
type jsonStream struct {
	ctx   context.Context
	r     io.Reader
	buf   []byte // read and still needed
	pos   int    // of the next byte in buf
	mark  int    // from here on buf must stay; -1 = nowhere
	drop  int64  // bytes that were before buf
	line  int    // of pos, from 1
	open  []byte // the closing brackets that skip waits for
	seen  int    // names and values of the captured one so far
	eof   bool
	big   bool   // the captured value is longer than maxRecord, or has more than maxValues in it
	head  string // then its beginning
	steps []step
	to    recordSink

	lenient bool // what the steps do not lead to is nothing, and no error
}

// recordSink takes what the stream finds, in order.
type recordSink interface {
	// object takes the text of one record; key is the member name that the last *
	// of the path stood for. An error ends the walk.
	object(text string, line int, key string) error
	// unusable takes what stands where a record should and cannot be one.
	unusable(text string, line int, reason string)
}

// newJSONStream reads r through a buffer of at least size bytes.
func newJSONStream(ctx context.Context, r io.Reader, size int, steps []step, to recordSink) *jsonStream {
	return &jsonStream{ctx: ctx, r: r, buf: make([]byte, 0, size), mark: -1, line: 1, steps: steps, to: to}
}

// run walks through all values of the stream: one, or several behind each other.
func (s *jsonStream) run() error {
	for {
		if _, err := s.peek(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.walk(0, ""); err == io.EOF {
			return s.bad("the document ends in the middle of a value")
		} else if err != nil {
			return err
		}
	}
}

// bad returns an error at the current place.
func (s *jsonStream) bad(reason string, args ...any) error {
	return fmt.Errorf("line %d (byte %d): %s", s.line, s.drop+int64(s.pos)+1, fmt.Sprintf(reason, args...))
}

// walk takes the value at pos, which the first n steps led to.
func (s *jsonStream) walk(n int, key string) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if n == len(s.steps) {
		// A path that ends at an array means its elements.
		if c == '[' && (n == 0 || s.steps[n-1].kind != stepEach) {
			return s.elements(func() error { return s.emit(key) })
		}
		return s.emit(key)
	}
	next := s.steps[n]
	want := byte('{')
	if next.kind == stepEach {
		want = '['
	}
	switch {
	case c != want:
		return s.mismatch(n, c)
	case next.kind == stepEach:
		return s.elements(func() error { return s.walk(n+1, key) })
	case next.kind == stepAny:
		return s.members(func(name string) error { return s.walk(n+1, name) })
	}
	found := false
	err = s.members(func(name string) error {
		if name != next.name {
			return s.skip()
		}
		found = true
		return s.walk(n+1, key)
	})
	if err == nil && !found && !s.lenient && s.fixed(n) {
		return s.bad("records %s: the document has no %s", pathString(s.steps), pathString(s.steps[:n+1]))
	}
	return err
}

// fixed says whether the first n steps lead to one place of the document only.
func (s *jsonStream) fixed(n int) bool {
	for _, st := range s.steps[:n] {
		if st.kind != stepMember {
			return false
		}
	}
	return true
}

// mismatch deals with a value that the next step cannot be taken from: nothing
// where it is null, an unusable record inside a list, else the wrong document.
func (s *jsonStream) mismatch(n int, c byte) error {
	line := s.line
	want := "an object"
	if s.steps[n].kind == stepEach {
		want = "an array"
	}
	kind := jsonKind(c)
	reason := fmt.Sprintf("%s is %s, not %s", cmp.Or(pathString(s.steps[:n]), "the document"), kind, want)
	switch {
	case kind == "":
		return s.bad("no JSON: %q, where a value belongs", c)
	case c != 'n' && !s.lenient && s.fixed(n):
		return s.bad("records %s: %s", pathString(s.steps), reason)
	}
	text, err := s.capture()
	if err == nil && text != "null" {
		s.to.unusable(text, line, reason)
	}
	return err
}

// jsonKind names the sort of value that begins with c, "" where none does.
func jsonKind(c byte) string {
	switch {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f' || c == 'n' || c == '-' || c >= '0' && c <= '9':
		return "a plain value"
	}
	return ""
}

// emit hands over the value at pos.
func (s *jsonStream) emit(key string) error {
	line := s.line
	text, err := s.capture()
	if err != nil {
		return err
	}
	if s.big {
		s.to.unusable(text, line, longRecord)
		return nil
	}
	return s.to.object(text, line, key)
}

// elements calls each at every element of the array at pos.
func (s *jsonStream) elements(each func() error) error {
	s.pos++
	for first := true; ; first = false {
		more, err := s.more(']', first)
		if err != nil || !more {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// members calls each at the value of every member of the object at pos.
func (s *jsonStream) members(each func(name string) error) error {
	s.pos++
	for first := true; ; first = false {
		more, err := s.more('}', first)
		if err != nil || !more {
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if err := each(name); err != nil {
			return err
		}
	}
}

// more goes on to the next element or member; false means that end was there.
func (s *jsonStream) more(end byte, first bool) (bool, error) {
	c, err := s.peek()
	switch {
	case err != nil:
		return false, err
	case c == end:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, s.bad("%q, where , or %c belongs", c, end)
	}
	s.pos++
	_, err = s.peek()
	return true, err
}

// name reads a member's name and the colon behind it.
func (s *jsonStream) name() (string, error) {
	c, err := s.peek()
	if err != nil {
		return "", err
	}
	if c != '"' {
		return "", s.bad("%q, where a name in quotes belongs", c)
	}
	text, err := s.capture()
	if err != nil {
		return "", err
	}
	if s.big {
		return "", s.bad("a name longer than 4 MiB")
	}
	var t tree
	if bad := t.parse(text); bad != nil {
		return "", s.bad("%s", bad.reason)
	}
	if c, err = s.peek(); err != nil {
		return "", err
	}
	if c != ':' {
		return "", s.bad("%q, where : belongs", c)
	}
	s.pos++
	return t.string(&t.nodes[0]), nil
}
