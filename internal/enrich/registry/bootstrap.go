package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

const (
	refreshAfter = day       // that a bootstrap file is used
	refreshAgain = time.Hour // after IANA could not be asked
	maxBootstrap = 4 << 20   // bytes of one file; the largest has a tenth of a megabyte
)

// bootstrap knows the RDAP servers by IANA's files (RFC 9224). The copies in data
// count until newer ones were fetched.
type bootstrap struct {
	r     *Registry
	files map[string]*bootFile // by name
}

type bootFile struct {
	turn   chan struct{} // held while the file is fetched, so that it is once
	table  *bootTable
	loaded bool      // Keeper was asked
	next   time.Time // when it is to be fetched again
}

// bootTable is a file that was read. It is not changed afterwards.
type bootTable struct {
	names    map[string][]string       // dns: by the end of the name
	prefixes map[netip.Prefix][]string // ipv4 and ipv6
	systems  []systems                 // asn
}

type systems struct {
	first, last uint32
	urls        []string
}

var bootNames = []string{"dns", "ipv4", "ipv6", "asn"}

func newBootstrap(r *Registry) (*bootstrap, error) {
	b := &bootstrap{r: r, files: map[string]*bootFile{}}
	for _, name := range bootNames {
		raw, err := data.ReadFile("data/" + name + ".json")
		if err != nil {
			return nil, err
		}
		t, err := readBootstrap(raw)
		if err != nil {
			return nil, fmt.Errorf("%s.json: %w", name, err)
		}
		b.files[name] = &bootFile{turn: make(chan struct{}, 1), table: t}
	}
	return b, nil
}

// readBootstrap reads a bootstrap file. Entries that are of no kind are left out;
// a file without one that is of use is an error.
func readBootstrap(raw []byte) (*bootTable, error) {
	var f struct {
		Version  string       `json:"version"`
		Services [][][]string `json:"services"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("no bootstrap file of RDAP: %w", err)
	}
	if !strings.HasPrefix(f.Version, "1.") {
		return nil, fmt.Errorf("a bootstrap file of version %q, not 1.0", f.Version)
	}
	t := &bootTable{names: map[string][]string{}, prefixes: map[netip.Prefix][]string{}}
	for _, s := range f.Services {
		if len(s) != 2 {
			continue
		}
		urls := bases(s[1])
		for _, entry := range s[0] {
			if len(urls) > 0 {
				t.add(strings.ToLower(entry), urls)
			}
		}
	}
	if len(t.names)+len(t.prefixes)+len(t.systems) == 0 {
		return nil, fmt.Errorf("a bootstrap file that names no server")
	}
	return t, nil
}

func (t *bootTable) add(entry string, urls []string) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		t.prefixes[p.Masked()] = urls
		return
	}
	first, last, ok := strings.Cut(entry, "-")
	if !ok {
		last = first
	}
	a, err := strconv.ParseUint(first, 10, 32)
	z, err2 := strconv.ParseUint(last, 10, 32)
	if err == nil && err2 == nil && a <= z {
		t.systems = append(t.systems, systems{uint32(a), uint32(z), urls})
		return
	}
	t.names[strings.Trim(entry, ".")] = urls
}

// bases returns usable base URLs with a slash at their end, those of https first.
func bases(list []string) []string {
	var safe, plain []string
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
			continue
		}
		if !strings.HasSuffix(s, "/") {
			s += "/"
		}
		switch u.Scheme {
		case "https":
			safe = append(safe, s)
		case "http":
			plain = append(plain, s)
		}
	}
	return append(safe, plain...)
}

// find returns the URL that answers a question; "" where no server is known.
func (b *bootstrap) find(ctx context.Context, s enrich.Subject) string {
	base, path := "", ""
	switch {
	case s.Addr.Is4():
		base, path = b.table(ctx, "ipv4").network(s.Addr), "ip/"+s.Addr.String()
	case s.Addr.IsValid():
		base, path = b.table(ctx, "ipv6").network(s.Addr), "ip/"+s.Addr.String()
	case s.Domain != "":
		base, path = b.table(ctx, "dns").name(s.Domain), "domain/"+url.PathEscape(s.Domain)
	case s.ASN != 0:
		base, path = b.table(ctx, "asn").system(s.ASN), fmt.Sprintf("autnum/%d", s.ASN)
	}
	if base == "" {
		return ""
	}
	return base + path
}

func first(urls []string) string {
	if len(urls) == 0 {
		return ""
	}
	return urls[0]
}

func (t *bootTable) network(a netip.Addr) string {
	for bits := a.BitLen(); bits >= 0; bits-- {
		if p, err := a.Prefix(bits); err == nil && t.prefixes[p] != nil {
			return first(t.prefixes[p])
		}
	}
	return ""
}

func (t *bootTable) name(domain string) string {
	for rest := domain; rest != ""; {
		if urls := t.names[rest]; urls != nil {
			return first(urls)
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	return ""
}

// system goes by the narrowest range.
func (t *bootTable) system(asn uint32) string {
	var best systems
	for _, s := range t.systems {
		if s.first <= asn && asn <= s.last && (best.urls == nil || s.last-s.first < best.last-best.first) {
			best = s
		}
	}
	return first(best.urls)
}

// table returns a file as new as it has to be. Whoever comes while it is fetched
// waits for that; where it cannot be had the old one goes on to count. An empty one where ctx ended.
func (b *bootstrap) table(ctx context.Context, name string) *bootTable {
	f := b.files[name]
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return &bootTable{}
	}
	now := b.r.cfg.Now()
	if !f.loaded && b.r.cfg.Keep != nil {
		f.loaded = true
		if raw, saved, err := b.r.cfg.Keep.Load(ctx, name+".json"); err == nil {
			if t, err := readBootstrap(raw); err == nil {
				f.table = t
				if !saved.After(now) { // a clock that went wrong must not keep it for ever
					f.next = saved.Add(refreshAfter)
				}
			}
		}
	}
	if now.Before(f.next) {
		return f.table
	}
	raw, t, err := b.fetch(ctx, name)
	if err != nil {
		if ctx.Err() == nil {
			f.next = now.Add(refreshAgain)
			b.r.cfg.Log.WarnContext(ctx, "the list of registries could not be fetched; an older one is used", "file", name+".json", "error", err.Error())
		}
		return f.table
	}
	f.table, f.next = t, now.Add(refreshAfter)
	if b.r.cfg.Keep != nil {
		if err := b.r.cfg.Keep.Save(ctx, name+".json", raw, now); err != nil {
			b.r.cfg.Log.WarnContext(ctx, "the list of registries could not be kept", "file", name+".json", "error", err.Error())
		}
	}
	return f.table
}

func (b *bootstrap) fetch(ctx context.Context, name string) ([]byte, *bootTable, error) {
	a := b.r.get(ctx, request{url: b.r.cfg.Endpoints.Bootstrap + name + ".json", kind: "*rdap", accept: "application/json", most: maxBootstrap})
	if a.err != nil {
		return nil, nil, a.err
	}
	if a.status != 200 {
		return nil, nil, fmt.Errorf("status %d", a.status)
	}
	t, err := readBootstrap(a.body)
	return a.body, t, err
}
