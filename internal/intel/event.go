package intel

import "time"

// EventType is what happened to a listing.
type EventType string

// The events.
const (
	EventListed   EventType = "listed"    // a feed began, or began again, to list it
	EventUpdated  EventType = "updated"   // its context changed
	EventDelisted EventType = "de-listed" // the feed dropped it
	EventAgedOut  EventType = "aged-out"  // it left the feed's window, or its time to live passed
)

// Event is a listing's last change. Of several changes between two readings only
// the last is told: it is what somebody who follows has to act on.
type Event struct {
	Type    EventType `json:"event"`
	At      time.Time `json:"at"` // when the run that brought it began
	Listing Listing   `json:"listing"`
}
