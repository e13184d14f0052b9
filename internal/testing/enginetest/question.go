package enginetest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// asker makes random queries out of what is listed.
type asker struct {
	*world
	listing func() *intel.Listing // one that there is, or nil
}

// listing is one of the Model, or nil.
func (w *world) listing(m *Model) *intel.Listing {
	for range 20 {
		f := m.feeds[w.feeds[w.rnd.IntN(len(w.feeds))].info.ID]
		if f == nil {
			continue
		}
		i := w.values[w.rnd.IntN(len(w.values))]
		if r := f.all[i]; r != nil {
			if l, ok := m.listing(f, i, r, time.Time{}); ok {
				return &l
			}
		}
	}
	return nil
}

// tree makes a random tree of at most that depth.
func (a *asker) tree(depth int) query.Node {
	if depth == 0 || a.rnd.IntN(3) == 0 {
		return a.leaf()
	}
	var nodes []query.Node
	for range 1 + a.rnd.IntN(3) {
		nodes = append(nodes, a.tree(depth-1))
	}
	switch a.rnd.IntN(5) {
	case 0, 1:
		return query.And{Nodes: nodes}
	case 2, 3:
		return query.Or{Nodes: nodes}
	}
	return query.Not{Node: nodes[0]}
}

// leaf makes one about something that is listed.
func (a *asker) leaf() query.Node {
	for range 30 {
		l := a.listing()
		if l == nil {
			break
		}
		if n, err := query.Parse(a.text(query.Doc{Listing: l, Facts: a.facts(l)}), a.now); err == nil {
			return n
		}
	}
	return query.All{}
}

// facts is what enrichment knows of a listing's indicator, now and then: questions
// about it are asked of engines that know it, and of others.
func (a *asker) facts(l *intel.Listing) intel.Fields {
	if a.rnd.IntN(3) > 0 {
		return nil
	}
	return worldFacts().Of(intel.Indicator{Kind: l.Kind, Value: l.Canonical}).Fields()
}

// text writes a leaf. It may be one that cannot be asked.
func (a *asker) text(d query.Doc) string {
	switch a.rnd.IntN(16) {
	case 0:
		return a.value(d.Listing)
	case 1:
		return "kind:" + d.Listing.Kind.String()
	case 2:
		return []string{"listed:true", "listed:false", "*", "kind:ip", "kind:hash"}[a.rnd.IntN(5)]
	case 3:
		return a.network(d)
	case 4:
		return a.host(d)
	case 5, 6:
		return a.number(d)
	case 7:
		return a.date(d)
	case 8:
		return a.fieldName(d) + ":*"
	case 9, 10:
		return a.whole(d)
	}
	return a.words(d)
}

// value asks for the indicator.
func (a *asker) value(l *intel.Listing) string {
	v := l.Canonical
	if a.rnd.IntN(4) == 0 {
		v = intel.Defang(v)
	}
	return []string{"", "value:", "value:="}[a.rnd.IntN(3)] + v
}

func (a *asker) network(d query.Doc) string {
	p, ok := d.Prefix()
	if !ok {
		return "net:198.51.100.0/24"
	}
	wide, err := p.Addr().Prefix(max(p.Bits()-a.rnd.IntN(20), 1))
	if err != nil {
		return ""
	}
	return "net:" + wide.String()
}

func (a *asker) host(d query.Doc) string {
	h := d.Host()
	if h == "" {
		return "domain:*." + []string{"example.org", "org", "example"}[a.rnd.IntN(3)]
	}
	if _, parent, ok := strings.Cut(h, "."); ok && a.rnd.IntN(2) == 0 {
		return "domain:*." + parent
	}
	switch a.rnd.IntN(3) {
	case 0:
		return "domain:" + a.pattern(h)
	case 1:
		return "domain:*." + h
	}
	return "domain:" + h
}

// fieldName is one in which the listing says something, as a rule.
func (a *asker) fieldName(d query.Doc) string {
	if n := len(d.Listing.Context); n > 0 && a.rnd.IntN(3) == 0 {
		return query.Context(d.Listing.Context[a.rnd.IntN(n)].Name).String()
	}
	all := query.Fields()
	return all[a.rnd.IntN(len(all))].String()
}

// from returns a text of a field of the listing, and the field's name with a
// colon or nothing.
func (a *asker) from(d query.Doc) (text, field string) {
	f := query.FieldAny
	if a.rnd.IntN(3) > 0 {
		f = facetField(a.fieldName(d))
	}
	all := slices.Collect(d.Values(f))
	if len(all) == 0 {
		f, all = query.FieldAny, slices.Collect(d.Values(query.FieldAny))
	}
	if f != query.FieldAny {
		field = f.String() + ":"
	}
	return all[a.rnd.IntN(len(all))], field
}

// words asks for some of the words of a text.
func (a *asker) words(d query.Doc) string {
	text, field := a.from(d)
	tokens := query.Tokens(nil, text)
	if len(tokens) == 0 {
		return ""
	}
	from := a.rnd.IntN(len(tokens))
	some := slices.Clone(tokens[from:min(len(tokens), from+1+a.rnd.IntN(3))])
	last := &some[len(some)-1]
	switch a.rnd.IntN(10) {
	case 0, 1:
		runes := []rune(*last)
		*last = string(runes[:1+a.rnd.IntN(len(runes))])
		return field + `"` + strings.Join(some, " ") + `"*`
	case 2, 3:
		return field + a.pattern(some[0])
	case 4:
		a.rnd.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	}
	return field + `"` + strings.Join(some, " ") + `"`
}

// whole asks for a text from end to end.
func (a *asker) whole(d query.Doc) string {
	text, field := a.from(d)
	if field == "" {
		text, field = d.Listing.Canonical, "value:"
	}
	if field != "feed:" && field != "country:" && field != "tlp:" && field != "domain:" {
		field += "="
	}
	if a.rnd.IntN(2) == 0 {
		return field + a.pattern(text)
	}
	return field + strconv.Quote(text)
}

// pattern puts wildcards into a text.
func (a *asker) pattern(s string) string {
	runes := []rune(s)
	var b strings.Builder
	from, to := a.rnd.IntN(len(runes)), a.rnd.IntN(len(runes)+1)
	for i, r := range runes {
		switch {
		case i == from && a.rnd.IntN(2) == 0:
			b.WriteByte('?')
			continue
		case i == from:
			b.WriteByte('*')
		}
		if i > from && i < to {
			continue
		}
		if strings.ContainsRune("\\*?()\" ", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	if a.rnd.IntN(4) == 0 {
		b.WriteByte('*')
	}
	return b.String()
}

// number compares with a number near one that is there.
func (a *asker) number(d query.Doc) string {
	f := []query.Field{query.FieldConfidence, query.FieldPort, query.FieldASN, query.Context("risk"), query.Context("port")}[a.rnd.IntN(5)]
	x := 50.0
	if all := d.Numbers(f); len(all) > 0 {
		x = all[a.rnd.IntN(len(all))]
	}
	x += float64(a.rnd.IntN(3) - 1)
	s := strconv.FormatFloat(x, 'f', -1, 64)
	op := []string{"", "=", "<", "<=", ">", ">="}[a.rnd.IntN(6)]
	switch a.rnd.IntN(6) {
	case 0:
		return f.String() + ":" + s + ".."
	case 1:
		return f.String() + ":.." + s
	case 2:
		return f.String() + ":" + s + ".." + strconv.FormatFloat(x+float64(a.rnd.IntN(50)), 'f', -1, 64)
	}
	return f.String() + ":" + op + s
}

// date compares with an instant, a day or an age.
func (a *asker) date(d query.Doc) string {
	f := []query.Field{query.FieldFirstSeen, query.FieldLastSeen, query.FieldFeedFirstSeen, query.FieldFeedLastSeen, query.FieldRegistered, query.FieldEnriched, query.Context("risk")}[a.rnd.IntN(7)]
	t := a.instant()
	if all := d.Times(f); len(all) > 0 && a.rnd.IntN(3) > 0 {
		t = all[a.rnd.IntN(len(all))]
	}
	op := []string{"<", "<=", ">", ">="}[a.rnd.IntN(4)]
	switch a.rnd.IntN(5) {
	case 0:
		return f.String() + ":" + op + intel.Duration(max(a.now.Sub(t).Truncate(time.Hour), time.Hour)).String()
	case 1:
		return f.String() + ":" + t.Format("2006-01-02")
	case 2:
		return f.String() + ":" + t.Format("2006-01-02") + ".." + t.AddDate(0, 0, 2).Format("2006-01-02")
	}
	return f.String() + ":" + op + stamp(t)
}
