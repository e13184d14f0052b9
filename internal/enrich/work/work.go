// Package work finds out what nobody asked about yet, and has it asked: the newest
// first, then what was asked long ago. An answer about one address is one about its
// whole network, so that one question serves many.
package work

import (
	"context"
	"errors"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Asker asks registries, at the rate that they allow. registry.Registry is one.
type Asker interface {
	// Ask returns what came of asking about a subject: nothing only where ctx ended.
	Ask(ctx context.Context, s enrich.Subject) []enrich.Finding
	// Origins returns which autonomous systems announce addresses, in few queries.
	Origins(ctx context.Context, addrs []netip.Addr) ([]enrich.Finding, error)
}

// Finder searches what is listed. lookup.Service is one.
type Finder interface {
	Search(ctx context.Context, text string, o lookup.SearchOptions, emit func(*intel.Listing) error) (lookup.Found, error)
}

// Book keeps what was found. facts.Book is one.
type Book interface {
	Snapshot() *facts.Snapshot
	Add(ctx context.Context, found []enrich.Finding) error
	Fold(ctx context.Context, now time.Time) error
}

// Options say how much is asked.
type Options struct {
	Budget   int // questions to registries, at most
	Parallel int // at the same time; 0 = 1
	// Part of Parts: of several workers, or regions, none asks what another does. Parts 0
	// is one worker that asks all.
	Part, Parts int
	Now         func() time.Time
	// OnAnswer tells of each question that came to an end; may be nil. Not called at the
	// same time twice.
	OnAnswer func(Report)
}

// Report is what a run did.
type Report struct {
	Asked    int  `json:"asked"`    // questions to registries that came to an end
	Networks int  `json:"networks"` // of them that gave a network
	Domains  int  `json:"domains"`  // and a domain
	Nothing  int  `json:"nothing"`  // that gave nothing, which is remembered
	Origins  int  `json:"origins"`  // addresses whose autonomous system was found out
	Covered  int  `json:"covered"`  // that needed no question of their own, since an answer covered them
	More     bool `json:"more"`     // the budget ended it: there is more to ask
}

const (
	// wanted finds what nobody asked about. Hashes have no registry.
	wanted = "enriched:false listed:true kind:(ipv4 OR ipv6 OR cidr OR ip-port OR domain OR url OR email)"

	perQuestion = 50     // candidates that are looked at for each question of the budget
	mostLooked  = 20_000 // and at most
	addEvery    = 50     // findings that are kept together
	addAfter    = 10 * time.Second
)

// Run asks until the budget is spent or nothing is left. What was found is durable
// before it returns, also where ctx ended: a run that is killed loses the last few
// findings and nothing else. The error is the engine's, the store's or ctx's.
func Run(ctx context.Context, f Finder, a Asker, b Book, o Options) (Report, error) {
	r := &run{asker: a, book: b, o: o, taken: map[enrich.Subject]bool{}, known: map[netip.Prefix][]netip.Prefix{}, last: o.Now()}
	r.queue.blocks = map[netip.Prefix]*block{}
	r.free = sync.NewCond(&r.mu)
	if err := r.choose(ctx, f); err != nil {
		return r.report, err
	}
	r.origins(ctx)
	stop := context.AfterFunc(ctx, r.free.Broadcast)
	defer stop()
	var workers sync.WaitGroup
	for range max(o.Parallel, 1) {
		workers.Go(func() { r.work(ctx) })
	}
	workers.Wait()
	r.report.More = r.report.More || r.queue.left() > 0
	keep := context.WithoutCancel(ctx) // what was found is kept, also by who was told to stop
	err := errors.Join(r.failed, r.flush(keep))
	if err == nil && r.report.Asked > 0 {
		err = b.Fold(keep, o.Now())
	}
	return r.report, errors.Join(err, ctx.Err())
}

// run is one under way.
type run struct {
	asker Asker
	book  Book
	o     Options

	mu     sync.Mutex
	free   *sync.Cond // a block is no longer asked about
	queue  queue
	taken  map[enrich.Subject]bool
	known  map[netip.Prefix][]netip.Prefix // what answers of this run cover, by block
	found  []enrich.Finding                // not kept yet
	last   time.Time                       // when something was kept
	begun  int
	report Report
	failed error
}

var errEnough = errors.New("enough")

// choose fills the queue.
func (r *run) choose(ctx context.Context, f Finder) error {
	most := min(r.o.Budget*perQuestion, mostLooked)
	s, now := r.book.Snapshot(), r.o.Now()
	_, err := f.Search(ctx, wanted, lookup.SearchOptions{}, func(l *intel.Listing) error {
		sub, ok := enrich.SubjectOf(intel.Indicator{Kind: l.Kind, Value: l.Canonical})
		if !ok || !r.mine(sub) || s.State(sub, now) != facts.Unknown {
			return nil
		}
		r.take(sub)
		if r.queue.n >= most {
			r.report.More = true
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	s.Due(now, func(sub enrich.Subject) bool {
		if r.mine(sub) {
			r.take(sub)
		}
		return r.queue.n < most && ctx.Err() == nil
	})
	return ctx.Err()
}

// take puts a subject into the queue, once.
func (r *run) take(s enrich.Subject) {
	if r.taken[s] || !s.Asked() {
		return
	}
	r.taken[s] = true
	r.queue.add(s)
}

// Block returns within what no two questions are asked at the same time, nor by two
// workers: no network that anybody holds is wider, so that no network is asked about
// twice. Not valid for domains and autonomous systems.
func Block(s enrich.Subject) netip.Prefix {
	if !s.Addr.IsValid() {
		return netip.Prefix{}
	}
	p, _ := s.Addr.Prefix(enrich.HolderBits(s.Addr)) // the length fits
	return p
}

// mine says whether a subject is this worker's.
func (r *run) mine(s enrich.Subject) bool { return r.o.Parts <= 1 || Part(s, r.o.Parts) == r.o.Part }

// Part returns which of so many workers asks about a subject.
func Part(s enrich.Subject, parts int) int {
	h := fnv.New32a()
	if p := Block(s); p.IsValid() {
		_, _ = h.Write([]byte(p.String())) // never fails
	} else {
		_, _ = h.Write([]byte(s.Domain))
	}
	return int(h.Sum32() % uint32(parts))
}

// origins has the autonomous systems of the chosen addresses found out that nobody
// knows yet, in bulk.
func (r *run) origins(ctx context.Context) {
	s := r.book.Snapshot()
	var ask []netip.Addr
	for sub := range r.taken {
		if sub.Addr.IsValid() && s.At(sub.Addr).ASN == 0 {
			ask = append(ask, sub.Addr)
		}
	}
	if len(ask) == 0 {
		return
	}
	found, err := r.asker.Origins(ctx, ask)
	if err != nil {
		return // ctx ended, or nobody answers: registries are asked all the same
	}
	for _, f := range found {
		if f.Network != nil {
			r.report.Origins++
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, found...)
}

// work asks one question after the other.
func (r *run) work(ctx context.Context) {
	for {
		s, ok := r.next(ctx)
		if !ok {
			return
		}
		found := r.asker.Ask(ctx, s)
		r.done(ctx, s, found)
	}
}

// next waits for a subject in whose block nobody asks; false at the end.
func (r *run) next(ctx context.Context) (enrich.Subject, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.failed != nil || ctx.Err() != nil || r.begun >= r.o.Budget {
			return enrich.Subject{}, false
		}
		s, ok, wait := r.queue.pop(r.covered)
		if ok {
			r.begun++
			return s, true
		}
		if !wait {
			return enrich.Subject{}, false
		}
		r.free.Wait()
	}
}

// covered says whether an answer of this run is about an address, and counts it.
func (r *run) covered(s enrich.Subject) bool {
	for _, p := range r.known[Block(s)] {
		if p.Contains(s.Addr) {
			r.report.Covered++
			return true
		}
	}
	return false
}

// done takes up what came of a question.
func (r *run) done(ctx context.Context, s enrich.Subject, found []enrich.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.free.Broadcast()
	r.queue.release(s)
	if len(found) == 0 {
		return // ctx ended
	}
	r.report.Asked++
	r.report.tally(found)
	for i := range found {
		r.learn(s, &found[i])
	}
	r.found = append(r.found, found...)
	if r.o.OnAnswer != nil {
		r.o.OnAnswer(r.report)
	}
	if now := r.o.Now(); len(r.found) >= addEvery || now.Sub(r.last) >= addAfter {
		if err := r.keep(context.WithoutCancel(ctx)); err != nil && r.failed == nil {
			r.failed = err
		}
	}
}

// tally counts an answer by what registries said.
func (r *Report) tally(found []enrich.Finding) {
	network, domain := false, false
	for _, f := range found {
		network = network || f.Network != nil
		domain = domain || f.Domain != nil
	}
	switch {
	case network:
		r.Networks++
	case domain:
		r.Domains++
	default:
		r.Nothing++
	}
}

// learn remembers which addresses need no question any more: those of the network, or
// where there is none those that a failure counts for.
func (r *run) learn(s enrich.Subject, f *enrich.Finding) {
	if !s.Addr.IsValid() {
		return
	}
	b := Block(s)
	r.known[b] = append(r.known[b], facts.Covers(f)...)
}

// keep makes what was found durable. The lock is held: others wait for the store, and
// then ask about no more than is kept.
func (r *run) keep(ctx context.Context) error {
	found := r.found
	r.found, r.last = nil, r.o.Now()
	if len(found) == 0 {
		return nil
	}
	return r.book.Add(ctx, found)
}

func (r *run) flush(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keep(ctx)
}
