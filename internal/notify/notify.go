// Package notify sends messages out: the one door for webhooks and later for
// chat. What is worth a message, and what was told already, is internal/app's
// business.
package notify

import "time"

// Types of messages.
const (
	TypeFeedHealth = "feed.health" // a feed went into another class of health
	TypeTest       = "test"        // somebody tries whether messages arrive
)

// Message is what is told. Its JSON is the body of a webhook.
type Message struct {
	ID       string     `json:"-"`    // the same each time that it is sent: receivers drop what they have
	Type     string     `json:"type"` // one of the Type… constants
	Feed     string     `json:"feed"`
	Name     string     `json:"name"`
	Provider string     `json:"provider"`
	From     string     `json:"from"`  // the class that was told last; "new" where nothing was
	To       string     `json:"to"`    // the class now
	Since    *time.Time `json:"since"` // when it went into it; null where that is not known
	Reason   string     `json:"reason"`
	Advice   string     `json:"advice"`
	At       time.Time  `json:"at"` // when this was found
}
