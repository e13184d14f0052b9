package corpus

import (
	"math"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// How long an enumeration of keys goes on before it looks at the clock.
const checkEvery = 1024

// shortList is up to how many documents are rather kept in a slice than in a bitmap.
const shortList = 64

func tokenKey(token string) []byte { return append([]byte{keyToken}, token...) }

// fieldKey is the key of a value, in the form of Doc.Facet; of the beginning of
// values, and with "" of all values of the field.
func fieldKey(f query.Field, form string) []byte {
	b := append(append([]byte{keyForm}, f...), 0)
	return append(b, form...)
}

// wordKey is the key of a token of a value that is more than that token.
func wordKey(f query.Field, token string) []byte {
	b := append(append([]byte{keyWord}, f...), 0)
	return append(b, token...)
}

func timeKey(sort byte, ms int64) []byte { return appendTimeKey([]byte{sort}, ms) }

// after returns the first key that does not begin with prefix; nil = none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			out := append([]byte(nil), prefix[:i+1]...)
			out[i]++
			return out
		}
	}
	return nil
}

// get returns the documents that have a key.
func (e *evaluator) get(key []byte) *roaring.Bitmap {
	p, err := e.x.Get(key)
	if err != nil {
		e.fail(err)
		return nil
	}
	if p.Len() == 0 {
		return nil
	}
	return p.Bitmap()
}

// having returns the documents that have a value of their own in the field.
func (e *evaluator) having(f query.Field) *roaring.Bitmap {
	if b, ok := e.own[f]; ok {
		return b
	}
	b := e.get(append([]byte{keyExists}, f...))
	if e.own == nil {
		e.own = map[query.Field]*roaring.Bitmap{}
	}
	e.own[f] = b
	return b
}

// unsorted returns the documents whose values in the field are not among the keys.
func (e *evaluator) unsorted(f query.Field) *roaring.Bitmap {
	return e.get(append([]byte{keyOver}, f...))
}

// collect unites the documents of the keys in [from, to) that pass.
func (e *evaluator) collect(from, to []byte, pass func(key []byte) bool) *roaring.Bitmap {
	docs, _ := e.collectSome(from, to, pass, math.MaxInt)
	return docs
}

// collectSome is collect that looks at so many keys at most; all says whether
// that was enough.
func (e *evaluator) collectSome(from, to []byte, pass func(key []byte) bool, limit int) (docs *roaring.Bitmap, all bool) {
	var many []*roaring.Bitmap
	var few []uint32
	n := 0
	err := e.x.Range(from, to, func(key []byte, p terms.Postings) bool {
		if n++; n > limit || n%checkEvery == 0 && e.r.late() {
			return false
		}
		if pass != nil && !pass(key) {
			return true
		}
		if p.Len() <= shortList {
			few = p.Append(few)
		} else {
			many = append(many, p.Bitmap())
		}
		return true
	})
	if err != nil {
		e.fail(err)
	}
	if len(few) > 0 {
		many = append(many, bitmapOf(few, e.u.docs))
	}
	switch len(many) {
	case 0:
	case 1:
		docs = many[0]
	default:
		docs = roaring.FastOr(many...)
	}
	return docs, n <= limit
}

// beginning unites the documents of all keys that begin so.
func (e *evaluator) beginning(prefix []byte) *roaring.Bitmap {
	return e.collect(prefix, after(prefix), nil)
}
