package lookup

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// How Answers works ahead: batchSize values are handed to a worker at once,
// because one is too little work for a hand-over, and at most maxAhead batches
// are between being read and being emitted. That bounds memory.
const (
	batchSize = 32
	workers   = 2
	maxAhead  = 2 * workers
)

// manySize is batchSize for a ManyFinder, to which asking is dearer than finding.
const manySize = 500

// ManyFinder is an engine that answers many questions at once in less time than
// one by one. It is optional.
type ManyFinder interface {
	// FindMany calls emit once for each question, in their order, with what Find
	// would find, or with an error that wraps an *intel.ValueError and is of that question
	// alone. Listings are emit's to keep; what they point to may be shared with
	// others and is only read. The first error of emit, ctx or the engine ends
	// it and is returned; the questions before it were answered. It must fit into
	// memory what all questions find: whoever asks about wide networks should do so one by one.
	FindMany(ctx context.Context, qs []intel.Question, at time.Time, emit func(i int, ls []intel.Listing, err error) error) error
}

// batch is a run of values with their answers, in order.
type batch struct {
	values  []string
	answers []intel.Answer
	asked   []intel.Question // of a ManyFinder, and at which of the values they are
	places  []int
	later   []bool          // answers that the emitting side makes, one at a time
	err     error           // of the engine: answers are not complete
	done    chan struct{}   // one token when a worker is through with it
	arena   []intel.Listing // memory for listings, used again
}

// Answers looks up every value that next gives until it says false, and hands
// the answers to emit in that order: one for each value. Memory stays flat
// however many there are, two values are worked on at the same time, and a value
// is answered as soon as it is there, so next may wait for more: what has come
// while others were worked on is asked for together. next is called
// from another goroutine than emit, never twice at once. An answer and what it
// points to is valid only until emit returns. The first error of next, emit, the
// engine or ctx ends the work and is returned; the values before it were or
// were not emitted, in order and without gaps. Where ctx or emit ended it, a
// call of next may still be waiting when Answers returns.
func (s *Service) Answers(ctx context.Context, next func() (value string, ok bool, err error), o Options, emit func(*intel.Answer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	size, answer := batchSize, s.work
	if e, ok := s.engine.(ManyFinder); ok {
		size = manySize
		answer = func(ctx context.Context, b *batch, o Options) { s.workMany(ctx, e, b, o) }
	}
	values, readErr := make(chan string, 2*size), make(chan error, 1)
	go func() {
		readErr <- read(ctx, next, values)
		close(values)
	}()
	order, work := make(chan *batch, maxAhead), make(chan *batch, maxAhead)
	free := make(chan *batch, maxAhead)
	for range maxAhead {
		free <- &batch{done: make(chan struct{}, 1)}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		gather(ctx, size, values, free, work, order)
		close(work)
		close(order)
	})
	for range workers {
		wg.Go(func() {
			for b := range work {
				answer(ctx, b, o)
				b.done <- struct{}{}
			}
		})
	}
	for b := range order {
		<-b.done
		if err := s.emit(ctx, b, o, emit); err != nil {
			return err
		}
		free <- b
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return <-readErr
}

// read passes on what next gives until it is through or ctx ends.
func read(ctx context.Context, next func() (string, bool, error), values chan<- string) error {
	for {
		v, ok, err := next()
		if err != nil || !ok {
			return err
		}
		select {
		case values <- v:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gather makes batches of at most size of the values that are there, waiting only for the first
// of each, and hands them to the workers and to the emitting side.
func gather(ctx context.Context, size int, values <-chan string, free <-chan *batch, work, order chan<- *batch) {
	for {
		var b *batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return
		}
		b.values = b.values[:0]
		select {
		case v, ok := <-values:
			if !ok {
				return
			}
			b.values = append(b.values, v)
		case <-ctx.Done():
			return
		}
		for len(b.values) < size {
			select {
			case v, ok := <-values:
				if ok {
					b.values = append(b.values, v)
					continue
				}
			default:
			}
			break
		}
		work <- b // neither blocks: both channels hold as many as there are batches
		order <- b
	}
}

// work makes a batch's answers.
func (s *Service) work(ctx context.Context, b *batch, o Options) {
	b.err = nil
	b.answers, b.later, b.arena = b.answers[:0], b.later[:0], b.arena[:0]
	for _, v := range b.values {
		if b.err = ctx.Err(); b.err != nil {
			return
		}
		b.answers, b.later = append(b.answers, intel.Answer{}), append(b.later, false)
		a := &b.answers[len(b.answers)-1]
		ind, bad := identify(v, o.Kinds)
		if bad != nil {
			unusable(a, v, bad)
			continue
		}
		q := intel.Ask(ind)
		if wide(q.Inside) {
			a.Value, b.later[len(b.later)-1] = v, true
			continue
		}
		if b.err = s.find(ctx, v, q, o, b.arena[len(b.arena):], a); b.err != nil {
			b.answers = b.answers[:len(b.answers)-1] // the ones before it are good
			return
		}
		b.grow(a.Listings)
	}
}

// workMany makes a batch's answers, those of all values together.
func (s *Service) workMany(ctx context.Context, e ManyFinder, b *batch, o Options) {
	b.answers, b.later, b.asked, b.places = b.answers[:0], b.later[:0], b.asked[:0], b.places[:0]
	for i, v := range b.values {
		b.answers, b.later = append(b.answers, intel.Answer{}), append(b.later, false)
		ind, bad := identify(v, o.Kinds)
		if bad != nil {
			unusable(&b.answers[i], v, bad)
			continue
		}
		q := intel.Ask(ind)
		if b.later[i] = wide(q.Inside); !b.later[i] {
			b.asked, b.places = append(b.asked, q), append(b.places, i)
		}
	}
	answered := 0
	b.err = e.FindMany(ctx, b.asked, o.AsOf, func(i int, ls []intel.Listing, err error) error {
		at := b.places[i]
		if err := s.complete(ctx, b.values[at], b.asked[i], o, ls, err, &b.answers[at]); err != nil {
			return err
		}
		answered++
		return nil
	})
	if b.err == nil || answered == len(b.asked) {
		return
	}
	b.answers = b.answers[:b.places[answered]] // the ones before it are good
	if ctx.Err() == nil && !errors.Is(b.err, ErrEngine) {
		b.err = engineError(&b.asked[answered], b.err)
	}
}

// grow takes the listings just found into the arena. Where they did not fit
// behind what is there, Find has put them elsewhere and a larger arena is made
// for the next batches, up to a bound.
func (b *batch) grow(found []intel.Listing) {
	const most = 64 * batchSize
	n := len(b.arena) + len(found)
	if n <= cap(b.arena) {
		b.arena = b.arena[:n]
	} else if cap(b.arena) < most {
		b.arena = make([]intel.Listing, 0, min(2*n, most)) // what was found stays where it is
	}
}

// emit hands a batch's answers on.
func (s *Service) emit(ctx context.Context, b *batch, o Options, emit func(*intel.Answer) error) error {
	for i := range b.answers {
		a := &b.answers[i]
		if b.later[i] {
			if err := s.answer(ctx, b.values[i], o, nil, a); err != nil {
				return err
			}
		}
		if err := emit(a); err != nil {
			return err
		}
		a.Listings, a.Reasons = nil, nil
	}
	return b.err
}

// wide says whether the members of a network may be very many. Such answers are
// made one at a time, where they are emitted, so that a list of wide networks
// does not fill memory with answers that wait for their turn.
func wide(inside netip.Prefix) bool {
	return inside.IsValid() && !inside.IsSingleIP()
}

func unusable(a *intel.Answer, value string, bad *intel.AnswerError) {
	*a = intel.Answer{Value: value, Verdict: intel.Unknown, Reasons: []intel.Reason{}, Listings: []intel.Listing{}, Error: bad}
}
