package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// talk is what a command says on stderr. Safe for concurrent use; a line is
// never torn by the progress bars below it.
type talk struct {
	mu    sync.Mutex
	w     io.Writer
	quiet bool
	tty   bool
	color bool
	width int
	bars  *bars
}

func newTalk(w io.Writer, environ []string, quiet bool) *talk {
	t := &talk{w: w, quiet: quiet}
	t.tty, t.width = terminal(w)
	t.color = t.tty && lookEnv(environ, "NO_COLOR") == "" && lookEnv(environ, "TERM") != "dumb"
	t.bars = &bars{}
	return t
}

// terminal says whether w is one, and how many columns it has.
func terminal(w any) (tty bool, width int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		width = 100
	}
	return true, width
}

// say prints a line of talk unless --quiet.
func (t *talk) say(format string, a ...any) {
	if !t.quiet {
		t.problem(format, a...)
	}
}

// problem prints a line in any case.
func (t *talk) problem(format string, a ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bars.clear(t.w)
	fmt.Fprintln(t.w, printable(fmt.Sprintf(format, a...), true))
	t.bars.draw(t.w, t.width)
}

// Write lets a log handler print through the talk.
func (t *talk) Write(b []byte) (int, error) {
	t.problem("%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// printable replaces what could drive a terminal or turn text around: control
// characters and bidirectional marks. Line breaks stay where lines is set.
func printable(s string, lines bool) string {
	clean := true
	for _, r := range s {
		if unprintable(r) && !(lines && r == '\n') {
			clean = false
			break
		}
	}
	if clean && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case lines && r == '\n':
			return r
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unprintable(r):
			return utf8.RuneError
		}
		return r
	}, s)
}

func unprintable(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e ||
		r >= 0x2060 && r <= 0x206f || r == 0xfeff || r == 0x061c
}
