package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

type row struct {
	A string `json:"a"`
	B int    `json:"b"`
}

func rowColumns() []column[row] {
	return []column[row]{
		{name: "a", text: func(r *row) string { return r.A }, cell: func(r *row) string { return "<" + r.A + ">" }},
		{name: "b_c", right: true, text: func(r *row) string { return fmt.Sprint(r.B) }, paint: func(*row) string { return "31" }},
	}
}

// printed is what rows look like in a format, on a pipe or on a terminal.
func printed(t *testing.T, format string, tty bool, rows []row) string {
	t.Helper()
	var b bytes.Buffer
	p := newPrinter(&b, format, nil)
	p.tty, p.color, p.width = tty, tty, 60
	if err := printList(p, rows, rowColumns()); err != nil {
		t.Fatal(err)
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrintList_EveryFormat(t *testing.T) {
	rows := []row{{"x&<y>", 1}, {"=1+1", 22}}
	for _, tc := range []struct {
		format string
		tty    bool
		rows   []row
		want   string
	}{
		{"json", false, rows, `[{"a":"x&<y>","b":1},{"a":"=1+1","b":22}]` + "\n"},
		{"json", true, rows[:1], "[\n  {\n    \"a\": \"x&<y>\",\n    \"b\": 1\n  }\n]\n"},
		{"json", false, nil, "[]\n"},
		{"ndjson", true, rows, `{"a":"x&<y>","b":1}` + "\n" + `{"a":"=1+1","b":22}` + "\n"},
		{"ndjson", false, nil, ""},
		{"csv", false, rows, "a,b_c\r\nx&<y>,1\r\n'=1+1,22\r\n"},
		{"csv", false, nil, "a,b_c\r\n"},
		{"table", false, rows, "A        B-C\n<x&<y>>    1\n<=1+1>    22\n"},
		{"table", true, rows[:1], "A        B-C\n<x&<y>>    \x1b[31m1\x1b[0m\n"},
		{"table", false, nil, ""},
	} {
		if got := printed(t, tc.format, tc.tty, tc.rows); got != tc.want {
			t.Errorf("%s tty=%v:\n%q\nwant\n%q", tc.format, tc.tty, got, tc.want)
		}
	}
}

func TestCSV_IsReadBackAndRunsNothing(t *testing.T) {
	values := []string{"plain", `quo"te`, "com,ma", "two\nlines", " blank ", "=cmd()", "+1", "-1", "@x", "\tx", "\rx", "", "ä"}
	var rows []row
	for _, v := range values {
		rows = append(rows, row{A: v})
	}
	r := csv.NewReader(strings.NewReader(printed(t, "csv", false, rows)))
	got, err := r.ReadAll()
	if err != nil || len(got) != len(values)+1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, v := range values {
		cell := got[i+1][0]
		if cell != v && cell != "'"+v && cell != strings.ReplaceAll("'"+v, "\r", "\n") {
			t.Errorf("%q was read back as %q", v, cell)
		}
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			t.Errorf("%q is a formula", cell)
		}
	}
}

func TestTable_CannotDriveTheTerminal(t *testing.T) {
	got := printed(t, "table", false, []row{{"a\x1b[2Jb\x07\u202ec\u200bd\x9be\nf", 1}})
	for _, r := range got {
		if unprintable(r) && r != '\n' {
			t.Errorf("%q holds %U", got, r)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("a value broke its row: %q", got)
	}
}

func TestTable_FitsTheTerminal(t *testing.T) {
	var b bytes.Buffer
	p := newPrinter(&b, "table", nil)
	p.tty, p.width = true, 40
	long := []row{{strings.Repeat("long ", 30), 1}}
	err := printList(p, long, []column[row]{{name: "n", text: func(r *row) string { return "x" }}, {name: "why", text: func(r *row) string { return r.A }}})
	if err != nil || p.flush() != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		if cellWidth(line) > 40 {
			t.Errorf("%d columns: %q", cellWidth(line), line)
		}
	}
	if !strings.Contains(b.String(), "…") {
		t.Error("nothing says that text was cut")
	}
}

func TestPrintOne_EveryFormat(t *testing.T) {
	for format, want := range map[string]string{
		"json": `{"a":"x","b":2}` + "\n", "ndjson": `{"a":"x","b":2}` + "\n", "csv": "a,b_c\r\nx,2\r\n", "table": "a    <x>\nb_c  2\n",
	} {
		var b bytes.Buffer
		p := newPrinter(&b, format, nil)
		if err := printOne(p, &row{"x", 2}, rowColumns()); err != nil || p.flush() != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: %q, want %q", format, b.String(), want)
		}
	}
}

func TestNoColor(t *testing.T) {
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if p := newPrinter(&bytes.Buffer{}, "table", []string{env}); p.color {
			t.Errorf("%s: colour", env)
		}
	}
}

func TestBars_OneAFeedAndGoneAtTheEnd(t *testing.T) {
	var b bytes.Buffer
	k := newTalk(&b, nil, false)
	k.tty, k.width = true, 80
	now := time.Unix(0, 0)
	k.progress(feed.Progress{Feed: "one", Phase: "fetch"}, now)
	k.progress(feed.Progress{Feed: "two", Phase: "parse", Done: 50, Total: 100}, now)
	if !strings.Contains(b.String(), "██████████░░░░░░░░░░  50%") {
		t.Errorf("no bar: %q", b.String())
	}
	b.Reset()
	k.progress(feed.Progress{Feed: "two", Phase: "parse", Done: 51, Total: 100}, now.Add(time.Second))
	k.progress(feed.Progress{Feed: "two", Phase: "parse", Done: 52, Total: 100}, now.Add(time.Second+time.Millisecond))
	if strings.Count(b.String(), "\x1b[2A") != 1 {
		t.Errorf("drawn too often: %q", b.String())
	}
	b.Reset()
	k.finished("one")
	k.say("one is done")
	k.finished("two")
	if out := b.String(); !strings.Contains(out, "one is done\n") || !strings.HasSuffix(out, "\x1b[1A\x1b[J") {
		t.Errorf("at the end: %q", out)
	}
}

func TestBars_StayOnTheScreen(t *testing.T) {
	var b bytes.Buffer
	k := newTalk(&b, nil, false)
	k.tty, k.width = true, 80
	for i := range 40 {
		k.progress(feed.Progress{Feed: fmt.Sprint("feed", i), Phase: "fetch"}, time.Unix(0, 0))
	}
	if !strings.Contains(b.String(), "and 28 more") || strings.Contains(b.String(), fmt.Sprintf("\x1b[%dA", maxBars+2)) {
		t.Errorf("bars: %q", b.String()[max(0, b.Len()-900):])
	}
}

func TestTalk_PlainOnAPipeAndSilentWhenQuiet(t *testing.T) {
	var b bytes.Buffer
	k := newTalk(&b, nil, false)
	k.progress(feed.Progress{Feed: "one", Phase: "fetch"}, time.Unix(0, 0))
	k.say("done")
	if b.String() != "done\n" {
		t.Errorf("on a pipe: %q", b.String())
	}
	b.Reset()
	k = newTalk(&b, nil, true)
	k.say("talk")
	k.problem("problem")
	if b.String() != "problem\n" {
		t.Errorf("quiet: %q", b.String())
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		thousands(0): "0", thousands(999): "999", thousands(1234567): "1,234,567", thousands(-1000): "-1,000",
		bytesText(999): "999 B", bytesText(1500): "1.5 KB", bytesText(999_950): "1.0 MB", bytesText(5e12): "5.0 TB",
		span(1500 * time.Millisecond): "1 s", span(47 * time.Hour): "47 h", span(49 * time.Hour): "2 d", span(90 * time.Second): "1 min",
		plural(1, "feed"): "1 feed", plural(1000, "feed"): "1,000 feeds", shorten("abcdef", 4): "abc…", shorten("abc", 3): "abc",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMarshal_LeavesURLsAlone(t *testing.T) {
	b, err := marshal(map[string]string{"u": "http://x/?a=1&b=<2>"}, false, "")
	if err != nil || string(b) != `{"u":"http://x/?a=1&b=<2>"}` || !json.Valid(b) {
		t.Errorf("%s, %v", b, err)
	}
}
