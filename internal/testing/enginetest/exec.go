package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Opener makes an empty engine that takes now for the time. It is the test's to
// close.
type Opener func(now func() time.Time) (Loader, error)

// runner goes through a script with an engine and the Model.
type runner struct {
	ctx      context.Context
	now      time.Time
	engine   Loader
	model    *Model
	follower follower
	each     []string // background work to be done after every run
	asked    []intel.Question
}

func newRunner(ctx context.Context, open Opener) (*runner, error) {
	r := &runner{ctx: ctx}
	clock := func() time.Time { return r.now }
	r.model = NewModel(clock)
	var err error
	r.engine, err = open(clock)
	return r, err
}

// step does a step. It returns the engine's answer as lines, and an error where
// the Model's is another.
func (r *runner) step(s *Step) (lines []string, err error) {
	r.now = s.Now
	switch {
	case s.Find != nil:
		return r.find(s.Find)
	case s.Search != nil:
		return r.search(s.Search)
	case s.Follow > 0:
		return nil, r.follow(s.Follow)
	case s.Stats:
		return r.stats()
	case s.Compare != nil:
		return r.compare(s.Compare)
	}
	if b, breaks := r.engine.(Breaker); breaks && s.Fault != nil {
		return nil, r.broken(b, s)
	}
	if err := r.change(r.engine, s); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimSpace(firstLine(s.String())), err)
	}
	_ = r.change(r.model, s)
	if s.Load != nil {
		for _, what := range r.each {
			if err := keep(r.ctx, r.engine, what); err != nil {
				return nil, fmt.Errorf("keep %s: %w", what, err)
			}
		}
	}
	return nil, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// change does a step that is no question.
func (r *runner) change(e Loader, s *Step) error {
	switch {
	case s.Load != nil:
		return e.Load(r.ctx, s.Load.Info, s.Load.At, s.Load.Entries)
	case s.Purge != nil:
		_, both := r.engine.(Purger)
		if p, ok := e.(Purger); ok && both {
			return p.Purge(r.ctx, s.Purge.Feed, s.Purge.Before)
		}
		return nil
	}
	return keep(r.ctx, e, s.Keep)
}

func keep(ctx context.Context, e Loader, what string) error {
	if k, ok := e.(Keeper); ok {
		return k.Keep(ctx, what)
	}
	return nil
}

// broken does a change while the store fails: afterwards it must be there as a
// whole or not at all.
func (r *runner) broken(b Breaker, s *Step) error {
	before := r.model.clone()
	feed := ""
	if s.Load != nil {
		feed = s.Load.Info.ID
	}
	version := b.Version(feed)
	_ = r.change(r.model, s)
	b.Break(*s.Fault)
	failed := r.change(r.engine, s)
	if err := b.Heal(r.ctx, s.Fault.Reopen); err != nil {
		return fmt.Errorf("heal after a fault: %w", err)
	}
	done, undone := r.same(r.model), r.same(before)
	switch stored := s.Load == nil || b.Version(feed) != version; {
	case done == nil && stored:
		return nil
	case failed == nil:
		return fmt.Errorf("what was done is not there: %w", done)
	case undone == nil && (s.Load == nil || !stored):
		r.model.feeds, r.model.last = before.feeds, nil
		return nil
	}
	return fmt.Errorf("after a fault (%v) neither the state before nor the one behind:\nbefore: %w\nbehind: %w", failed, undone, done)
}

// same compares all there is.
func (r *runner) same(m *Model) error {
	s := query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}
	got, err := ask(r.ctx, r.engine, s)
	if err != nil {
		return err
	}
	want, err := ask(r.ctx, m, s)
	if err != nil {
		return err
	}
	return difference(got.listings, want.listings)
}

// answer is what an engine said, in a form that can be compared and kept.
type answer struct {
	page     query.Page
	listings []string // all of each
	lines    []string // as scripts have them
	last     *query.Position
}

// ask asks an engine.
func ask(ctx context.Context, e interface {
	Search(context.Context, query.Search, func(*intel.Listing) error) (query.Page, error)
}, s query.Search) (a answer, err error) {
	a.page, err = e.Search(ctx, s, func(l *intel.Listing) error {
		p := s.Sort.Position(l)
		p.Feed, p.Indicator.Value = strings.Clone(p.Feed), strings.Clone(p.Indicator.Value)
		if a.last != nil && s.Sort.Compare(*a.last, p) >= 0 {
			return fmt.Errorf("%v stands behind %v", p, *a.last)
		}
		a.last = &p
		a.listings = append(a.listings, whole(l, false))
		line := l.Feed + " " + l.Kind.String() + " " + plain(l.Canonical)
		if !l.Listed {
			line += " closed"
		}
		a.lines = append(a.lines, line)
		return nil
	})
	return a, err
}

// whole writes all of a listing.
func whole(l *intel.Listing, relation bool) string {
	c := *l
	if !relation {
		c.Relation = ""
	}
	changed := ""
	if !l.Changed.IsZero() {
		changed = " changed " + stamp(l.Changed)
	}
	return string(c.AppendJSON(nil)) + changed
}

// difference says how two lists differ.
func difference(got, want []string) error {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Errorf("%d answers, want %d; number %d is\n     %s\nwant %s", len(got), len(want), i+1, g, w)
		}
	}
	return nil
}

func (r *runner) find(f *Find) ([]string, error) {
	i, err := intel.Detect(f.Value)
	if err != nil {
		return []string{"error " + err.Error()}, nil
	}
	got, err := r.engine.Find(r.ctx, intel.Ask(i), f.AsOf, nil)
	if err != nil {
		return nil, err
	}
	want, err := r.model.Find(r.ctx, intel.Ask(i), f.AsOf, nil)
	if err != nil {
		return nil, err
	}
	differs := difference(allOf(got), allOf(want))
	var lines []string
	for j := range got {
		lines = append(lines, findLine(&got[j], f.Full))
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		lines = []string{"nothing"}
	}
	if differs == nil {
		differs = r.findMany(i, f.AsOf)
	}
	return lines, differs
}

// findLine writes a listing of a look-up.
func findLine(l *intel.Listing, full bool) string {
	var b strings.Builder
	state := "listed"
	if !l.Listed {
		state = "closed"
	}
	fmt.Fprintf(&b, "%s %s %s %s %s", l.Relation, l.Feed, l.Kind, plain(l.Canonical), state)
	for _, iv := range l.Intervals {
		fmt.Fprintf(&b, " %s..", stamp(iv.From))
		if iv.To != nil {
			b.WriteString(stamp(*iv.To))
		}
	}
	fmt.Fprintf(&b, " seen %s", stamp(l.LastSeen))
	if full {
		b.WriteString("\n    " + whole(l, true))
	}
	return b.String()
}

func (r *runner) stats() ([]string, error) {
	got, err := r.engine.Stats(r.ctx)
	if err != nil {
		return nil, err
	}
	want, _ := r.model.Stats(r.ctx)
	g, w := statsLine(&got), statsLine(&want)
	return []string{g}, difference([]string{g}, []string{w})
}

func statsLine(s *intel.Stats) string {
	line := fmt.Sprintf("%d listings, %d indicators, %d feeds", s.Listings, s.Indicators, s.Feeds)
	for _, k := range intel.AnyKind.Kinds() {
		if n := s.ByKind[k.String()]; n > 0 {
			line += fmt.Sprintf(", %d %s", n, k)
		}
	}
	return line
}
