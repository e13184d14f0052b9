package registry

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	rootTime = 7 * day // that an answer of the root counts: it changes a few times a year
	maxRoots = 4096    // answers that are remembered
)

// roots remembers what the root of whois said, so that it is asked once for a top
// level domain, a block of addresses or one of autonomous systems.
type roots struct {
	mu     sync.Mutex
	names  map[string]rootAnswer // by top level domain
	blocks []rootBlock
}

type rootAnswer struct {
	server string // "" = there is none
	until  time.Time
}

type rootBlock struct {
	first, last netip.Addr
	a, z        uint32 // of autonomous systems, where the addresses are invalid
	rootAnswer
}

func (b rootBlock) has(s enrich.Subject) bool {
	if s.Addr.IsValid() {
		return b.first.IsValid() && s.Addr.BitLen() == b.first.BitLen() && b.first.Compare(s.Addr) <= 0 && s.Addr.Compare(b.last) <= 0
	}
	return !b.first.IsValid() && b.a <= s.ASN && s.ASN <= b.z
}

// Words of the root. Read-only.
var (
	rootRefer  = regexp.MustCompile(`(?mi)^(?:refer|whois):[ \t]*(\S+)`)
	rootDomain = regexp.MustCompile(`(?mi)^domain:[ \t]*(\S+)`)
	rootBlocs  = regexp.MustCompile(`(?mi)^(?:inetnum|inet6num|as-block):[ \t]*(.+)$`)
)

// find returns the server to ask about a subject, "" where the root knows none.
func (c *roots) find(ctx context.Context, w *whois, s enrich.Subject) (server string, retry time.Time, err error) {
	now := w.r.cfg.Now()
	if have, ok := c.get(s, now); ok {
		return have, time.Time{}, nil
	}
	root, ok := hostPort(w.r.cfg.Endpoints.Whois)
	if !ok {
		return "", time.Time{}, errBlocked
	}
	question := describe(s)
	if s.Domain != "" {
		question = tld(s.Domain)
	}
	text, retry, err := w.query(ctx, root, question, "")
	if err != nil {
		return "", retry, err
	}
	for _, m := range rootRefer.FindAllStringSubmatch(text, 8) {
		if to, ok := hostPort(m[1]); ok && to != root {
			server = to
			break
		}
	}
	if !strings.Contains(text, "IANA") && server == "" {
		return "", time.Time{}, fmt.Errorf("%w: the root answers something else", errBlocked)
	}
	c.put(s, text, rootAnswer{server, now.Add(rootTime)})
	return server, time.Time{}, nil
}

func tld(domain string) string { return domain[strings.LastIndexByte(domain, '.')+1:] }

func (c *roots) get(s enrich.Subject, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Domain != "" {
		a, ok := c.names[tld(s.Domain)]
		return a.server, ok && now.Before(a.until)
	}
	for _, b := range c.blocks {
		if b.has(s) && now.Before(b.until) {
			return b.server, true
		}
	}
	return "", false
}

// put remembers an answer for what it says itself that it is about.
func (c *roots) put(s enrich.Subject, text string, a rootAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Domain != "" {
		if m := rootDomain.FindStringSubmatch(text); m == nil || !strings.EqualFold(m[1], tld(s.Domain)) {
			return
		}
		if c.names == nil || len(c.names) >= maxRoots {
			c.names = map[string]rootAnswer{}
		}
		c.names[tld(s.Domain)] = a
		return
	}
	m := rootBlocs.FindStringSubmatch(text)
	if m == nil {
		return
	}
	b, ok := readBlock(m[1])
	if b.rootAnswer = a; !ok || !b.has(s) || b.first.IsValid() && b.first == b.last {
		return
	}
	if len(c.blocks) >= maxRoots {
		c.blocks = nil
	}
	c.blocks = append(c.blocks, b)
}

// readBlock reads "1.0.0.0 - 1.255.255.255", "2a00::/12" and "1877-1901".
func readBlock(s string) (rootBlock, bool) {
	s = strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(s)), "AS", "")
	if p, err := netip.ParsePrefix(s); err == nil {
		return rootBlock{first: p.Masked().Addr(), last: intel.LastAddr(p.Masked())}, true
	}
	x, y, ok := strings.Cut(s, "-")
	if !ok {
		return rootBlock{}, false
	}
	first, err := netip.ParseAddr(strings.TrimSpace(x))
	last, err2 := netip.ParseAddr(strings.TrimSpace(y))
	if err == nil && err2 == nil {
		return rootBlock{first: first, last: last}, first.BitLen() == last.BitLen()
	}
	a, err := strconv.ParseUint(strings.TrimSpace(x), 10, 32)
	z, err2 := strconv.ParseUint(strings.TrimSpace(y), 10, 32)
	return rootBlock{a: uint32(a), z: uint32(z)}, err == nil && err2 == nil
}
