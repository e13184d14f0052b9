package feed

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// Read-only tables; the first is the default.
var (
	pagings      = []string{ByLink, ByURL, ByCursor, ByPage, ByOffset}
	paramPlaces  = []string{InQuery, InBody}
	sinceFormats = []string{SinceRFC3339, SinceUnix, SinceUnixMS, SinceDate, SinceHours, SinceDays}
)

// maxPause is more than any provider asks for between two requests.
const maxPause = intel.Duration(time.Hour)

// completePull fills in what follows from the rest for pulls of several requests.
func (d *Definition) completePull() {
	if p := d.Pages; p != nil {
		first := 0
		if p.By == ByPage {
			first, p.Step = 1, max(p.Step, 1)
		}
		if p.First == nil {
			p.First = &first
		}
		if p.In == "" {
			p.In = paramPlaces[0]
		}
		if p.Max == 0 {
			p.Max = DefaultMaxPages
		}
	}
	if s := d.Since; s != nil {
		if s.In == "" {
			s.In = paramPlaces[0]
		}
		if s.Format == "" {
			s.Format = sinceFormats[0]
		}
	}
	if d.Items != nil && d.Items.Max == 0 {
		d.Items.Max = DefaultMaxItems
	}
}

// pull checks what a pull of several requests is made of.
func (c *checker) pull() {
	d := c.def
	if d.Pause < 0 || d.Pause > maxPause {
		c.bad("pause", "must be between 0s and 1h")
	}
	c.pages()
	c.since()
	c.items()
	c.taxii()
	if !d.keepsAbsent() && d.Delta() {
		key := "since"
		if d.Since == nil {
			key = "presence"
		}
		c.bad(key, `only what is new is asked for, so what an answer lacks must stay listed: say "presence": "append", or "rolling" with a "ttl"`)
	}
}

func (c *checker) pages() {
	p := c.def.Pages
	if p == nil {
		return
	}
	c.oneOf("pages.by", p.By, pagings)
	c.param("pages", p.In, p.Param, p.By == ByCursor || p.By == ByPage || p.By == ByOffset)
	switch p.By {
	case ByURL, ByCursor:
		c.place("pages.path", p.Path, true)
	case ByLink, ByPage, ByOffset:
		if p.Path != "" {
			c.bad("pages.path", "%s pages need no path", p.By)
		}
	}
	c.place("pages.more", p.More, false)
	if p.By == ByOffset && p.Step < 1 {
		c.bad("pages.step", "missing: the records of a page, by which the offset grows")
	}
	if *p.First < 0 {
		c.bad("pages.first", "must not be negative")
	}
	if p.Max < 1 || p.Max > MaxRequests {
		c.bad("pages.max", "%d is not between 1 and %d", p.Max, MaxRequests)
	}
	if c.def.Items != nil || c.def.isManifest() || c.def.Type == TypeTaxii {
		c.bad("pages", "does not go together with items, a MISP manifest or taxii, which page by themselves")
	}
}

// param checks a parameter that requests get.
func (c *checker) param(key, in, name string, wanted bool) {
	c.oneOf(key+".in", in, paramPlaces)
	switch {
	case wanted && name == "":
		c.bad(key+".param", "missing: the name of the parameter")
	case !wanted && name != "":
		c.bad(key+".param", "is not used with this")
	}
	if in != InBody {
		return
	}
	var object map[string]any
	if c.def.Method != "POST" || c.def.Body != "" && json.Unmarshal([]byte(c.def.Body), &object) != nil {
		c.bad(key+".in", `body needs "method": "POST" and a body that is a JSON object, or none`)
	}
}

// place checks where an answer holds something: a path, or a header.
func (c *checker) place(key, place string, wanted bool) {
	header, isHeader := strings.CutPrefix(place, "header:")
	switch {
	case place == "" && wanted:
		c.bad(key, "missing: the path of it in the answer, or header:NAME")
	case isHeader && strings.TrimSpace(header) == "":
		c.bad(key, "%q names no header", short(place))
	case place != "" && !isHeader:
		if err := parse.CheckPath(place); err != nil {
			c.bad(key, "%v", err)
		}
	}
}

func (c *checker) since() {
	s := c.def.Since
	if s == nil {
		return
	}
	c.param("since", s.In, s.Param, true)
	c.oneOf("since.format", s.Format, sinceFormats)
	c.place("since.from", s.From, false)
	if s.First < 0 || s.Overlap < 0 || s.Most < 0 {
		c.bad("since", "first, overlap and most must not be negative")
	}
	if c.def.Items != nil || c.def.isManifest() || c.def.Type == TypeTaxii {
		c.bad("since", "does not go together with items, a MISP manifest or taxii, which know by themselves what is new")
	}
}

func (c *checker) items() {
	it := c.def.Items
	if it == nil {
		return
	}
	if it.Records == "" {
		c.bad("items.records", `missing: the path of the items in the list, or "lines"`)
	} else if it.Records != ItemLines {
		c.place("items.records", it.Records, true)
	}
	c.template("items.url", it.URL)
	if it.Reference != "" {
		c.template("items.reference", it.Reference)
	}
	c.place("items.stamp", it.Stamp, false)
	for i, h := range it.Hosts {
		if u, err := url.Parse("https://" + h); err != nil || u.Host != h || h == "" {
			c.bad("items.hosts", "entry %d, %q, is no host name", i+1, short(h))
		}
	}
	if it.Max < 1 || it.Max > MaxRequests {
		c.bad("items.max", "%d is not between 1 and %d", it.Max, MaxRequests)
	}
	if c.def.Type == TypeTaxii {
		c.bad("items", "taxii has no items")
	}
}

// template checks the URL of items.
func (c *checker) template(key, s string) {
	paths, err := TemplatePaths(s)
	switch {
	case err != nil:
		c.bad(key, "%v", err)
	case !slices.ContainsFunc(paths, func(p string) bool { return "{"+p+"}" != secretMark }):
		c.bad(key, "has no {path} that says what differs from item to item")
	}
}

func (c *checker) taxii() {
	t := c.def.Taxii
	switch {
	case t == nil:
		return
	case c.def.Type != TypeTaxii:
		c.bad("taxii", `needs "feed_type": "taxii"`)
	case t.First < 0 || t.Limit < 0:
		c.bad("taxii", "first and limit must not be negative")
	}
	if slices.Contains(t.Collections, "") {
		c.bad("taxii.collections", "a name is empty")
	}
}
