package parse

import (
	"cmp"
	"context"
	"io"
)

// warningList reads warning lists of MISP (github.com/MISP/misp-warninglists): an
// object with a name, a type and a list. Each entry of the list is a record; the
// list's name and type are context, and mostly stand behind the entries. Entries of
// a list of regular expressions are suppressed, for they match and do not name.
type warningList struct {
	c     *collector
	tree  tree
	about []pair // members of the list beside its entries
	regex bool
	held  heldBack
}

func readWarningList(ctx context.Context, r io.Reader, c *collector) error {
	w := &warningList{c: c, held: heldBack{c: c}}
	err := c.documents(ctx, r, func(s *jsonStream) error { return s.each(func() error { return w.document(s) }) })
	w.flush()
	return err
}

// document takes one list.
func (w *warningList) document(s *jsonStream) error {
	if c, err := s.peek(); c != '{' || err != nil {
		return cmp.Or(err, s.bad("a warning list belongs here, not %s", cmp.Or(jsonKind(c), string(rune(c)))))
	}
	w.about, w.regex = w.about[:0], false
	found := false
	err := s.members(func(name string) error {
		switch name {
		case "list":
			found = true
			return s.each(func() error { return w.entry(s) })
		case "name", "type", "description":
			_, ok, err := s.value(&w.tree)
			if ok {
				w.say(name, w.tree.plain(0))
			}
			return err
		}
		return s.skip()
	})
	w.flush()
	if err == nil && !found {
		return s.bad("no warning list: the document has no list")
	}
	return err
}

// entry takes one entry, and holds it back.
func (w *warningList) entry(s *jsonStream) error {
	line, ok, err := s.value(&w.tree)
	if !ok {
		return err
	}
	v := w.tree.plain(0)
	if v == "" {
		w.c.reject(line, w.tree.text, "not a value")
		return nil
	}
	w.held.hold(line, finding{v, w.c.kinds}, nil, w.about, len(w.tree.text))
	return nil
}

// say takes a member of the list.
func (w *warningList) say(name, value string) {
	field := "list_" + name
	if name == "name" {
		field = "list"
	}
	w.regex = w.regex || name == "type" && value == "regex"
	if value != "" && len(w.about) < maxColumns { // a name may stand twice, but not without end
		w.about = append(w.about, pair{field, value})
	}
}

// flush takes the entries that were held back.
func (w *warningList) flush() {
	if n := len(w.held.items); w.regex && n > 0 {
		w.c.suppress("a regular expression", n)
		w.held.drop()
	}
	w.held.flush(w.about)
}
