package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// errNot says that an engine is not asked such a question.
var errNot = errors.New("not asked")

// question is one search: the newest 20 and the total.
type question struct {
	sort  string // term, and, phrase, prefix, subdomains, net
	words []string
	host  string
	net   netip.Prefix
}

// answer is what an engine says to a question: the total, and of the first 20
// the feed and the value.
type answer struct {
	total int
	least bool // there may be more than total
	first []string
}

// peer is an engine that is measured. Only load, ready and change write.
type peer interface {
	name() string
	about() string // version, indexes, durability
	load(ctx context.Context, feed int, entries []intel.Entry, rows []listing) error
	ready(ctx context.Context) error // what it does once after the loads; part of their time
	bytes(ctx context.Context) (int64, error)
	exact(ctx context.Context, i intel.Indicator) (listings int, err error)
	bulk(ctx context.Context, asked []intel.Indicator) (listings int, err error)
	search(ctx context.Context, q question) (answer, error)
	covering(ctx context.Context, a netip.Addr) (listings int, err error)
	facet(ctx context.Context, word string) (map[string]int, error)
	change(ctx context.Context, c *change) error
	count(ctx context.Context, feed int) (int, error) // what the feed lists now
	close() error
}

// change is the next state of a feed. We are given it whole and find out what
// changed; the peers get the difference ready.
type change struct {
	feed    int
	entries []intel.Entry
	gone    []listing
	added   []listing
}

// mute answers nothing; engines embed it for what they are not asked.
type mute struct{}

func (mute) ready(context.Context) error                           { return nil }
func (mute) bulk(context.Context, []intel.Indicator) (int, error)  { return 0, errNot }
func (mute) covering(context.Context, netip.Addr) (int, error)     { return 0, errNot }
func (mute) facet(context.Context, string) (map[string]int, error) { return nil, errNot }
func (mute) change(context.Context, *change) error                 { return errNot }
func (mute) count(context.Context, int) (int, error)               { return 0, errNot }
