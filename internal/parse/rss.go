package parse

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// rss reads RSS 0.9x to 2.0 (rssboard.org), RSS 1.0 and Atom (RFC 4287). Each item
// or entry is a record. Its title is the indicator; where that is none, its link
// is, unless that leads to the site of the feed itself, as those of articles do.
type rss struct {
	c    *collector
	x    *xmlReader
	rec  record
	site string // the host that the channel links to
}

func readRSS(ctx context.Context, r io.Reader, c *collector) error {
	f := &rss{c: c, x: newXMLReader(ctx, r)}
	root := ""
	for {
		t, err := f.x.next()
		if err == io.EOF && f.x.depth == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		name := strings.ToLower(e.Name.Local)
		switch {
		case root == "":
			if root = name; root != "rss" && root != "feed" && root != "rdf" {
				return fmt.Errorf("line %d: no RSS and no Atom: the document begins with the element %.40q", f.x.line(), e.Name.Local)
			}
		case name == "item" || name == "entry":
			err = f.item(e)
		case name == "link" && f.site == "":
			err = f.channel(attr(e.Attr, "href"))
		case name == "image":
			_, err = f.x.leaves(e, func(*leaf) {})
		}
		if err != nil {
			return err
		}
	}
}

// channel remembers the site that the feed's own link leads to.
func (f *rss) channel(href string) error {
	t, err := f.x.next()
	if err != nil {
		return err
	}
	if text, ok := t.(xml.CharData); ok && href == "" {
		href = string(text)
	}
	if i, err := intel.Parse(href, intel.URL.Set()); err == nil {
		f.site = i.Host()
	}
	return nil
}

// item takes one item or entry.
func (f *rss) item(e xml.StartElement) error {
	f.rec.begin(f.x.line(), "")
	title, link := "", ""
	long, err := f.x.leaves(e, func(l *leaf) {
		text := intel.Trim(string(l.text))
		switch l.path {
		case "":
		case "title":
			title = cmp.Or(title, text)
		case "link":
			if rel := attr(l.attrs, "rel"); rel == "" || rel == "alternate" {
				link = cmp.Or(link, text, attr(l.attrs, "href"))
			}
		case "category":
			f.rec.say(intel.FieldTags, cmp.Or(text, attr(l.attrs, "term")))
		default:
			if name, ok := rssFields[l.path]; ok {
				f.rec.say(name, text)
			} else {
				f.rec.say(strings.ReplaceAll(l.path, "/", "."), text)
			}
		}
	})
	switch {
	case err != nil:
		return err
	case long:
		f.c.reject(f.rec.line, title, longRecord)
	default:
		f.take(title, link)
	}
	return nil
}

// rssFields says where the elements of an item go. Read-only.
var rssFields = map[string]string{
	"description": intel.FieldDescription, "summary": intel.FieldDescription, "content": intel.FieldDescription, "encoded": intel.FieldDescription,
	"pubdate": intel.FieldFeedFirstSeen, "published": intel.FieldFeedFirstSeen, "date": intel.FieldFeedFirstSeen,
	"updated": intel.FieldFeedLastSeen, "author": "reporter", "creator": "reporter", "author/name": "reporter",
}

// take decides which of title and link is the indicator; the other is context.
func (f *rss) take(title, link string) {
	value := title
	if _, err := intel.Parse(title, f.c.kinds); err != nil && link != "" {
		if i, err := intel.Parse(link, f.c.kinds); err == nil && i.Host() != f.site {
			value = link
		}
	}
	switch {
	case value == "" && link == "":
		f.c.reject(f.rec.line, "", "an item without title and link")
		return
	case value == link:
		f.rec.say("title", title)
	default:
		f.rec.say(intel.FieldReference, link)
	}
	f.c.offered(&f.rec, finding{value, f.c.kinds})
}
