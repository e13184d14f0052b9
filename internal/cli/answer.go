package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// answerColumns are an answer in a table, defanged, and in CSV, as it is.
func answerColumns() []column[intel.Answer] {
	return []column[intel.Answer]{
		{name: "value", in: csvOnly, text: func(a *intel.Answer) string { return a.Value }},
		{name: "kind", in: csvOnly, text: func(a *intel.Answer) string { return kindText(a.Kind) }},
		{name: "canonical", in: csvOnly, text: func(a *intel.Answer) string { return a.Canonical }},
		{name: "found", in: csvOnly, text: func(a *intel.Answer) string { return strconv.FormatBool(a.Found) }},
		{name: "verdict", text: verdictText, paint: verdictColor},
		{name: "indicator", in: tableOnly, text: func(a *intel.Answer) string { return intel.Defang(shown(a)) }},
		{name: "score", right: true, text: func(a *intel.Answer) string { return strconv.Itoa(a.Score) }},
		{name: "sources", right: true, in: tableOnly, text: func(a *intel.Answer) string { return strconv.Itoa(len(lookup.Feeds(a))) }},
		{name: "feeds", in: csvOnly, text: func(a *intel.Answer) string { return strings.Join(lookup.Feeds(a), " ") }},
		{name: "first_seen", in: csvOnly, text: func(a *intel.Answer) string { first, _ := seen(a); return stamp(&first) }},
		{name: "last_seen", in: csvOnly, text: func(a *intel.Answer) string { _, last := seen(a); return stamp(&last) }},
		{name: "first..last seen", in: tableOnly, text: seenText},
		{name: "why", text: why, cell: func(a *intel.Answer) string { return why(a) }},
		{name: "error", in: csvOnly, text: func(a *intel.Answer) string {
			if a.Error == nil {
				return ""
			}
			return a.Error.Code
		}},
	}
}

// relatedColumn counts what is related, by group.
func relatedColumn() column[intel.Answer] {
	return column[intel.Answer]{name: "related", text: func(a *intel.Answer) string {
		if a.Related == nil {
			return ""
		}
		var parts []string
		for _, g := range a.Related.Groups() {
			if g.Total > 0 {
				parts = append(parts, g.Name+" "+countText(g.RelatedGroup))
			}
		}
		return strings.Join(parts, ", ")
	}}
}

// countText writes a group's total, with a + where there may be more.
func countText(g *intel.RelatedGroup) string {
	if g.Exact {
		return thousands(g.Total)
	}
	return thousands(g.Total) + "+"
}

func kindText(k intel.Kind) string {
	if k == intel.KindNone {
		return ""
	}
	return k.String()
}

// shown is the canonical value, or what was typed where it is unusable.
func shown(a *intel.Answer) string {
	if a.Error != nil {
		return shorten(a.Value, 60)
	}
	return a.Canonical
}

func verdictText(a *intel.Answer) string {
	switch {
	case a.Error == nil:
		return string(a.Verdict)
	case a.Error.Code == lookup.CodeIncomplete:
		return "not-known"
	}
	return "unusable"
}

func verdictColor(a *intel.Answer) string {
	switch {
	case a.Error != nil:
		return "35"
	case a.Verdict == intel.Malicious:
		return "1;31"
	case a.Verdict == intel.Suspicious:
		return "33"
	case a.Verdict == intel.Listed:
		return "36"
	case a.Verdict == intel.Allowed:
		return "32"
	}
	return ""
}

// seen returns the span over which feeds saw the value: those whose listings count
// now if any do, else all.
func seen(a *intel.Answer) (first, last time.Time) {
	for i := range a.Listings {
		l := &a.Listings[i]
		if a.Found && !l.Counts() {
			continue
		}
		if first.IsZero() || l.FirstSeen.Before(first) {
			first = l.FirstSeen
		}
		if l.LastSeen.After(last) {
			last = l.LastSeen
		}
	}
	return first, last
}

func seenText(a *intel.Answer) string {
	first, last := seen(a)
	if first.IsZero() {
		return ""
	}
	return first.Format(time.DateOnly) + ".." + last.Format(time.DateOnly)
}

// why is the answer's reason in one line.
func why(a *intel.Answer) string {
	switch {
	case a.Error != nil:
		return a.Error.Detail
	case len(a.Reasons) > 0:
		text := a.Reasons[0].Text
		if n := len(a.Reasons) - 1; n > 0 {
			text += fmt.Sprintf("; %d more", n)
		}
		return text
	case len(a.Listings) > 0:
		return whyNot(a)
	}
	return "no feed lists it"
}

// whyNot says which listings of a value do not count.
func whyNot(a *intel.Answer) string {
	var allowed, was []string
	for i := range a.Listings {
		if l := &a.Listings[i]; l.Listed {
			allowed = append(allowed, l.Feed)
		} else {
			was = append(was, l.Feed)
		}
	}
	names := func(feeds []string) string {
		slices.Sort(feeds)
		return strings.Join(slices.Compact(feeds), ", ")
	}
	switch {
	case len(allowed) == 0:
		return "no longer listed; was by " + names(was)
	case len(was) == 0:
		return "no feed lists it as a threat; allowed by " + names(allowed)
	}
	return "no longer listed; was by " + names(was) + "; allowed by " + names(allowed)
}
