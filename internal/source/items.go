package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// item is what a list says of one of its items.
type item struct {
	url       *url.URL
	own       bool // of the feed's origin
	stamp     string
	reference string
}

// listing is a list being read.
type listing struct {
	*run
	it      *feed.Items
	base    *url.URL // of the list
	items   []item
	seen    map[string]bool
	more    bool // than may be fetched
	blocked int  // items elsewhere
	unread  int  // items without an address
}

// errEnough ends the reading of a list.
var errEnough = errors.New("the list has more items than may be fetched")

// items fetches the list, and each of its items that has changed.
func (r *run) items(ctx context.Context, list string, it *feed.Items) error {
	l, err := r.list(ctx, list, it)
	if err != nil {
		return err
	}
	old, err := r.previous(ctx)
	if err != nil {
		return err
	}
	defer old.Close()
	missing, kept := 0, 0
	for i, x := range l.items {
		m := member{name: lastOf(r.show(x.url)), url: r.show(x.url), stamp: x.stamp, reference: x.reference}
		if was := old.find(m); was != nil {
			kept++
			if err := r.pack.add(m, was, was.Size()); err != nil {
				return r.disk(err)
			}
			continue
		}
		switch err := r.item(ctx, x, m); {
		case gone(err):
			missing++
		case err != nil:
			return failed(fmt.Sprintf("item %d of %d", i+1, len(l.items)), err)
		}
	}
	l.tell(missing, kept)
	if l.more {
		return r.stopped(fmt.Sprintf("the list has more than the %d items that items.max allows", it.Max))
	}
	return nil
}

// tell says what was not fetched, and why.
func (l *listing) tell(missing, kept int) {
	if kept > 0 {
		l.note("%d of %d items had not changed and were not fetched again", kept, len(l.items))
	}
	if missing > 0 {
		l.note("%d of %d items are gone (404 or 410)", missing, len(l.items))
	}
	if l.blocked > 0 {
		l.note("%d items lie on other hosts than the feed's own and those of items.hosts, and were not fetched", l.blocked)
	}
	if l.unread > 0 {
		l.note("%d items of the list say nothing that items.url asks for, or no URL", l.unread)
	}
}

// list fetches the list and reads its items.
func (r *run) list(ctx context.Context, list string, it *feed.Items) (*listing, error) {
	q := r.first()
	if list != r.Def.URL { // the folder of a MISP feed
		path := strings.TrimSuffix(q.url.Path, "/") + "/manifest.json"
		q.url = q.url.JoinPath() // a copy
		q.url.Path, q.url.RawPath = path, ""
	}
	a, err := r.ask(ctx, q)
	if err != nil {
		return nil, failed("the list of items", err)
	}
	defer a.Close()
	if err := r.add(ctx, member{name: "list", list: true}, a); err != nil {
		return nil, err
	}
	l := &listing{run: r, it: it, base: q.url, seen: map[string]bool{}}
	body, err := fetch.Decode(a.file, "", fetch.Limits{})
	if err != nil {
		return nil, failed("the list of items", err)
	}
	defer body.Close()
	if it.Records == feed.ItemLines {
		err = parse.Lines(ctx, body, func(line string) error {
			return l.take(func(string) string { return line })
		})
	} else {
		err = parse.Walk(ctx, body, it.Records, func(rec parse.Record) error { return l.take(rec.Get) })
	}
	switch {
	case errors.Is(err, errEnough):
		err = nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = r.fail(CodePage, "the list of items (%s) cannot be read: %v", a.url, err)
	case len(l.seen)+l.blocked+l.unread == 0 && !r.Def.Guards.AllowEmpty:
		err = r.fail(CodePage, "the list (%s) has no items at %s; where that is normal, say guards.allow_empty", a.url, it.Records)
	}
	return l, err
}

// take takes one item of the list.
func (l *listing) take(get func(path string) string) error {
	if len(l.items) == l.it.Max {
		l.more = true
		return errEnough
	}
	raw, err := feed.Expand(l.it.URL, get, l.p.Secret)
	u, ok := &url.URL{}, false
	if err == nil {
		u, ok = resolve(l.base, raw)
	}
	if !ok {
		l.unread++
		return nil
	}
	if u.Fragment, u.RawFragment = "", ""; !strings.Contains(raw, "?") && l.base.RawQuery != "" && l.Def.Items == nil {
		u.RawQuery = l.base.RawQuery // a MISP feed's files are asked for like its manifest
	}
	x := item{url: u, own: l.own(u)}
	if !x.own && !l.allowed(u) {
		l.blocked++
		return nil
	}
	if x.own {
		l.sign(u)
	}
	if l.seen[u.String()] {
		return nil
	}
	l.seen[u.String()] = true
	if l.it.Stamp != "" {
		x.stamp = l.redact(get(l.it.Stamp))
	}
	if l.it.Reference != "" {
		if ref, err := feed.Expand(l.it.Reference, get, ""); err == nil {
			x.reference = l.redact(ref)
		}
	}
	l.items = append(l.items, x)
	return nil
}

// allowed says whether an item may lie on a host beside the feed's own.
func (l *listing) allowed(u *url.URL) bool {
	return u.User == nil && (u.Scheme == "https" || l.base.Scheme == "http") &&
		slices.ContainsFunc(l.it.Hosts, func(h string) bool { return strings.EqualFold(h, u.Host) })
}

// item fetches and packs one item. Only the feed's own origin gets its secret.
func (r *run) item(ctx context.Context, x item, m member) error {
	q := question{url: x.url}
	if !x.own {
		q.header = plainHeader(r.header)
	} else if r.Def.Method == http.MethodPost {
		q.header = r.header.Clone()
		q.header.Del("Content-Type")
	}
	a, err := r.ask(ctx, q)
	if err != nil {
		return err
	}
	defer a.Close()
	return r.add(ctx, m, a)
}

// oldItems are the parts of the last accepted pack, by URL.
type oldItems struct {
	f     *os.File
	parts map[string]oldItem
}

type oldItem struct {
	stamp string
	body  *io.SectionReader
}

// previous reads what the last accepted pack has. One that cannot be read has
// nothing: all items are fetched then.
func (r *run) previous(ctx context.Context) (*oldItems, error) {
	old := &oldItems{parts: map[string]oldItem{}}
	if r.Previous == nil {
		return old, nil
	}
	f, err := r.Previous(ctx)
	if err != nil || f == nil {
		return old, ctx.Err()
	}
	old.f = f
	if !IsPack(f) {
		return old, nil
	}
	u, err := newUnpacker(f)
	for err == nil {
		var m member
		var body *io.SectionReader
		if m, body, err = u.next(); err == nil && !m.list {
			old.parts[m.url] = oldItem{m.stamp, body}
		}
	}
	if err != io.EOF {
		clear(old.parts)
	}
	return old, nil
}

// find is the old bytes of an item that has not changed, nil where it has or
// where the list does not say.
func (o *oldItems) find(m member) *io.SectionReader {
	was, ok := o.parts[m.url]
	if !ok || m.stamp == "" || was.stamp != paxValue(m.stamp) {
		return nil
	}
	return was.body
}

// Close removes the old pack.
func (o *oldItems) Close() {
	if o.f != nil {
		o.f.Close()
		os.Remove(o.f.Name())
	}
}
