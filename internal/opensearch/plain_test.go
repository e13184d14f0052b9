package opensearch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// document is what is indexed of a listing (template.json).
type document struct {
	Timestamp time.Time       `json:"@timestamp"`
	Listing   json.RawMessage `json:"listing"` // as answers show it; from it the listing is made again
	Threat    struct {
		Feed struct {
			Name string `json:"name,omitempty"`
		} `json:"feed"`
		Indicator ecsIndicator `json:"indicator"`
	} `json:"threat"`
	Context intel.Fields `json:"context,omitempty"`
	EI      own          `json:"ei"`
}

// ecsIndicator has the names of ECS, for dashboards.
type ecsIndicator struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	IP         string     `json:"ip,omitempty"`
	Port       []int      `json:"port,omitempty"`
	Confidence string     `json:"confidence"`
	FirstSeen  time.Time  `json:"first_seen"`
	LastSeen   *time.Time `json:"last_seen,omitempty"`
	AS         *ecsAS     `json:"as,omitempty"`
}

type ecsAS struct {
	Number []int64 `json:"number"`
}

// own is what is searched and ECS has no name for.
type own struct {
	Kind       string              `json:"kind"`
	Order      int                 `json:"order"` // of kinds
	Feed       string              `json:"feed"`
	Snapshot   string              `json:"snapshot,omitempty"`
	Intervals  []timeRange         `json:"intervals"`
	Confidence int                 `json:"confidence"`
	Host       string              `json:"host,omitempty"`
	Range      string              `json:"range,omitempty"` // of a listed network
	FeedFirst  []time.Time         `json:"feed_first_seen,omitempty"`
	FeedLast   []time.Time         `json:"feed_last_seen,omitempty"`
	Registered []time.Time         `json:"registered,omitempty"`
	Words      map[string][]string `json:"words"`
	Whole      map[string][]string `json:"whole"`
	Context    *ownContext         `json:"context,omitempty"`
}

type ownContext struct {
	Name   []string `json:"name"`
	Words  []string `json:"words,omitempty"`
	Whole  []string `json:"whole,omitempty"`
	Number []string `json:"number,omitempty"`
	Date   []string `json:"date,omitempty"`
}

// timeRange is a half-open interval; without an end it goes on.
type timeRange struct {
	From time.Time  `json:"gte"`
	To   *time.Time `json:"lt,omitempty"`
}

// op is what writes the document, which is that of l.
func (d *document) op(l *intel.Listing) (Op, error) {
	i := intel.Indicator{Kind: l.Kind, Value: l.Canonical}
	source, err := json.Marshal(d)
	if err != nil {
		return Op{}, fmt.Errorf("document of %s %.200q of feed %s: %w", l.Kind, l.Canonical, l.Feed, err)
	}
	return Op{ID: DocumentID(i, l.Feed), Routing: RoutingOf(i), Source: source, Name: fmt.Sprintf("%s %.200s of feed %s", l.Kind, l.Canonical, l.Feed)}, nil
}

func newDocument(l *intel.Listing, p Presence) *document {
	d := query.Doc{Listing: l}
	out := &document{Timestamp: l.Changed.UTC(), Listing: appendKept(nil, l, p), Context: flat(l.Context)}
	if l.Info != nil {
		out.Threat.Feed.Name = l.Info.Name
	}
	e := &out.Threat.Indicator
	e.Name, e.Type, e.Confidence, e.FirstSeen = l.Canonical, ecsType(l), ecsConfidence(l.Confidence), l.FirstSeen.UTC()
	if !p.Gone.IsZero() {
		t := p.Gone.UTC()
		e.LastSeen = &t
	}
	for _, n := range d.Numbers(query.FieldPort) {
		e.Port = append(e.Port, int(n))
	}
	if as := d.Numbers(query.FieldASN); len(as) > 0 {
		e.AS = &ecsAS{}
		for _, n := range as {
			e.AS.Number = append(e.AS.Number, int64(n))
		}
	}
	out.EI = own{
		Kind: l.Kind.String(), Order: int(l.Kind), Feed: l.Feed, Snapshot: l.Snapshot, Confidence: l.Confidence,
		Intervals: ranges(l.Intervals, p.Ends), FeedFirst: d.Times(query.FieldFeedFirstSeen), FeedLast: d.Times(query.FieldFeedLastSeen),
		Registered: d.Times(query.FieldRegistered), Words: words(d), Whole: wholes(d), Context: contextOf(d),
	}
	if prefix, ok := d.Prefix(); ok && l.Kind == intel.CIDR {
		out.EI.Range = prefix.String()
	} else if ok {
		e.IP = prefix.Addr().String()
	}
	if host := d.Host(); host != "" {
		out.EI.Host = reversedHost(host)
	}
	return out
}

// ranges are the intervals of a listing; one that has not ended ends at ends, if
// that is set. An empty interval is none: OpenSearch refuses it.
func ranges(in []intel.Interval, ends time.Time) []timeRange {
	out := make([]timeRange, 0, len(in))
	for _, v := range in {
		r := timeRange{From: v.From.UTC()}
		end := ends
		if v.To != nil {
			end = *v.To
		}
		if !end.IsZero() {
			end = end.UTC()
			r.To = &end
		}
		if r.To == nil || r.To.UnixMilli() > r.From.UnixMilli() {
			out = append(out, r)
		}
	}
	return out
}

// words are the texts of the fields of words, cut into tokens as the query
// language cuts them, with a blank between: what analyses them then has nothing
// to decide.
func words(d query.Doc) map[string][]string {
	out := map[string][]string{}
	for f, p := range places {
		if name, ok := strings.CutPrefix(p.words, "ei.words."); ok {
			for s := range d.Values(f) {
				addWords(out, name, s)
			}
		}
	}
	addWords(out, "more", d.Listing.Feed) // what else FieldAny finds
	if d.Listing.Info != nil {
		addWords(out, "more", d.Listing.Info.Name)
	}
	for _, e := range d.Listing.Context {
		for _, s := range e.Values {
			addWords(out, "more", s)
		}
	}
	return out
}

func addWords(to map[string][]string, name, text string) {
	if s := strings.Join(query.Tokens(nil, text), " "); s != "" && !slices.Contains(to[name], s) {
		to[name] = append(to[name], s)
	}
}

// wholes are the texts as they are compared from end to end.
func wholes(d query.Doc) map[string][]string {
	out := map[string][]string{}
	for f, p := range places {
		name, ok := strings.CutPrefix(p.whole, "ei.whole.")
		if !ok {
			continue
		}
		forms := d.Facet(f)
		if f == query.FieldValue {
			forms = nil
			for s := range d.Values(f) {
				if s = strings.TrimSpace(string(query.Fold(nil, s))); s != d.Listing.Canonical {
					forms = append(forms, s)
				}
			}
			slices.Sort(forms)
			forms = slices.Compact(forms)
		}
		if len(forms) > 0 {
			out[name] = forms
		}
	}
	return out
}

// contextOf is the context as it is searched, nil where there is none.
func contextOf(d query.Doc) *ownContext {
	if len(d.Listing.Context) == 0 {
		return nil
	}
	out := &ownContext{}
	for _, e := range d.Listing.Context {
		field := query.Context(e.Name)
		name, _ := field.Context()
		key := contextKey(name)
		if slices.Contains(out.Name, key) {
			continue // another spelling of a name: Doc has them together
		}
		for s := range d.Values(field) {
			if !slices.Contains(out.Name, key) {
				out.Name = append(out.Name, key)
			}
			tokens := query.Tokens(nil, s)
			for i := range tokens {
				tokens[i] = key + tokens[i]
			}
			if len(tokens) > 0 {
				out.Words = append(out.Words, strings.Join(tokens, " "))
			}
		}
		for _, s := range d.Facet(field) {
			out.Whole = append(out.Whole, key+s)
		}
		for _, n := range d.Numbers(field) {
			out.Number = append(out.Number, key+sortableNumber(n))
		}
		for _, t := range d.Times(field) {
			out.Date = append(out.Date, key+sortableTime(t))
		}
	}
	return out
}

// note notes what of the listing the fields of its document cannot say.
func (f *facts) note(l *intel.Listing, d *document) {
	for name, values := range d.EI.Whole {
		if path := wholePrefix + name; path != places[query.FieldValue].whole { // which has no limit
			f.noteLong(path, values)
		}
	}
	if d.EI.Context != nil {
		for _, v := range d.EI.Context.Whole {
			if len(v) > maxFlat {
				f.noteContext(v)
			}
		}
	}
	if d.EI.Range != "" {
		f.Lengths = noted(f.Lengths, lengthName(netip.MustParsePrefix(d.EI.Range)))
	}
	for field, p := range places {
		if p.words == "" && p.whole == "" || f.Blank[string(field)] {
			continue
		}
		for s := range (query.Doc{Listing: l}).Values(field) {
			if c := s[0]; (c < 'a' || c > 'z') && strings.TrimSpace(string(query.Fold(nil, s))) == "" {
				f.Blank = noted(f.Blank, string(field))
			}
		}
	}
}

func (f *facts) noteLong(path string, values []string) {
	for _, v := range values {
		if len(v) > maxFlat {
			f.Long = noted(f.Long, path)
		}
	}
}

// samePlain compares what the encoder made of a listing, and noted, with what the
// plain way makes of it.
func samePlain(t *testing.T, e *encoder, plain *facts, l *intel.Listing, p Presence) {
	t.Helper()
	got, err := e.op(l, p)
	if err != nil {
		t.Fatal(err)
	}
	d := newDocument(l, p)
	plain.note(l, d)
	want, err := d.op(l)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := normalJSON(t, got.Source), normalJSON(t, want.Source); a != b || got.ID != want.ID || got.Routing != "" {
		t.Fatalf("%s of feed %s\n%.3000s\nwant\n%.3000s", short(l.Canonical, 100), l.Feed, a, b)
	}
	if !sameJSON(e.facts, plain) {
		t.Fatalf("%s of feed %s: noted %v, %v; want %v, %v", short(l.Canonical, 100), l.Feed, e.facts.Long, e.facts.Blank, plain.Long, plain.Blank)
	}
}

// normalJSON returns the JSON with its members in order and without empty ones.
func normalJSON(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %.2000s", err, b)
	}
	out, err := json.Marshal(trimmed(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func trimmed(v any) any {
	m, ok := v.(map[string]any)
	for name, inner := range m {
		if list, ok := inner.([]any); ok && name == "more" { // in any order
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		if m[name] = trimmed(inner); m[name] == nil {
			delete(m, name)
		}
	}
	if ok && len(m) == 0 {
		return nil
	}
	return v
}

// TestEncoderIsPlain: the encoder writes the documents that the plain way does,
// one after the other, of whatever listings.
func TestEncoderIsPlain(t *testing.T) {
	e, plain := newEncoder(&facts{}), &facts{}
	for round := range 2 { // the second time it knows the texts
		for i, l := range append(listings(), manyListings(300)...) {
			samePlain(t, e, plain, &l, Presence{})
			if round == 1 {
				samePlain(t, e, plain, &l, Presence{Gone: t0.AddDate(0, 0, 1), Ends: t0.AddDate(0, 0, i%3)})
			}
		}
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 1500 {
		e.facts.Blank, plain.Blank, e.facts.Long, plain.Long = nil, nil, nil, nil
		l := oddListing(rnd)
		samePlain(t, e, plain, &l, Presence{})
	}
}

// oddListing is a listing of texts that are awkward.
func oddListing(rnd *rand.Rand) intel.Listing {
	texts := []string{"", "a", "Ab-Cd", "--", " ", "7.5", "80 %", "-3", "2026-08-30T01:02:03Z", "2026-08-30 01:02", "AS64500", "443 tcp, 80", "Überfällig ﬁ", "#Phishing", "a  b",
		"x\x00y\"\\\n", "\u200b", "\u00ad", "\xff\xfe", "日本語 テスト", "e\u0301\u0301\u0301", strings.Repeat("w", 127), strings.Repeat("w", 128) + " z", strings.Repeat("ü", 70),
		strings.Repeat("v ", 5000), strings.Repeat("y", 9000), "<b>&amp;", "\u2028", "İI"}
	names := []string{"a", "A", "a_", "File Name", "file-name", "asn", "country", "CC", "org", "as_name", "port", "registered", "malware", "reference", "threat_type", "tlp", "description",
		"feed_first_seen", "feed_last_seen", "\"", "..", "\u200b", " ", "=", strings.Repeat("n", 300)}
	text := func() string { return texts[rnd.IntN(len(texts))] }
	l := listings()[rnd.IntN(14)]
	l.Tags, l.Context = nil, nil
	for range rnd.IntN(4) {
		l.Tags = append(l.Tags, text())
	}
	for range rnd.IntN(6) {
		l.Context.Add(names[rnd.IntN(len(names))], text())
	}
	l.Provider, l.Malware, l.ThreatType, l.Description, l.Reference, l.TLP, l.FeedFirstSeen, l.FeedLastSeen = text(), text(), text(), text(), text(), text(), text(), text()
	if rnd.IntN(2) == 0 {
		l.Original = text()
	}
	if rnd.IntN(4) == 0 {
		l.Info = &intel.FeedInfo{ID: "odd", Name: text()}
		l.Snapshot = "2026-09-01"
	} else if rnd.IntN(4) == 0 {
		l.Info = nil
	}
	return l
}
