package parse

import (
	"fmt"
	"io"
	"slices"
)

// The lowest level of jsonStream: bytes, white space, and values as a whole.

// peek returns the next byte that is not white space, io.EOF at the end.
func (s *jsonStream) peek() (byte, error) {
	for {
		for ; s.pos < len(s.buf); s.pos++ {
			switch c := s.buf[s.pos]; c {
			case '\n':
				s.line++
			case ' ', '\t', '\r', 0: // some writers pad with NULs
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more, dropping what nobody needs any longer. It is called with pos
// at the end of what was read.
func (s *jsonStream) fill() error {
	if s.mark >= 0 && s.pos-s.mark > maxRecord {
		s.giveUp()
	}
	from := s.pos
	if s.mark >= 0 {
		from, s.mark = s.mark, 0
	}
	s.buf = s.buf[:copy(s.buf, s.buf[from:])]
	s.pos -= from
	s.drop += int64(from)
	if len(s.buf) == cap(s.buf) {
		s.buf = slices.Grow(s.buf, cap(s.buf))
	}
	for range 100 {
		switch err := s.ctx.Err(); {
		case err != nil:
			return err
		case s.eof:
			return io.EOF
		}
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		s.eof = err == io.EOF
		if err != nil && !s.eof {
			return fmt.Errorf("reading at line %d: %w", s.line, err)
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// giveUp stops capturing a value that is too long.
func (s *jsonStream) giveUp() {
	s.big = true
	s.head = shorten(string(s.buf[s.mark:min(s.pos, s.mark+4*maxShown)]))
	s.mark = -1
}

// capture returns the text of the value at pos. Of one that is longer than
// maxRecord, or has more than maxValues in it, it sets big and returns the
// beginning.
func (s *jsonStream) capture() (string, error) {
	s.big, s.mark, s.seen = false, s.pos, 0
	err := s.skip()
	if err == nil && !s.big && s.pos-s.mark > maxRecord {
		s.giveUp()
	}
	from := s.mark
	s.mark = -1
	switch {
	case err != nil:
		return "", err
	case s.big:
		return s.head, nil
	}
	return string(s.buf[from:s.pos]), nil
}

// skip goes behind the value at pos. It looks at brackets and quotes only; what
// is captured is parsed again. What is skipped may be deep, but its open brackets
// must be remembered.
func (s *jsonStream) skip() error {
	s.open = s.open[:0]
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if s.seen++; s.seen == 2*maxValues && s.mark >= 0 { // as many commas and colons
			s.giveUp()
		}
		switch c {
		case '{', '[':
			if len(s.open) == maxRecord {
				return s.bad("more than %d objects and arrays inside each other", maxRecord)
			}
			s.open = append(s.open, c+2) // in ASCII the closing bracket is two further
			s.pos++
		case '}', ']', ',', ':':
			last := len(s.open) - 1
			if last < 0 || (c == '}' || c == ']') && s.open[last] != c {
				return s.bad("%q, where a value belongs", c)
			}
			if s.pos++; c == '}' || c == ']' {
				s.open = s.open[:last]
			}
		case '"':
			err = s.skipString()
		default:
			err = s.skipLiteral()
		}
		if err != nil || len(s.open) == 0 {
			return err
		}
	}
}

// skipString goes behind the string at pos.
func (s *jsonStream) skipString() error {
	s.pos++
	for escaped := false; ; {
		for s.pos < len(s.buf) {
			c := s.buf[s.pos]
			s.pos++
			switch {
			case c == '\n':
				s.line++
				escaped = false
			case escaped:
				escaped = false
			case c == '"':
				return nil
			case c == '\\':
				escaped = true
			}
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// skipLiteral goes behind the number or word at pos.
func (s *jsonStream) skipLiteral() error {
	for {
		for ; s.pos < len(s.buf); s.pos++ {
			switch s.buf[s.pos] {
			case ' ', '\t', '\r', '\n', ',', ':', ']', '}', '[', '{', '"':
				return nil
			}
		}
		if err := s.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
