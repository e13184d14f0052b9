package parse

import (
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// What formats with a layout of their own have in common. There a record says
// itself what sort of thing it offers, so nobody maps columns.

// Reasons of SuppressedFor for what such formats offer.
const (
	suppressedKind    = "a kind that is not held"
	suppressedFeed    = "a kind that the feed is not read for"
	suppressedRevoked = "revoked"
	suppressedExpired = "expired"
	suppressedOlder   = "an older version of an object"
)

// finding is one indicator that a record offers, and what it may be.
type finding struct {
	value string
	kinds intel.KindSet
}

// offered takes the indicators of one record, of which r.extra is the context. A
// record without any is one that offers kinds that are not held. It returns the
// entries that they became; the slice is good until the next call.
func (c *collector) offered(r *record, found ...finding) []int {
	c.around.column = nowhere
	c.took = c.took[:0]
	switch {
	case len(found) == 0:
		c.suppress(suppressedKind, 1)
		return nil
	case !c.kept(r):
		c.suppress(suppressedFilter, len(found))
		return nil
	}
	for _, f := range found {
		kinds := f.kinds & c.kinds
		if kinds == 0 {
			c.suppress(suppressedFeed, 1)
			continue
		}
		if pos := c.take(r, offer{-1, f.value}, kinds); pos >= 0 && !slices.Contains(c.took[max(0, len(c.took)-8):], pos) {
			c.took = append(c.took, pos)
		}
	}
	return c.took
}

// expired says whether until, a time as RFC 3339 has it or without a zone (then of
// UTC), is past at the run's time. The earliest that is not is Result.Expires.
func (c *collector) expired(until string) bool {
	if until == "" || c.options.Now.IsZero() {
		return false
	}
	t, err := time.Parse(time.RFC3339, until)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", until)
	}
	if err != nil {
		return false
	}
	if !t.After(c.options.Now) {
		return true
	}
	if c.res.Expires.IsZero() || t.Before(c.res.Expires) {
		c.res.Expires = t
	}
	return false
}

// Expired is how many records were left out because their time was over.
func (r *Result) Expired() int { return r.SuppressedFor[suppressedExpired] }

// names says where the members of an object go: the context field for a path,
// "" for those that are no context. What is not in it keeps its own name.
type names map[string]string

// around adds the plain values of an object to the record's context.
func (r *record) around(t *tree, at int32, n names) {
	t.flatten(at, nil, func(path []byte, value string) {
		name, known := n[string(path)]
		if !known {
			name = string(path)
		}
		if name != "" && value != "" {
			r.extra = append(r.extra, pair{name, value})
		}
	})
}

// begin makes r ready for the next record.
func (r *record) begin(line int, raw string) {
	r.line, r.raw, r.why, r.extra = line, raw, "", r.extra[:0]
}

// say adds one value to the record's context.
func (r *record) say(name, value string) {
	if value != "" {
		r.extra = append(r.extra, pair{name, value})
	}
}
