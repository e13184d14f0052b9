package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// maxRaw is the length in bytes up to which a value is read; the rest of a longer
// one is skipped. A JSON string that long is longer than any indicator even if
// every character of it is an escape (\u0000) and its quotes are counted, so
// nothing is lost: the value's answer is the error too_long.
const maxRaw = 6*intel.MaxValue + 3

// readSize is the buffer of a body being read: a value of maxRaw fits into it.
const readSize = maxRaw + 4096

// valuesReader reads a body and hands on each value in it. The bytes it hands on
// are valid until it continues.
type valuesReader func(br *bufio.Reader, add func([]byte) error) error

// readerFor picks the reader by the request's Content-Type.
func readerFor(r *http.Request) (valuesReader, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &fault{is: errMedia, detail: fmt.Sprintf("Content-Encoding %.40q is not unpacked here: send the body as it is", e)}
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if cs := params["charset"]; err == nil && cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
		return nil, &fault{is: errMedia, detail: fmt.Sprintf("charset %.40q: send UTF-8", cs)}
	}
	switch media {
	case typeJSON:
		return readJSON, nil
	case typeNDJSON, "application/ndjson", "application/jsonl":
		return readNDJSON, nil
	case typeText:
		return readText, nil
	}
	return nil, &fault{is: errMedia, detail: fmt.Sprintf("Content-Type %.80q: send application/json ({\"values\":[…]}), application/x-ndjson (a string or {\"value\":…} a line) or text/plain (a value a line)", r.Header.Get("Content-Type"))}
}

// readText reads a paste: a value a line, blank lines skipped.
func readText(br *bufio.Reader, add func([]byte) error) error {
	return eachLine(br, add)
}

// readNDJSON reads a JSON string or an object with a "value" from each line. Any
// other line is taken for a value as it stands, whose answer will say what it is not.
func readNDJSON(br *bufio.Reader, add func([]byte) error) error {
	return eachLine(br, func(line []byte) error { return add(valueOf(line)) })
}

// eachLine hands on every line that is not blank, without the white space around it.
func eachLine(br *bufio.Reader, add func([]byte) error) error {
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line = bytes.Clone(line[:maxRaw])
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n')
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > maxRaw {
			line = line[:maxRaw]
		}
		if len(line) > 0 {
			if err := add(line); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// valueOf is the value that a JSON text stands for: a string's content, an
// object's "value", else the text itself.
func valueOf(raw []byte) []byte {
	switch raw[0] {
	case '"':
		if v, ok := plain(raw); ok {
			return v
		}
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return []byte(s)
		}
	case '{':
		var o struct{ Value *string }
		if json.Unmarshal(raw, &o) == nil && o.Value != nil {
			return []byte(*o.Value)
		}
	}
	return raw
}

// plain returns the content of a quoted string without anything to decode.
func plain(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[len(raw)-1] != '"' {
		return nil, false
	}
	v := raw[1 : len(raw)-1]
	for _, c := range v {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return v, true
}

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
