package opensearch

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Presence is what a document has to know of a listing beyond the listing. That
// the last good run had it is no news of the listing, and not in its document:
// else an unchanged feed would change every one of them.
type Presence struct {
	Gone time.Time // the last run that had it; zero: the last good run has it
	Ends time.Time // when its time to live passes, where it is gone and still listed
}

// PresenceOf is the presence of a listing, as it stands now, of a feed whose last
// good run was at lastGood.
func PresenceOf(l *intel.Listing, lastGood time.Time) Presence {
	if len(l.Intervals) == 0 {
		return Presence{}
	}
	last := l.Intervals[len(l.Intervals)-1]
	if last.To == nil && !l.LastSeen.Before(lastGood) {
		return Presence{}
	}
	p := Presence{Gone: l.LastSeen}
	if last.To == nil && l.Info != nil {
		if ttl := l.Info.TTLOf(l.Kind); ttl > 0 {
			p.Ends = l.LastSeen.Add(time.Duration(ttl))
		}
	}
	return p
}

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

// DocumentID is the id of the document of what a feed says of an indicator.
func DocumentID(i intel.Indicator, feed string) string {
	return digest(16, i.Kind.String(), i.Value, feed)
}

// RoutingOf decides the shard: all that is said of one indicator lies in one.
func RoutingOf(i intel.Indicator) string { return digest(6, i.Kind.String(), i.Value) }

// digest is a hash of texts, none of which has a NUL in it, n bytes of it in base64.
func digest(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}

// ListingOp is what writes a listing, whose Changed must be set.
func ListingOp(l *intel.Listing, p Presence) (Op, error) { return newDocument(l, p).op(l) }

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
	kept := *l
	kept.Relation, kept.Listed, kept.LastSeen = intel.RelExact, false, p.Gone.UTC() // told anew by whoever reads it
	out := &document{Timestamp: l.Changed.UTC(), Listing: kept.AppendJSON(nil), Context: flat(l.Context)}
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

// maxFlat is the longest value, in bytes, that the flat object holds: a term of
// an index has at most 32,766, with the path in front. Longer ones are found by
// their words.
const maxFlat = 8191

// flat is the context without what is too long for the flat object.
func flat(in intel.Fields) intel.Fields {
	out := make(intel.Fields, 0, len(in))
	for _, f := range in {
		short := slices.DeleteFunc(slices.Clone(f.Values), func(s string) bool { return len(s) > maxFlat })
		if len(short) > 0 && len(f.Name) <= maxFlat {
			out = append(out, intel.Field{Name: f.Name, Values: short})
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

// ecsType is the name that ECS has for what is listed.
func ecsType(l *intel.Listing) string {
	switch l.Kind {
	case intel.IPv4, intel.IPv6:
		return l.Kind.String() + "-addr"
	case intel.CIDR: // there is none for networks
		if strings.Contains(l.Canonical, ":") {
			return "ipv6-addr"
		}
		return "ipv4-addr"
	case intel.IPPort:
		return "network-traffic"
	case intel.Domain:
		return "domain-name"
	case intel.URL:
		return "url"
	case intel.Email:
		return "email-addr"
	}
	return "file"
}

// ecsConfidence is the word of the scale of ECS.
func ecsConfidence(n int) string {
	switch {
	case n == 0:
		return "None"
	case n < 30:
		return "Low"
	case n < 70:
		return "Medium"
	}
	return "High"
}
