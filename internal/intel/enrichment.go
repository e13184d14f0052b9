package intel

import "time"

// Enrichment is what is known of an indicator besides what feeds say of it: who
// was given its network, who registered its domain. It was found out before: a
// look-up never asks anybody. What is not known is absent.
type Enrichment struct {
	Network *NetworkFacts `json:"network,omitempty"` // of an address, a network, and the address of an ip:port or URL
	Domain  *DomainFacts  `json:"domain,omitempty"`  // of the registered domain of a domain, URL or email
	Address *AddressFacts `json:"address,omitempty"` // of the one address asked for
}

// NetworkFacts is the registration of the narrowest known network that covers an
// indicator, of a network: its first address. Each source knows a part; the parts are
// put together, the first source counting where two differ.
type NetworkFacts struct {
	CIDR      string    `json:"cidr"`      // the prefix that covers the indicator
	Name      string    `json:"name"`      // the registry's name for the network
	Org       string    `json:"org"`       // the organisation that holds it, never a person
	Country   string    `json:"country"`   // ISO 3166-1 alpha-2, upper case
	Registry  string    `json:"registry"`  // afrinic, apnic, arin, lacnic or ripencc
	Abuse     string    `json:"abuse"`     // mail address that takes reports
	ASN       uint32    `json:"asn"`       // the autonomous system that announces it; 0 = not known
	ASName    string    `json:"as_name"`   // what that is called
	Allocated Date      `json:"allocated"` // when the range was given, or its record made
	Source    string    `json:"source"`    // who says so: "rdap", "whois", "cymru", a feed's id; several with + between
	FetchedAt time.Time `json:"fetched_at"`
}

// DomainFacts is the registration of a domain. Lists are never nil.
type DomainFacts struct {
	Name        string    `json:"domain_name"`
	Registrar   string    `json:"registrar"`
	Created     Date      `json:"created"`
	Updated     Date      `json:"updated"`
	Expires     Date      `json:"expires"`
	NameServers []string  `json:"name_servers"`
	Status      []string  `json:"status"` // EPP codes as RFC 5731 spells them
	Tags        []string  `json:"tags"`   // TagNew where it was registered within NewDomain before the answer
	Source      string    `json:"source"`
	FetchedAt   time.Time `json:"fetched_at"`
}

// AddressFacts is what is known of a single address.
type AddressFacts struct {
	Names     []string          `json:"names,omitempty"`   // by reverse DNS
	Reports   map[string]Report `json:"reports,omitempty"` // of look-ups with a key, by their name
	Source    string            `json:"source"`
	FetchedAt time.Time         `json:"fetched_at"`
}

// Report is what one look-up says of an address: its fields, as the service names them.
type Report struct {
	Fields    Fields    `json:"fields"`
	FetchedAt time.Time `json:"fetched_at"`
}

// TagNew marks a domain that was registered less than NewDomain ago: most of those
// that are used for phishing and malware are, few others.
const (
	TagNew    = "newly-registered"
	NewDomain = 30 * 24 * time.Hour
)

// Date is a time as RFC 3339 writes it, in UTC; "" = not known, which is null in
// JSON. A day without a time of day is its first second.
type Date string

// MarshalJSON writes null for a date that is not known.
func (d Date) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return []byte(`"` + string(d) + `"`), nil // whoever makes one writes digits and letters only: nothing to escape
}

// Time returns the instant, the zero time for a date that is not known.
func (d Date) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, string(d))
	return t
}
