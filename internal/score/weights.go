package score

import (
	"math"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Reliability returns the weight of a feed by its letter on the Admiralty scale,
// whose words MISP's taxonomy "admiralty-scale" has too. The scale has no numbers; ours
// are even steps, and what nobody can judge (F, or no letter) lies between C and D.
func Reliability(letter string) float64 {
	switch letter {
	case "A", "a": // completely reliable
		return 1.0
	case "B", "b": // usually reliable
		return 0.8
	case "C", "c": // fairly reliable
		return 0.6
	case "D", "d": // not usually reliable
		return 0.4
	case "E", "e": // unreliable
		return 0.2
	}
	return 0.5
}

// Relation returns how much of a listing's confidence holds for the value asked
// for, by how the two are related.
func Relation(l *intel.Listing) float64 {
	switch l.Relation {
	case intel.RelHost: // the host serves the URL or the port: hardly less
		return 0.9
	case intel.RelNetwork: // not every address of a bad network is bad
		return 0.8
	case intel.RelParent: // nor every name below a bad domain
		return 0.7
	case intel.RelMember:
		if l.Kind == intel.IPPort { // the address itself, where an address was asked for
			return 0.9
		}
		return 0.3 // one bad neighbour says little about a network
	}
	return 1
}

// model is how indicators of a kind age: MISP's polynomial model, in which what
// is t old keeps 1 − (t/τ)^(1/δ) of its score, and nothing from τ on.
// (Mokaddem et al., "Taxonomy driven indicator scoring in MISP threat
// intelligence platforms", arXiv:1902.03914.)
type model struct {
	lifetime time.Duration // τ; 0 = never ages
	speed    float64       // δ: below 1 most is lost near the end, above 1 near the start
}

const day = 24 * time.Hour

// modelOf returns a kind's model. Addresses change hands within weeks, and
// evenly so; networks in months; names and URLs live for months and are bad for
// most of that, so they lose most near the end; what a file does never changes.
func modelOf(k intel.Kind) model {
	switch k {
	case intel.IPv4, intel.IPv6, intel.IPPort:
		return model{30 * day, 1}
	case intel.CIDR:
		return model{90 * day, 1}
	case intel.URL:
		return model{90 * day, 0.5}
	case intel.Domain, intel.Email:
		return model{180 * day, 0.5}
	}
	return model{}
}

// Decay returns what is left, 0 to 1, of an indicator of the kind that was last
// seen that long ago: max(0, 1 − (age/τ)^(1/δ)).
//
//	ipv4 ipv6 ip-port   τ  30 days   δ 1
//	cidr                τ  90 days   δ 1
//	url                 τ  90 days   δ 0.5
//	domain email        τ 180 days   δ 0.5
//	hashes              never
func Decay(k intel.Kind, age time.Duration) float64 {
	m := modelOf(k)
	if m.lifetime == 0 || age <= 0 {
		return 1
	}
	return max(0, 1-math.Pow(float64(age)/float64(m.lifetime), 1/m.speed))
}
