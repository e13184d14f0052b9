package bombs

import (
	"errors"
	"io"
	"strings"
)

// stream is a text of any size that is made while it is read: parts 0 to n-1.
type stream struct {
	part func(i int) string
	n    int

	i    int
	rest string
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if s.rest == "" {
			if s.i == s.n {
				break
			}
			s.rest = s.part(s.i)
			s.i++
		}
		k := copy(p[n:], s.rest)
		n, s.rest = n+k, s.rest[k:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek goes back to the start, which is all that a list needs.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("a stream knows only its start")
	}
	s.i, s.rest = 0, ""
	return 0, nil
}

// opener makes a bomb; dir is a folder for those that must be a file.
type opener func(dir string) (io.ReadSeeker, error)

// lazy makes it only when it is opened.
func lazy(f func() opener) opener {
	return func(dir string) (io.ReadSeeker, error) { return f()(dir) }
}

const block = 64 << 10

// repeated is first, unit again and again to about size bytes, and last.
func repeated(first, unit string, size int, last string) opener {
	return lazy(func() opener { return repeat(first, unit, size, last) })
}

func repeat(first, unit string, size int, last string) opener {
	many := strings.Repeat(unit, max(1, block/len(unit)))
	n := max(1, size/len(many))
	return parts(n+2, func(i int) string {
		switch i {
		case 0:
			return first
		case n + 1:
			return last
		}
		return many
	})
}

// parts is a stream of n parts.
func parts(n int, part func(i int) string) opener {
	return func(string) (io.ReadSeeker, error) { return &stream{part: part, n: n}, nil }
}

// text is a short one.
func text(s string) opener {
	return func(string) (io.ReadSeeker, error) { return strings.NewReader(s), nil }
}

// around is first, n parts and last.
func around(first string, n int, part func(i int) string, last string) opener {
	return parts(n+2, func(i int) string {
		switch i {
		case 0:
			return first
		case n + 1:
			return last
		}
		return part(i - 1)
	})
}
