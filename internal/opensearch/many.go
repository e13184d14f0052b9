package opensearch

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// How many documents one request of FindMany brings at most, and all those of
// questions that are answered together. Where there are more, fewer questions are
// asked at once.
const (
	manyHits = 5000
	heldHits = 20_000
)

// errSplit says that fewer questions have to be asked at once.
var errSplit = errors.New("more than one answer can hold")

// FindMany implements lookup.ManyFinder. What emit is given is what Find finds,
// each of one state of the index; as a rule all of it is of the same one.
func (e *Engine) FindMany(ctx context.Context, qs []intel.Question, at time.Time, emit func(i int, ls []intel.Listing, err error) error) error {
	return e.findMany(ctx, qs, 0, at, emit)
}

// findMany answers questions of which the first is the nth.
func (e *Engine) findMany(ctx context.Context, qs []intel.Question, n int, at time.Time, emit func(int, []intel.Listing, error) error) error {
	if len(qs) == 0 {
		return nil
	}
	if i := slices.IndexFunc(qs, aWide); len(qs) == 1 || i == 0 {
		ls, err := e.Find(ctx, qs[0], at, nil)
		if err != nil && !errors.As(err, new(*intel.ValueError)) {
			return err
		}
		if err := emit(n, ls, err); err != nil {
			return err
		}
		return e.findMany(ctx, qs[1:], n+1, at, emit)
	} else if i > 0 {
		if err := e.findMany(ctx, qs[:i], n, at, emit); err != nil {
			return err
		}
		return e.findMany(ctx, qs[i:], n+i, at, emit)
	}
	m := newMany(e, qs, at)
	err := m.find(ctx)
	if errors.Is(err, errSplit) {
		half := len(qs) / 2
		if err := e.findMany(ctx, qs[:half], n, at, emit); err != nil {
			return err
		}
		return e.findMany(ctx, qs[half:], n+half, at, emit)
	}
	if err != nil {
		return err
	}
	for i, ls := range m.found {
		if err := emit(n+i, ls, nil); err != nil {
			return err
		}
	}
	return nil
}

// aWide says whether the question is one about a network, which Find answers page by page.
func aWide(q intel.Question) bool {
	return q.Inside.IsValid() && !q.Inside.IsSingleIP() || q.Covers.IsValid() && !q.Covers.IsSingleIP()
}

// many is one FindMany under way, of questions about single values.
type many struct {
	reader
	e     *Engine
	qs    []intel.Question
	named map[string][]int // which questions ask for an indicator of that value
	addrs []netip.Addr     // sorted: that a question's network is wanted of, or what is at them
	at    map[netip.Addr][]int
	found [][]intel.Listing // of each question
	inner []int             // how many of them are members
	held  int
	seen  map[string]bool // ids of documents
}

func newMany(e *Engine, qs []intel.Question, at time.Time) *many {
	m := &many{e: e, qs: qs, reader: e.reading(at), named: make(map[string][]int, 2*len(qs)), at: map[netip.Addr][]int{}}
	note := func(i int, p netip.Prefix) {
		if !p.IsValid() {
			return
		}
		of := m.at[p.Addr()]
		if len(of) == 0 {
			m.addrs = append(m.addrs, p.Addr())
		}
		if !slices.Contains(of, i) {
			m.at[p.Addr()] = append(of, i)
		}
	}
	for i := range qs {
		for _, k := range qs[i].Keys {
			if of := m.named[k.Value]; len(of) == 0 || of[len(of)-1] != i {
				m.named[k.Value] = append(of, i)
			}
		}
		note(i, qs[i].Covers)
		note(i, qs[i].Inside)
	}
	slices.SortFunc(m.addrs, netip.Addr.Compare)
	return m
}

// find asks for everything, all in one state of the index: where a sync shows
// another one in between, it begins anew.
func (m *many) find(ctx context.Context) error {
	for range 5 {
		m.facts = m.e.facts.Load()
		if m.facts == nil {
			if err := m.e.learn(ctx); err != nil {
				return err
			}
			continue
		}
		m.found, m.inner = make([][]intel.Listing, len(m.qs)), make([]int, len(m.qs))
		m.held, m.seen = 0, map[string]bool{}
		same, err := m.once(ctx)
		if same || err != nil {
			return err
		}
		if err := m.e.learn(ctx); err != nil {
			return err
		}
	}
	return errSplit // syncs that are as fast as this: down to one by one
}

// learn reads the facts of the state that is shown now.
func (e *Engine) learn(ctx context.Context) error {
	p, err := e.client.open(ctx, e.alias)
	if err != nil {
		return err
	}
	defer e.client.close(ctx, p)
	_, err = e.read(ctx, p)
	return err
}

// once asks for everything; false where the index has another state than the one known here.
func (m *many) once(ctx context.Context) (same bool, err error) {
	for c := range m.clauses() {
		q := &question{Query: anyOf(append(c, ids(stateID))...), Size: manyHits, Sort: inDocOrder(), Source: true, Count: true}
		r, err := m.e.client.ask(ctx, m.e.alias, q)
		if err != nil {
			return false, err
		}
		if m.held += len(r.Hits.Hits); r.Hits.Total.Value > len(r.Hits.Hits) || m.held > heldHits {
			return false, errSplit
		}
		i := slices.IndexFunc(r.Hits.Hits, func(h hit) bool { return h.ID == stateID })
		if i < 0 {
			return false, ErrUnsynced
		}
		if f, err := m.e.known(r.Hits.Hits[i]); f != m.facts || err != nil {
			return false, err
		}
		if err := m.take(r.Hits.Hits); err != nil {
			return false, err
		}
	}
	return true, nil
}

// inDocOrder is the order in which documents are stored, the cheapest one.
func inDocOrder() []clause { return []clause{{"_doc": "asc"}} }

// clauses yields what matches all that is wanted, in parts of at most maxKeys values each.
func (m *many) clauses() func(yield func([]clause) bool) {
	return func(yield func([]clause) bool) {
		names := make([]string, 0, len(m.named))
		for name := range m.named {
			names = append(names, name)
		}
		names = append(names, m.networks()...)
		slices.Sort(names)
		names = slices.Compact(names)
		all := len(names) + len(m.addrs)
		for from := 0; from < all; from += maxKeys {
			to := min(from+maxKeys, all)
			var any []clause
			if part := names[min(from, len(names)):min(to, len(names))]; len(part) > 0 {
				any = append(any, terms(pathName, part))
			}
			if part := m.addrs[max(from-len(names), 0):max(to-len(names), 0)]; len(part) > 0 {
				any = append(any, allOf(terms(pathIP, part), noneOf(term(pathKind, intel.URL.String()))))
			}
			if !yield(any) {
				return
			}
		}
	}
}

// networks are the names of all networks that cover an address and may be listed:
// to look names up is cheaper than to ask for the ranges that hold each address.
func (m *many) networks() (out []string) {
	for _, a := range m.addrs {
		for bits := range a.BitLen() + 1 {
			if p, err := a.Prefix(bits); err == nil && m.facts.Lengths[lengthName(p)] {
				out = append(out, p.String())
			}
		}
	}
	return out
}

// lengthName is how facts.Lengths has the length of a network.
func lengthName(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "6/" + strconv.Itoa(p.Bits())
	}
	return "4/" + strconv.Itoa(p.Bits())
}

// take gives each question the listings that it asks for.
func (m *many) take(hits []hit) error {
	for i := range hits {
		h := &hits[i]
		if h.ID == stateID || m.seen[h.ID] {
			continue
		}
		m.seen[h.ID] = true
		l, ok, err := m.listing(h)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, of := range m.askers(&l) {
			var wanted bool
			if l.Relation, wanted = relation(&m.qs[of], &l); !wanted {
				continue
			}
			if l.Relation == intel.RelMember {
				if m.inner[of]++; m.inner[of] > m.e.opt.MaxMembers {
					return errSplit // Find says what is wrong with it
				}
			}
			m.found[of] = append(m.found[of], l)
		}
	}
	return nil
}

// askers are the questions on which a listing may bear, each once.
func (m *many) askers(l *intel.Listing) []int {
	out := m.named[l.Canonical]
	p, ok := prefixOf(l)
	if !ok || len(m.addrs) == 0 {
		return out
	}
	out = slices.Clone(out)
	i, _ := slices.BinarySearchFunc(m.addrs, p.Masked().Addr(), netip.Addr.Compare)
	for ; i < len(m.addrs) && p.Contains(m.addrs[i]); i++ {
		out = append(out, m.at[m.addrs[i]]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
