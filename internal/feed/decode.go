package feed

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Decode reads one file of definitions strictly: an unknown or doubled key, a
// wrong type, a value out of range or a doubled id is an *Error that names file,
// line, feed and key. All mistakes come out at once (errors.Join); the feeds
// without one are returned beside the error.
func Decode(file string, data []byte) ([]*Definition, error) {
	root, line, err := readTree(data)
	if err != nil {
		return nil, &Error{File: file, Line: line, Reason: err.Error()}
	}
	s := &strict{file: file}
	feeds := s.feedNodes(root)
	var good []*Definition
	lines := map[string]int{}
	for i, n := range feeds {
		before := len(s.errs)
		d := s.definition(n, i)
		s.feed = d.ID
		if first, twice := lines[d.ID]; twice && d.ID != "" {
			s.report(d.Line, "id", "%q is the id of the feed in line %d, too", d.ID, first)
		} else {
			lines[d.ID] = d.Line
		}
		if len(s.errs) == before {
			good = append(good, d)
		}
	}
	return good, errors.Join(s.errs...)
}

// feedNodes returns the elements of the file's feeds list.
func (s *strict) feedNodes(root *node) []*node {
	if root.kind != objectNode {
		s.wrong(root, "", `{"feeds": […]}`)
		return nil
	}
	fields := keysOf(reflect.TypeFor[File]())
	var list *node
	for _, m := range root.members {
		_, known := fields[m.key]
		switch {
		case !known && root.get("feeds") == nil:
			s.report(m.line, m.key, `a file of definitions is {"feeds": [{…}, …]}; put the feed into such a list`)
			return nil
		case !known:
			s.report(m.line, m.key, "unknown key%s", didYouMean(m.key, keyNames(fields)))
		case m.key == "feeds" && list != nil:
			s.report(m.line, m.key, "stands twice")
		case m.key == "feeds":
			list = m.value
		case m.value.kind != stringNode:
			s.wrong(m.value, m.key, "a string")
		}
	}
	switch {
	case list == nil:
		s.report(root.line, "feeds", `missing: a file of definitions is {"feeds": [{…}, …]}`)
	case list.kind != arrayNode:
		s.wrong(list, "feeds", string(arrayNode))
	default:
		return list.items
	}
	return nil
}

// definition reads the file's i-th feed, fills in what is not written, and checks it.
func (s *strict) definition(n *node, i int) *Definition {
	d := &Definition{File: s.file, Line: n.line, Guards: Guards{
		MaxShrink: DefaultMaxShrink, MaxGrowth: DefaultMaxGrowth, MaxReplace: DefaultMaxReplace, MaxReject: DefaultMaxReject,
	}}
	s.feed = fmt.Sprintf("#%d", i+1)
	for _, key := range []string{"feed_name", "id"} { // an id, where there is one, is the better name
		if name := n.get(key).text(); name != "" {
			s.feed = short(name)
		}
	}
	before := len(s.errs)
	s.fill(n, reflect.ValueOf(d).Elem(), "")
	if n.kind == objectNode {
		d.complete()
		(&checker{strict: s, node: n, def: d, from: before}).check()
	}
	return d
}

// complete fills in what follows from the rest, and puts values into one form.
func (d *Definition) complete() {
	if d.ID == "" {
		d.ID = slug(d.Name)
	}
	for i, h := range d.CheckInterval {
		if h == 24 {
			d.CheckInterval[i] = 0
		}
	}
	slices.Sort(d.CheckInterval)
	d.CheckInterval = slices.Compact(d.CheckInterval)
	if d.Interval == 0 && len(d.CheckInterval) == 0 {
		d.Interval = DefaultInterval
	}
	if d.Presence == "" {
		d.Presence = presences[0]
		if strings.EqualFold(strings.TrimSpace(d.Type), TypeTaxii) { // a collection tells what was added only
			d.Presence = intel.Append
		}
	}
	if d.Role == "" {
		d.Role = RoleThreat
	}
	if d.Method == "" {
		d.Method = methods[0]
	}
	d.Type = strings.ToLower(strings.TrimSpace(d.Type))
	d.completePull()
	d.Kind = strings.ToLower(strings.TrimSpace(d.Kind))
	d.URL = strings.TrimSpace(d.URL)
	d.Reliability = strings.ToUpper(d.Reliability)
	if d.TLP = strings.TrimPrefix(strings.ToLower(d.TLP), "tlp:"); d.TLP == "white" { // its name before TLP 2.0
		d.TLP = "clear"
	}
}

// slug makes an id of a name: "Blocklist.de all" becomes "blocklist-de-all".
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	s := strings.Join(words, "-")
	return strings.TrimRight(s[:min(len(s), maxID)], "-")
}
