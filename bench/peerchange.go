package main

import (
	"fmt"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// feedState is what the largest feed lists now, and as which rows.
type feedState struct {
	feed    int
	entries []intel.Entry
	seqs    []int64
	last    int64 // the newest row of all feeds
}

func newFeedState(d *dataset) *feedState {
	s := &feedState{last: int64(d.listings)}
	before := 0
	for i, f := range d.feeds {
		if len(f) > len(s.entries) {
			s.feed, s.entries = i, f
			s.seqs = s.seqs[:0]
			for j := range f {
				s.seqs = append(s.seqs, int64(before+j+1))
			}
		}
		before += len(f)
	}
	return s
}

// next changes a tenth: 3 % of the entries go, 4 % get another description,
// and 3 % come, which are made up.
func (s *feedState) next(round int) *change {
	c := &change{feed: s.feed}
	id := feedID(s.feed)
	var seqs []int64
	put := func(e intel.Entry) {
		s.last++
		c.entries, seqs = append(c.entries, e), append(seqs, s.last)
		c.added = append(c.added, makeRow(s.last, id, &e))
	}
	for i, e := range s.entries {
		switch h := (uint32(i)*2654435761 + uint32(round)*40503) >> 16 % 100; {
		case h < 3:
			c.gone = append(c.gone, makeRow(s.seqs[i], id, &e))
		case h < 7:
			c.gone = append(c.gone, makeRow(s.seqs[i], id, &e))
			e.Fields = slices.Clone(e.Fields)
			e.Fields.Add(intel.FieldDescription, fmt.Sprintf("changed in round %d", round))
			put(e)
		default:
			c.entries, seqs = append(c.entries, e), append(seqs, s.seqs[i])
		}
	}
	for i := range len(s.entries) * 3 / 100 {
		v := fmt.Sprintf("new-%d-%d.change.example", round, i)
		put(intel.Entry{Indicator: intel.Indicator{Kind: intel.Domain, Value: v}, Original: v})
	}
	s.entries, s.seqs = c.entries, seqs
	return c
}
