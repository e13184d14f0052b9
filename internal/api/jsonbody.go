package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readJSON reads {"values":[…]}, or just the array. It is a reader of its own
// because encoding/json holds a whole value in memory, however long.
func readJSON(br *bufio.Reader, add func([]byte) error) error {
	s := &jsonScanner{br: br, add: add}
	if bom, err := br.Peek(3); err == nil && string(bom) == "\ufeff" {
		s.discard(3)
	}
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '[':
		err = s.array()
	case '{':
		err = s.object()
	default:
		err = s.syntax("want an object with \"values\", or an array")
	}
	if err != nil {
		return err
	}
	if _, err := s.peek(); !errors.Is(err, errEnded) {
		if err != nil {
			return err
		}
		return s.syntax("something follows the end")
	}
	return nil
}

// errEnded marks that the body ended where something was wanted.
var errEnded = errors.New("the body ends too early")

// jsonScanner walks one JSON text of the form that readJSON wants.
type jsonScanner struct {
	br  *bufio.Reader
	add func([]byte) error
	off int64  // bytes consumed
	raw []byte // the element being read, up to maxRaw
}

func (s *jsonScanner) syntax(what string) error {
	return &fault{is: errRequest, code: "bad_json", detail: fmt.Sprintf("JSON syntax at byte %d: %s", s.off+1, what)}
}

func (s *jsonScanner) discard(n int) {
	d, _ := s.br.Discard(n) // n bytes were peeked, so they are there
	s.off += int64(d)
}

func (s *jsonScanner) next() (byte, error) {
	c, err := s.br.ReadByte()
	if errors.Is(err, io.EOF) {
		return 0, &fault{is: errEnded, code: "bad_json", detail: s.syntax(errEnded.Error()).Error()}
	}
	s.off++
	return c, err
}

// peek skips white space and shows the byte behind it.
func (s *jsonScanner) peek() (byte, error) {
	for {
		c, err := s.next()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.off--
			return c, s.br.UnreadByte()
		}
	}
}

// expect consumes one of the bytes in set, after white space.
func (s *jsonScanner) expect(set string) (byte, error) {
	c, err := s.peek()
	if err != nil {
		return 0, err
	}
	if strings.IndexByte(set, c) < 0 {
		return 0, s.syntax(fmt.Sprintf("want one of %s, not %q", strings.Join(strings.Split(set, ""), " "), c))
	}
	s.discard(1)
	return c, nil
}

// object reads {"values":[…]}.
func (s *jsonScanner) object() error {
	s.discard(1)
	seen := false
	for {
		c, err := s.expect(`"}`)
		if err != nil {
			return err
		}
		if c == '}' && !seen {
			return &fault{is: errRequest, code: "bad_json", detail: `the object has no "values"`}
		}
		if c == '}' {
			return s.syntax("a name must follow a comma")
		}
		if err := s.text(); err != nil {
			return err
		}
		if name := valueOf(s.raw); string(name) != "values" {
			return &fault{is: errRequest, code: "bad_json", detail: fmt.Sprintf("unknown name %.40q: the object has only \"values\"", name)}
		} else if seen {
			return &fault{is: errRequest, code: "bad_json", detail: `"values" is given twice`}
		}
		seen = true
		if _, err := s.expect(":"); err != nil {
			return err
		}
		if c, err := s.peek(); err != nil {
			return err
		} else if c != '[' {
			return s.syntax(`"values" must be an array`)
		}
		if err := s.array(); err != nil {
			return err
		}
		if c, err = s.expect(",}"); err != nil || c == '}' {
			return err
		}
	}
}

// array reads [element, …] and hands on each element's value.
func (s *jsonScanner) array() error {
	s.discard(1)
	if c, err := s.peek(); err != nil {
		return err
	} else if c == ']' {
		s.discard(1)
		return nil
	}
	for {
		if err := s.element(); err != nil {
			return err
		}
		if err := s.add(valueOf(s.raw)); err != nil {
			return err
		}
		if c, err := s.expect(",]"); err != nil || c == ']' {
			return err
		}
	}
}

// element reads one value of any sort into raw.
func (s *jsonScanner) element() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	start := s.off
	if c == '"' {
		s.discard(1)
		err = s.text()
	} else {
		err = s.other()
	}
	if err != nil {
		return err
	}
	if _, ok := plain(s.raw); !ok && len(s.raw) < maxRaw && !json.Valid(s.raw) {
		s.off = start
		return s.syntax("not a JSON value")
	}
	return nil
}

// text reads a string whose opening quote is consumed into raw, quotes included.
func (s *jsonScanner) text() error {
	s.raw = append(s.raw[:0], '"')
	escaped := false // an odd number of backslashes stands before what comes next
	for {
		part, err := s.br.ReadSlice('"')
		s.off += int64(len(part))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = &fault{is: errEnded, code: "bad_json", detail: s.syntax("a string does not end").Error()}
			}
			return err
		}
		s.keep(part)
		for i, c := range part {
			if c == '"' && i == len(part)-1 && !escaped {
				return nil
			}
			escaped = c == '\\' && !escaped
		}
	}
}

// keep appends to raw what fits.
func (s *jsonScanner) keep(part []byte) {
	s.raw = append(s.raw, part[:min(len(part), maxRaw-len(s.raw))]...)
}

// other reads a number, a word, an object or an array into raw: up to the comma
// or bracket behind it.
func (s *jsonScanner) other() error {
	s.raw = s.raw[:0]
	depth, quoted, escaped := 0, false, false
	for {
		c, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case quoted:
			quoted = escaped || c != '"'
			escaped = c == '\\' && !escaped
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ']' || c == '}'):
			s.off--
			s.raw = bytes.TrimRight(s.raw, " \t\r\n")
			return s.br.UnreadByte()
		case c == '}' || c == ']':
			depth--
		}
		if len(s.raw) < maxRaw {
			s.raw = append(s.raw, c)
		}
	}
}
