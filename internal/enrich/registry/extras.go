package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	maxNames     = 8         // of one address that are kept
	maxLookup    = 256 << 10 // bytes of the answer of a look-up
	maxValues    = 64        // of one field of a report
	dnsName      = "dns"
	retryUnnamed = 7 * day
)

// reverse asks DNS for the names of an address (RFC 1035 section 3.5). Whoever has
// the address chose them: they are not checked against the addresses of the names.
type reverse struct{ r *Registry }

// Name implements [enrich.Source].
func (*reverse) Name() string { return dnsName }

// Ask implements [enrich.Source].
func (a *reverse) Ask(ctx context.Context, s enrich.Subject) (enrich.Finding, error) {
	var names []string
	var none bool
	retry, err := a.r.dns(ctx, func(ctx context.Context) (err error) {
		names, err = a.r.cfg.Resolver.LookupAddr(ctx, s.Addr.String())
		return err
	}, &none)
	if err != nil {
		return a.r.failed(s, a.Name(), err, retry)
	}
	f := enrich.Finding{Subject: s, Source: a.Name(), Fetched: a.r.cfg.Now()}
	for _, n := range names {
		if n = enrich.HostName(n); n != "" && len(f.Names) < maxNames && !slices.Contains(f.Names, n) {
			f.Names = append(f.Names, n)
		}
	}
	if none || len(f.Names) == 0 {
		return a.r.negative(s, a.Name(), Unnamed, retryUnnamed), nil
	}
	slices.Sort(f.Names)
	return f, nil
}

// lookupDef describes a service that reports on addresses.
type lookupDef struct {
	URL    string            `json:"url"`    // with {addr}
	Header string            `json:"header"` // that carries the key; "" = none is needed
	Secret string            `json:"secret"` // the name of the key among the secrets
	Echo   string            `json:"echo"`   // where the answer repeats the address
	Fields map[string]string `json:"fields"` // name → where in the answer: members with dots between
}

func readLookups() (map[string]lookupDef, error) {
	var defs map[string]lookupDef
	raw, err := data.ReadFile("data/lookups.json")
	if err == nil {
		err = json.Unmarshal(raw, &defs)
	}
	return defs, err
}

// Secrets are the names of the keys that look-ups need.
func Secrets() []string {
	defs, _ := readLookups() // New says so where the file cannot be read
	var names []string
	for _, d := range defs {
		if d.Secret != "" {
			names = append(names, d.Secret)
		}
	}
	slices.Sort(names)
	return names
}

// lookups are the sources of the names in the configuration.
func (r *Registry) lookups() ([]enrich.Source, error) {
	defs, err := readLookups()
	if err != nil {
		return nil, err
	}
	var all []enrich.Source
	for _, name := range r.cfg.Lookups {
		d, ok := defs[name]
		if !ok {
			return nil, fmt.Errorf("there is no look-up %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(defs)), ", "))
		}
		if d.Secret != "" && r.cfg.Keys[d.Secret] == "" {
			return nil, fmt.Errorf("the look-up %s needs a key: set the secret %s", name, d.Secret)
		}
		if u := r.cfg.Endpoints.Lookups[name]; u != "" {
			d.URL = u
		}
		all = append(all, &lookup{r, name, d})
	}
	return all, nil
}

// lookup asks one service about addresses.
type lookup struct {
	r    *Registry
	name string
	def  lookupDef
}

// Name implements [enrich.Source].
func (l *lookup) Name() string { return l.name }

// Ask implements [enrich.Source].
func (l *lookup) Ask(ctx context.Context, s enrich.Subject) (enrich.Finding, error) {
	q := request{url: strings.ReplaceAll(l.def.URL, "{addr}", url.PathEscape(s.Addr.String())), kind: "*lookup", accept: "application/json", most: maxLookup}
	if l.def.Header != "" {
		q.header = http.Header{http.CanonicalHeaderKey(l.def.Header): {l.r.cfg.Keys[l.def.Secret]}}
	}
	got := l.r.get(ctx, q)
	switch {
	case got.err != nil:
		return l.r.failed(s, l.name, got.err, got.retry)
	case got.status == 404:
		return l.r.negative(s, l.name, Unregistered, retryAbsent), nil
	case got.status != 200: // redirects too: a key goes nowhere else
		return l.r.negative(s, l.name, Unreadable, retryNonsense), nil
	}
	report, ok := l.def.read(got.body, s)
	if !ok {
		return l.r.negative(s, l.name, Unreadable, retryNonsense), nil
	}
	return enrich.Finding{Subject: s, Source: l.name, Fetched: l.r.cfg.Now(), Report: report}, nil
}

// read takes the fields out of an answer about the subject.
func (d lookupDef) read(body []byte, s enrich.Subject) (intel.Fields, bool) {
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		return nil, false
	}
	if echo := texts(at(doc, d.Echo)); len(echo) != 1 || echo[0] != s.Addr.String() {
		return nil, false
	}
	var report intel.Fields
	for _, name := range slices.Sorted(maps.Keys(d.Fields)) {
		for _, v := range texts(at(doc, d.Fields[name])) {
			report.Add(name, v)
		}
	}
	return report, true
}

func at(doc any, path string) any {
	for member := range strings.SplitSeq(path, ".") {
		m, _ := doc.(map[string]any)
		doc = m[member]
	}
	return doc
}

// texts are the values of a member: one, or those of a list.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		if v = enrich.Clean(v); v != "" {
			return []string{v}
		}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case bool:
		return []string{strconv.FormatBool(v)}
	case []any:
		var all []string
		for _, x := range v[:min(len(v), maxValues)] {
			if _, list := x.([]any); !list {
				all = append(all, texts(x)...)
			}
		}
		return all
	}
	return nil
}
