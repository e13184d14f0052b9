package elasticintel_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestOriginalFeeds keeps docs/original-feeds.md complete and its ids true.
func TestOriginalFeeds(t *testing.T) {
	const file, feeds = "docs/original-feeds.md", 40
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defs := catalogue(t)
	ids := regexp.MustCompile("`([^`]+)`")
	rows, names := 0, map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		n, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil {
			continue
		}
		if rows++; n != rows || len(cells) != 5 {
			t.Fatalf("row %d is called %d and has %d cells: %s", rows, n, len(cells), line)
		}
		name, fate, use, why := cells[1], cells[2], ids.FindAllStringSubmatch(cells[3], -1), strings.TrimSpace(cells[4])
		if names[name] || len(use) == 0 || len(why) < 4 {
			t.Errorf("row %d: feed %q stands twice, or says not what to use (%q) or why (%q)", n, name, cells[3], why)
		}
		names[name] = true
		for i, id := range use {
			d := defs.Get(id[1])
			switch {
			case d == nil:
				t.Errorf("row %d: no feed %q; nearest is %q", n, id[1], defs.Nearest(id[1]))
			case d.Ended():
				t.Errorf("row %d: %s ended", n, d.ID)
			case i == 0 && fate == "present" && d.Life == "":
				t.Errorf("row %d: nothing is known of %s", n, d.ID)
			}
		}
		if fate != "present" && fate != "replaced" && fate != "dead" {
			t.Errorf("row %d: fate %q is none of present, replaced, dead", n, fate)
		}
		if refersTo, is := strings.CutPrefix(why, "As "); is {
			if m, err := strconv.Atoi(strings.FieldsFunc(refersTo, func(r rune) bool { return r < '0' || r > '9' })[0]); err != nil || m >= n || m < 1 {
				t.Errorf("row %d: refers to row %q", n, refersTo)
			}
		}
	}
	if rows != feeds {
		t.Errorf("%d rows, want the original's %d feeds", rows, feeds)
	}
}
