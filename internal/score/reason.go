package score

import (
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// maxReasons is how many reasons are spelled out; the last one sums up the rest.
const maxReasons = 20

// reasons puts the terms into words.
func reasons(terms []Term) []intel.Reason {
	n := len(terms)
	if n > maxReasons {
		n = maxReasons - 1
	}
	out := make([]intel.Reason, 0, n+1)
	text := make([]byte, 0, 256)
	for i := range terms[:n] {
		text = appendText(text[:0], &terms[i])
		out = append(out, intel.Reason{Text: string(text), Points: terms[i].Points})
	}
	if rest := terms[n:]; len(rest) > 0 {
		points := 0
		for i := range rest {
			points += rest[i].Points
		}
		out = append(out, intel.Reason{Text: strconv.Itoa(len(rest)) + " further listings", Points: points})
	}
	return out
}

// appendText appends the sentence for one term, such as
//
//	URLhaus (reliability B, confidence 90) lists it since 2026-11-20
//	Spamhaus DROP (reliability A, confidence 100) lists the network 192.0.2[.]0/24 around it since 2026-11-01 (counts 80 %)
//	Feodo (reliability B, confidence 90) lists it since 2026-11-20, not confirmed for 6 days (decayed to 80 %)
//	ThreatFox (reliability B, confidence 50) lists it since 2026-11-20; abuse.ch counts once
//
// Values in it are defanged.
func appendText(b []byte, t *Term) []byte {
	l := t.Listing
	b = append(b, feedName(l)...)
	b = append(b, " (reliability "...)
	if r := letter(l); r != "" {
		b = append(b, r...)
	} else {
		b = append(b, "unknown"...)
	}
	b = strconv.AppendInt(append(b, ", confidence "...), int64(confidence(l)), 10)
	b = append(b, ") lists "...)
	b = appendObject(b, l)
	if from := since(l); !from.IsZero() {
		b = from.UTC().AppendFormat(append(b, " since "...), time.DateOnly)
	}
	if l.Snapshot != "" {
		b = append(append(b, " in its data of "...), l.Snapshot...)
	}
	if t.Relation < 1 {
		b = appendPercent(append(b, " (counts "...), t.Relation)
	}
	if t.Decay < 0.995 {
		b = appendAge(append(b, ", not confirmed for "...), t.Age)
		b = appendPercent(append(b, " (decayed to "...), t.Decay)
	}
	if !t.Counted {
		b = append(append(append(b, "; "...), l.Provider...), " counts once"...)
	}
	return b
}

// appendObject appends what is listed, seen from the value asked for.
func appendObject(b []byte, l *intel.Listing) []byte {
	if l.Relation == intel.RelExact || l.Relation == "" {
		return append(b, "it"...)
	}
	what := intel.Defang(l.Canonical)
	switch l.Relation {
	case intel.RelNetwork:
		return append(append(append(b, "the network "...), what...), " around it"...)
	case intel.RelHost:
		return append(append(b, "its host "...), what...)
	case intel.RelParent:
		return append(append(append(b, "the domain "...), what...), " above it"...)
	case intel.RelMember:
		if l.Kind == intel.IPPort {
			return append(append(append(b, "the port "...), what...), " at it"...)
		}
	}
	return append(append(b, what...), " inside it"...)
}

// appendAge appends an age in hours, or in days from two days on.
func appendAge(b []byte, age time.Duration) []byte {
	if age < 2*day {
		return append(strconv.AppendInt(b, int64(age/time.Hour), 10), " hours"...)
	}
	return append(strconv.AppendInt(b, int64(age/day), 10), " days"...)
}

// appendPercent appends a share in percent and the closing parenthesis.
func appendPercent(b []byte, share float64) []byte {
	return append(strconv.AppendInt(b, int64(share*100+0.5), 10), " %)"...)
}

// since is when the listing's open interval began.
func since(l *intel.Listing) time.Time {
	if n := len(l.Intervals); n > 0 {
		return l.Intervals[n-1].From
	}
	return l.FirstSeen
}

// feedName is the feed's name for people.
func feedName(l *intel.Listing) string {
	if l.Info != nil && l.Info.Name != "" {
		return l.Info.Name
	}
	return l.Feed
}
