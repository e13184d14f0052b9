package feed

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// maxID is the length an id may have: it is part of object names.
const maxID = 64

// reservedID is a path of the API beside those of feeds, so no feed's id.
const reservedID = "report"

// secretMark stands in a URL where the secret goes.
const secretMark = "{secret}"

// Read-only tables. The first of presences, roles and methods is the default.
var (
	presences     = []intel.Presence{intel.Snapshot, intel.Rolling, intel.Append}
	roles         = []string{RoleThreat, RoleContext, RoleAllow, RoleEnrichment}
	methods       = []string{"GET", "POST"}
	lives         = []string{"", LifeAlive, LifeListed, LifeStatic, LifeBlocked, LifeEnded}
	places        = []string{InHeader, InQuery, InPath, InBasic, InBearer, InBody}
	tlps          = []string{"", "clear", "green", "amber", "amber+strict", "red"}
	reliabilities = []string{"", "A", "B", "C", "D", "E", "F"}
	columnTypes   = []string{"", "text", "list", "time", "int"}
	idPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	secretPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// checker reports what is wrong with one definition beyond the types of its values.
type checker struct {
	*strict
	node *node
	def  *Definition
	from int // errors before this one are other feeds'
}

// bad reports a mistake at key, unless that key was reported already: a value
// of the wrong type is not missing as well.
func (c *checker) bad(key, reason string, args ...any) {
	root, _, _ := strings.Cut(key, ".")
	for _, err := range c.errs[c.from:] {
		if e, ok := err.(*Error); ok && (e.Key == key || e.Key == root || strings.HasPrefix(e.Key, key+".") || strings.HasPrefix(e.Key, key+"[")) {
			return
		}
	}
	c.report(c.lineOf(key), key, reason, args...)
}

// lineOf is the line of the value at key, or of the nearest object that is there.
func (c *checker) lineOf(key string) int {
	n := c.node
	for part := range strings.SplitSeq(key, ".") {
		name, _, _ := strings.Cut(part, "[")
		next := n.get(name)
		if next == nil {
			break
		}
		n = next
	}
	return n.line
}

// oneOf reports a value that is not in the list.
func (c *checker) oneOf(key, value string, list []string) {
	if !slices.Contains(list, value) {
		known := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
		c.bad(key, "%q is not known%s", short(value), didYouMean(value, known))
	}
}

func (c *checker) check() {
	c.identity()
	c.endpoint()
	c.auth()
	c.pull()
	c.schedule()
	c.meaning()
	c.life()
	c.expected()
	c.guards()
	c.reading()
}

func (c *checker) identity() {
	d := c.def
	for _, required := range []struct{ key, value string }{
		{"feed_name", d.Name}, {"feed_type", d.Type}, {"feed_url", d.URL},
	} {
		if strings.TrimSpace(required.value) == "" {
			c.bad(required.key, "missing; every feed needs one")
		}
	}
	if d.Kind == "" && !parse.Fixed(d.Type) {
		c.bad("indicator_type", "missing; only formats with a fixed layout do without one")
	}
	switch {
	case d.ID == "" && d.Name != "":
		c.bad("id", "the name %q gives no id; give one of a-z, 0-9 and -", short(d.Name))
	case d.ID != "" && (len(d.ID) > maxID || !idPattern.MatchString(d.ID)):
		c.bad("id", "%q: an id has 1 to %d of a-z, 0-9, - and _ and starts with a letter or digit", short(d.ID), maxID)
	}
	if d.ID == reservedID {
		c.bad("id", "%q is where the API has the report of all feeds; choose another", d.ID)
	}
	c.oneOf("presence", string(d.Presence), stringsOf(presences))
	c.oneOf("role", d.Role, roles)
}

func (c *checker) endpoint() {
	d := c.def
	u, err := url.Parse(strings.ReplaceAll(d.URL, secretMark, "secret"))
	switch {
	case d.URL == "":
	case err != nil, u.Host == "":
		c.bad("feed_url", "this is no URL (it is not shown, since it may hold a secret)")
	case u.Scheme != "http" && u.Scheme != "https":
		c.bad("feed_url", "only http and https can be pulled, not %q", u.Scheme)
	case u.User != nil:
		c.bad("feed_url", `user and password belong into "auth": {"secret": NAME, "in": "basic"}, not into the URL`)
	}
	c.oneOf("method", d.Method, methods)
	if d.Body != "" && d.Method == "GET" {
		c.bad("body", `needs "method": "POST"`)
	}
	for i, p := range d.AllowNetworks {
		if p.IsValid() && p != p.Masked() {
			c.bad("allow_networks", "%s has bits set beyond its length; write %s (entry %d)", p, p.Masked(), i+1)
		}
	}
}

func (c *checker) auth() {
	d, a := c.def, c.def.Auth
	marked, body := strings.Contains(d.URL, secretMark), strings.Contains(d.Body, secretMark)
	if a == nil {
		if marked {
			c.bad("auth", `missing: the URL has %s; say which secret with "auth": {"secret": NAME, "in": "path"}`, secretMark)
		} else if body {
			c.bad("auth", `missing: the body has %s; say which secret with "auth": {"secret": NAME, "in": "body"}`, secretMark)
		}
		return
	}
	if !secretPattern.MatchString(a.Secret) {
		c.bad("auth.secret", "%q: the name of a secret is made of letters, digits and _ and starts with a letter", short(a.Secret))
	}
	c.oneOf("auth.in", a.In, places)
	switch {
	case a.In == InPath && !marked:
		c.bad("auth.in", "path needs %s in feed_url, where the secret goes", secretMark)
	case a.In == InQuery && marked == (a.Name != ""):
		c.bad("auth.name", "query needs either the parameter's name or %s in feed_url", secretMark)
	case body != (a.In == InBody):
		c.bad("auth.in", "body and a %s in the body of a POST go together", secretMark)
	case a.In == InHeader && a.Name == "":
		c.bad("auth.name", "missing: the name of the header")
	case marked && a.In != InPath && a.In != InQuery:
		c.bad("auth.in", "the URL has %s, so this must be path or query", secretMark)
	}
}

func (c *checker) schedule() {
	d := c.def
	for _, h := range d.CheckInterval {
		if h < 0 || h > 23 {
			c.bad("check_interval", "%d is no hour of the day; hours are 0 to 23 (24 is read as 0)", h)
		}
	}
	if d.Interval != 0 && (d.Interval < intel.Duration(time.Minute) || d.Interval > intel.Duration(366*24*time.Hour)) {
		c.bad("interval", "must be between 1m and 366d")
	}
}

func (c *checker) meaning() {
	d := c.def
	c.oneOf("tlp", d.TLP, tlps)
	c.oneOf("reliability", d.Reliability, reliabilities)
	if d.Confidence != nil && (*d.Confidence < 0 || *d.Confidence > 100) {
		c.bad("confidence", "%d is not between 0 and 100", *d.Confidence)
	}
	for i, tag := range d.Tags {
		if strings.TrimSpace(tag) == "" {
			c.bad("tags", "entry %d is empty", i+1)
		}
	}
}

// life checks what is said of the publisher's side.
func (c *checker) life() {
	d := c.def
	c.oneOf("life", d.Life, lives)
	if _, err := time.Parse(time.DateOnly, d.Checked); err != nil && d.Checked != "" {
		c.bad("checked", "%q is no day; write it as 2026-08-22", short(d.Checked))
	}
	switch {
	case d.ReplacedBy == "":
	case !d.Ended():
		c.bad("replaced_by", `only a feed with "life": %q is replaced by another`, LifeEnded)
	case d.ReplacedBy == d.ID:
		c.bad("replaced_by", "%q is this feed itself; name the one to use instead", short(d.ReplacedBy))
	}
	if d.Ended() && d.Enabled != nil && *d.Enabled {
		c.bad("enabled", `a feed with "life": %q cannot be on; leave this key out`, LifeEnded)
	}
}

// expected checks the sizes of a healthy pull against each other.
func (c *checker) expected() {
	d := c.def
	for _, n := range []struct {
		key   string
		value int
	}{{"expect", d.Expect}, {"expect_min", d.ExpectMin}, {"expect_max", d.ExpectMax}} {
		if n.value < 0 {
			c.bad(n.key, "must not be negative")
			return
		}
	}
	switch {
	case d.ExpectMax > 0 && d.ExpectMax < d.ExpectMin:
		c.bad("expect_max", "%d is below expect_min, %d", d.ExpectMax, d.ExpectMin)
	case d.Expect > 0 && d.Expect < d.ExpectMin:
		c.bad("expect", "%d is below expect_min, %d: a healthy pull would be held back", d.Expect, d.ExpectMin)
	case d.ExpectMax > 0 && d.Expect > d.ExpectMax:
		c.bad("expect", "%d is above expect_max, %d: a healthy pull would be held back", d.Expect, d.ExpectMax)
	}
}

func (c *checker) guards() {
	g := c.def.Guards
	if g.MaxShrink <= 0 || g.MaxShrink > 1 {
		c.bad("guards.max_shrink", "%v is no share above 0 and up to 1", g.MaxShrink)
	}
	if g.MaxGrowth < 1 {
		c.bad("guards.max_growth", "%v is below 1: the list may never grow", g.MaxGrowth)
	}
	switch {
	case g.MaxReplace <= 0 || g.MaxReplace > 1:
		c.bad("guards.max_replace", "%v is no share above 0 and up to 1", g.MaxReplace)
	case g.MaxReplace < 1 && c.def.Presence != intel.Snapshot:
		c.bad("guards.max_replace", `only a feed with "presence": %q keeps its entries`, intel.Snapshot)
	}
	if g.MaxReject <= 0 || g.MaxReject > 1 {
		c.bad("guards.max_reject", "%v is no share above 0 and up to 1", g.MaxReject)
	}
}

// reading checks everything that says how the bytes are read.
func (c *checker) reading() {
	d := c.def
	if d.Type != "" && !slices.Contains(parse.Formats(), d.Type) {
		c.bad("feed_type", "%q is not known%s", short(d.Type), didYouMean(d.Type, parse.Formats()))
	}
	if _, err := intel.ParseKindSet(d.Kind); err != nil && d.Kind != "" {
		c.bad("indicator_type", "%v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Mapping.Types)) {
		t := d.Mapping.Types[name]
		key := "field_mapping.types." + name
		c.oneOf(key+".type", t.Type, columnTypes)
		if !slices.ContainsFunc(c.destinations(), func(s string) bool { return s == name }) {
			c.bad(key, "no column has the destination %q%s", short(name), didYouMean(name, c.destinations()))
		}
		if t.Kind != "" {
			if _, err := intel.ParseKindSet(t.Kind); err != nil {
				c.bad(key+".kind", "%v", err)
			}
		}
	}
	if _, err := d.columns(); err != nil {
		c.bad("field_mapping", "%v", err)
	}
	for _, f := range d.Filter {
		if f.Column == "" || len(f.Values) == 0 {
			c.bad("filter", "each rule needs a column and values")
		}
	}
	if len(c.errs) > c.from {
		return // the rest would only repeat it
	}
	c.spec()
}

// spec reports what the parser finds wrong: a line an error, "KEY: reason".
func (c *checker) spec() {
	err := c.def.Spec().Check()
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if key, reason, ok := strings.Cut(line, ": "); ok {
			c.bad(key, "%s", reason)
		}
	}
}

// destinations lists where the columns go.
func (c *checker) destinations() []string {
	list := c.def.Mapping.Destination
	if len(list) == 0 {
		list = c.def.Mapping.Source
	}
	var names []string
	for _, name := range list {
		if name != nil {
			names = append(names, strings.TrimSpace(*name))
		}
	}
	return names
}

func stringsOf[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
