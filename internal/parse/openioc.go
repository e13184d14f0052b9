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

// openIOC reads OpenIOC 1.0 (Mandiant, schemas.mandiant.com/2010/ioc) and 1.1
// (github.com/fireeye/OpenIOC_1.1). Each IndicatorItem is a record: a term to
// search for and its content. What the document says of itself is context of all
// items behind it, and it stands before them in both versions.
type openIOC struct {
	c         *collector
	x         *xmlReader
	rec       record
	about     []pair   // of the document
	operators []string // of the Indicator elements that are open
}

// maxOpenIOCAbout is how many values of context a document has for its items.
const maxOpenIOCAbout = 1000

func readOpenIOC(ctx context.Context, r io.Reader, c *collector) error {
	o := &openIOC{c: c, x: newXMLReader(ctx, r)}
	root := false
	for {
		t, err := o.x.next()
		if err == io.EOF && o.x.depth == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			name := strings.ToLower(t.Name.Local)
			if !root && name != "ioc" && name != "openioc" && name != "iocs" {
				return fmt.Errorf("line %d: no OpenIOC: the document begins with the element %.40q", o.x.line(), t.Name.Local)
			}
			root = true
			err = o.begin(name, t)
		case xml.EndElement:
			if n := len(o.operators); n > 0 && strings.EqualFold(t.Name.Local, "Indicator") {
				o.operators = o.operators[:n-1]
			}
		}
		if err != nil {
			return err
		}
	}
}

// begin takes an element outside of items.
func (o *openIOC) begin(name string, e xml.StartElement) error {
	attrs := e.Attr
	switch name {
	case "ioc", "openioc":
		o.about = o.about[:0]
		o.say("ioc_id", attr(attrs, "id"))
	case "indicator":
		o.operators = append(o.operators, strings.ToUpper(attr(attrs, "operator")))
	case "indicatoritem":
		return o.item(e)
	case "link":
		href, rel := attr(attrs, "href"), attr(attrs, "rel")
		o.say(intel.FieldReference, href)
		return o.text(func(s string) { o.say(cmp.Or(rel, "link"), s) })
	default:
		if field, ok := openIOCFields[name]; ok {
			return o.text(func(s string) { o.say(field, s) })
		}
	}
	return nil
}

// openIOCFields says where the elements about a document go. Read-only.
var openIOCFields = map[string]string{
	"short_description": "short_description", "description": intel.FieldDescription, "keywords": intel.FieldTags,
	"authored_by": "reporter", "authored_date": intel.FieldFeedFirstSeen,
}

func (o *openIOC) say(field, value string) {
	if value = intel.Trim(value); value != "" && len(o.about) < maxOpenIOCAbout {
		o.about = append(o.about, pair{o.c.ctx.name([]byte(field)), o.c.keep.keep(value)})
	}
}

// text gives the text of the element that was just begun to take.
func (o *openIOC) text(take func(s string)) error {
	t, err := o.x.next()
	if text, ok := t.(xml.CharData); ok && err == nil {
		take(string(text))
	}
	return err
}

// item takes one item.
func (o *openIOC) item(e xml.StartElement) error {
	attrs, line := e.Attr, o.x.line()
	o.rec.begin(line, "")
	condition, negate := strings.ToLower(attr(attrs, "condition")), attr(attrs, "negate")
	search, content := "", ""
	long, err := o.x.leaves(e, func(l *leaf) {
		text := intel.Trim(string(l.text))
		switch l.path {
		case "":
		case "context":
			search = attr(l.attrs, "search")
		case "content":
			content = text
		default:
			o.rec.say(intel.FieldDescription, text)
		}
	})
	kinds := openIOCKinds(search)
	switch {
	case err != nil:
		return err
	case long:
		o.c.reject(line, shorten(content), longRecord)
	case content == "":
		o.c.reject(line, search, "an item without content")
	case negate == "true" || strings.HasSuffix(condition, "not"):
		o.c.suppress("a negated term", 1)
	case kinds != 0 && condition != "is" && condition != "contains" && condition != "":
		o.c.suppress("a term that is no whole value", 1)
	case kinds == 0:
		o.c.suppress(suppressedKind, 1)
	default:
		o.rec.say("search", search)
		if n := len(o.operators); n > 0 && o.operators[n-1] == "AND" {
			o.rec.say("operator", "AND")
		}
		o.rec.extra = append(o.rec.extra, o.about...)
		o.c.offered(&o.rec, finding{content, kinds})
	}
	return nil
}

// openIOCTerms are the ends of the terms whose content is an indicator. Read-only.
var openIOCTerms = []struct {
	end   string
	kinds intel.KindSet
}{
	{"md5sum", intel.MD5.Set()}, {"/md5", intel.MD5.Set()}, {"sha1sum", intel.SHA1.Set()}, {"/sha1", intel.SHA1.Set()},
	{"sha256sum", intel.SHA256.Set()}, {"/sha256", intel.SHA256.Set()}, {"sha512sum", intel.SHA512.Set()},
	{"network/dns", intel.Domain.Set() | intel.Networks}, {"dnsentryitem/host", intel.Domain.Set()}, {"dnsentryitem/recordname", intel.Domain.Set()},
	{"/hostname", intel.Domain.Set()}, {"network/uri", intel.URL.Set() | intel.Domain.Set() | intel.Networks}, {"urlhistoryitem/url", intel.URL.Set()},
	{"/sourceurl", intel.URL.Set()}, {"/formsubmiturl", intel.URL.Set()}, {"/remoteip", intel.Networks}, {"network/ip", intel.Networks},
	{"/ipv4address", intel.Networks}, {"/ipv6address", intel.Networks}, {"routeentryitem/destination", intel.Networks},
	{"email/from", intel.Email.Set()}, {"email/replyto", intel.Email.Set()}, {"email/sender", intel.Email.Set()},
}

// openIOCKinds says what the content of a term is, 0 where it is not held. A
// machine's own names are no indicators.
func openIOCKinds(search string) intel.KindSet {
	search = strings.ToLower(search)
	if strings.HasPrefix(search, "systeminfoitem/") {
		return 0
	}
	for _, t := range openIOCTerms {
		if strings.HasSuffix(search, t.end) {
			return t.kinds
		}
	}
	return 0
}
