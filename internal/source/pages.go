package source

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/parse"
)

const headerPlace = "header:"

// pager is the walk through a feed's pages.
type pager struct {
	*run
	by     feed.Pages // zero where there is one page only
	seen   map[string]bool
	before string // SHA-256 of the last page
	number int    // of the page, or offset, to ask for
	said   string // where the answers say to ask on from
}

// pages fetches the feed's pages, or its only one.
func (r *run) pages(ctx context.Context) error {
	p := &pager{run: r, seen: map[string]bool{}}
	if r.Def.Pages != nil {
		p.by = *r.Def.Pages
		p.number = *p.by.First
	}
	q := r.first()
	if err := p.setSince(&q); err != nil {
		return err
	}
	for n := 1; ; n++ {
		next, err := p.page(ctx, q, n)
		switch {
		case err != nil:
			return err
		case next == nil:
			p.done(true)
			return nil
		case n == p.by.Max:
			p.done(false)
			return r.stopped("there is more after " + strconv.Itoa(n) + " pages, which is all that pages.max allows")
		}
		q = *next
	}
}

// done remembers where to go on. A pull that stopped early goes on where the
// answers said, or asks for all of it again.
func (p *pager) done(whole bool) {
	s := p.Def.Since
	switch {
	case s == nil:
	case s.From != "":
		p.continueAt("", p.said)
	case whole:
		p.continueAt("", p.Now.UTC().Format(time.RFC3339))
	}
}

// page fetches the n-th page and returns the question for the next one, nil
// where it was the last.
func (p *pager) page(ctx context.Context, q question, n int) (*question, error) {
	if err := p.count(&q); err != nil {
		return nil, err
	}
	asked := q.url.String() + "\n" + string(q.body)
	if p.seen[asked] {
		return nil, p.fail(CodeLoop, "page %d leads back to one that was fetched already (%s); a pull that turns in circles is not taken", n-1, p.show(q.url))
	}
	p.seen[asked] = true
	q.want = p.want()
	a, err := p.ask(ctx, q)
	if err != nil {
		return nil, failed(p.pageName(n), err)
	}
	defer a.Close()
	counted := p.by.By == feed.ByPage || p.by.By == feed.ByOffset
	if counted && a.sha256 == p.before {
		return nil, p.fail(CodeLoop, "page %d is the same as the one before: the server takes no notice of the parameter %s", n, p.by.Param)
	}
	p.before = a.sha256
	empty := false
	if p.by.By != "" {
		if empty, err = p.isEmpty(ctx, a); err != nil {
			return nil, err
		}
	}
	if !empty || n == 1 { // an empty last page says nothing
		if err := p.add(ctx, member{name: "page"}, a); err != nil {
			return nil, err
		}
	}
	if err := p.listen(ctx, a); err != nil {
		return nil, err
	}
	if empty || p.by.By == "" {
		return nil, nil
	}
	return p.next(ctx, q, a, n)
}

func (p *pager) pageName(n int) string {
	if p.by.By == "" {
		return ""
	}
	return "page " + strconv.Itoa(n)
}

// want lists the header fields that say how it goes on.
func (p *pager) want() []string {
	var want []string
	places := []string{p.by.Path}
	if p.by.By == feed.ByLink {
		want = append(want, "Link")
	}
	if p.Def.Since != nil {
		places = append(places, p.Def.Since.From)
	}
	for _, place := range places {
		if name, ok := strings.CutPrefix(place, headerPlace); ok {
			want = append(want, name)
		}
	}
	return want
}

// count puts the page's number into a question.
func (p *pager) count(q *question) error {
	switch p.by.By {
	case feed.ByPage, feed.ByOffset:
		err := q.set(p.by.In, p.by.Param, strconv.Itoa(p.number), true)
		p.number += p.by.Step
		return err
	}
	return nil
}

// isEmpty says whether a page has no records. What cannot be parsed has some,
// for the parser to reject.
func (p *pager) isEmpty(ctx context.Context, a *answer) (bool, error) {
	parsed, err := Parse(ctx, a.file, p.Def, ParseOptions{MaxRejects: -1})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil && parsed.Read == 0, nil
}

// listen takes from an answer from where on to ask next time.
func (p *pager) listen(ctx context.Context, a *answer) error {
	if s := p.Def.Since; s != nil && s.From != "" {
		said, err := p.at(ctx, a, s.From)
		if err != nil {
			return err
		}
		if said != "" {
			p.said = said
		}
	}
	return nil
}

// at is what an answer has at a place: a path, or header:NAME.
func (r *run) at(ctx context.Context, a *answer, place string) (string, error) {
	if name, ok := strings.CutPrefix(place, headerPlace); ok {
		return strings.TrimSpace(a.header.Get(name)), nil
	}
	body, err := fetch.Decode(a.file, r.Def.Archive, fetch.Limits{})
	if err != nil {
		return "", failed("an answer cannot be unpacked", err)
	}
	defer body.Close()
	value, err := parse.Find(ctx, body, place)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", r.fail(CodePage, "an answer (%s) is no JSON, so that it cannot say how it goes on at %s: %v", a.url, place, err)
	}
	return strings.TrimSpace(value), nil
}

// next is the question for the page after the n-th; nil where there is none.
func (p *pager) next(ctx context.Context, q question, a *answer, n int) (*question, error) {
	if p.by.More != "" {
		more, err := p.at(ctx, a, p.by.More)
		if err != nil || more != "true" && more != "1" {
			return nil, err
		}
	}
	switch p.by.By {
	case feed.ByPage, feed.ByOffset:
		return &q, nil
	case feed.ByCursor:
		cursor, err := p.at(ctx, a, p.by.Path)
		if err != nil || cursor == "" {
			return nil, err
		}
		return &q, q.set(p.by.In, p.by.Param, cursor, false)
	}
	link := nextLink(a.header.Values("Link"))
	if p.by.By == feed.ByURL {
		var err error
		if link, err = p.at(ctx, a, p.by.Path); err != nil {
			return nil, err
		}
	}
	if link == "" {
		return nil, nil
	}
	u, err := q.url.Parse(link)
	if err != nil {
		return nil, p.fail(CodePage, "page %d names a next page that is no URL", n)
	}
	if !p.own(u) {
		return nil, p.fail(fetch.CodeBlocked, "page %d leads to another origin, %s, where the feed's requests do not go; nothing of the pull was taken", n, p.show(u))
	}
	p.sign(u)
	q.url = u
	return &q, nil
}

// nextLink is the target of the Link header with the relation next (RFC 8288).
func nextLink(values []string) string {
	rest := strings.Join(values, ",")
	for {
		_, after, ok := strings.Cut(rest, "<")
		target, params, closed := strings.Cut(after, ">")
		if !ok || !closed {
			return ""
		}
		params, _, _ = strings.Cut(params, "<")
		for param := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "rel") {
				continue
			}
			for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
				if strings.EqualFold(rel, "next") {
					return target
				}
			}
		}
		rest = after[len(target)+1:]
	}
}

// setSince asks for what is new only.
func (p *pager) setSince(q *question) error {
	s := p.Def.Since
	if s == nil {
		return nil
	}
	last := p.since("")
	if s.From != "" && last != "" {
		return q.set(s.In, s.Param, last, false)
	}
	from, err := time.Parse(time.RFC3339, last)
	switch {
	case err == nil:
		from = from.Add(-time.Duration(s.Overlap))
	case s.First > 0:
		from = p.Now.Add(-time.Duration(s.First))
	default:
		return nil
	}
	if most := time.Duration(s.Most); most > 0 && p.Now.Sub(from) > most {
		if err == nil {
			p.note("the last good run was longer ago than the %v that the provider tells of; what was listed before is missing", s.Most)
		}
		from = p.Now.Add(-most)
	}
	value, number := instant(s.Format, from, p.Now)
	return q.set(s.In, s.Param, value, number)
}

// instant writes from as a format of feed.Since wants it.
func instant(format string, from, now time.Time) (value string, number bool) {
	ago := func(unit time.Duration) (string, bool) {
		return strconv.FormatInt(max(1, int64((now.Sub(from)+unit-1)/unit)), 10), true
	}
	from = from.UTC()
	switch format {
	case feed.SinceUnix:
		return strconv.FormatInt(from.Unix(), 10), true
	case feed.SinceUnixMS:
		return strconv.FormatInt(from.UnixMilli(), 10), true
	case feed.SinceDate:
		return from.Format(time.DateOnly), false
	case feed.SinceHours:
		return ago(time.Hour)
	case feed.SinceDays:
		return ago(24 * time.Hour)
	}
	return from.Format(time.RFC3339), false
}

// disk says why a part could not be packed.
func (r *run) disk(err error) error {
	return &Error{Code: fetch.CodeDisk, Reason: "the pull could not be packed: " + err.Error(), Err: err}
}

// plain are the headers that may go to hosts other than the feed's own.
func plainHeader(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{"Accept", "Accept-Language"} {
		if v := h.Values(name); len(v) > 0 {
			out[name] = v
		}
	}
	return out
}

// resolve reads a URL relative to another one.
func resolve(base *url.URL, s string) (*url.URL, bool) {
	u, err := base.Parse(s)
	return u, err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
