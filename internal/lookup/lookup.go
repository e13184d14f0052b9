// Package lookup turns a value into an answer. It is the only door to an engine:
// the command line, the HTTP API and every later face ask here and nowhere else.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/score"
)

// Engine finds listings: the embedded corpus, or a cluster.
type Engine interface {
	// Find appends to dst every listing that q asks for, in any order, as things
	// stood at the instant at (zero: now). Listings that began after at are left
	// out. Safe for concurrent use. An answer must fit into memory: a network
	// that has more members than the engine allows gives an error that wraps an
	// *intel.ValueError, whose code and reason the asker is told. Any other error
	// means that the answer is not known now; it is worth a retry.
	Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error)
	// Stats counts what is listed now.
	Stats(ctx context.Context) (intel.Stats, error)
	// Search hands the listings that s asks for to emit, in s.Sort's order, each
	// with its Changed set, and counts the rest. A listing and what it points to
	// is valid only until emit returns. What one search sees is one state of the
	// data, however long it takes. An error of emit ends the search and is
	// returned; any other is ctx's, or means that the answer is not known now.
	Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error)
	// Err says what part of its data the engine cannot read now, or nil. Find
	// and Search answer from the rest, so what they do not find may be listed all
	// the same.
	Err() error
}

// ErrCursor is intel.ErrCursor.
var ErrCursor = intel.ErrCursor

// Follower is an engine that tells what changed. It is optional.
type Follower interface {
	// Changes hands to emit, oldest first, the last change of every listing that
	// changed since the cursor ("" = from the beginning), at most limit of them
	// (0 = all), and returns the cursor to go on from and whether there was more.
	// No change is ever skipped, whatever runs when: a change becomes visible
	// after the cursors that were given out before. ErrCursor (wrapped, with what
	// is wrong) where since cannot be used.
	Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error)
}

// Doubter is an engine which knows whether what Err says bears on a question. It is
// optional.
type Doubter interface {
	// Doubt says what of the data that q asks for cannot be read, or nil.
	Doubt(q intel.Question) error
}

func (s *Service) doubt(q intel.Question) error {
	if d, ok := s.engine.(Doubter); ok {
		return d.Doubt(q)
	}
	return s.engine.Err()
}

// CodeIncomplete is the code of an answer's Error where nothing readable lists
// the value but some data cannot be read: "not listed" might be a lie.
const CodeIncomplete = "incomplete"

// ErrEngine is wrapped by every error that is the engine's, not the caller's
// (which is ctx's error): the answer is not known now, and a retry may help.
var ErrEngine = errors.New("the index did not answer")

// Retrier is an error of an engine that knows when a retry may help, to be found by
// errors.As below ErrEngine.
type Retrier interface {
	error
	RetryIn() time.Duration // 0 = that is not known
}

// Options say how to look up.
type Options struct {
	AsOf     time.Time     // zero = now
	Summary  bool          // only what AppendSummary writes is needed: closed listings are left out
	Kinds    intel.KindSet // zero = any; else the value must be one of these
	Related  bool          // find related indicators too (Answer.Related)
	Timeline bool          // tell what happened to its listings too (Answer.Timeline)
}

// Known is what enrichment knows, as of now. A look-up takes what is there and never
// waits for more.
type Known interface {
	// Enrichment returns what an answer shows of an indicator.
	Enrichment(i intel.Indicator, now time.Time) intel.Enrichment
	// ID tells contents apart: two with one ID know the same.
	ID() string
	query.Facts
}

// Service answers look-ups. It is safe for concurrent use.
type Service struct {
	engine Engine
	now    func() time.Time
	known  func() Known // nil: nothing
}

// New returns a service over an engine.
func New(engine Engine, now func() time.Time) *Service {
	return &Service{engine: engine, now: now}
}

// Knowing returns the service with what enrichment knows in its answers and searches;
// known returns that as of now, and is asked for every one of them. Nil is for nothing.
func (s *Service) Knowing(known func() Known) *Service {
	out := *s
	out.known = known
	return &out
}

// informed lets a search go by what enrichment knows.
func (s *Service) informed(q *query.Search) {
	if s.known != nil {
		k := s.known()
		q.Facts, q.FactsID = k, k.ID()
	}
}

// Answer looks one value up. A value that cannot be used gives an answer whose
// Error says why; the error returned is the engine's, or ctx's.
func (s *Service) Answer(ctx context.Context, value string, o Options) (intel.Answer, error) {
	var a intel.Answer
	err := s.answer(ctx, value, o, nil, &a)
	return a, err
}

// AnswerInto is Answer into a, whose Listings' memory is used again: for callers
// that are through with one answer before they ask for the next.
func (s *Service) AnswerInto(ctx context.Context, value string, o Options, a *intel.Answer) error {
	return s.answer(ctx, value, o, a.Listings, a)
}

// Stats counts what the engine holds now.
func (s *Service) Stats(ctx context.Context) (intel.Stats, error) {
	st, err := s.engine.Stats(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: count: %w", ErrEngine, err)
	}
	return st, err
}

// answer fills a. Listings go into dst, which may be reused memory.
func (s *Service) answer(ctx context.Context, value string, o Options, dst []intel.Listing, a *intel.Answer) error {
	ind, bad := identify(value, o.Kinds)
	if bad != nil {
		unusable(a, value, bad)
		return nil
	}
	return s.find(ctx, value, intel.Ask(ind), o, dst, a)
}

// find asks the engine and puts the answer together.
func (s *Service) find(ctx context.Context, value string, q intel.Question, o Options, dst []intel.Listing, a *intel.Answer) error {
	found, err := s.engine.Find(ctx, q, o.AsOf, dst[:0])
	return s.complete(ctx, value, q, o, found, err, a)
}

// engineError is an error of the engine, about a question.
func engineError(q *intel.Question, err error) error {
	return fmt.Errorf("%w: look up %s %.200q: %w", ErrEngine, q.Indicator.Kind, q.Indicator.Value, err)
}

// complete puts the answer together, of what the engine has found or said.
func (s *Service) complete(ctx context.Context, value string, q intel.Question, o Options, found []intel.Listing, err error, a *intel.Answer) error {
	var refused *intel.ValueError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused):
		unusable(a, value, &intel.AnswerError{Code: refused.Code, Detail: refused.Reason})
		return nil
	default:
		return engineError(&q, err)
	}
	if found == nil {
		found = []intel.Listing{}
	}
	at := o.AsOf
	if at.IsZero() {
		at = s.now()
	}
	if o.Summary {
		found = onlyOpen(found)
	}
	sortListings(found)
	res := score.Score(found, at)
	*a = intel.Answer{
		Value: value, Kind: q.Indicator.Kind, Canonical: q.Indicator.Value, Found: anyCounts(found),
		Verdict: res.Verdict, Score: res.Score, Reasons: res.Reasons, Listings: found,
	}
	if s.known != nil && !o.Summary {
		a.Enrichment = s.known().Enrichment(q.Indicator, s.now())
	}
	if a.Reasons == nil {
		a.Reasons = []intel.Reason{}
	}
	if !o.AsOf.IsZero() {
		t := o.AsOf.UTC()
		a.AsOf = &t
	}
	if !a.Found && s.doubt(q) != nil {
		unusable(a, value, &intel.AnswerError{Code: CodeIncomplete,
			Detail: "nothing that can be read lists it, but some stored data is damaged or missing; `elasticintel verify` names it"})
		return nil
	}
	if o.Timeline {
		a.Timeline = Timeline(a.Listings)
	}
	if o.Related {
		return s.relate(ctx, q.Indicator, o, a)
	}
	return nil
}

// identify finds out what a value is.
func identify(value string, kinds intel.KindSet) (intel.Indicator, *intel.AnswerError) {
	if kinds == 0 {
		kinds = intel.AnyKind
	}
	ind, err := intel.Parse(value, kinds)
	if err == nil {
		return ind, nil
	}
	var ve *intel.ValueError
	if errors.As(err, &ve) {
		return ind, &intel.AnswerError{Code: ve.Code, Detail: ve.Reason}
	}
	return ind, &intel.AnswerError{Code: intel.CodeInvalid, Detail: err.Error()}
}

func anyCounts(ls []intel.Listing) bool {
	for i := range ls {
		if ls[i].Counts() {
			return true
		}
	}
	return false
}

func onlyOpen(ls []intel.Listing) []intel.Listing {
	out := ls[:0]
	for i := range ls {
		if ls[i].Listed {
			out = append(out, ls[i])
		}
	}
	return out
}
