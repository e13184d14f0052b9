package parse

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func htmlSpec(source string) Spec {
	return Spec{Type: "html", Kinds: intel.Domain.Set(), Columns: []Column{{Source: source, Field: Indicator}}}
}

// TestHTMLLimits checks that hostile pages cost little and say what is wrong.
func TestHTMLLimits(t *testing.T) {
	row := func(cells string) string {
		return "<table><tr><td>a.example</td></tr>\n<tr>" + cells + "</tr>\n<tr><td>b.example</td></tr></table>"
	}
	for name, c := range map[string]struct {
		in, err, reason string
		accepted        int
	}{
		"tag":     {"<table>\n<tr " + strings.Repeat("a ", maxToken/2+4096) + ">", "line 2: text or a tag of more than 1 MiB", "", 0},
		"tables":  {strings.Repeat("<table><tr><td>", maxDepth+1), "more than 200 tables inside each other", "", 0},
		"columns": {row(strings.Repeat("<td>c.example", maxColumns+1)), "", "more than 1000 columns", 2},
		"spans":   {row(strings.Repeat("<td colspan=99>c.example", 20)), "", "more than 1000 columns", 2},
		"size":    {row("<td>" + strings.Repeat(strings.Repeat("c", 1000)+"<br>", 1100)), "", "the row is longer than 1 MiB", 2},
	} {
		res, err := Collect(context.Background(), strings.NewReader(c.in), htmlSpec("col1"), Options{})
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if res.Accepted != c.accepted || c.reason != "" && (res.Rejected != 1 || res.Rejects[0].Reason != c.reason || res.Rejects[0].Line != 2) {
			t.Errorf("%s: %+v %+v", name, res.Counts, res.Rejects)
		}
	}
}

// TestHTMLSpans checks that a cell reaches down, and that cells which reach down
// cannot make many times more of a page than there is in it.
func TestHTMLSpans(t *testing.T) {
	in := "<table><tr><td rowspan=3>a.example<td>1" + strings.Repeat("<tr><td>2", 4) + "</table>"
	res, err := Collect(context.Background(), strings.NewReader(in), htmlSpec("col1"), Options{})
	if err != nil || res.Accepted != 1 || res.Duplicate != 2 || res.Rejected != 2 {
		t.Errorf("%+v %v", res.Counts, err)
	}
	o := newObjects(newCollector(htmlSpec("col1"), Options{}))
	p := &htmlPage{o: o}
	tb := &htmlTable{inRow: true}
	for i := range maxColumns {
		tb.beginCell(false, 1, maxRowSpan)
		tb.text(fmt.Sprint(i))
		tb.endCell()
	}
	for range 1000 {
		p.endRow(tb)
		tb.inRow = true
	}
	if most := 4*maxColumns + maxFallen; tb.fallen > most {
		t.Errorf("%d cells came from above, more than %d", tb.fallen, most)
	}
}
