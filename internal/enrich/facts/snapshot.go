package facts

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// How long answers count as fresh.
const (
	freshNetwork = 30 * 24 * time.Hour
	freshDomain  = 7 * 24 * time.Hour
	freshEvent   = 24 * time.Hour // of a domain that was registered, or expires, within eventWithin
	eventWithin  = 30 * 24 * time.Hour
	freshAddress = 30 * 24 * time.Hour
)

// State says whether somebody should be asked about a subject.
type State uint8

// The states.
const (
	Unknown State = iota // nobody was asked yet
	Stale                // an answer is there, but old; or the time to ask again after a failure has come
	Fresh
	Waiting // a registry had nothing to say, or would not; not yet to be asked again
	Never   // private and reserved addresses and names: nobody knows anything of them
)

// Snapshot is what is known at a time. It never changes; all methods are safe for
// concurrent use and none waits for anybody.
type Snapshot struct {
	id      string
	batches []*batch         // oldest first
	tables  func() *networks // their layers alone
	net     func() *networks
	counts  func() Counts
}

// newSnapshot puts batches, oldest first, and tables together. The work is done when
// somebody first asks about an address.
func newSnapshot(id string, batches []*batch, tables func() *networks) *Snapshot {
	s := &Snapshot{id: id, batches: batches, tables: tables}
	s.counts = sync.OnceValue(s.count)
	s.net = sync.OnceValue(func() *networks {
		var found []enrich.Finding
		for _, section := range []byte{sectionNetwork, sectionNothing} {
			for p := range merged(batches, []byte{section}) {
				r := reader{rest: p.body}
				if f := r.finding(); !r.bad {
					found = append(found, f)
				}
			}
		}
		names := map[uint32]string{}
		for p := range merged(batches, []byte{sectionASN}) {
			r := reader{rest: p.body}
			if f := r.finding(); !r.bad && f.ASName != "" {
				names[f.Subject.ASN] = f.ASName
			}
		}
		return withFindings(tables(), found, names)
	})
	return s
}

// ID tells contents apart: two snapshots with one ID know the same.
func (s *Snapshot) ID() string { return s.id }

// find returns the newest body of the finding of that key, nil for none.
func (s *Snapshot) find(section byte, name string) []byte {
	k := append([]byte{section}, name...)
	for _, b := range slices.Backward(s.batches) {
		if body := b.find(k); body != nil {
			return body
		}
	}
	return nil
}

func (s *Snapshot) finding(section byte, name string) (enrich.Finding, bool) {
	body := s.find(section, name)
	if body == nil {
		return enrich.Finding{}, false
	}
	r := reader{rest: body}
	f := r.finding()
	return f, !r.bad
}

// domainFact is what queries ask about a registered domain.
func (s *Snapshot) domainFact(name string) query.Fact {
	body := s.find(sectionDomain, name)
	if body == nil {
		body = s.find(sectionFailed, name)
	}
	return factIn(body)
}

// factIn reads of the body of a finding about a domain what queries ask, nil for none.
func factIn(body []byte) query.Fact {
	if body == nil {
		return query.Fact{}
	}
	r := reader{rest: body}
	fetched, created := r.dates()
	return query.Fact{Registered: created, Asked: fetched}
}

// Of implements query.Facts.
func (s *Snapshot) Of(i intel.Indicator) query.Fact {
	sub, ok := enrich.SubjectOf(i)
	switch {
	case !ok:
		return query.Fact{}
	case sub.Domain != "":
		return s.domainFact(sub.Domain)
	}
	return s.At(sub.Addr)
}

// At implements query.Facts.
func (s *Snapshot) At(a netip.Addr) query.Fact {
	n := s.net()
	var buffer [maxLayers]int32
	return n.fact(n.at(a, &buffer))
}

// Networks implements query.Facts.
func (s *Snapshot) Networks(is func(query.Fact) bool, emit func(first, last netip.Addr) bool) {
	s.net().ranges(is, emit)
}

// Domains implements query.Facts.
func (s *Snapshot) Domains(is func(query.Fact) bool, emit func(name string) bool) {
	for p := range merged(s.batches, []byte{sectionDomain}) {
		if is(factIn(p.body)) && !emit(string(p.key[1:])) {
			return
		}
	}
	for p := range merged(s.batches, []byte{sectionFailed}) {
		if name := string(p.key[1:]); s.find(sectionDomain, name) == nil && is(factIn(p.body)) && !emit(name) {
			return
		}
	}
}

// Enrichment returns what an answer shows of an indicator; at is now, by which a
// domain counts as newly registered.
func (s *Snapshot) Enrichment(i intel.Indicator, at time.Time) intel.Enrichment {
	var out intel.Enrichment
	sub, ok := enrich.SubjectOf(i)
	switch {
	case !ok:
	case sub.Domain != "":
		if f, ok := s.finding(sectionDomain, sub.Domain); ok && f.Domain != nil {
			out.Domain = domainFacts(&f, at)
		}
	default:
		out.Network = s.net().facts(sub.Addr)
		if i.Kind != intel.CIDR {
			out.Address = s.address(sub.Addr)
		}
	}
	return out
}

func domainFacts(f *enrich.Finding, at time.Time) *intel.DomainFacts {
	d := f.Domain
	out := &intel.DomainFacts{Name: d.Name, Registrar: d.Registrar, Created: d.Created, Updated: d.Updated, Expires: d.Expires,
		NameServers: d.NameServers, Status: d.Status, Tags: []string{}, Source: f.Source, FetchedAt: f.Fetched}
	if created := d.Created.Time(); !created.IsZero() && at.Sub(created) < intel.NewDomain {
		out.Tags = append(out.Tags, intel.TagNew)
	}
	return out
}

// address returns what is known of one address, nil for nothing.
func (s *Snapshot) address(a netip.Addr) *intel.AddressFacts {
	var out intel.AddressFacts
	for p := range merged(s.batches, addrKey([]byte{sectionAddr}, a)) {
		r := reader{rest: p.body}
		f := r.finding()
		if r.bad || f.Negative != "" || len(f.Names)+len(f.Report) == 0 {
			continue
		}
		if len(f.Names) > 0 {
			out.Names = f.Names
		} else {
			if out.Reports == nil {
				out.Reports = map[string]intel.Report{}
			}
			out.Reports[f.Source] = intel.Report{Fields: f.Report, FetchedAt: f.Fetched}
		}
		addSource(&out.Source, f.Source)
		if out.FetchedAt.IsZero() || f.Fetched.Before(out.FetchedAt) {
			out.FetchedAt = f.Fetched
		}
	}
	if out.Source == "" {
		return nil
	}
	return &out
}

// State says whether a registry should be asked about a subject.
func (s *Snapshot) State(sub enrich.Subject, now time.Time) State {
	switch {
	case !sub.Asked():
		return Never
	case sub.Domain != "":
		f, ok := s.finding(sectionDomain, sub.Domain)
		if failed, yes := s.finding(sectionFailed, sub.Domain); yes && (!ok || f.Fetched.Before(failed.Fetched) && stateOf(&f, now) != Fresh) {
			f, ok = failed, true
		}
		if !ok {
			return Unknown
		}
		return stateOf(&f, now)
	case sub.Addr.IsValid():
		return s.stateOfAddr(sub.Addr, now)
	}
	k := key(&enrich.Finding{Subject: sub})
	if f, ok := s.finding(k[0], string(k[1:])); ok {
		return stateOf(&f, now)
	}
	return Unknown
}

func (s *Snapshot) stateOfAddr(a netip.Addr, now time.Time) State {
	n := s.net()
	var buffer [maxLayers]int32
	where := n.at(a, &buffer)
	state := Unknown
	for _, l := range []int{layerRDAP, layerWhois} {
		if where[l] < 0 {
			continue
		}
		if now.Sub(n.infos[l][where[l]].facts.FetchedAt) < freshNetwork {
			return Fresh
		}
		state = Stale
	}
	if i := where[layerNothing]; i >= 0 {
		if now.Before(n.infos[layerNothing][i].retry) {
			return Waiting
		}
		state = Stale
	}
	return state
}

// stateOf is the state of what a finding about a domain or an autonomous system is about.
func stateOf(f *enrich.Finding, now time.Time) State {
	switch {
	case f.Negative != "" && now.Before(f.Retry):
		return Waiting
	case f.Negative != "" || now.Sub(f.Fetched) >= fresh(f):
		return Stale
	}
	return Fresh
}

// fresh returns for how long a positive finding counts as fresh.
func fresh(f *enrich.Finding) time.Duration {
	switch {
	case f.Network != nil:
		return freshNetwork
	case f.Domain == nil:
		return freshAddress
	}
	for _, d := range []intel.Date{f.Domain.Created, f.Domain.Expires} {
		if t := d.Time(); !t.IsZero() && f.Fetched.Sub(t).Abs() < eventWithin {
			return freshEvent
		}
	}
	return freshDomain
}

// Due hands on what should be asked again: stale answers, and failures whose time has
// come, each once. It ends where emit returns false.
func (s *Snapshot) Due(now time.Time, emit func(enrich.Subject) bool) {
	for _, section := range []byte{sectionDomain, sectionFailed, sectionNetwork, sectionNothing} {
		for p := range merged(s.batches, []byte{section}) {
			r := reader{rest: p.body}
			f := r.finding()
			switch {
			case r.bad || f.Source == "cymru" || stateOf(&f, now) != Stale || s.State(f.Subject, now) != Stale:
				continue
			case section == sectionFailed && s.find(sectionDomain, f.Subject.Domain) != nil:
				continue // handed on before
			case section == sectionNothing && s.answered(f.Subject.Addr):
				continue
			}
			if !emit(f.Subject) {
				return
			}
		}
	}
}

// answered says whether a registry ever answered about the network of an address.
func (s *Snapshot) answered(a netip.Addr) bool {
	var buffer [maxLayers]int32
	where := s.net().at(a, &buffer)
	return where[layerRDAP] >= 0 || where[layerWhois] >= 0
}

// Changed hands on the ranges of addresses, upwards, and then the domains whose facts
// differ from those of an older snapshot; nil is one that knows nothing.
func (s *Snapshot) Changed(old *Snapshot, emit func(query.FactsChange) bool) {
	if old == nil {
		old = empty()
	}
	if old.id == s.id {
		return
	}
	if !s.net().changed(old.net(), func(first, last netip.Addr) bool { return emit(query.FactsChange{First: first, Last: last}) }) {
		return
	}
	fresh, gone := differing(s.batches, old.batches), differing(old.batches, s.batches)
	for _, section := range []byte{sectionDomain, sectionFailed} {
		for p := range merged(slices.Concat(gone, fresh), []byte{section}) {
			name := string(p.key[1:])
			if section == sectionFailed && (s.find(sectionDomain, name) != nil || old.find(sectionDomain, name) != nil) {
				continue // handed on before, or it does not matter that it failed
			}
			if s.domainFact(name) != old.domainFact(name) && !emit(query.FactsChange{Domain: name}) {
				return
			}
		}
	}
}

// differing returns the batches of a that b has not.
func differing(a, b []*batch) []*batch {
	var out []*batch
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y *batch) bool { return x == y || bytes.Equal(x.sum, y.sum) }) {
			out = append(out, x)
		}
	}
	return out
}

// Counts is how much is known.
type Counts struct {
	Networks int `json:"networks"` // answers of registries about networks
	Domains  int `json:"domains"`  // that registries were asked about, whatever they said
	Nothing  int `json:"nothing"`  // blocks of addresses of which a registry said nothing
	Rows     int `json:"rows"`     // of tables
}

// Counts returns how much is known; it is counted the first time.
func (s *Snapshot) Counts() Counts { return s.counts() }

func (s *Snapshot) count() Counts {
	count := func(section byte) (n int) {
		for p := range merged(s.batches, []byte{section}) {
			if !bytes.HasSuffix(p.key, []byte("cymru")) || section == sectionDomain {
				n++
			}
		}
		return n
	}
	out := Counts{Networks: count(sectionNetwork), Domains: count(sectionDomain), Nothing: count(sectionNothing)}
	for _, t := range s.tables().tables {
		out.Rows += t.Meta.Rows
	}
	return out
}

func empty() *Snapshot {
	return newSnapshot(idOf(nil), nil, func() *networks { return fromTables(nil) })
}

// idOf makes one ID of the sums of what a snapshot consists of.
func idOf(sums [][]byte) string {
	h := sumOf(bytes.Join(sums, nil))
	return hex.EncodeToString(h[:8])
}

var _ query.Facts = (*Snapshot)(nil)
