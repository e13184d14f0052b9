package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const whoisPort = 43

// Endpoints are who is asked, for mirrors, proxies and tests. An empty field means
// the registries themselves.
type Endpoints struct {
	// Bootstrap is the folder with dns.json, ipv4.json, ipv6.json and asn.json of IANA.
	Bootstrap string `json:"bootstrap"`
	// Whois is the root of port 43, which knows who to ask: host or host:port.
	Whois string `json:"whois"`
	// Servers are asked in place of others: what a referral names → host or host:port.
	Servers map[string]string `json:"whois_servers"`
	// Cymru answers bulk queries for the origins of addresses: host or host:port.
	Cymru string `json:"cymru"`
	// DNS is the server for all names, reverse names and origins: host:port. "" = the system's.
	DNS string `json:"dns"`
	// Lookups are addresses of look-ups with {addr} in them, by name.
	Lookups map[string]string `json:"lookups"`
	// AllowNetworks may be connected to although they are not public.
	AllowNetworks []netip.Prefix `json:"allow_networks"`
	// Rates are those of servers, by host or host:port.
	Rates map[string]Rate `json:"rates"`
}

// ReadEndpoints reads the JSON of an Endpoints. Unknown members are errors, so that
// a misspelt one does not silently ask the real registries.
func ReadEndpoints(data []byte) (Endpoints, error) {
	var e Endpoints
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("the endpoints of enrichment are no JSON of the documented members: %w", err)
	}
	return e, e.check()
}

func (e Endpoints) check() error {
	urls := []string{e.Bootstrap}
	for _, name := range slices.Sorted(maps.Keys(e.Lookups)) {
		urls = append(urls, e.Lookups[name])
	}
	for _, s := range urls {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("the endpoints of enrichment: %q is no http or https URL", s)
		}
	}
	hosts := []string{e.Whois, e.Cymru}
	for _, name := range slices.Sorted(maps.Keys(e.Servers)) {
		hosts = append(hosts, e.Servers[name])
	}
	for _, s := range hosts {
		if _, ok := hostPort(s); s != "" && !ok {
			return fmt.Errorf("the endpoints of enrichment: %q is neither a host nor host:port", s)
		}
	}
	if _, _, err := net.SplitHostPort(e.DNS); e.DNS != "" && err != nil {
		return fmt.Errorf("the endpoints of enrichment: dns: %q is not host:port", e.DNS)
	}
	for _, host := range slices.Sorted(maps.Keys(e.Rates)) {
		if err := e.Rates[host].check(); err != nil {
			return fmt.Errorf("the endpoints of enrichment: the rate of %s: %w", host, err)
		}
	}
	return nil
}

func (e Endpoints) withDefaults() Endpoints {
	setDefault(&e.Bootstrap, "https://data.iana.org/rdap/")
	setDefault(&e.Whois, "whois.iana.org")
	setDefault(&e.Cymru, "whois.cymru.com")
	if !strings.HasSuffix(e.Bootstrap, "/") {
		e.Bootstrap += "/"
	}
	return e
}

// hostPort returns the address of a whois server: "host", "host:port" or an address
// of IPv6, in lower case, with port 43 where none is named.
func hostPort(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	host, port := s, fmt.Sprint(whoisPort)
	if a, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(a.String(), port), true
	}
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = strings.TrimSuffix(h, "."), p
	}
	if host == "" || len(host) > 253 || strings.ContainsAny(host, " \t/@[]<>\"'\\") || strings.Trim(port, "0123456789") != "" || port == "" || len(port) > 5 {
		return "", false
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(a.String(), port), true
	}
	if !strings.Contains(host, ".") || strings.Contains(host, ":") {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}
