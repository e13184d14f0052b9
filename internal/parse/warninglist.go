package parse

import (
	"cmp"
	"context"
	"io"
)

// maxWarningHeld is how many entries of a warning list are held back until the
// list's name and type are known, which mostly stand behind them.
const maxWarningHeld = 1 << 17

// warningList reads warning lists of MISP (github.com/MISP/misp-warninglists): an
// object with a name, a type and a list. Each entry of the list is a record; the
// list's name and type are context. Entries of a list of regular expressions are
// suppressed, for they match and do not name.
type warningList struct {
	c    *collector
	tree tree
	rec  record
	list map[string]string // members of the list beside its entries
	held []warningEntry
}

type warningEntry struct {
	line  int
	value string
}

func readWarningList(ctx context.Context, r io.Reader, c *collector) error {
	w := &warningList{c: c, list: map[string]string{}}
	err := c.documents(ctx, r, func(s *jsonStream) error { return s.each(func() error { return w.document(s) }) })
	w.flush()
	return err
}

// document takes one list.
func (w *warningList) document(s *jsonStream) error {
	if c, err := s.peek(); c != '{' || err != nil {
		return cmp.Or(err, s.bad("a warning list belongs here, not %s", cmp.Or(jsonKind(c), string(rune(c)))))
	}
	clear(w.list)
	found := false
	err := s.members(func(name string) error {
		switch name {
		case "list":
			found = true
			return s.each(func() error { return w.entry(s) })
		case "name", "type", "description":
			_, ok, err := s.value(&w.tree)
			if ok {
				w.list[name] = w.tree.plain(0)
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
	if w.held = append(w.held, warningEntry{line, v}); len(w.held) >= maxWarningHeld {
		w.flush()
	}
	return nil
}

// flush takes the entries that were held back.
func (w *warningList) flush() {
	for _, e := range w.held {
		if w.list["type"] == "regex" {
			w.c.suppress("a regular expression", 1)
			continue
		}
		w.rec.begin(e.line, e.value)
		w.rec.say("list", w.list["name"])
		w.rec.say("list_type", w.list["type"])
		w.rec.say("list_description", w.list["description"])
		w.c.offered(&w.rec, finding{e.value, w.c.kinds})
	}
	clear(w.held)
	w.held = w.held[:0]
}
