package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// rdap serves RDAP.
func (w *World) rdap(server string) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		kind, subject, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/rdap/"), "/")
		fault := w.came(server, subject, req.UserAgent())
		if w.fault(rw, req, fault) {
			return
		}
		if w.Moved && server == RDAPNorth {
			http.Redirect(rw, req, "http://"+w.addrs[RDAPSouth].String()+req.URL.Path, http.StatusSeeOther)
			return
		}
		if fault == Wrong {
			subject = map[string]string{"ip": "4.4.4.4", "domain": "other.example", "autnum": "4"}[kind]
		}
		body := w.object(kind, subject)
		if body == nil {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		text, _ := json.Marshal(body)
		if fault == Charset {
			text = []byte(strings.ReplaceAll(string(text), "Holder of", "Holder \xfc of"))
		}
		rw.Header().Set("Content-Type", "application/rdap+json")
		rw.Write(text)
	}
}

// fault plays one, and says whether that was all.
func (w *World) fault(rw http.ResponseWriter, req *http.Request, f Fault) bool {
	switch f {
	case TooMany:
		rw.Header().Set("Retry-After", "2")
		rw.WriteHeader(http.StatusTooManyRequests)
	case Silent:
		rw.WriteHeader(http.StatusTooManyRequests)
	case Down:
		rw.WriteHeader(http.StatusInternalServerError)
	case Slow:
		drip(req.Context(), func() bool {
			_, err := rw.Write([]byte(" "))
			return err == nil && http.NewResponseController(rw).Flush() == nil
		})
	case Huge:
		rw.Write([]byte("{"))
		for range 3 << 10 {
			if _, err := rw.Write(make([]byte, 1<<10)); err != nil {
				break
			}
		}
	case Malformed:
		rw.Write([]byte(`{"objectClassName":"ip network","startAddress":`))
	case Page:
		rw.Write([]byte("<html><title>Maintenance</title><body>Please come back later</body></html>"))
	case Loop:
		rw.Header().Set("Location", req.URL.Path)
		rw.WriteHeader(http.StatusFound)
	case Inward:
		rw.Header().Set("Location", "http://127.0.0.1:"+strconv.Itoa(int(w.addrs[RDAPNorth].Port()))+req.URL.Path)
		rw.WriteHeader(http.StatusSeeOther)
	case Reset:
		rw.Header().Set("Content-Length", "1000")
		rw.Write([]byte("{"))
		_ = http.NewResponseController(rw).Flush()
		if c, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			reset(c)
		}
	case Empty:
	default:
		return false
	}
	return true
}

// drip sends a byte a second until nobody reads any more, or ten minutes are over.
func drip(ctx interface{ Done() <-chan struct{} }, one func() bool) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range 600 {
		if !one() {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *World) bootstrap(rw http.ResponseWriter, req *http.Request) {
	name := strings.TrimPrefix(req.URL.Path, "/rdap/")
	w.came(Bootstrap, name, req.UserAgent())
	north, south := "http://"+w.addrs[RDAPNorth].String()+"/rdap/", "http://"+w.addrs[RDAPSouth].String()+"/rdap"
	type service = [2][]string
	file := struct {
		Version  string    `json:"version"`
		Services []service `json:"services"`
	}{Version: "1.0"}
	switch name {
	case "ipv4.json":
		file.Services = []service{{{"0.0.0.0/1"}, {north}}, {{"128.0.0.0/1"}, {south}}}
	case "ipv6.json":
		file.Services = []service{{{"2000::/5"}, {north}}, {{"2800::/5", "3000::/4"}, {south}}}
	case "asn.json":
		for i := range 64 {
			file.Services = append(file.Services, service{{fmt.Sprintf("%d-%d", i*2048, i*2048+2047)}, {[]string{north, south}[i%2]}})
		}
	case "dns.json":
		file.Services = []service{{{"com", "net", "org", "example"}, {north}}}
	}
	if w.Unserved {
		file.Services = []service{{{map[string]string{"ipv4.json": "192.0.2.0/24", "ipv6.json": "2001:db8::/32", "asn.json": "1", "dns.json": "test"}[name]}, {north}}}
	}
	_ = json.NewEncoder(rw).Encode(file)
}

type member = map[string]any

// object is what RDAP says of a subject; nil = there is no such registration, as
// of all domains whose names begin with "free".
func (w *World) object(kind, subject string) member {
	switch kind {
	case "ip":
		a, err := netip.ParseAddr(subject)
		if err != nil {
			return nil
		}
		p := w.NetworkOf(a)
		return member{"objectClassName": "ip network", "handle": "NET-" + p.String(), "startAddress": p.Addr().String(), "endAddress": intel.LastAddr(p).String(), "name": "NET-" + name(p),
			"country": "NL", "port43": "whois.ripe.net", "events": []member{{"eventAction": "registration", "eventDate": "2011-02-03T04:05:06Z"}},
			"entities": []member{entity("registrant", "org", "Holder of "+p.String(), ""), entity("abuse", "group", "Abuse desk", "abuse@holder.example"), entity("administrative", "individual", "Jane Doe", "jane@holder.example")}}
	case "domain":
		if strings.HasPrefix(subject, "free") {
			return nil
		}
		return member{"objectClassName": "domain", "ldhName": subject, "status": []string{"active", "client transfer prohibited"},
			"events":      []member{{"eventAction": "registration", "eventDate": "2019-01-02T03:04:05Z"}, {"eventAction": "expiration", "eventDate": "2029-01-02T03:04:05Z"}, {"eventAction": "last changed", "eventDate": "2024-01-02T03:04:05Z"}},
			"nameservers": []member{{"ldhName": "ns1." + subject}, {"ldhName": "ns2." + subject}},
			"entities":    []member{entity("registrar", "org", "Example Registrar", ""), entity("registrant", "individual", "Jane Doe", "jane@holder.example")}}
	case "autnum":
		n, err := strconv.ParseUint(subject, 10, 32)
		if err != nil {
			return nil
		}
		return member{"objectClassName": "autnum", "handle": "AS" + subject, "startAutnum": n, "endAutnum": n, "name": "SYSTEM-" + subject, "country": "NL", "port43": "whois.ripe.net",
			"entities": []member{entity("registrant", "org", "Holder of AS"+subject, "")}}
	}
	return nil
}

func entity(role, kind, fn, mail string) member {
	card := []any{[]any{"version", member{}, "text", "4.0"}, []any{"kind", member{}, "text", kind}, []any{"fn", member{}, "text", fn}}
	if mail != "" {
		card = append(card, []any{"email", member{}, "text", mail})
	}
	return member{"objectClassName": "entity", "roles": []string{role}, "vcardArray": []any{"vcard", card}}
}

func name(p netip.Prefix) string {
	return strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace(p.String())
}

// Key is what the services of reports want in their header.
const Key = "key-for-tests"

// lookup serves reports about addresses, as the three services write them.
func (w *World) lookup(rw http.ResponseWriter, req *http.Request) {
	service, subject, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	fault := w.came(Lookup, service+" "+subject, req.UserAgent())
	if w.fault(rw, req, fault) {
		return
	}
	if service == "greynoise" && req.Header.Get("key") != Key || service == "abuseipdb" && req.Header.Get("Key") != Key {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if fault == Wrong {
		subject = "4.4.4.4"
	}
	_ = json.NewEncoder(rw).Encode(map[string]any{
		"internetdb": member{"ip": subject, "ports": []int{22, 443}, "hostnames": []string{"host.example"}, "tags": []string{"cloud"}, "cpes": []string{}, "vulns": []string{"CVE-2021-44228"}},
		"greynoise":  member{"ip": subject, "noise": true, "riot": false, "classification": "malicious", "name": "unknown", "link": "https://viz.example/ip/" + subject, "last_seen": "2026-01-02", "message": "Success"},
		"abuseipdb":  member{"data": member{"ipAddress": subject, "abuseConfidenceScore": 87, "totalReports": 12, "usageType": "Data Center/Web Hosting/Transit", "isTor": false, "lastReportedAt": "2026-01-02T03:04:05+00:00"}},
	}[service])
}
