package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// The client of TAXII 2.1 (OASIS standard, taxii-v2.1-os, 10 June 2021).
const (
	taxiiAccept = "application/taxii+json;version=2.1"
	lastAdded   = "X-TAXII-Date-Added-Last"

	// maxTaxiiDoc is how large a document about the server may be.
	maxTaxiiDoc = 4 << 20
)

// taxiiDoc is what a server says of itself: its discovery (section 4.1), an API
// root (4.2), the list of collections (5.1) or one of them (5.2).
type taxiiDoc struct {
	Default     string            `json:"default"`
	Roots       []string          `json:"api_roots"`
	Versions    []string          `json:"versions"`
	Collections []taxiiCollection `json:"collections"`
	taxiiCollection
}

type taxiiCollection struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Alias   string `json:"alias"`
	CanRead *bool  `json:"can_read"`

	url *url.URL // of its objects
}

func (c *taxiiCollection) called(name string) bool {
	return strings.EqualFold(c.ID, name) || c.Alias == name || c.Title == name
}

// taxii reads the collections that the definition wants.
func (r *run) taxii(ctx context.Context) error {
	r.header.Set("Accept", taxiiAccept)
	list, err := r.collections(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := r.collection(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// collections finds out what is to be read. The feed's URL may be the server's
// discovery, an API root, its list of collections, one collection, or its objects.
func (r *run) collections(ctx context.Context) ([]taxiiCollection, error) {
	u := *r.base
	if objects, id := objectsURL(&u); objects != nil {
		return []taxiiCollection{{ID: id, url: objects}}, nil
	}
	d, err := r.document(ctx, &u)
	if err != nil {
		return nil, err
	}
	roots := []*url.URL{&u}
	switch {
	case len(d.Collections) > 0 || strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/collections"):
		return r.choose(r.place(d, &u))
	case len(d.Roots) > 0:
		if roots, err = r.roots(d, &u); err != nil {
			return nil, err
		}
	case len(d.Versions) == 0:
		return nil, r.fail(CodeTaxii, "%s is no TAXII discovery, API root or collection; ask the provider for one of these", r.show(&u))
	}
	var all []taxiiCollection
	for _, root := range roots {
		at := root.JoinPath("collections/")
		d, err := r.document(ctx, at)
		if err != nil {
			return nil, err
		}
		all = append(all, r.place(d, at)...)
	}
	return r.choose(all)
}

// objectsURL is where the objects of the collection are that the URL is of; nil
// where it is of none.
func objectsURL(u *url.URL) (objects *url.URL, id string) {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if n := len(parts); n > 2 && parts[n-1] == "objects" && parts[n-3] == "collections" {
		parts = parts[:n-1]
		u.Path = "/" + strings.Join(parts, "/")
	}
	n := len(parts)
	if n < 2 || parts[n-2] != "collections" {
		return nil, ""
	}
	u.RawPath = ""
	return u.JoinPath("objects/"), parts[n-1]
}

// roots are the API roots that a discovery names: the default one, or all where
// collections are asked for by name or there is no default. Those of other
// origins are left out.
func (r *run) roots(d *taxiiDoc, base *url.URL) ([]*url.URL, error) {
	names := d.Roots
	if d.Default != "" && (r.Def.Taxii == nil || len(r.Def.Taxii.Collections) == 0) {
		names = []string{d.Default}
	}
	var roots []*url.URL
	for _, name := range names {
		u, ok := resolve(base, name)
		if !ok || !r.own(u) {
			r.note("the API root %s is of another origin than the feed and was left out", r.redact(name))
			continue
		}
		roots = append(roots, u)
	}
	if len(roots) == 0 {
		return nil, r.fail(CodeTaxii, "all API roots that %s names (%s) are of other origins; give one of them as feed_url", r.show(base), strings.Join(names, ", "))
	}
	return roots, nil
}

// place gives the collections of a list their URLs.
func (r *run) place(d *taxiiDoc, at *url.URL) []taxiiCollection {
	list := d.Collections
	for i := range list {
		list[i].url = at.JoinPath(list[i].ID, "objects/")
	}
	return list
}

// choose picks the collections that the definition names, or all that may be read.
func (r *run) choose(all []taxiiCollection) ([]taxiiCollection, error) {
	var names, known []string
	if r.Def.Taxii != nil {
		names = r.Def.Taxii.Collections
	}
	for _, c := range all {
		known = append(known, strconv.Quote(c.Title)+" ("+c.ID+")")
	}
	readable := func(c taxiiCollection) bool { return c.ID != "" && (c.CanRead == nil || *c.CanRead) }
	var out []taxiiCollection
	if len(names) == 0 {
		for _, c := range all {
			if readable(c) {
				out = append(out, c)
			}
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(c taxiiCollection) bool { return c.called(name) })
		switch {
		case i < 0:
			return nil, r.fail(CodeTaxii, "the server has no collection %q; it has %s", name, strings.Join(known, ", "))
		case !readable(all[i]):
			return nil, r.fail(CodeTaxii, "the collection %q may not be read with this key", name)
		}
		out = append(out, all[i])
	}
	if len(out) == 0 {
		return nil, r.fail(CodeTaxii, "the server has no collection that may be read with this key")
	}
	return out, nil
}

// document fetches what a server says of itself.
func (r *run) document(ctx context.Context, u *url.URL) (*taxiiDoc, error) {
	a, err := r.ask(ctx, question{url: u})
	if err != nil {
		return nil, r.explain("", err)
	}
	defer a.Close()
	r.out.Status = a.status
	if r.out.URL == "" {
		r.out.URL = a.url
	}
	body := make([]byte, min(a.size, maxTaxiiDoc))
	if _, err := a.file.ReadAt(body, 0); err != nil {
		return nil, err
	}
	d := &taxiiDoc{}
	if err := json.Unmarshal(body, d); err != nil {
		return nil, r.fail(CodeTaxii, "%s does not answer as a TAXII server does: %v", a.url, err)
	}
	return d, nil
}

// explain says what the answers of a TAXII server mean that are errors (section 3.6).
func (r *run) explain(what string, err error) error {
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return err
	}
	said := what
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		said += `the TAXII server wants a user and password or a token (auth "basic" or "bearer"), or refuses those it got`
	case http.StatusNotFound:
		said += "there is no such TAXII discovery, API root or collection"
	case http.StatusNotAcceptable:
		said += "the server does not speak TAXII 2.1 (a server of TAXII 2.0 or 1.x answers so)"
	}
	return failed(strings.TrimSuffix(said, ": "), err)
}

// collection fetches the pages of a collection that came since the last pull.
func (r *run) collection(ctx context.Context, c taxiiCollection) error {
	after := r.State.Since[c.ID]
	most := feed.DefaultMaxPages * 10
	if t := r.Def.Taxii; after == "" && t != nil && t.First > 0 {
		after = r.Now.Add(-time.Duration(t.First)).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	name, next := c.Title, ""
	if name == "" {
		name = c.ID
	}
	seen := map[string]bool{}
	for n := 1; ; n++ {
		env, err := r.envelope(ctx, c, name, after, next)
		if err != nil {
			return err
		}
		// Servers may hand out one next for all pages, and remember how far it is.
		if at := after + " " + next + " " + env.sum; seen[at] {
			return r.fail(CodeLoop, "page %d of the collection %s is one that was fetched already", n, name)
		} else {
			seen[at] = true
		}
		r.continueAt(c.ID, env.last)
		switch {
		case !env.more:
			return nil
		case n == most:
			return r.stopped("there is more in the collection " + name + " after " + strconv.Itoa(n) + " pages; the next pull goes on from there")
		case env.next != "":
			next = env.next
		case env.last == "":
			return r.fail(CodeTaxii, "page %d of the collection %s says that there is more, but neither next nor %s says where", n, name, lastAdded)
		default: // section 3.5: without next, the time of the last object leads on
			after, next = env.last, ""
		}
	}
}

// envelope is what a page says of those behind it.
type envelope struct {
	more bool
	next string
	last string // when the page's last object was added
	sum  string // SHA-256 of the page
}

func (r *run) envelope(ctx context.Context, c taxiiCollection, name, after, next string) (env envelope, err error) {
	q := question{url: c.url, want: []string{lastAdded}}
	limit := feed.DefaultTaxiiLimit // always said: OASIS's own server fails at next without it
	if t := r.Def.Taxii; t != nil && t.Limit > 0 {
		limit = t.Limit
	}
	for _, p := range [][2]string{{"added_after", after}, {"next", next}, {"limit", strconv.Itoa(limit)}} {
		if p[1] != "" {
			if err := q.set(feed.InQuery, p[0], p[1], false); err != nil {
				return env, err
			}
		}
	}
	r.sign(q.url)
	a, err := r.ask(ctx, q)
	if err != nil {
		return env, r.explain("the collection "+name+": ", err)
	}
	defer a.Close()
	if err := r.add(ctx, member{name: name}, a); err != nil {
		return env, err
	}
	env.last, env.sum = a.header.Get(lastAdded), a.sha256
	more, err := r.at(ctx, a, "more")
	if err == nil && more == "true" {
		env.more = true
		env.next, err = r.at(ctx, a, "next")
	}
	return env, err
}
