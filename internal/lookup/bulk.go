package lookup

import (
	"context"
	"net/netip"
	"sync"

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

// batch is a run of values with their answers, in order.
type batch struct {
	values  []string
	answers []intel.Answer
	later   []bool          // answers that the emitting side makes, one at a time
	err     error           // of the engine: answers are not complete
	done    chan struct{}   // one token when a worker is through with it
	arena   []intel.Listing // memory for listings, used again
}

// Answers looks up every value that next gives until it says false, and hands
// the answers to emit in that order: one for each value. Memory stays flat
// however many there are, two values are worked on at the same time, and a value
// is answered as soon as it is there, so next may wait for more. next is called
// from another goroutine than emit, never twice at once. An answer and what it
// points to is valid only until emit returns. The first error of next, emit, the
// engine or ctx ends the work and is returned; the values before it were or
// were not emitted, in order and without gaps. Where ctx or emit ended it, a
// call of next may still be waiting when Answers returns.
func (s *Service) Answers(ctx context.Context, next func() (value string, ok bool, err error), o Options, emit func(*intel.Answer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	values, readErr := make(chan string, 2*batchSize), make(chan error, 1)
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
		gather(ctx, values, free, work, order)
		close(work)
		close(order)
	})
	for range workers {
		wg.Go(func() {
			for b := range work {
				s.work(ctx, b, o)
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

// gather makes batches of the values that are there, waiting only for the first
// of each, and hands them to the workers and to the emitting side.
func gather(ctx context.Context, values <-chan string, free <-chan *batch, work, order chan<- *batch) {
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
		for len(b.values) < batchSize {
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
	defer func() { b.done <- struct{}{} }()
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
