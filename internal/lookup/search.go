package lookup

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// SearchOptions say how to search, in the texts in which people and programs
// ask, so that every face refuses the same with the same words.
type SearchOptions struct {
	AsOf   string // as ParseAsOf reads it; "" = now, or that of the cursor
	Sort   string // as query.ParseSort reads it; "" = newest change first, or that of the cursor
	Cursor string // Found.Next of the page before; "" = from the beginning

	Limit      int           // most listings to emit; 0 = all, negative = none (count and facets)
	Facets     []string      // fields to count the values of, as query.ParseFacet reads them
	FacetLimit int           // values per facet, at most MaxFacetLimit; 0 = 10
	Budget     time.Duration // how long it may take; 0 = as long as ctx
}

// The limits of facets in one search: each costs time and memory.
const (
	MaxFacets     = 16
	MaxFacetLimit = 10_000
)

// OptionError says which option cannot be used, and why.
type OptionError struct {
	Option string // as_of, sort, cursor, facets or facet_limit
	Err    error
}

// Error names the option.
func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// Search hands the listings that the query asks for to emit, in order, each with
// the relation exact, and counts them. A listing is valid only until emit
// returns. The error is a *query.Error or an *OptionError, before anything was
// emitted; or it is emit's or ctx's, or wraps ErrEngine.
func (s *Service) Search(ctx context.Context, text string, o SearchOptions, emit func(*intel.Listing) error) (Found, error) {
	q, err := s.plan(text, o)
	if err != nil {
		return Found{}, err
	}
	var emitErr error
	damage := s.engine.Err()
	page, err := s.engine.Search(ctx, q.search, func(l *intel.Listing) error {
		l.Relation = intel.RelExact
		q.passed(l)
		emitErr = emit(l)
		return emitErr
	})
	switch {
	case err == nil:
	case emitErr != nil:
		return Found{}, emitErr
	case ctx.Err() != nil:
		return Found{}, ctx.Err()
	default:
		return Found{}, fmt.Errorf("%w: search %.200q: %w", ErrEngine, text, err)
	}
	return q.found(page, damage != nil || s.engine.Err() != nil), nil
}

// Damage says what part of the stored data cannot be read now, or nil: see
// Engine.Err.
func (s *Service) Damage() error { return s.engine.Err() }

// plan is a search that is ready for the engine, and what its answer needs.
type plan struct {
	text     string
	now      time.Time // that ages count from
	relative bool      // as_of is now
	options  SearchOptions
	search   query.Search

	emitted bool
	last    []byte // appendPosition of the listing emitted last, kept as bytes since listings do not last
}

// plan reads the query and the options.
func (s *Service) plan(text string, o SearchOptions) (*plan, error) {
	p := &plan{text: text, now: s.now().UTC().Truncate(time.Millisecond), options: o}
	p.search = query.Search{Limit: o.Limit, FacetLimit: o.FacetLimit, Budget: o.Budget}
	s.informed(&p.search)
	var c cursor
	if o.Cursor != "" {
		var err error
		if c, err = decodeCursor(o.Cursor); err != nil {
			return nil, &OptionError{"cursor", err}
		}
		if !c.now.IsZero() {
			p.now = c.now
		}
		p.search.After = &c.after
	}
	var err error
	if p.search.Query, err = query.Parse(text, p.now); err != nil {
		return nil, err
	}
	p.search.Query = query.NewlyRegistered(p.search.Query, p.now)
	if err := p.readFacets(); err != nil {
		return nil, err
	}
	if err := p.readOrder(); err != nil {
		return nil, err
	}
	if o.Cursor != "" {
		return p, p.follow(c)
	}
	return p, nil
}

// readOrder reads sort and as_of.
func (p *plan) readOrder() (err error) {
	if p.search.Sort, err = query.ParseSort(p.options.Sort); err != nil {
		return &OptionError{"sort", err}
	}
	if p.options.AsOf == "" {
		return nil
	}
	at, err := ParseAsOf(p.options.AsOf, p.now)
	if err != nil {
		return &OptionError{"as_of", err}
	}
	p.search.AsOf = at.Truncate(time.Millisecond)
	p.relative = p.search.AsOf.Equal(p.now)
	return nil
}

// readFacets reads the fields, each once.
func (p *plan) readFacets() error {
	for _, name := range p.options.Facets {
		f, err := query.ParseFacet(name)
		if err != nil {
			return &OptionError{"facets", err}
		}
		if !slices.Contains(p.search.Facets, f) {
			p.search.Facets = append(p.search.Facets, f)
		}
	}
	if n := len(p.search.Facets); n > MaxFacets {
		return &OptionError{"facets", fmt.Errorf("%d fields, expected at most %d", n, MaxFacets)}
	}
	if n := p.options.FacetLimit; n < 0 || n > MaxFacetLimit {
		return &OptionError{"facet_limit", fmt.Errorf("%d values, expected 1 to %d", n, MaxFacetLimit)}
	}
	return nil
}

// follow goes on where the cursor is, whose search this must be.
func (p *plan) follow(c cursor) error {
	refuse := func(format string, a ...any) error {
		return &OptionError{"cursor", fmt.Errorf("%w: "+format+": give what it was made with, or begin again without one", append([]any{ErrCursor}, a...)...)}
	}
	switch {
	case c.query != hashQuery(p.search.Query):
		return refuse("it belongs to another query")
	case p.options.Sort != "" && c.sort != p.search.Sort:
		return refuse("it belongs to the order %s, not %s", c.sort, p.search.Sort)
	case p.options.AsOf != "" && !c.asOf.Equal(p.search.AsOf):
		return refuse("it belongs to another as_of")
	}
	p.relative = p.relative || !c.asOf.IsZero() && c.asOf.Equal(c.now)
	p.search.Sort, p.search.AsOf = c.sort, c.asOf
	return nil
}

// passed remembers where the listing stands, for the cursor behind it.
func (p *plan) passed(l *intel.Listing) {
	p.emitted = true
	if p.options.Limit > 0 || p.options.Budget > 0 { // else nothing follows what is emitted
		p.last = appendPosition(p.last[:0], p.search.Sort.Position(l))
	}
}

// found makes the answer.
func (p *plan) found(page query.Page, damaged bool) Found {
	f := Found{Query: p.text, Total: page.Total, TotalIs: TotalExact, Facets: map[string]Facet{}, Next: p.next(page)}
	if !p.search.AsOf.IsZero() {
		f.AsOf = &p.search.AsOf
	}
	var why []string
	if page.Partial {
		why = append(why, fmt.Sprintf("the search was ended after %s, before everything was looked at", p.options.Budget))
	}
	if damaged {
		why = append(why, "some stored data is damaged or missing, so listings may be missing here; `elasticintel verify` names it")
	}
	f.Partial, f.PartialReason = len(why) > 0, strings.Join(why, "; ")
	if !page.Exact || f.Partial {
		f.TotalIs = TotalAtLeast
	}
	for _, c := range page.Facets {
		f.Facets[c.Field.String()] = Facet{Values: append([]query.FacetValue{}, c.Values...), Other: c.Other, Exact: c.Exact && !f.Partial}
	}
	if e, ok := p.search.Query.(query.Exact); ok {
		f.Indicator = &e.Indicator
		if f.Total == 0 {
			f.Hint = "no listing is of this value or mentions it; a look-up of it also finds listed networks, parent domains and hosts that cover it"
		}
	}
	return f
}

// next returns the cursor behind what was emitted, "" where nothing follows.
func (p *plan) next(page query.Page) string {
	if !page.More && !page.Partial || p.options.Limit < 0 {
		return ""
	}
	if !p.emitted { // time was too short for a single one: another try may go further
		return p.options.Cursor
	}
	c := cursor{asOf: p.search.AsOf, sort: p.search.Sort, query: hashQuery(p.search.Query)}
	r := reader{b: p.last}
	c.after.Key, c.after.Feed = r.varint(), r.text(maxFeedID)
	_ = c.after.Indicator.Kind.UnmarshalText([]byte(r.text(16)))
	c.after.Indicator.Value = r.text(maxCanonical)
	if p.relative || p.aged() {
		c.now = p.now
	}
	return c.encode()
}

// aged says whether the query has ages: it reads differently at another time.
func (p *plan) aged() bool {
	then, err := query.Parse(p.text, p.now.Add(-time.Minute))
	return err != nil || !reflect.DeepEqual(then, p.search.Query)
}

// Phrase returns the query for listings in which the words of a text stand side
// by side, wherever.
func Phrase(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// IsRefusal says whether an error of Search is the asker's to mend: of the query
// or of an option.
func IsRefusal(err error) bool {
	var q *query.Error
	var o *OptionError
	return errors.As(err, &q) || errors.As(err, &o)
}
