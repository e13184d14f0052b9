package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Two documents of the index are no listings. One holds the facts: of each feed
// what answers need and listings' documents do not have, since it changes with
// every run, and how far the feed was sent. The other, small, names the version
// of the facts, so that whoever has them reads no more than that. Both lie in one
// shard with listings, and become visible together with those.
const (
	stateID = "state"
	factsID = "facts"
)

// ErrUnsynced says that nothing was ever written to the index.
var ErrUnsynced = errors.New("the index was never filled; `elasticintel reindex` does that")

// facts are what the listings of the index are read with.
type facts struct {
	Seq    string               `json:"seq"` // another one with every Sync
	Feeds  map[string]*feedFact `json:"feeds"`
	Damage string               `json:"damage,omitempty"` // what the source could not read
	Filled bool                 `json:"filled"`
	Routed bool                 `json:"routed,omitempty"` // documents say in which shard they are; where there is one they need not
	Source string               `json:"source,omitempty"` // Source.ID
	Marked int64                `json:"marked,omitempty"` // Unix milliseconds of the last mark of the filling

	// What a Sync was about to send, and nil for feeds that it was about to take out.
	// Found before the next one, it was ended by force.
	Sending map[string]*feedFact `json:"sending,omitempty"`

	Rejected int                `json:"rejected,omitempty"` // documents that the index would not take, since it was made
	Reject   string             `json:"reject,omitempty"`   // the first of them, and why
	Refused  map[string]refusal `json:"refused,omitempty"`  // the first of them by id
	Long     map[string]bool    `json:"long,omitempty"`     // paths of whole values of which some were ever too long for the index; see longContext
	Lengths  map[string]bool    `json:"lengths,omitempty"`  // of networks, as lengthName has them, that are or were listed
	Blank    map[string]bool    `json:"blank,omitempty"`    // fields of which some texts were ever blank, which have no form to be found by

	torn bool // the state names others: whoever wrote them was ended in between
}

// err says what of the data is not in the index.
func (f *facts) err() error {
	var errs []error
	if !f.Filled {
		errs = append(errs, ErrUnsynced)
	}
	if f.Damage != "" {
		errs = append(errs, errors.New(f.Damage))
	}
	if f.Rejected > 0 {
		errs = append(errs, fmt.Errorf("the index did not take %d documents; the first: %s", f.Rejected, f.Reject))
	}
	return errors.Join(errs...)
}

// refusal is a document that the index would not take.
type refusal struct {
	Kind      intel.Kind `json:"kind"`
	Canonical string     `json:"canonical"`
	Feed      string     `json:"feed"`
	Why       string     `json:"why"`
}

// refusalOf reads of the document itself what it was to say.
func refusalOf(r *Rejected) refusal {
	var d struct{ Listing refusal }
	_ = json.Unmarshal(r.Op.Source, &d) // it was made here
	d.Listing.Why = short(fmt.Sprintf("status %d %s: %s", r.Status, r.Type, r.Reason), 300)
	return d.Listing
}

// Doubt implements lookup.Doubter. Documents that the index would not take leave
// open only what would be answered with them, as long as they are known by name.
func (e *Engine) Doubt(q intel.Question) error {
	f := e.facts.Load()
	switch {
	case f == nil:
		return nil
	case !f.Filled || f.Damage != "" || f.Rejected > len(f.Refused):
		return f.err()
	}
	for _, r := range f.Refused {
		l := intel.Listing{Kind: r.Kind, Canonical: r.Canonical, Feed: r.Feed}
		if _, bears := relation(&q, &l); bears {
			return fmt.Errorf("the index did not take what feed %s says of %s %.200s: %s", r.Feed, r.Kind, r.Canonical, r.Why)
		}
	}
	return nil
}

// feedFact is what is known of a feed.
type feedFact struct {
	Info     intel.FeedInfo `json:"info"`
	LastGood int64          `json:"last_good"` // Unix milliseconds; what changed later was not sent
	Purged   int64          `json:"purged,omitempty"`
	Lost     int64          `json:"lost,omitempty"`

	// Of an index that is being filled: what comes behind it in the order of changes
	// was not sent yet. nil: all was.
	After *query.Position `json:"after,omitempty"`
}

// ends is when something of this kind that was last there at gone ends by
// itself; zero where it does not.
func (f *feedFact) ends(kind intel.Kind, gone, from time.Time) time.Time {
	ttl := time.Duration(f.Info.TTLOf(kind))
	if gone.IsZero() || ttl <= 0 {
		return time.Time{}
	}
	end := gone.Add(ttl).Truncate(time.Millisecond)
	if end.Before(from) {
		return from
	}
	return end
}

// state is what the document of that id holds.
type state struct {
	Seq string `json:"seq"`
}

// read returns the facts as of a point in time.
func (e *Engine) read(ctx context.Context, p *pit) (*facts, error) {
	r, err := e.client.ask(ctx, e.alias, &question{Query: ids(stateID), Size: 1, Source: true, PIT: p})
	if err != nil {
		return nil, err
	}
	if len(r.Hits.Hits) == 0 {
		return nil, ErrUnsynced
	}
	h := r.Hits.Hits[0]
	if f, err := e.known(h); f != nil || err != nil {
		return f, err
	}
	f, err := e.load(ctx, p)
	if err != nil {
		return nil, err
	}
	s, err := stateOf(h)
	if err != nil {
		return nil, err
	}
	if f.Seq != s.Seq { // they are those that there are, under the name by which others ask for them
		f.Seq, f.torn = s.Seq, true
	}
	e.facts.Store(f)
	return f, nil
}

// stateOf reads a state document.
func stateOf(h hit) (s state, err error) {
	if err = json.Unmarshal(h.Source.Listing, &s); err == nil && s.Seq == "" {
		err = errors.New("it names no version")
	}
	if err != nil {
		return s, fmt.Errorf("the state in the index cannot be read: %w; `elasticintel reindex` makes it anew", err)
	}
	return s, nil
}

// known returns the facts that a state document names, nil where they are not at hand.
func (e *Engine) known(h hit) (*facts, error) {
	s, err := stateOf(h)
	if err != nil {
		return nil, err
	}
	if f := e.facts.Load(); f != nil && f.Seq == s.Seq {
		return f, nil
	}
	return nil, nil
}

// load reads the facts.
func (e *Engine) load(ctx context.Context, p *pit) (*facts, error) {
	r, err := e.client.ask(ctx, e.alias, &question{Query: ids(factsID), Size: 1, Source: true, PIT: p})
	if err != nil {
		return nil, err
	}
	if len(r.Hits.Hits) == 0 {
		return nil, ErrUnsynced
	}
	f := &facts{}
	if err := json.Unmarshal(r.Hits.Hits[0].Source.Listing, f); err != nil {
		return nil, fmt.Errorf("the facts in the index cannot be read: %w; `elasticintel reindex` makes them anew", err)
	}
	return f, nil
}

// longContext is the name in Long of a value of the context behind its key, or of
// the key alone: that of all fields whose names begin so.
func longContext(keyed string) string {
	name, _, _ := strings.Cut(keyed, "=")
	return contextWhole + " " + strings.ToValidUTF8(name[:min(len(name), 64)], "")
}

// maxLong is about how many names of the context are kept; behind them it is all.
const maxLong = 100

// longIn says whether some values of the context field with this key were too long.
func (f *facts) longIn(key string) bool {
	return f.Long[contextWhole] || f.Long[longContext(key)]
}

// noteContext notes that a value behind this key is too long.
func (f *facts) noteContext(key string) {
	path := longContext(key)
	if len(f.Long) > maxLong {
		path = contextWhole
	}
	f.Long = noted(f.Long, path)
}

func noted(m map[string]bool, key string) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	m[key] = true
	return m
}

const wholePrefix = "ei.whole."
