package corpus

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// text plans a leaf about texts.
func (p *planner) text(n query.Node, field query.Field) plan {
	switch field {
	case query.FieldAny:
		return p.common(n, field, p.anyText(n))
	case query.FieldFeed, query.FieldProvider:
		return p.common(n, field, func(*evaluator) set { return set{} })
	case query.FieldValue:
		return func(e *evaluator) set {
			docs, known := e.candidates(n)
			if !known {
				docs = e.universe()
			}
			return possible(docs)
		}
	case query.FieldDomain:
		if w, ok := n.(query.Wildcard); ok && w.Whole {
			return p.hosts(w.Pattern)
		}
		return func(e *evaluator) set { return possible(e.universe()) }
	}
	return p.common(n, field, p.column(n, field))
}

// anyText plans a leaf about all texts of a record.
func (p *planner) anyText(n query.Node) plan {
	switch n.(type) {
	case query.Term, query.Prefix, query.Wildcard:
		if w, ok := n.(query.Wildcard); ok && w.Whole {
			break
		}
		return func(e *evaluator) set {
			docs, _ := e.candidates(n)
			return certain(docs)
		}
	}
	return func(e *evaluator) set {
		docs, known := e.candidates(n)
		if !known {
			docs = e.universe()
		}
		return possible(docs)
	}
}

// candidates returns the documents that have, in whatever texts, the tokens that
// the leaf needs; known is false where it needs none in particular.
func (e *evaluator) candidates(n query.Node) (docs *roaring.Bitmap, known bool) {
	switch n := n.(type) {
	case query.Term:
		return e.get(tokenKey(n.Token)), true
	case query.Prefix:
		return e.beginning(tokenKey(n.Text)), true
	case query.Phrase:
		return e.phrase(n.Tokens, n.Prefix), true
	case query.Exact:
		return e.phrase(n.Tokens, false), n.Tokens != nil
	case query.Equal:
		tokens := query.Tokens(nil, n.Value)
		return e.phrase(tokens, false), len(tokens) > 0
	case query.Wildcard:
		if n.Whole {
			return e.wholePattern(n.Pattern)
		}
		prefix := tokenKey(n.Pattern.Prefix())
		long := []byte(n.Pattern.Longest())
		return e.collect(prefix, after(prefix), func(key []byte) bool {
			return bytes.Contains(key, long) && n.Pattern.Match(string(key[1:]))
		}), true
	}
	return nil, false
}

// phrase returns the documents that have all the tokens, the last of them as the
// beginning of one where prefix says so.
func (e *evaluator) phrase(tokens []string, prefix bool) *roaring.Bitmap {
	if len(tokens) == 0 {
		return nil
	}
	var parts []*roaring.Bitmap
	for i, tok := range tokens {
		if prefix && i == len(tokens)-1 {
			break
		}
		docs := e.get(tokenKey(tok))
		if isEmpty(docs) {
			return nil
		}
		parts = append(parts, docs)
	}
	if prefix {
		parts = append(parts, e.beginning(tokenKey(tokens[len(tokens)-1])))
	}
	return intersectAll(parts)
}

// piece is a token of a pattern's plain text, and whether more of the token may
// lie on either side of it.
type piece struct {
	token       string
	left, right bool
}

// pieces cuts the plain texts of a pattern over whole values into tokens.
func pieces(p query.Pattern) (out []piece) {
	literals := p.Literals()
	for i, l := range literals {
		tokens := query.Tokens(nil, l)
		for j, tok := range tokens {
			if len(tok) >= query.MaxToken {
				continue // may be cut
			}
			x := piece{token: tok}
			first, _ := utf8.DecodeRuneInString(l)
			x.left = i > 0 && j == 0 && (strings.HasPrefix(l, tok) || first >= utf8.RuneSelf)
			x.right = i < len(literals)-1 && j == len(tokens)-1 && strings.HasSuffix(l, tok)
			out = append(out, x)
		}
	}
	return out
}

// wholePattern returns the documents that have the tokens that a pattern over
// whole values needs: those that are surely whole, or else one of the others.
func (e *evaluator) wholePattern(p query.Pattern) (docs *roaring.Bitmap, known bool) {
	var parts []*roaring.Bitmap
	var open piece
	for _, x := range pieces(p) {
		if !x.left && !x.right {
			parts = append(parts, e.get(tokenKey(x.token)))
		} else if len(x.token) > len(open.token) {
			open = x
		}
	}
	switch {
	case len(parts) > 0:
		if slices.ContainsFunc(parts, isEmpty) {
			return nil, true
		}
		docs = intersectAll(parts)
		if open.token == "" || size(docs) <= e.r.v.c.limits.candidates {
			return docs, true
		}
		return intersect(docs, e.partOf(open)), true
	case open.token == "":
		return nil, false
	}
	return e.partOf(open), true
}

// partOf returns the documents that have a token of which the piece is a part.
func (e *evaluator) partOf(x piece) *roaring.Bitmap {
	if !x.left {
		return e.beginning(tokenKey(x.token))
	}
	part := []byte(x.token)
	return e.collect([]byte{keyToken}, []byte{keyToken + 1}, func(key []byte) bool {
		if !x.right {
			return bytes.HasSuffix(key[1:], part) || len(key) > query.MaxToken
		}
		return bytes.Contains(key[1:], part) || len(key) > query.MaxToken
	})
}

// column plans a leaf about a field whose values are keys of the index.
func (p *planner) column(n query.Node, field query.Field) plan {
	if eq, ok := n.(query.Equal); ok {
		key := fieldKey(field, eq.Value)
		return func(e *evaluator) set {
			return certain(e.get(key)).or(possible(e.unsorted(field)))
		}
	}
	if t, ok := n.(query.Term); ok {
		whole, word := fieldKey(field, t.Token), wordKey(field, t.Token)
		return func(e *evaluator) set {
			out := certain(union(e.get(whole), e.get(word)))
			if odd := e.unsorted(field); !isEmpty(odd) {
				out = out.or(possible(intersect(odd, e.get(tokenKey(t.Token)))))
			}
			return out
		}
	}
	in := formMatcher(n)
	return func(e *evaluator) set {
		docs, known := e.narrow(n, field)
		limit := math.MaxInt
		if known && size(docs) <= e.r.v.c.limits.candidates {
			if isEmpty(docs) {
				return set{}
			}
			limit = 4*size(docs) + 16 // a value costs about a quarter of reading a document
		}
		prefix := fieldKey(field, "")
		found, all := e.collectSome(prefix, after(prefix), func(key []byte) bool { return in(key[len(prefix):]) }, limit)
		if !all {
			return possible(docs)
		}
		return certain(found).or(possible(intersect(e.unsorted(field), docs)))
	}
}

// formMatcher returns what holds a leaf against the forms of a field's values.
// Those of words are tokens with one blank between them, so that tokens side by
// side are a part of the form.
func formMatcher(n query.Node) func(form []byte) bool {
	var tokens []string
	prefix := false
	switch n := n.(type) {
	case query.Phrase:
		tokens, prefix = n.Tokens, n.Prefix
	case query.Prefix:
		tokens, prefix = []string{n.Text}, true
	}
	if tokens == nil || slices.ContainsFunc(tokens, func(t string) bool { return len(t) >= query.MaxToken }) {
		return func(form []byte) bool { return query.MatchForm(n, string(form)) }
	}
	part := []byte(strings.Join(tokens, " "))
	return func(form []byte) bool { return hasWords(form, part, prefix) }
}

// hasWords says whether part stands in form between blanks or its ends; with
// prefix only in front of it.
func hasWords(form, part []byte, prefix bool) bool {
	for at := 0; ; at++ {
		i := bytes.Index(form[at:], part)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(part)
		if (at == 0 || form[at-1] == ' ') && (prefix || end == len(form) || form[end] == ' ') {
			return true
		}
	}
}

// narrow returns the documents with a value in the field that have the tokens
// that the leaf needs.
func (e *evaluator) narrow(n query.Node, field query.Field) (docs *roaring.Bitmap, known bool) {
	having := e.having(field)
	if w, ok := n.(query.Wildcard); ok && !w.Whole || isEmpty(having) || field == query.FieldTLP {
		return having, isEmpty(having)
	}
	docs, known = e.candidates(n)
	if !known {
		return having, false
	}
	return intersect(having, docs), true
}

// exists plans field:*.
func (p *planner) exists(n query.Exists) plan {
	switch n.Field {
	case query.FieldConfidence, query.FieldFirstSeen, query.FieldLastSeen:
		return func(e *evaluator) set { return certain(e.universe()) }
	case query.FieldPort, query.FieldASN, query.FieldFeedFirstSeen, query.FieldFeedLastSeen, query.FieldRegistered:
		return func(e *evaluator) set {
			return certain(e.beginning(fieldKey(n.Field, ""))).or(possible(e.unsorted(n.Field)))
		}
	case query.FieldDomain:
		return p.kindsMaybe(hostKinds)
	}
	return p.common(n, n.Field, func(e *evaluator) set { return certain(e.having(n.Field)) })
}

// count is how many documents of hits have a key.
func count(p terms.Postings, hits *roaring.Bitmap, buf []uint32) (int, []uint32) {
	if p.Len() > shortList {
		return int(hits.AndCardinality(p.Bitmap())), buf
	}
	buf = p.Append(buf[:0])
	n := 0
	for _, d := range buf {
		if hits.Contains(d) {
			n++
		}
	}
	return n, buf
}
