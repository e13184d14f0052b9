package opensearch

import (
	"strings"

	"github.com/elasticintel/elasticintel/internal/query"
)

// form is what a text becomes.
type form struct {
	words  string // its tokens with a blank between
	whole  string // query.Keyword of it
	folded string // folded, without blanks around
}

// ctxName is what the name of a context field becomes.
type ctxName struct {
	field query.Field
	key   string
}

// Most texts and names that are kept, and the longest, in bytes.
const (
	maxForms = 4096
	maxForm  = 512
)

// form returns what a text becomes; rare ones are not kept.
func (e *encoder) form(s string, rare bool) form {
	rare = rare || len(s) > maxForm
	if !rare {
		if f, ok := e.forms[s]; ok {
			return f
		}
	}
	f := e.newForm(s)
	if !rare {
		if len(e.forms) >= maxForms {
			clear(e.forms)
		}
		e.forms[s] = f
	}
	return f
}

func (e *encoder) newForm(s string) form {
	var f form
	e.tok.Reset(s)
	e.key = e.key[:0]
	cutOff := false
	for t := e.tok.Next(); t != nil; t = e.tok.Next() {
		if len(e.key) > 0 {
			e.key = append(e.key, ' ')
		}
		e.key = append(e.key, t...)
		cutOff = cutOff || len(t) > query.MaxToken-4 // one that is cut may be that much shorter
	}
	f.words = string(e.key)
	if f.whole = f.words; cutOff || f.words == "" {
		f.whole = query.Keyword(s)
	}
	e.key = query.Fold(e.key[:0], s)
	if f.folded = s; string(e.key) != s {
		f.folded = string(e.key)
	}
	f.folded = strings.TrimSpace(f.folded)
	return f
}

// name returns what the name of a context field becomes.
func (e *encoder) name(s string) ctxName {
	n, ok := e.names[s]
	if !ok {
		n.field = query.Context(s)
		name, _ := n.field.Context()
		n.key = contextKey(name)
		if len(e.names) >= maxForms {
			clear(e.names)
		}
		if len(s) <= maxForm {
			e.names[s] = n
		}
	}
	return n
}
