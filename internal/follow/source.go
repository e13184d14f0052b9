package follow

import (
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// Source is one state of a corpus, as an index takes it.
type Source struct {
	*corpus.View
	id     string
	damage error
}

var _ opensearch.Source = Source{}

// Of returns the present state of c.
func Of(c *corpus.Corpus) Source { return Source{c.View(), c.ID(), c.Err()} }

// Feeds implements opensearch.Source.
func (s Source) Feeds() (out []opensearch.Feed) {
	for _, h := range s.View.Feeds() {
		out = append(out, feedOf(h))
	}
	return out
}

func feedOf(h *corpus.Head) opensearch.Feed {
	return opensearch.Feed{Info: h.Info, LastGood: h.LastGood, Purged: h.Purged, Lost: h.Lost}
}

// ID implements opensearch.Source.
func (s Source) ID() string { return s.id }

// Err implements opensearch.Source.
func (s Source) Err() error { return s.damage }
