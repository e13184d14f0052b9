package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// bars are the progress bars at the bottom of a terminal, one for each feed
// that is being run. The zero value draws nothing until it is switched on.
type bars struct {
	on    bool
	rows  []feed.Progress // in order of their start
	drawn int             // lines on the screen now
	last  time.Time
}

// maxBars keeps the bars on the screen: what has scrolled off it cannot be
// drawn over.
const maxBars = 12

// progress takes note of how far a feed is, and draws at most ten times a second.
func (t *talk) progress(p feed.Progress, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bars
	b.on = t.tty && !t.quiet
	for i := range b.rows {
		if b.rows[i].Feed == p.Feed {
			b.rows[i] = p
			if now.Sub(b.last) >= 100*time.Millisecond {
				b.last = now
				b.clear(t.w)
				b.draw(t.w, t.width)
			}
			return
		}
	}
	b.rows = append(b.rows, p)
	b.clear(t.w)
	b.draw(t.w, t.width)
}

// finished takes a feed's bar away.
func (t *talk) finished(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bars.clear(t.w)
	for i, p := range t.bars.rows {
		if p.Feed == id {
			t.bars.rows = append(t.bars.rows[:i:i], t.bars.rows[i+1:]...)
			break
		}
	}
	t.bars.draw(t.w, t.width)
}

func (b *bars) clear(w io.Writer) {
	if b.drawn > 0 {
		fmt.Fprintf(w, "\x1b[%dA\x1b[J", b.drawn) // up, and erase to the end of the screen
	}
	b.drawn = 0
}

func (b *bars) draw(w io.Writer, width int) {
	if !b.on {
		return
	}
	for i, p := range b.rows {
		if b.drawn++; b.drawn > maxBars {
			fmt.Fprintf(w, "  … and %d more\n", len(b.rows)-i)
			return
		}
		fmt.Fprintln(w, barLine(p, width))
	}
}

// barLine is one bar: feed, phase, and how much is done.
func barLine(p feed.Progress, width int) string {
	const cells = 20
	head := fmt.Sprintf("  %-24.24s %-6s ", p.Feed, p.Phase)
	switch {
	case p.Total > 0:
		n := int(min(cells, cells*p.Done/p.Total))
		head += fmt.Sprintf("%s%s %3d%%", strings.Repeat("█", n), strings.Repeat("░", cells-n), min(100, 100*p.Done/p.Total))
	case p.Done == 0:
		head += "…"
	case p.Phase == "fetch", p.Phase == "copy":
		head += bytesText(p.Done)
	default:
		head += thousands(int(p.Done))
	}
	if r := []rune(head); len(r) >= width && width > 1 {
		head = string(r[:width-1])
	}
	return head
}
