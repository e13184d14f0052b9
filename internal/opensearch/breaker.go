package opensearch

import "time"

// How long a breaker stays open after the first failure, and at most.
const (
	breakFirst = 500 * time.Millisecond
	breakMost  = 30 * time.Second
)

// breaker says whether something that failed is tried again already. After each
// failure in a row it stays open twice as long; then one request may try, and the
// others wait for what becomes of it. The zero value is closed.
type breaker struct {
	failures int
	until    time.Time // when it may be tried again
	trying   bool      // somebody does
}

// open returns how long it will not be tried; 0 where a request may go.
func (b *breaker) open(now time.Time) time.Duration {
	if b.failures == 0 {
		return 0
	}
	if d := b.until.Sub(now); d > 0 {
		return d
	}
	if b.trying {
		return breakFirst
	}
	return 0
}

// busy says whether somebody finds out just now whether it is over.
func (b *breaker) busy(now time.Time) bool { return b.trying && !b.until.After(now) }

// try notes that a request goes.
func (b *breaker) try() { b.trying = b.failures > 0 }

// good closes it.
func (b *breaker) good() { *b = breaker{} }

// ended notes that a request ended which says nothing about health.
func (b *breaker) ended() { b.trying = false }

// failed opens it, for at least least. Of many requests that fail together the
// first counts.
func (b *breaker) failed(now time.Time, least time.Duration) {
	if b.failures > 0 && !b.trying {
		return
	}
	d := min(max(breakFirst<<min(b.failures, 10), least), breakMost)
	*b = breaker{failures: b.failures + 1, until: now.Add(d)}
}
