package main

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// oursPeer is this program's corpus, called in process as a server does.
type oursPeer struct {
	dir string
	c   *corpus.Corpus
	now time.Time
	buf []intel.Listing
}

func newOursPeer(ctx context.Context) (peer, error) {
	dir, err := os.MkdirTemp("", "bench-ours-")
	if err != nil {
		return nil, err
	}
	store, err := blob.NewDir(dir)
	if err != nil {
		return nil, err
	}
	if err := corpus.Init(ctx, store); err != nil {
		return nil, err
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := corpus.Open(ctx, store, corpus.Options{})
	if err != nil {
		return nil, err
	}
	return &oursPeer{dir: dir, c: c, now: now}, nil
}

func (p *oursPeer) name() string { return "ElasticIntel" }

func (p *oursPeer) about() string {
	return "in process; every segment with its indexes for look-up, text, hosts, networks and facets; synced at each commit"
}

func (p *oursPeer) merge(ctx context.Context, feed int, entries []intel.Entry) error {
	p.now = p.now.Add(time.Hour)
	id := feedID(feed)
	head, etag, err := p.c.Head(ctx, id)
	if err != nil {
		return err
	}
	info := intel.FeedInfo{ID: id, Name: id, Presence: intel.Snapshot, Confidence: 50}
	m, err := p.c.Merge(ctx, head, entries, corpus.MergeOptions{Feed: id, Info: info, Now: p.now})
	if err != nil {
		return err
	}
	_, err = p.c.Commit(ctx, m.Next, etag)
	return err
}

func (p *oursPeer) load(ctx context.Context, feed int, entries []intel.Entry, _ []listing) error {
	return p.merge(ctx, feed, entries)
}

func (p *oursPeer) ready(ctx context.Context) error {
	if _, err := p.c.Refresh(ctx); err != nil {
		return err
	}
	if _, err := p.c.Regroup(ctx); err != nil {
		return err
	}
	_, err := p.c.Refresh(ctx)
	return err
}

func (p *oursPeer) bytes(context.Context) (int64, error) { return folderBytes(p.dir, ".") }

func (p *oursPeer) exact(_ context.Context, i intel.Indicator) (int, error) {
	p.buf = p.c.View().Exact(i, time.Time{}, p.buf[:0])
	return len(p.buf), nil
}

func (p *oursPeer) bulk(ctx context.Context, asked []intel.Indicator) (n int, err error) {
	for _, i := range asked {
		x, _ := p.exact(ctx, i)
		n += x
	}
	return n, nil
}

// spell writes the question in our query language.
func (q question) spell() string {
	switch q.sort {
	case "and":
		return `"` + strings.Join(q.words, `" "`) + `"`
	case "prefix":
		return `"` + q.words[0] + `"*`
	case "subdomains":
		return "domain:*." + q.host
	case "net":
		return "net:" + q.net.String()
	}
	return `"` + strings.Join(q.words, " ") + `"`
}

func (p *oursPeer) search(ctx context.Context, q question) (a answer, err error) {
	node, err := query.Parse(q.spell(), p.now)
	if err != nil {
		return a, err
	}
	page, err := p.c.Search(ctx, query.Search{Query: node, Limit: 20}, func(l *intel.Listing) error {
		a.first = append(a.first, l.Feed+" "+l.Canonical)
		return nil
	})
	a.total, a.least = page.Total, !page.Exact
	return a, err
}

func (p *oursPeer) covering(ctx context.Context, a netip.Addr) (int, error) {
	kind := intel.IPv4
	if a.Is6() {
		kind = intel.IPv6
	}
	var err error
	p.buf, err = p.c.Find(ctx, intel.Question{Indicator: intel.Indicator{Kind: kind, Value: a.String()},
		Covers: netip.PrefixFrom(a, a.BitLen())}, time.Time{}, p.buf[:0])
	return len(p.buf), err
}

func (p *oursPeer) facet(ctx context.Context, word string) (map[string]int, error) {
	return p.facetOf(ctx, `"`+word+`"`)
}

func (p *oursPeer) facetOf(ctx context.Context, text string) (map[string]int, error) {
	node, err := query.Parse(text, p.now)
	if err != nil {
		return nil, err
	}
	page, err := p.c.Search(ctx, query.Search{Query: node, Limit: -1, Facets: []query.Field{query.FieldFeed}, FacetLimit: 1000},
		func(*intel.Listing) error { return nil })
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, v := range page.Facets[0].Values {
		out[v.Value] = v.Count
	}
	return out, nil
}

func (p *oursPeer) change(ctx context.Context, c *change) error {
	if err := p.merge(ctx, c.feed, c.entries); err != nil {
		return err
	}
	_, err := p.c.Refresh(ctx) // from here on it is found
	return err
}

func (p *oursPeer) count(ctx context.Context, feed int) (int, error) {
	counts, err := p.facetOf(ctx, "listed:true feed:"+feedID(feed))
	return counts[feedID(feed)], err
}

func (p *oursPeer) close() error { return os.RemoveAll(p.dir) }
