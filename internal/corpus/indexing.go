package corpus

import (
	"errors"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// indexer collects the keys of a segment's records, in the order in which they
// are written, and makes the text index of them. It works on a goroutine of its own.
type indexer struct{}

// newIndexer returns an indexer for about n records. It has to be finished or discarded.
func newIndexer(n int) *indexer { return &indexer{} }

// add takes the next record. h is read during the call; fields must not change
// until finish.
func (x *indexer) add(kind intel.Kind, value, original string, h *history, fields intel.Fields) {}

// end says that no more records come, so that building begins meanwhile. finish says it too.
func (x *indexer) end() {}

// finish returns the index of all records.
func (x *indexer) finish() (post, fst []byte, err error) {
	return nil, nil, errors.New("being written")
}

// discard abandons the work.
func (x *indexer) discard() {}
