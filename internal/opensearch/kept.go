package opensearch

import (
	"encoding/json"
	"strconv"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// A document keeps a listing in the JSON in which answers show it, but for what
// whoever reads it knows: how it stands at an instant, and what only repeats its
// feed (facts) or its value. Those are left out.

// appendKept appends a listing as its document keeps it.
func appendKept(b []byte, l *intel.Listing, p Presence) []byte {
	info := l.Info
	if info == nil {
		info = &intel.FeedInfo{}
	}
	member := func(name, value, known string) {
		if value != known || l.Info == nil {
			b = appendText(append(b, name...), value)
		}
	}
	some := func(name, value string) {
		if value != "" {
			b = appendText(append(b, name...), value)
		}
	}
	b = appendText(append(b, `{"feed":`...), l.Feed)
	b = appendText(append(b, `,"kind":`...), l.Kind.String())
	b = appendText(append(b, `,"canonical":`...), l.Canonical)
	if l.Original != l.Canonical {
		b = appendText(append(b, `,"original":`...), l.Original)
	}
	some(`,"role":`, l.Role)
	member(`,"provider":`, l.Provider, info.Provider)
	b = append(b, `,"intervals":[`...)
	for _, v := range l.Intervals {
		b = appendDate(append(comma(b), `{"from":`...), v.From)
		if v.To != nil {
			b = appendDate(append(b, `,"to":`...), *v.To)
		}
		b = append(b, '}')
	}
	b = appendDate(append(b, `],"first_seen":`...), l.FirstSeen)
	if !p.Gone.IsZero() {
		b = appendDate(append(b, `,"last_seen":`...), p.Gone)
	}
	if l.Confidence != info.Confidence || l.Info == nil {
		b = strconv.AppendInt(append(b, `,"confidence":`...), int64(l.Confidence), 10)
	}
	member(`,"tlp":`, l.TLP, info.TLP)
	b = appendList(b, "tags", l.Tags)
	some(`,"malware":`, l.Malware)
	member(`,"threat_type":`, l.ThreatType, info.ThreatType)
	some(`,"reference":`, l.Reference)
	member(`,"description":`, l.Description, info.Description)
	some(`,"feed_first_seen":`, l.FeedFirstSeen)
	some(`,"feed_last_seen":`, l.FeedLastSeen)
	some(`,"snapshot":`, l.Snapshot)
	if len(l.Context) > 0 {
		b = l.Context.AppendJSON(append(b, `,"context":`...))
	}
	return append(b, '}')
}

// readKept reads what appendKept wrote. info returns what the feed says of itself,
// nil where it is not known.
func readKept(raw []byte, info func(feed string) *intel.FeedInfo) (intel.Listing, error) {
	var k struct {
		intel.Listing
		Provider    *string `json:"provider"`
		Original    *string `json:"original"`
		Confidence  *int    `json:"confidence"`
		TLP         *string `json:"tlp"`
		ThreatType  *string `json:"threat_type"`
		Description *string `json:"description"`
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return k.Listing, err
	}
	l, i := &k.Listing, info(k.Feed)
	if l.Info = i; i == nil {
		i = &intel.FeedInfo{}
	}
	set(&l.Original, k.Original, l.Canonical)
	set(&l.Provider, k.Provider, i.Provider)
	set(&l.Confidence, k.Confidence, i.Confidence)
	set(&l.TLP, k.TLP, i.TLP)
	set(&l.ThreatType, k.ThreatType, i.ThreatType)
	set(&l.Description, k.Description, i.Description)
	if l.Tags == nil {
		l.Tags = []string{}
	}
	if l.Context == nil {
		l.Context = intel.Fields{}
	}
	return k.Listing, nil
}

// set sets what was kept, else what is known.
func set[T any](to, kept *T, known T) {
	if *to = known; kept != nil {
		*to = *kept
	}
}
