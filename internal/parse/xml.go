package parse

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readXML reads documents whose records are elements at a path. Elements and
// attributes of a record are named by paths, too; what no column wants is context.
// Names are compared without prefixes and without regard to case.
func readXML(ctx context.Context, r io.Reader, c *collector) error {
	steps, err := parseElements(c.spec.Records)
	if err != nil {
		return err
	}
	x := &xmlRecords{x: newXMLReader(ctx, r), elements: steps, o: newObjects(c)}
	return x.run()
}

// elements is the path of the elements that are records.
type elements struct {
	names    []string // in lower case; * is any
	anywhere bool     // the last ones of what is open, not all
}

// parseElements reads a path of element names with slashes between them, from the
// root element down: output/entries/entry. Dots may stand for the slashes where
// there are none. //entry is an element at any depth, * one of any name; without
// a path, what is right in the root element is a record. [] behind a name is
// accepted, as paths of json have it.
func parseElements(s string) (elements, error) {
	rest := strings.ToLower(strings.TrimSpace(s))
	if rest == "" {
		return elements{names: []string{"*", "*"}}, nil
	}
	rest, anywhere := strings.CutPrefix(rest, "//")
	names, err := elementNames(s, strings.TrimPrefix(rest, "/"))
	for _, name := range names {
		if err == nil && strings.HasPrefix(name, "@") {
			err = fmt.Errorf("%q: an attribute is no record", s)
		}
	}
	return elements{names, anywhere}, err
}

// elementNames cuts a path at its slashes, or at its dots where it has none.
func elementNames(path, rest string) ([]string, error) {
	between := "/"
	if !strings.Contains(rest, "/") {
		between = "."
	}
	names := strings.Split(rest, between)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "[]")
		if names[i] == "" || names[i] == "@" {
			return nil, fmt.Errorf("%q: a name is missing", path)
		}
		if strings.ContainsAny(names[i], "[]()") {
			return nil, fmt.Errorf("%q: %q is no name of an element; conditions have no place in a path, filter does that", path, name)
		}
	}
	return names, nil
}

// checkElements says whether a path of records can be used.
func checkElements(s string) error {
	_, err := parseElements(s)
	return err
}

// elementPath brings a source path into the form in which the parts of a record
// are compared with it: names in lower case with dots between them, @ before that
// of an attribute, "" for the text right in the record.
func elementPath(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	switch s {
	case "*":
		return keyPath, nil
	case "", ".":
		return "", nil
	}
	names, err := elementNames(s, strings.TrimPrefix(s, "./"))
	for i, name := range names {
		if strings.HasPrefix(name, "@") && i+1 < len(names) {
			return "", fmt.Errorf("%q: nothing can stand behind an attribute", s)
		}
		if name == "*" {
			return "", fmt.Errorf("%q: * can stand alone only, for the name that the last * of records stood for", s)
		}
	}
	return strings.Join(names, "."), err
}

// xmlRecords walks over a document and takes its records.
type xmlRecords struct {
	elements
	x     *xmlReader
	o     *objects
	open  []string // the names of the elements around the next token
	deep  int      // how many steps of the path were met
	first string   // the root element
}

func (x *xmlRecords) run() error {
	for {
		t, err := x.x.next()
		if err == io.EOF && x.x.depth == 0 {
			return x.ended()
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			x.open = append(x.open, t.Name.Local)
			if len(x.open) == 1 {
				x.first = t.Name.Local
			}
			if x.met() {
				err = x.record(t)
				x.open = x.open[:len(x.open)-1]
			}
		case xml.EndElement:
			x.open = x.open[:len(x.open)-1]
		}
		if err != nil {
			return err
		}
	}
}

// met says whether the element that was just begun is a record.
func (x *xmlRecords) met() bool {
	open := x.open
	if x.anywhere {
		open = open[max(0, len(open)-len(x.names)):]
	}
	if len(open) > len(x.names) {
		return false
	}
	for i, name := range open {
		if x.names[i] != "*" && !strings.EqualFold(x.names[i], name) {
			return false
		}
	}
	x.deep = max(x.deep, len(open))
	return len(open) == len(x.names)
}

// ended says what is wrong with a document in which the path led nowhere. What is
// above the records must be there; that there is none of them is no mistake.
func (x *xmlRecords) ended() error {
	switch {
	case x.first == "":
		return fmt.Errorf("line %d: no XML: the document has no element", x.x.line())
	case !x.anywhere && x.deep < len(x.names)-1:
		return fmt.Errorf("records %s: the document has no element %s; it begins with %.40q", x.o.c.spec.Records, strings.Join(x.names[:x.deep+1], "/"), x.first)
	}
	return nil
}

// record takes the element that was just begun.
func (x *xmlRecords) record(begun xml.StartElement) error {
	o, line := x.o, x.x.line()
	o.reset("", line, x.key())
	long, err := x.x.leaves(begun, func(l *leaf) {
		path := strings.ReplaceAll(l.path, "/", ".")
		if len(bytes.TrimSpace(l.text)) > 0 {
			x.part(path, string(l.text))
		}
		for _, a := range l.attrs {
			if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
				x.part(strings.TrimPrefix(path+".@"+strings.ToLower(a.Name.Local), "."), a.Value)
			}
		}
	})
	switch {
	case err != nil:
		return err
	case long:
		o.c.reject(line, begun.Name.Local, longRecord)
	default:
		o.rec.raw = "<" + begun.Name.Local + ">"
		o.c.record(&o.rec)
	}
	return nil
}

// key is the name that the last * of the path stands for, "" where there is none.
func (x *xmlRecords) key() string {
	for i := range x.names {
		if x.names[len(x.names)-1-i] == "*" {
			return x.open[len(x.open)-1-i]
		}
	}
	return ""
}

// part gives one text to the columns whose path leads to it or to an element
// around it.
func (x *xmlRecords) part(path, text string) {
	if text = intel.Trim(text); text == "" {
		return
	}
	o := x.o
	o.path = append(o.path[:0], path...)
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if owners, ok := o.paths[path[:end]]; ok {
			o.leaf(text, owners, o.path[end:])
			return
		}
	}
	if owners := o.paths[""]; path == "" && len(owners) > 0 {
		o.leaf(text, owners, nil)
		return
	}
	if path == "" {
		o.path = append(o.path, strings.ToLower(x.open[len(x.open)-1])...)
	}
	o.leaf(text, nil, o.path)
}
