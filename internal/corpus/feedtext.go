package corpus

import (
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// feedTexts are what all listings of a feed have in common: texts that each of
// them has (the feed's id, name, provider and tags), and values that those have
// that bring none of their own. They are in no index, since they can change
// without a run, and are matched once a search.
type feedTexts struct {
	feeds  []feedText
	tokens map[string][]int // token of any of the texts → feeds, in order
}

type feedText struct {
	always   intel.Listing
	defaults []fieldDefault
}

// fieldDefault is what a feed says for listings that have no value of their own.
type fieldDefault struct {
	field   query.Field
	listing intel.Listing // nothing but that value
}

// feedMatch says which feeds' texts match a part of a query.
type feedMatch struct {
	always  []int                 // feeds all of whose listings match
	lacking map[query.Field][]int // feeds whose listings match that have no value of their own in the field
}

func newFeedTexts(feeds []*feedState) *feedTexts {
	t := &feedTexts{tokens: map[string][]int{}}
	for i, f := range feeds {
		x := textOf(&f.head.Info, f.head.Feed)
		t.feeds = append(t.feeds, x)
		t.learn(i, &x.always)
		for j := range x.defaults {
			t.learn(i, &x.defaults[j].listing)
		}
	}
	return t
}

func textOf(info *intel.FeedInfo, id string) feedText {
	x := feedText{always: intel.Listing{Info: &intel.FeedInfo{Name: info.Name}, Feed: id, Provider: info.Provider, Tags: info.Tags}}
	add := func(f query.Field, l intel.Listing) { x.defaults = append(x.defaults, fieldDefault{f, l}) }
	if info.Malware != "" {
		add(query.FieldMalware, intel.Listing{Malware: info.Malware})
	}
	if info.ThreatType != "" {
		add(query.FieldThreatType, intel.Listing{ThreatType: info.ThreatType})
	}
	if info.Description != "" {
		add(query.FieldDescription, intel.Listing{Description: info.Description})
	}
	if info.TLP != "" {
		add(query.FieldTLP, intel.Listing{TLP: info.TLP})
	}
	add(query.FieldConfidence, intel.Listing{Confidence: info.Confidence})
	return x
}

// learn notes the tokens of all texts of l.
func (t *feedTexts) learn(feed int, l *intel.Listing) {
	for s := range (query.Doc{Listing: l}).Values(query.FieldAny) {
		for _, tok := range query.Tokens(nil, s) {
			if at := t.tokens[tok]; len(at) == 0 || at[len(at)-1] != feed {
				t.tokens[tok] = append(at, feed)
			}
		}
	}
}

// match holds a leaf about the field against the texts of every feed.
func (t *feedTexts) match(leaf query.Node, field query.Field) feedMatch {
	out := feedMatch{lacking: map[query.Field][]int{}}
	for _, i := range t.candidates(leaf, field) {
		x := &t.feeds[i]
		if field != query.FieldConfidence && query.Match(leaf, query.Doc{Listing: &x.always}) {
			out.always = append(out.always, i)
			continue
		}
		for j := range x.defaults {
			d := &x.defaults[j]
			if (field == d.field || field == query.FieldAny) && query.Match(leaf, query.Doc{Listing: &d.listing}) {
				out.lacking[d.field] = append(out.lacking[d.field], i)
			}
		}
	}
	return out
}

// candidates are the feeds that may match: all where tokens do not tell.
func (t *feedTexts) candidates(leaf query.Node, field query.Field) []int {
	if field == query.FieldTLP || field == query.FieldConfidence {
		return t.all()
	}
	switch n := leaf.(type) {
	case query.Term:
		return t.tokens[n.Token]
	case query.Phrase:
		return t.tokens[n.Tokens[0]]
	case query.Exact:
		if len(n.Tokens) > 0 {
			return t.tokens[n.Tokens[0]]
		}
		return nil
	case query.Prefix:
		return t.having(func(tok string) bool { return strings.HasPrefix(tok, n.Text) })
	case query.Wildcard:
		if !n.Whole {
			return t.having(n.Pattern.Match)
		}
	}
	return t.all()
}

func (t *feedTexts) all() []int {
	out := make([]int, len(t.feeds))
	for i := range out {
		out[i] = i
	}
	return out
}

// having returns the feeds that have such a token.
func (t *feedTexts) having(is func(string) bool) []int {
	var out []int
	for tok, feeds := range t.tokens {
		if is(tok) {
			out = append(out, feeds...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
