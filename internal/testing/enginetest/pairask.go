package enginetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

// question is something to be asked of both engines.
type question interface {
	ask(ctx context.Context, s *side) (reply, error)
	simpler() []question // ones that may show the same difference
	String() string
}

// reply is a whole answer.
type reply struct {
	lines []string
	found []lookup.Found // of a search, page by page
	sizes []int          // how many listings each page has
}

// sameReply says how an answer differs from what it must be. Where an engine
// says that it has not counted to the end, there may be more, but not less.
func sameReply(got, want *reply) error {
	if err := difference(got.lines, want.lines); err != nil {
		return err
	}
	for i := range min(len(got.found), len(want.found)) {
		g, w := got.found[i], want.found[i]
		if w.TotalIs == lookup.TotalAtLeast && g.TotalIs == lookup.TotalExact && g.Total >= w.Total {
			w.Total, w.TotalIs = g.Total, g.TotalIs
			w.Facets = maps.Clone(w.Facets)
			for name, f := range w.Facets {
				if !f.Exact {
					w.Facets[name] = g.Facets[name]
				}
			}
		}
		if w.Next != "" && g.Next == "" && i+1 < len(want.found) && want.sizes[i+1] == 0 { // a full page was the last one
			w.Next = ""
		}
		a, b := string(g.AppendJSON(nil))+" next "+g.Next, string(w.AppendJSON(nil))+" next "+w.Next
		if a != b {
			return fmt.Errorf("page %d\n     %s\nwant %s", i+1, a, b)
		}
	}
	return nil
}

// valueQuestion looks one value up.
type valueQuestion struct {
	value string
	o     lookup.Options
}

func (q valueQuestion) String() string { return fmt.Sprintf("lookup %q %+v", q.value, q.o) }

func (q valueQuestion) ask(ctx context.Context, s *side) (reply, error) {
	service := s.plain
	if q.o.Related {
		service = s.calm
	}
	a, err := service.Answer(ctx, q.value, q.o)
	if err != nil {
		return reply{}, err
	}
	return reply{lines: []string{string(a.AppendJSON(nil))}}, nil
}

func (q valueQuestion) simpler() (out []question) {
	for _, o := range []lookup.Options{{}, {AsOf: q.o.AsOf}, {Related: q.o.Related}, {Timeline: q.o.Timeline}, {Summary: q.o.Summary}} {
		if o != q.o {
			out = append(out, valueQuestion{q.value, o})
		}
	}
	return out
}

// bulkQuestion looks many up at once, and one by one.
type bulkQuestion struct {
	values []string
	o      lookup.Options
}

func (q bulkQuestion) String() string { return fmt.Sprintf("bulk %+v %q", q.o, q.values) }

func (q bulkQuestion) ask(ctx context.Context, s *side) (r reply, err error) {
	i := 0
	next := func() (string, bool, error) {
		if i == len(q.values) {
			return "", false, nil
		}
		i++
		return q.values[i-1], true, nil
	}
	err = s.plain.Answers(ctx, next, q.o, func(a *intel.Answer) error {
		r.lines = append(r.lines, string(a.AppendJSON(nil)))
		return nil
	})
	if err != nil {
		return r, err
	}
	for i, v := range q.values {
		one, err := valueQuestion{v, q.o}.ask(ctx, s)
		if err != nil {
			return r, err
		}
		if i >= len(r.lines) || r.lines[i] != one.lines[0] {
			return r, &differs{valueQuestion{v, q.o}, fmt.Errorf("alone %s\namong many %s", one.lines[0], r.lines[min(i, len(r.lines)-1)])}
		}
	}
	return r, nil
}

func (q bulkQuestion) simpler() []question {
	half := len(q.values) / 2
	if half == 0 {
		return nil
	}
	return []question{bulkQuestion{q.values[:half], q.o}, bulkQuestion{q.values[half:], q.o}}
}

// pageQuestion searches, page after page.
type pageQuestion struct {
	node  query.Node // what text says; nil where that cannot be read
	text  string
	o     lookup.SearchOptions
	pages int
}

func (q pageQuestion) String() string {
	return fmt.Sprintf("search %s\n  as_of %q sort %q limit %d, %d pages, facets %q limit %d", q.text, q.o.AsOf, q.o.Sort, q.o.Limit, q.pages, q.o.Facets, q.o.FacetLimit)
}

func (q pageQuestion) ask(ctx context.Context, s *side) (r reply, err error) {
	o := q.o
	for range max(q.pages, 1) {
		n := len(r.lines)
		f, err := s.plain.Search(ctx, q.text, o, func(l *intel.Listing) error {
			r.lines = append(r.lines, whole(l, true))
			return nil
		})
		var refused *query.Error
		var option *lookup.OptionError
		if errors.As(err, &refused) || errors.As(err, &option) {
			r.lines = append(r.lines, "refused: "+err.Error())
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.found, r.sizes = append(r.found, f), append(r.sizes, len(r.lines)-n)
		if o.Cursor = f.Next; f.Next == "" {
			break
		}
		o.Facets = nil
	}
	return r, nil
}

func (q pageQuestion) simpler() (out []question) {
	with := func(change func(*pageQuestion)) {
		c := q
		change(&c)
		out = append(out, c)
	}
	if q.pages > 1 {
		with(func(c *pageQuestion) { c.pages = 1 })
		with(func(c *pageQuestion) { c.pages /= 2 })
	}
	for i := range q.o.Facets {
		with(func(c *pageQuestion) { c.o.Facets = slices.Delete(slices.Clone(c.o.Facets), i, i+1) })
	}
	if q.o.AsOf != "" {
		with(func(c *pageQuestion) { c.o.AsOf = "" })
	}
	if q.o.Sort != "" {
		with(func(c *pageQuestion) { c.o.Sort = "" })
	}
	if q.o.Limit >= 0 {
		with(func(c *pageQuestion) { c.o.Limit = -1 })
	}
	for _, n := range smaller(q.node) {
		with(func(c *pageQuestion) { c.node, c.text = n, n.String() })
	}
	return out
}

// smaller are parts of a tree.
func smaller(n query.Node) (out []query.Node) {
	var nodes []query.Node
	join := func(nodes []query.Node) query.Node { return query.And{Nodes: nodes} }
	switch n := n.(type) {
	case query.And:
		nodes = n.Nodes
	case query.Or:
		nodes, join = n.Nodes, func(nodes []query.Node) query.Node { return query.Or{Nodes: nodes} }
	case query.Not:
		out = append(out, n.Node)
		for _, m := range smaller(n.Node) {
			out = append(out, query.Not{Node: m})
		}
		return out
	}
	out = append(out, nodes...)
	for i := range nodes {
		if rest := slices.Delete(slices.Clone(nodes), i, i+1); len(rest) > 1 {
			out = append(out, join(rest))
		}
		for _, m := range smaller(nodes[i]) {
			changed := slices.Clone(nodes)
			changed[i] = m
			out = append(out, join(changed))
		}
	}
	return out
}

// statsQuestion counts, and compares all feeds.
type statsQuestion struct{ aside string }

func (q statsQuestion) String() string      { return "stats and comparison, aside " + q.aside }
func (q statsQuestion) simpler() []question { return nil }

func (q statsQuestion) ask(ctx context.Context, s *side) (r reply, err error) {
	st, err := s.plain.Stats(ctx)
	if err != nil {
		return r, err
	}
	r.lines = append(r.lines, statsLine(&st))
	c, ok := s.engine.(lookup.Comparer)
	if !ok {
		return r, fmt.Errorf("%T compares no feeds", s.engine)
	}
	all, err := c.Compare(ctx, func(feed string) bool { return strings.Contains(feed, q.aside) })
	if err == nil {
		r.lines = append(r.lines, compareLines(all)...)
	}
	return r, err
}

// follow reads the changes of both, from where the last round ended and, at the
// end, from the beginning: the same events, in the same order.
func (p *pairRun) follow(last bool) error {
	limit := []int{700, 0}[len(p.world.times)%2]
	if p.much() {
		limit = 5000 // each page looks at much of what may have ended since the mark
	}
	if err := p.events(limit, 0); err != nil {
		return err
	}
	if !last {
		return nil
	}
	p.sides[0].cursor, p.sides[1].cursor = "", ""
	return cmp.Or(p.events(5000, 0), p.events(3, 4))
}

// events compares what both tell from their cursors on, limit at a time; at most
// that many pages (0 = all).
func (p *pairRun) events(limit, pages int) error {
	for page := 1; ; page++ {
		var lines [2][]string
		var more [2]bool
		for i := range p.sides {
			s := &p.sides[i]
			next, m, err := s.plain.Changes(p.ctx, s.cursor, limit, func(e *intel.Event) error {
				lines[i] = append(lines[i], string(e.AppendJSON(nil))+" changed "+stamp(e.Listing.Changed))
				return nil
			})
			if errors.Is(err, intel.ErrCursor) && s.cursor != "" {
				lines[i], next, m = []string{"the cursor cannot be used"}, "", false
			} else if err != nil {
				return fmt.Errorf("changes (engine %d): %w", i, err)
			}
			s.cursor, more[i] = next, m
		}
		p.counts["events told"] += len(lines[0])
		if err := difference(lines[1], lines[0]); err != nil {
			return fmt.Errorf("changes, %d at a time, page %d: %w", limit, page, err)
		}
		if more[0] != more[1] {
			return fmt.Errorf("changes, %d at a time, page %d with %d events: more %v, want %v", limit, page, len(lines[0]), more[1], more[0])
		}
		if !more[0] || page == pages {
			return nil
		}
	}
}

// ago is an instant as a question has it, "" for the zero one.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}
