package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/notify"
)

// AlertsKey is the object with what each receiver was told last of each feed: a
// JSON object of feeds by receiver. What it names wrongly is told again, so it
// may be deleted.
const AlertsKey = "settings/alerts.json"

// Receiver is told of feeds that fall sick or heal. *notify.Webhook is one. Safe
// for concurrent use.
type Receiver interface {
	// ID names the receiver, the same after every restart, and holds no secret.
	ID() string
	// Send returns nil once the receiver has the message for good. A message may
	// be sent again, with the same ID, where nobody wrote down that it was taken.
	Send(ctx context.Context, m notify.Message) error
}

// AlertsConfig is what Alerts works with.
type AlertsConfig struct {
	Receivers []Receiver
	// After is how long a feed must be in a new class before that is told, so that
	// what passes by itself is never told.
	After time.Duration
	// Started is when a server began to run feeds; zero for who runs them once. What
	// was late at that time gets a while to catch up before it is told.
	Started time.Time
	Say     func(format string, a ...any) // of receivers that cannot be reached
}

// Alerts tells receivers when a feed's health changes. It compares what each was
// told last, which is stored, with what is: so a restart neither loses nor
// repeats a change. What came and went before a receiver was told of it is not told.
type Alerts struct {
	AlertsConfig
	feeds *Feeds

	mu      sync.Mutex
	resting map[string]rest // receivers that failed
}

// rest is how long a receiver is left alone.
type rest struct {
	failures int
	until    time.Time
}

// How long a receiver is left alone after a failure, doubled with each further one.
const (
	leastRest = 30 * time.Second
	mostRest  = 30 * time.Minute
	// catchUp is how long feeds may stay late after a server's start untold.
	catchUp = 30 * time.Minute
)

// errNotTaken says that a receiver does not take a message.
var errNotTaken = errors.New("an alert was not taken")

// NewAlerts makes Alerts on the health of feeds.
func NewAlerts(c AlertsConfig, feeds *Feeds) *Alerts {
	return &Alerts{AlertsConfig: c, feeds: feeds, resting: map[string]rest{}}
}

// told is what a receiver was told last of a feed.
type told struct {
	Class   feed.Class `json:"class"`
	At      time.Time  `json:"at"`
	Pending *pending   `json:"pending,omitempty"`
}

// pending is a message that the receiver may have or not: it is written down
// before it is sent, and goes when it was taken for sure.
type pending struct {
	From  feed.Class `json:"from"`
	To    feed.Class `json:"to"`
	Found time.Time  `json:"found"`
}

// last is the class that the receiver may know of.
func (t told) last() feed.Class {
	switch {
	case t.Pending != nil:
		return t.Pending.To
	case t.Class == "":
		return feed.ClassNew
	}
	return t.Class
}

// book is what each receiver was told, by receiver and feed.
type book struct {
	Receivers map[string]map[string]told `json:"receivers"`
}

// Round looks once at every feed and tells what is to be told. It waits for the
// receivers, so it is not for a run's own goroutine. A receiver that fails is
// left alone for a while, and holds up no other.
func (a *Alerts) Round(ctx context.Context) error {
	if len(a.Receivers) == 0 {
		return nil
	}
	views, err := a.feeds.List(ctx)
	if err != nil {
		return err
	}
	known, err := a.read(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(a.Receivers))
	var all sync.WaitGroup
	for i, r := range a.Receivers {
		all.Go(func() { errs[i] = a.tell(ctx, r, known.Receivers[r.ID()], views) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// tell brings one receiver up to date. It stops at the first message that is not taken.
func (a *Alerts) tell(ctx context.Context, r Receiver, have map[string]told, views []feed.View) error {
	now := a.feeds.Now()
	send, note := a.changes(have, views, now)
	if err := a.mark(ctx, r.ID(), note, views); err != nil {
		return err
	}
	if len(send) == 0 || a.rests(r.ID(), now) {
		return nil
	}
	for _, v := range send {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p, err := a.begin(ctx, r.ID(), v, now)
		if err != nil {
			return err
		} else if p == nil {
			continue
		}
		if err := sendWhole(ctx, r, message(r.ID(), p, v)); err != nil {
			if ctx.Err() == nil {
				a.failed(r.ID(), err, len(send))
			}
			return fmt.Errorf("%w: %w", errNotTaken, err)
		}
		a.succeeded(r.ID())
		if err := a.mark(context.WithoutCancel(ctx), r.ID(), map[string]told{v.ID: {Class: p.To, At: now.UTC()}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// sendWhole sends a message. One that is under way when ctx ends may go on for a
// moment: cut off, it would be told again although the receiver has it.
func sendWhole(ctx context.Context, r Receiver, m notify.Message) error {
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(moment)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-whole.Done():
		}
	})
	defer stop()
	return r.Send(whole, m)
}

// moment is well below StopWithin.
const moment = 5 * time.Second

// changes are the feeds of which a receiver must be told, and those of which it
// need not be told anything but must be remembered: they are as expected.
func (a *Alerts) changes(have map[string]told, views []feed.View, now time.Time) (send []*feed.View, note map[string]told) {
	note = map[string]told{}
	for i := range views {
		v := &views[i]
		t, is := have[v.ID], v.State.Status
		switch {
		case t.Class == is && t.Pending == nil:
		case is == feed.ClassNew, t.last() == feed.ClassNew && expected(v):
			note[v.ID] = told{Class: is, At: now.UTC()}
		case a.holds(v, now):
			send = append(send, v)
		}
	}
	return send, note
}

// expected says whether a feed is as one can be from the start: well, or in want
// of a key that there never was.
func expected(v *feed.View) bool {
	return !v.State.Status.Sick() || v.State.Status == feed.ClassNeedsKey && v.State.LastRun == nil
}

// holds says whether a feed is in its class long enough to tell it.
func (a *Alerts) holds(v *feed.View, now time.Time) bool {
	if v.State.Since == nil {
		return true
	}
	since, hold := *v.State.Since, a.After
	if c := v.State.Status; !a.Started.IsZero() && (c == feed.ClassDelayed || c == feed.ClassStale) && a.Started.After(since) {
		since, hold = a.Started, max(hold, catchUp)
	}
	return now.Sub(since) >= hold
}

// message is what a receiver is told of a feed. The same change has the same ID
// in every process and after every restart, and no other has it.
func message(receiver string, p *pending, v *feed.View) notify.Message {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s", receiver, v.ID, p.From, p.To, p.Found.Format(time.RFC3339Nano)))
	return notify.Message{
		ID: "msg_" + hex.EncodeToString(sum[:12]), Type: notify.TypeFeedHealth, Feed: v.ID, Name: v.Name, Provider: v.Provider,
		From: string(p.From), To: string(p.To), Since: v.State.Since, Reason: v.State.Reason, Advice: v.State.Advice, At: p.Found,
	}
}

func (a *Alerts) read(ctx context.Context) (book, error) {
	data, _, err := blob.Read(ctx, a.feeds.Store, AlertsKey)
	if errors.Is(err, blob.ErrNotFound) {
		return book{}, nil
	} else if err != nil {
		return book{}, err
	}
	return decodeBook(data)
}

func decodeBook(data []byte) (book, error) {
	var b book
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("%s in the data folder is damaged (%w); delete it: then sick feeds are told anew", AlertsKey, err)
	}
	return b, nil
}

// begin writes down that a receiver is about to be told of a feed. Nil without an
// error means that another process has told it. What was told before and perhaps
// not taken is where the new message begins, so that a receiver which has it also
// learns that it is over.
func (a *Alerts) begin(ctx context.Context, receiver string, v *feed.View, now time.Time) (p *pending, err error) {
	err = a.update(ctx, receiver, func(all map[string]told) bool {
		t, is := all[v.ID], v.State.Status
		switch p = t.Pending; {
		case p != nil && p.To == is, p == nil && t.Class == is:
			return false
		}
		p = &pending{From: t.last(), To: is, Found: now.UTC()}
		t.Pending = p
		all[v.ID] = t
		return true
	})
	return p, err
}

// mark remembers that a receiver knows of feeds. With views it also forgets feeds
// that are no more.
func (a *Alerts) mark(ctx context.Context, receiver string, known map[string]told, views []feed.View) error {
	if len(known) == 0 {
		return nil
	}
	return a.update(ctx, receiver, func(all map[string]told) bool {
		maps.Copy(all, known)
		if views != nil {
			maps.DeleteFunc(all, func(id string, _ told) bool {
				return !slices.ContainsFunc(views, func(v feed.View) bool { return v.ID == id })
			})
		}
		return true
	})
}

// update changes what is remembered of one receiver, unless change returns false.
func (a *Alerts) update(ctx context.Context, receiver string, change func(map[string]told) bool) error {
	return blob.Update(ctx, a.feeds.Store, AlertsKey, func(old []byte) ([]byte, error) {
		b := book{}
		if old != nil {
			var err error
			if b, err = decodeBook(old); err != nil {
				return nil, err
			}
		}
		if b.Receivers == nil {
			b.Receivers = map[string]map[string]told{}
		}
		if b.Receivers[receiver] == nil {
			b.Receivers[receiver] = map[string]told{}
		}
		if !change(b.Receivers[receiver]) {
			return nil, nil
		}
		return json.MarshalIndent(b, "", " ")
	})
}

func (a *Alerts) rests(receiver string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.resting[receiver].until)
}

// failed lets a receiver rest, and says so the first time.
func (a *Alerts) failed(receiver string, err error, waiting int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.resting[receiver]
	r.failures++
	wait := min(leastRest<<min(r.failures-1, 10), mostRest)
	if f, ok := errors.AsType[*fetch.Error](err); ok && f.RetryAfter > wait {
		wait = f.RetryAfter
	}
	r.until = a.feeds.Now().Add(wait)
	a.resting[receiver] = r
	if r.failures == 1 {
		a.Say("Alerts: %v; %d changes of feeds wait until it answers", err, waiting)
	}
}

func (a *Alerts) succeeded(receiver string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.resting[receiver].failures > 0 {
		a.Say("Alerts: %s answers again", receiver)
	}
	delete(a.resting, receiver)
}
