package intel

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// appendJSON appends what encoding/json without HTML escaping writes, save that a nil
// list is []. A bulk look-up writes it for every value.
func (e *Enrichment) appendJSON(b []byte) []byte {
	b = append(b, '{')
	n := len(b)
	if e.Network != nil {
		b = e.Network.appendJSON(append(b, `"network":`...))
	}
	if e.Domain != nil {
		b = e.Domain.appendJSON(append(between(b, n), `"domain":`...))
	}
	if e.Address != nil {
		b = e.Address.appendJSON(append(between(b, n), `"address":`...))
	}
	return append(b, '}')
}

// between appends a comma where something stands from n on.
func between(b []byte, n int) []byte {
	if len(b) > n {
		return append(b, ',')
	}
	return b
}

func (n *NetworkFacts) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"cidr":`...), n.CIDR)
	b = appendString(append(b, `,"name":`...), n.Name)
	b = appendString(append(b, `,"org":`...), n.Org)
	b = appendString(append(b, `,"country":`...), n.Country)
	b = appendString(append(b, `,"registry":`...), n.Registry)
	b = appendString(append(b, `,"abuse":`...), n.Abuse)
	b = strconv.AppendUint(append(b, `,"asn":`...), uint64(n.ASN), 10)
	b = appendString(append(b, `,"as_name":`...), n.ASName)
	b = n.Allocated.appendJSON(append(b, `,"allocated":`...))
	return appendOrigin(b, n.Source, &n.FetchedAt)
}

func (d *DomainFacts) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"domain_name":`...), d.Name)
	b = appendString(append(b, `,"registrar":`...), d.Registrar)
	b = d.Created.appendJSON(append(b, `,"created":`...))
	b = d.Updated.appendJSON(append(b, `,"updated":`...))
	b = d.Expires.appendJSON(append(b, `,"expires":`...))
	b = appendStrings(append(b, `,"name_servers":`...), d.NameServers)
	b = appendStrings(append(b, `,"status":`...), d.Status)
	b = appendStrings(append(b, `,"tags":`...), d.Tags)
	return appendOrigin(b, d.Source, &d.FetchedAt)
}

// appendOrigin ends what is known with who says so, and since when.
func appendOrigin(b []byte, source string, at *time.Time) []byte {
	b = appendString(append(b, `,"source":`...), source)
	b = appendTime(append(b, `,"fetched_at":`...), at)
	return append(b, '}')
}

// appendJSON of what is known of an address goes the slow way: few have it.
func (a *AddressFacts) appendJSON(b []byte) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a); err != nil { // only of times in years that no answer has
		return append(b, "null"...)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// appendJSON appends null for a date that is not known.
func (d Date) appendJSON(b []byte) []byte {
	if d == "" {
		return append(b, "null"...)
	}
	return append(append(append(b, '"'), d...), '"')
}
