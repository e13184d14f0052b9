package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"golang.org/x/text/encoding/unicode"
)

// valueSource gives the values of a command line; where one is "-", the lines of stdin.
type valueSource struct {
	args  []string
	in    *bufio.Reader
	lines bool // reading stdin now
	given atomic.Int64
}

// maxValue is the length up to which a line is read; what is longer is no
// indicator and is answered as too long.
const maxValue = 64 << 10

func newValueSource(args []string, in io.Reader) *valueSource {
	return &valueSource{args: args, in: bufio.NewReaderSize(&decoded{r: in}, maxValue)}
}

func (s *valueSource) next() (string, bool, error) {
	for {
		if s.lines {
			line, err := s.line()
			if errors.Is(err, io.EOF) {
				s.lines = false
				continue
			} else if err != nil {
				return "", false, fmt.Errorf("read stdin: %w", err)
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			s.given.Add(1)
			return line, true, nil
		}
		if len(s.args) == 0 {
			return "", false, nil
		}
		v := s.args[0]
		s.args = s.args[1:]
		if v == "-" {
			s.lines = true
			continue
		}
		s.given.Add(1)
		return v, true, nil
	}
}

// line reads a line without its end; of a longer one than maxValue the rest is dropped.
func (s *valueSource) line() (string, error) {
	b, err := s.in.ReadSlice('\n')
	line := string(bytes.TrimRight(b, "\r\n"))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = s.in.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return line, err
}

// idle says whether all values given so far were answered.
func (s *valueSource) idle(answered int) bool { return int64(answered) >= s.given.Load() }

// decoded reads UTF-16 with a byte order mark as UTF-8, which is what redirecting
// output to a file gives on Windows, and everything else as it is. Only the first
// bytes that arrive are looked at, so that it never waits for more than there are.
type decoded struct {
	r     io.Reader
	begun bool
}

func (d *decoded) Read(p []byte) (int, error) {
	if d.begun || len(p) < 2 {
		return d.r.Read(p)
	}
	d.begun = true
	n, err := d.r.Read(p)
	if mark := string(p[:min(n, 2)]); err != nil && n == 0 || mark != "\xff\xfe" && mark != "\xfe\xff" {
		return n, err
	}
	whole := io.MultiReader(bytes.NewReader(bytes.Clone(p[:n])), d.r)
	d.r = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(whole)
	return d.r.Read(p)
}
