package registry

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	maxServers    = 4096               // that are remembered
	openAfter     = 5                  // failures in a row, after which a server is left alone
	openTime      = time.Minute        // at first, doubled with each trial that fails
	backoffTime   = time.Minute        // after a refusal that names no time, doubled with each further one
	maxOpenTime   = time.Hour          // of both
	maxRetryAfter = 7 * 24 * time.Hour // a longer one is cut to it
)

//go:embed data
var data embed.FS

// Rate is how often a server may be asked. Queries are spread evenly: there are no
// bursts, however many wait.
type Rate struct {
	PerMinute float64 `json:"per_minute"` // queries that are begun
	Parallel  int     `json:"parallel"`   // queries at the same time; 0 = 1
}

func (r Rate) check() error {
	if !(r.PerMinute > 0 && r.PerMinute <= 1e6) || r.Parallel < 0 || r.Parallel > 64 {
		return errors.New("per_minute must be above 0 and at most 1000000, parallel at most 64")
	}
	return nil
}

func (r Rate) every() time.Duration { return time.Duration(float64(time.Minute) / r.PerMinute) }

// form is how a whois server wants to be asked; {} stands for the subject.
type form struct {
	Addr, Domain, ASN string
}

type knownServers struct {
	Rates map[string]Rate `json:"rates"`
	Forms map[string]form `json:"forms"`
}

func readServers() (knownServers, error) {
	var k knownServers
	b, err := data.ReadFile("data/servers.json")
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	return k, err
}

// servers are those that were asked, by host and port.
type servers struct {
	rates []map[string]Rate // the first that names a server counts
	now   func() time.Time
	rand  func() float64

	mu  sync.Mutex
	all map[string]*server
}

// get returns the server at an address; kind is what its rate is called where
// nobody names it: "*rdap" …
func (s *servers) get(address, kind string) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.all[address]; have != nil {
		return have
	}
	if len(s.all) >= maxServers {
		s.forget(false)
		if len(s.all) >= maxServers {
			s.forget(true) // hosts that somebody made up to fill this list fail, and are remembered for it
		}
	}
	rate := s.rate(address, kind)
	srv := &server{now: s.now, rand: s.rand, every: rate.every(), slots: make(chan struct{}, max(rate.Parallel, 1))}
	s.all[address] = srv
	return srv
}

func (s *servers) rate(address, kind string) Rate {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	for _, name := range []string{address, host, kind} {
		for _, m := range s.rates {
			if r, ok := m[strings.ToLower(name)]; ok && r.check() == nil {
				return r
			}
		}
	}
	return Rate{PerMinute: 20, Parallel: 1}
}

// forget drops the servers that nobody asks now and that need not be left alone;
// those that failed or refused only where there is no other way.
func (s *servers) forget(failedToo bool) {
	now := s.now()
	for address, srv := range s.all {
		if srv.idle(now, failedToo) {
			delete(s.all, address)
		}
	}
}

// server keeps the manners towards one server.
type server struct {
	now   func() time.Time
	rand  func() float64
	every time.Duration
	slots chan struct{} // one for each query under way

	mu     sync.Mutex
	next   time.Time     // no query begins before
	until  time.Time     // the server is left alone until then
	reason string        // Refused or Unreachable, why it is
	fails  int           // in a row
	refuse int           // in a row
	trials int           // that failed, since the server was left alone
	down   time.Time     // since when nothing but failures came
	trial  chan struct{} // closed when the trial under way has ended; nil = there is none
}

// leftAlone is why a query was not sent.
type leftAlone struct {
	why   string
	until time.Time
}

func (e *leftAlone) Error() string {
	return fmt.Sprintf("the server is not asked before %s: %s", e.until.UTC().Format(time.RFC3339), e.why)
}

// enter waits until a query may begin. Whoever gets no error calls leave with what
// came of it. The error is ctx's, or a *leftAlone where the wait would be longer
// than patience.
func (s *server) enter(ctx context.Context, patience time.Duration) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.turn(ctx, patience); err != nil {
		<-s.slots
		return err
	}
	return nil
}

// turn waits for the server's time. What it waited for may have changed meanwhile,
// so that it looks again.
func (s *server) turn(ctx context.Context, patience time.Duration) error {
	booked := false
	for {
		wait, trial, err := s.look(patience, &booked)
		if err != nil {
			return err
		}
		switch {
		case trial != nil:
			select {
			case <-trial:
			case <-ctx.Done():
				return ctx.Err()
			}
		case wait > 0:
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		default:
			return ctx.Err()
		}
	}
}

// look says how long to wait, or for whose trial; neither = now. Booked is whether
// a place in the queue was taken already.
func (s *server) look(patience time.Duration, booked *bool) (wait time.Duration, trial chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if wait := s.until.Sub(now); wait > 0 {
		if *booked = false; wait > patience {
			return 0, nil, &leftAlone{s.reason, s.until}
		}
		return wait, nil, nil
	}
	if s.trial != nil {
		return 0, s.trial, nil
	}
	if !*booked {
		start := s.next
		if start.Before(now) {
			start = now
		}
		s.next, *booked = start.Add(s.every), true
		if wait := start.Sub(now); wait > 0 {
			return wait, nil, nil
		}
	}
	if s.fails >= openAfter {
		s.trial = make(chan struct{}) // half open: one asks, the others wait for what comes of it
	}
	return 0, nil, nil
}

// ending is what came of a query, as far as manners go.
type ending int

const (
	served  ending = iota // an answer of any kind
	refusal               // asked too often
	failure               // no answer
	nothing               // who asked gave up
)

// leave ends a query. After is how long the server wants to be left alone, 0 where
// it does not say.
func (s *server) leave(e ending, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	<-s.slots
	now := s.now()
	switch e {
	case served:
		s.fails, s.refuse, s.trials, s.down = 0, 0, 0, time.Time{}
		if after > 0 {
			s.alone(now.Add(min(after, maxRetryAfter)), Refused)
		}
	case refusal:
		if after <= 0 {
			after = s.jitter(min(backoffTime<<min(s.refuse, 10), maxOpenTime))
		}
		s.refuse++
		s.fails, s.down = 0, time.Time{}
		s.alone(now.Add(min(after, maxRetryAfter)), Refused)
	case failure:
		if s.down.IsZero() {
			s.down = now
		}
		if s.fails++; s.fails >= openAfter {
			s.alone(now.Add(s.jitter(min(openTime<<min(s.trials, 10), maxOpenTime))), Unreachable)
			s.trials++
		}
	}
	if s.trial != nil {
		close(s.trial)
		s.trial = nil
	}
}

func (s *server) alone(until time.Time, why string) {
	if until.After(s.until) {
		s.until, s.reason = until, why
	}
}

// jitter lengthens a wait by up to a half, so that many do not come back at once.
func (s *server) jitter(d time.Duration) time.Duration {
	return d + time.Duration(float64(d)*s.rand()/2)
}

// downFor is how long nothing but failures came, which is how long nobody needs to
// ask again: an hour at first, a day at most.
func (s *server) downFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down.IsZero() {
		return retryDown
	}
	return min(max(s.now().Sub(s.down), retryDown), day)
}

func (s *server) idle(now time.Time, failedToo bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots) == 0 && (failedToo || s.fails == 0 && s.refuse == 0) && s.next.Before(now) && s.until.Before(now)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
