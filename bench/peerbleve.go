package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/keyword"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/whitespace"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// blevePeer is a bleve index (scorch).
type blevePeer struct {
	dir   string
	index bleve.Index
}

func newBlevePeer() (peer, error) {
	dir, err := os.MkdirTemp("", "bench-bleve-")
	if err != nil {
		return nil, err
	}
	m, err := bleveMapping()
	if err != nil {
		return nil, err
	}
	x, err := bleve.NewUsing(dir+"/index", m, scorch.Name, scorch.Name, nil)
	if err != nil {
		return nil, err
	}
	return &blevePeer{dir, x}, nil
}

func bleveMapping() (mapping.IndexMapping, error) {
	m := bleve.NewIndexMapping()
	if err := m.AddCustomAnalyzer("words", map[string]any{"type": custom.Name, "tokenizer": whitespace.Name}); err != nil {
		return nil, err
	}
	field := func(f *mapping.FieldMapping, analyzer string, store, values bool) *mapping.FieldMapping {
		f.Analyzer, f.Store, f.DocValues, f.IncludeInAll = analyzer, store, values, false
		return f
	}
	d := bleve.NewDocumentStaticMapping()
	text := field(bleve.NewTextFieldMapping(), "words", false, false)
	text.IncludeTermVectors = true
	d.AddFieldMappingsAt("text", text)
	for _, name := range []string{"key", "rhost"} {
		d.AddFieldMappingsAt(name, field(bleve.NewTextFieldMapping(), keyword.Name, false, false))
	}
	d.AddFieldMappingsAt("feed", field(bleve.NewTextFieldMapping(), keyword.Name, true, true))
	d.AddFieldMappingsAt("seq", field(bleve.NewTextFieldMapping(), keyword.Name, false, true))
	d.AddFieldMappingsAt("ip", field(bleve.NewIPFieldMapping(), "", false, false))
	for _, name := range []string{"value", "original", "context"} {
		f := field(bleve.NewTextFieldMapping(), keyword.Name, true, false)
		f.Index = false
		d.AddFieldMappingsAt(name, f)
	}
	m.DefaultMapping = d
	return m, nil
}

func (p *blevePeer) name() string { return "bleve" }

func (p *blevePeer) about() string {
	return "bleve " + moduleVersion("github.com/blevesearch/bleve/v2") + " (scorch), in process; text with positions, keyword fields for value, " +
		"reversed host, feed and order, an IP field; batches of 10,000, synced; merged into one segment after the load"
}

func seqKey(n int64) string { return fmt.Sprintf("%012d", n) }

func (p *blevePeer) load(ctx context.Context, _ int, _ []intel.Entry, rows []listing) error {
	return p.write(nil, rows)
}

func (p *blevePeer) write(gone, added []listing) error {
	b := p.index.NewBatch()
	full := func(more bool) error {
		if b.Size() == 0 || more && b.Size() < 10_000 {
			return nil
		}
		err := p.index.Batch(b)
		b.Reset()
		return err
	}
	for i := range gone {
		b.Delete(seqKey(gone[i].seq))
		if err := full(true); err != nil {
			return err
		}
	}
	for i := range added {
		r := &added[i]
		texts := make([]any, len(r.texts))
		for j, t := range r.texts {
			texts[j] = strings.Join(t, " ")
		}
		doc := map[string]any{"text": texts, "key": r.ind.Kind.String() + " " + r.ind.Value, "feed": r.feed, "seq": seqKey(r.seq),
			"value": r.ind.Value, "original": r.original, "context": r.context}
		if r.rhost != "" {
			doc["rhost"] = r.rhost
		}
		if r.lo.IsValid() {
			doc["ip"] = r.lo.String()
		}
		if err := b.Index(seqKey(r.seq), doc); err != nil {
			return err
		}
		if err := full(true); err != nil {
			return err
		}
	}
	return full(false)
}

func (p *blevePeer) ready(ctx context.Context) error {
	x, err := p.index.Advanced()
	if err != nil {
		return err
	}
	return x.(*scorch.Scorch).ForceMerge(ctx, nil)
}

func (p *blevePeer) bytes(context.Context) (int64, error) { return folderBytes(p.dir, ".") }

func (p *blevePeer) ask(ctx context.Context, q query.Query, size int, order bool) (a answer, err error) {
	r := bleve.NewSearchRequestOptions(q, size, 0, false)
	r.Fields = []string{"feed", "value", "original", "context"}
	r.Score = "none"
	if order {
		r.SortBy([]string{"-seq"})
	}
	res, err := p.index.SearchInContext(ctx, r)
	if err != nil {
		return a, err
	}
	a.total = int(res.Total)
	for _, h := range res.Hits {
		a.first = append(a.first, fmt.Sprint(h.Fields["feed"], " ", h.Fields["value"]))
	}
	return a, nil
}

func bleveTerm(field, term string) query.Query {
	q := bleve.NewTermQuery(term)
	q.SetField(field)
	return q
}

func (p *blevePeer) exact(ctx context.Context, i intel.Indicator) (int, error) {
	a, err := p.ask(ctx, bleveTerm("key", i.Kind.String()+" "+i.Value), 1000, false)
	return len(a.first), err
}

func (p *blevePeer) bulk(ctx context.Context, asked []intel.Indicator) (n int, err error) {
	for len(asked) > 0 {
		some := asked[:min(len(asked), 500)]
		terms := make([]query.Query, len(some))
		for i, x := range some {
			terms[i] = bleveTerm("key", x.Kind.String()+" "+x.Value)
		}
		a, err := p.ask(ctx, bleve.NewDisjunctionQuery(terms...), 50_000, false)
		if err != nil {
			return n, err
		}
		n, asked = n+len(a.first), asked[len(some):]
	}
	return n, nil
}

func (p *blevePeer) search(ctx context.Context, q question) (answer, error) {
	var x query.Query
	prefix := func(field, text string) query.Query {
		q := bleve.NewPrefixQuery(text)
		q.SetField(field)
		return q
	}
	switch q.sort {
	case "and":
		x = bleve.NewConjunctionQuery(bleveTerm("text", q.words[0]), bleveTerm("text", q.words[1]))
	case "prefix":
		x = prefix("text", q.words[0])
	case "phrase":
		x = bleve.NewPhraseQuery(q.words, "text")
	case "subdomains":
		// The host itself ends with its dot; what is longer lies below it.
		x = prefix("rhost", reversed(q.host)+".")
		b := bleve.NewBooleanQuery()
		b.AddMust(x)
		b.AddMustNot(bleveTerm("rhost", reversed(q.host)+"."))
		x = b
	case "net":
		n := bleve.NewIPRangeQuery(q.net.String())
		n.SetField("ip")
		x = n
	default:
		x = bleveTerm("text", q.words[0])
	}
	return p.ask(ctx, x, 20, true)
}

func (p *blevePeer) covering(context.Context, netip.Addr) (int, error) { return 0, errNot }

func (p *blevePeer) facet(ctx context.Context, word string) (map[string]int, error) {
	r := bleve.NewSearchRequestOptions(bleveTerm("text", word), 0, 0, false)
	r.Score = "none"
	r.AddFacet("feed", bleve.NewFacetRequest("feed", 1000))
	res, err := p.index.SearchInContext(ctx, r)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, t := range res.Facets["feed"].Terms.Terms() {
		out[t.Term] = t.Count
	}
	return out, nil
}

func (p *blevePeer) change(_ context.Context, c *change) error { return p.write(c.gone, c.added) }

func (p *blevePeer) count(ctx context.Context, feed int) (int, error) {
	a, err := p.ask(ctx, bleveTerm("feed", feedID(feed)), 0, false)
	return a.total, err
}

func (p *blevePeer) close() error {
	err := p.index.Close()
	_ = os.RemoveAll(p.dir)
	return err
}
