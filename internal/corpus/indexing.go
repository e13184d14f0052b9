package corpus

import (
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// indexer collects the keys of a segment's records, in the order in which they
// are written, and makes the text index of them. It works on a goroutine of its own.
type indexer struct {
	batch []indexed // being filled
	in    chan []indexed
	free  chan []indexed // done with
	done  chan struct{}
	ended bool

	keys      *keyer // the goroutine's
	post, fst []byte
	err       error
	drop      bool // set before in is closed
}

// indexed is what the index has to know of a record.
type indexed struct {
	kind            intel.Kind
	closed          bool
	value, original string
	fields          intel.Fields
	first, gone     int64
}

const (
	indexBatch   = 256 // records that are handed over at once
	indexBatches = 8   // that may wait
)

// newIndexer returns an indexer for about n records. It has to be finished or discarded.
func newIndexer(n int) *indexer {
	x := &indexer{
		batch: make([]indexed, 0, indexBatch),
		in:    make(chan []indexed, indexBatches),
		free:  make(chan []indexed, indexBatches+2),
		done:  make(chan struct{}),
		keys:  newKeyer(terms.NewBuilder(n), n),
	}
	go x.work()
	return x
}

// add takes the next record. h is read during the call; fields must not change
// until finish.
func (x *indexer) add(kind intel.Kind, value, original string, h *history, fields intel.Fields) {
	x.batch = append(x.batch, indexed{kind, !h.isOpen(), value, original, fields, h.firstSeen(), h.gone})
	if len(x.batch) < indexBatch {
		return
	}
	x.in <- x.batch
	select {
	case x.batch = <-x.free:
	default:
		x.batch = make([]indexed, 0, indexBatch)
	}
}

// end says that no more records come, so that building begins meanwhile. finish says it too.
func (x *indexer) end() {
	if !x.ended {
		x.ended = true
		x.in <- x.batch
		close(x.in)
	}
}

// finish returns the index of all records.
func (x *indexer) finish() (post, fst []byte, err error) {
	x.end()
	<-x.done
	return x.post, x.fst, x.err
}

// discard abandons the work.
func (x *indexer) discard() {
	if !x.ended {
		x.ended, x.drop = true, true
		close(x.in)
	}
	<-x.done
}

func (x *indexer) work() {
	defer close(x.done)
	for batch := range x.in {
		for i := range batch {
			x.keys.record(&batch[i])
		}
		clear(batch)
		select {
		case x.free <- batch[:0]:
		default:
		}
	}
	if !x.drop {
		x.post, x.fst, x.err = x.keys.b.Finish()
	}
	x.keys = nil
}
