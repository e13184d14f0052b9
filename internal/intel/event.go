package intel

import (
	"errors"
	"time"
)

// ErrCursor says that a cursor was not made by this engine, or is too old for
// what it still knows: whoever follows begins anew.
var ErrCursor = errors.New("cursor")

// EventType is what happened to a listing.
type EventType string

// The events.
const (
	EventListed   EventType = "listed"    // a feed began, or began again, to list it
	EventUpdated  EventType = "updated"   // its context changed
	EventDelisted EventType = "de-listed" // the feed dropped it
	EventAgedOut  EventType = "aged-out"  // it left the feed's window, or its time to live passed
	EventRelisted EventType = "re-listed" // in a timeline: a feed began again to list it
)

// Ended is the event by which a listing of a feed of this presence ends.
func (p Presence) Ended() EventType {
	if p == Rolling || p == Append {
		return EventAgedOut
	}
	return EventDelisted
}

// Event is a listing's last change. Of several changes between two readings only
// the last is told: it is what somebody who follows has to act on.
type Event struct {
	Type    EventType `json:"event"`
	At      time.Time `json:"at"` // when the run that brought it began
	Listing Listing   `json:"listing"`
}

// AppendJSON appends the event's JSON to b, under the rules of Answer.AppendJSON.
func (e *Event) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"event":`...), string(e.Type))
	b = appendTime(append(b, `,"at":`...), &e.At)
	b = e.Listing.AppendJSON(append(b, `,"listing":`...))
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// Moment is one event of a timeline.
type Moment struct {
	At        time.Time `json:"at"`
	Feed      string    `json:"feed"`
	Type      EventType `json:"event"`    // listed, re-listed, de-listed, aged-out
	Relation  Relation  `json:"relation"` // of the listing to the value asked for
	Kind      Kind      `json:"kind"`
	Canonical string    `json:"canonical"` // what the feed listed
}

// appendJSON appends the moment's JSON to b, under the rules of Answer.AppendJSON.
func (m *Moment) appendJSON(b []byte) []byte {
	b = appendTime(append(b, `{"at":`...), &m.At)
	b = appendString(append(b, `,"feed":`...), m.Feed)
	b = appendString(append(b, `,"event":`...), string(m.Type))
	b = appendString(append(b, `,"relation":`...), string(m.Relation))
	b = appendString(append(b, `,"kind":`...), m.Kind.String())
	b = appendString(append(b, `,"canonical":`...), m.Canonical)
	return append(b, '}')
}
