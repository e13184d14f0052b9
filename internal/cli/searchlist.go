package cli

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// resultColumns are a listing that a search found, for people.
func resultColumns() []column[intel.Listing] {
	// cells wait for their column's width, and a listing does not last so long
	text := func(get func(*intel.Listing) string) func(*intel.Listing) string {
		return func(l *intel.Listing) string { return strings.Clone(get(l)) }
	}
	return []column[intel.Listing]{
		{name: "kind", text: func(l *intel.Listing) string { return l.Kind.String() }},
		{name: "value", text: text(func(l *intel.Listing) string { return intel.Defang(l.Canonical) })},
		{name: "feed", text: text(func(l *intel.Listing) string { return l.Feed })},
		{name: "listed", text: listedText,
			paint: func(l *intel.Listing) string { return map[string]string{"yes": "31", "allow": "32"}[listedText(l)] }},
		{name: "last_seen", text: func(l *intel.Listing) string { return l.LastSeen.UTC().Format("2006-01-02 15:04") }},
		{name: "malware", text: text(func(l *intel.Listing) string { return l.Malware })},
		{name: "tags", text: text(func(l *intel.Listing) string { return strings.Join(l.Tags, ", ") })},
	}
}

// resultList prints listings as they are found, in any format.
type resultList struct {
	out      *printer
	rows     *lister[intel.Listing]
	none     bool // no listings were asked for
	n        int
	buf      []byte
	snapshot string // oldest day of starter data that is shown
}

func newResultList(out *printer, none bool) *resultList {
	return &resultList{out: out, none: none, rows: newLister(out, resultColumns())}
}

func (r *resultList) add(l *intel.Listing) error {
	r.n++
	if s := l.Snapshot; s != "" && (r.snapshot == "" || s < r.snapshot) {
		r.snapshot = strings.Clone(s)
	}
	b := r.buf[:0]
	switch r.out.format {
	case "table":
		return r.rows.add(l)
	case "ndjson":
		b = append(lookup.AppendResult(b, l), '\n')
	case "csv":
		if r.n == 1 {
			b = append(b, lookup.CSVHeader...)
		}
		b = lookup.AppendCSV(b, l)
	default:
		b = r.appendMember(b, l)
	}
	r.buf = b
	_, err := r.out.w.Write(b)
	return err
}

// appendMember appends a member of the results, indented on a terminal.
func (r *resultList) appendMember(b []byte, l *intel.Listing) []byte {
	if r.n == 1 {
		b = append(b, lookup.OpenPage...)
	} else {
		b = append(b, ',')
	}
	if !r.out.tty {
		return lookup.AppendResult(b, l)
	}
	buf := bytes.NewBuffer(append(b, "\n  "...))
	if err := json.Indent(buf, lookup.AppendResult(nil, l), "  ", "  "); err != nil {
		return lookup.AppendResult(b, l)
	}
	return buf.Bytes()
}

func (r *resultList) close(f *lookup.Found) error {
	switch {
	case r.out.format == "table":
		return r.rows.close()
	case r.out.format == "csv" && r.n == 0 && !r.none:
		_, err := r.out.w.WriteString(lookup.CSVHeader)
		return err
	case r.out.format != "json":
		return nil
	}
	b := r.buf[:0]
	if r.n == 0 {
		b = append(b, lookup.OpenPage...)
	}
	_, err := r.out.w.Write(append(f.AppendRest(b), '\n'))
	return err
}

// listedText says whether a listing is open, and whether as one to let through.
func listedText(l *intel.Listing) string {
	switch {
	case !l.Listed:
		return "no"
	case l.Role == intel.RoleAllow:
		return "allow"
	}
	return "yes"
}
