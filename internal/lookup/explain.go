package lookup

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/score"
)

// Explanation is an answer with everything that led to it.
type Explanation struct {
	Value    string       `json:"value"`    // as asked
	Steps    []Step       `json:"steps"`    // from the value to the indicator
	Question *Looked      `json:"question"` // what was looked for; null where the value is unusable
	Sources  []Source     `json:"sources"`  // who says what, in the order of the answer's listings
	Formula  string       `json:"formula"`  // how the points of the answer's reasons come about
	Answer   intel.Answer `json:"answer"`
}

// Step is one step of normalisation.
type Step struct {
	Name   string `json:"name"` // cleaned refanged kind canonical reserved refused
	Text   string `json:"text"` // what was done, in words
	Result string `json:"result,omitempty"`
}

// Looked is what was looked for.
type Looked struct {
	Keys    []LookedKey `json:"keys"`    // values that were looked up
	Covers  string      `json:"covers"`  // listed networks that cover this were looked for; "" = none were
	Members string      `json:"members"` // what is listed inside this was looked for; "" = nothing was
}

// LookedKey is one value that was looked up, and what a listing of it would mean.
type LookedKey struct {
	Kind      intel.Kind     `json:"kind"`
	Canonical string         `json:"canonical"`
	Relation  intel.Relation `json:"relation"`
}

// Source is one listing with what is known of its feed.
type Source struct {
	Feed        string         `json:"feed"`
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	Relation    intel.Relation `json:"relation"`
	Canonical   string         `json:"canonical"`
	Listed      bool           `json:"listed"`
	FirstSeen   time.Time      `json:"first_seen"`
	LastSeen    time.Time      `json:"last_seen"`
	Reliability string         `json:"reliability,omitempty"` // of the feed, A-F
	Confidence  int            `json:"confidence"`            // of the listing, 0-100
	Presence    intel.Presence `json:"presence,omitempty"`
	Role        string         `json:"role,omitempty"`    // of the feed; "" is threat
	Meaning     string         `json:"meaning,omitempty"` // what being listed there means
	Weight      *Weight        `json:"weight"`            // its part in the score; null where it is not open, or in an allow list
}

// Weight is the arithmetic of one open listing (score.Term).
type Weight struct {
	R       float64 `json:"r"`       // reliability of the feed, 0-1
	C       float64 `json:"c"`       // confidence of the listing, 0-1, lowered by a relation that is not exact
	D       float64 `json:"d"`       // what age has left of it, 0-1
	Value   float64 `json:"value"`   // r x c x d
	Counted bool    `json:"counted"` // false: another listing of its provider is stronger
	Points  int     `json:"points"`  // what it adds to the score
}

// formula is how internal/score fuses what listings say.
const formula = "score = 100 x (1 - product of (1 - r x c x d)) over the open listings but those of allow lists, of each provider only the strongest: r the feed's reliability, c the listing's confidence lowered by a relation that is not exact, d what age has left of it"

// Explain looks one value up and says how the answer came about. Errors are those of Answer.
func (s *Service) Explain(ctx context.Context, value string, o Options) (Explanation, error) {
	ind, bad := identify(value, o.Kinds)
	e := Explanation{Value: value, Steps: steps(value, ind, bad), Sources: []Source{}, Formula: formula}
	if err := s.answer(ctx, value, o, nil, &e.Answer); err != nil || bad != nil {
		return e, err
	}
	e.Question = looked(intel.Ask(ind))
	at := o.AsOf
	if at.IsZero() {
		at = s.now()
	}
	weights := map[*intel.Listing]*Weight{}
	for _, t := range score.Terms(e.Answer.Listings, at) {
		weights[t.Listing] = &Weight{t.Reliability, t.Confidence, t.Decay, t.Value, t.Counted, t.Points}
	}
	for i := range e.Answer.Listings {
		l := &e.Answer.Listings[i]
		src := source(l)
		src.Weight = weights[l]
		e.Sources = append(e.Sources, src)
	}
	return e, nil
}

// steps tells what became of a value.
func steps(value string, ind intel.Indicator, bad *intel.AnswerError) []Step {
	var out []Step
	clean := strings.TrimFunc(value, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf)
	})
	if clean != value {
		out = append(out, Step{"cleaned", "blanks and invisible characters at the ends removed", clean})
	}
	if plain := intel.Refang(clean); plain != clean {
		out = append(out, Step{"refanged", "what keeps people from clicking undone", plain})
	}
	if bad != nil {
		return append(out, Step{Name: "refused", Text: bad.Code + ": " + bad.Detail})
	}
	out = append(out, Step{"kind", "read as " + ind.Kind.String(), ind.Kind.String()},
		Step{"canonical", "written the one way all feeds' values are kept", ind.Value})
	if why := intel.Reserved(ind); why != "" {
		out = append(out, Step{Name: "reserved", Text: fmt.Sprintf("%s: feeds that list it are not believed, so nothing can be found", why)})
	}
	return out
}

func looked(q intel.Question) *Looked {
	l := &Looked{Keys: make([]LookedKey, len(q.Keys))}
	for i, k := range q.Keys {
		l.Keys[i] = LookedKey{k.Kind, k.Value, k.Relation}
	}
	if q.Covers.IsValid() {
		l.Covers = q.Covers.String()
	}
	if q.Inside.IsValid() {
		l.Members = q.Inside.String()
	}
	return l
}

func source(l *intel.Listing) Source {
	s := Source{
		Feed: l.Feed, Name: l.Feed, Provider: l.Provider, Relation: l.Relation, Role: l.Role, Canonical: l.Canonical,
		Listed: l.Listed, FirstSeen: l.FirstSeen, LastSeen: l.LastSeen, Confidence: l.Confidence, Meaning: l.Description,
	}
	if i := l.Info; i != nil {
		s.Name, s.Reliability, s.Presence = i.Name, i.Reliability, i.Presence
		if s.Meaning == "" {
			s.Meaning = i.Description
		}
	}
	return s
}
