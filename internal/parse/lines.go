package parse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
)

// readSize is how much is read at once, in bytes.
const readSize = 128 << 10

// line is one line without its end.
type line struct {
	text string
	no   int  // 1-based
	long bool // longer than maxLine; text is its beginning
}

// lines cuts a stream into lines that end with LF, CRLF or CR. It works on whole
// blocks: each becomes one string, and the lines are pieces of it.
type lines struct {
	ctx    context.Context
	r      io.Reader
	buf    []byte // buf[:n] was read and is not yet part of a block
	n      int
	block  string // whole lines
	part   string // the rest of a line up to LF that is cut at single CRs,
	parted bool   // where there is a rest
	valid  bool   // block is UTF-8
	head   string // the beginning of a line that is too long
	skip   bool   // the rest of that line comes next
	no     int    // lines returned
	eof    bool
	failed error // of the last read, told after what came with it
	err    error
}

func newLines(ctx context.Context, r io.Reader) *lines {
	return &lines{ctx: ctx, r: decoded(r), buf: make([]byte, readSize)}
}

// decoded turns UTF-16 into UTF-8 and drops a BOM. Only a BOM tells UTF-16.
func decoded(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 4<<10)
	head, _ := b.Peek(3) // a shorter or broken stream shows itself when it is read
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		b.Discard(3) // cannot fail after the Peek
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(b)
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Reader(b)
	}
	return b
}

// next returns the next line; ok is false at the end and after an error, which is
// then in err. A last line in which the stream broke off is not returned: half
// an address can be another address.
func (l *lines) next() (ln line, ok bool) {
	for {
		text, found := l.cut()
		switch {
		case !found && !l.fill():
			return line{}, false
		case !found && l.head != "":
			l.no++
			text, l.head = l.head, ""
			return line{text: text, no: l.no, long: true}, true
		case !found:
		case l.skip:
			l.skip = false
		default:
			l.no++
			if !l.valid && !utf8.ValidString(text) {
				text = latin1(text)
			}
			return line{text: text, no: l.no}, true
		}
	}
}

// cut takes the next line off the block.
func (l *lines) cut() (string, bool) {
	if !l.parted {
		if l.block == "" {
			return "", false
		}
		if i := strings.IndexByte(l.block, '\n'); i >= 0 {
			l.part, l.block = strings.TrimRight(l.block[:i], "\r"), l.block[i+1:] // CR CR LF is one end too
		} else {
			l.part, l.block = strings.TrimSuffix(l.block, "\r"), ""
		}
	}
	text := l.part
	i := strings.IndexByte(text, '\r')
	if l.parted = i >= 0; l.parted {
		text, l.part = text[:i], text[i+1:]
	}
	return text, true
}

// fill reads until there is a block, or the head of a line that is too long.
func (l *lines) fill() bool {
	for empty := 0; l.failed == nil && !l.eof; {
		if l.n == len(l.buf) && !l.grow() {
			return true
		}
		if l.failed = l.ctx.Err(); l.failed != nil {
			break
		}
		old := l.n
		m, err := l.r.Read(l.buf[old:])
		l.n += m
		if err == io.EOF {
			l.eof = true
		} else {
			l.failed = err
		}
		if empty++; m > 0 {
			empty = 0
		} else if empty > 100 && err == nil {
			l.failed = io.ErrNoProgress
		}
		if end := lastEnd(l.buf[:l.n], max(0, old-1)); end > 0 {
			l.take(end)
			return true
		}
	}
	switch {
	case l.failed != nil:
		l.err = fmt.Errorf("reading after line %d: %w", l.no, l.failed)
	case l.n > 0:
		l.take(l.n)
		return true
	}
	return false
}

// grow makes room for a longer line. Where it is too long, its beginning becomes
// the head, the rest is dropped and grow returns false.
func (l *lines) grow() bool {
	switch {
	case len(l.buf) < maxLine:
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	case l.skip:
		l.n = 0
	default:
		l.head, l.skip, l.n = shorten(string(l.buf[:4*maxShown])), true, 0
		return false
	}
	return true
}

// take makes buf[:end] the block.
func (l *lines) take(end int) {
	l.block = string(l.buf[:end])
	l.valid = utf8.ValidString(l.block)
	l.n = copy(l.buf, l.buf[end:l.n])
}

// lastEnd returns where the last whole line ends that ends at from or later, 0
// where none does. What follows a CR decides whether it is an end by itself.
func lastEnd(b []byte, from int) int {
	if i := bytes.LastIndexByte(b[from:], '\n'); i >= 0 {
		return from + i + 1
	}
	for i := len(b) - 2; i >= from; i-- {
		if b[i] == '\r' && b[i+1] != '\r' {
			return i + 1
		}
	}
	return 0
}

// latin1 reads every byte as the character of that number.
func latin1(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
