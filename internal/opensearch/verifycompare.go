package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// expected is what the index should have of a listing.
type expected struct {
	id, name string
	answer   []byte // as look-ups show it, with times to the millisecond
	changed  time.Time
	fields   any // of the document, without the listing
}

func (v *verifying) expect(id string, l *intel.Listing) (expected, error) {
	op, err := v.enc.op(l, PresenceOf(l, time.UnixMilli(v.facts.Feeds[l.Feed].LastGood)))
	if err != nil {
		return expected{}, err
	}
	fields, err := fieldsOf(op.Source)
	if err != nil {
		return expected{}, err
	}
	answer, err := shown(l)
	return expected{id: id, name: nameOf(l), answer: answer, changed: l.Changed, fields: fields}, err
}

// look holds what was picked against the index.
func (v *verifying) look(ctx context.Context) error {
	if len(v.picked) == 0 {
		return nil
	}
	var want []string
	for _, x := range v.picked {
		want = append(want, x.id)
	}
	found, err := v.documents(ctx, ids(want...), len(want))
	if err != nil {
		return err
	}
	byID := map[string]stored{}
	for _, d := range found {
		byID[d.ID] = d
	}
	for i := range v.picked {
		x := &v.picked[i]
		if d, ok := byID[x.id]; ok {
			v.compare(x, d)
			continue
		}
		v.out.Compared++
		if r, refused := v.facts.Refused[x.id]; refused {
			v.problem(ProblemRefused, x.name, "the index would not take it: %s", r.Why)
		} else {
			v.problem(ProblemMissing, x.name, "the data folder has it, the index has not")
		}
	}
	v.picked = v.picked[:0]
	return nil
}

// compare holds what is expected against what is there: what look-ups show of it,
// and the fields by which it is found.
func (v *verifying) compare(x *expected, d stored) {
	v.out.Compared++
	h := hit{ID: d.ID}
	if err := json.Unmarshal(d.Source, &h.Source); err != nil {
		v.problem(ProblemDiffers, x.name, "its document cannot be read: %v", err)
		return
	}
	l, _, err := v.listing(&h)
	if err != nil {
		v.problem(ProblemDiffers, x.name, "%v", err)
		return
	}
	fields, err1 := fieldsOf(d.Source)
	got, err2 := shown(&l)
	switch err := errors.Join(err1, err2); {
	case err != nil:
		v.problem(ProblemDiffers, x.name, "%v", err)
	case !bytes.Equal(got, x.answer):
		v.problem(ProblemDiffers, x.name, "the index says %s, the data folder %s", short(string(got), 400), short(string(x.answer), 400))
	case l.Changed.UnixMilli() != x.changed.UnixMilli():
		v.problem(ProblemDiffers, x.name, "the index says that it changed at %s, the data folder at %s", l.Changed.Format(time.RFC3339), x.changed.UTC().Format(time.RFC3339))
	case !sameJSON(fields, x.fields):
		v.problem(ProblemDiffers, x.name, "the fields by which it is found differ")
	}
}

// shown is a listing as look-ups show it, with times to the millisecond.
func shown(l *intel.Listing) ([]byte, error) {
	var v any
	if err := json.Unmarshal(l.AppendJSON(nil), &v); err != nil {
		return nil, err
	}
	return json.Marshal(toMillis(v))
}

// fieldsOf are those of a document without the listing, with times to the millisecond.
func fieldsOf(source []byte) (any, error) {
	var m map[string]any
	if err := json.Unmarshal(source, &m); err != nil {
		return nil, err
	}
	delete(m, "listing")
	return toMillis(m), nil
}

// toMillis writes instants without what is smaller than a millisecond, which the
// index does not tell apart. It changes v.
func toMillis(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, inner := range x {
			x[k] = toMillis(inner)
		}
	case []any:
		for i, inner := range x {
			x[i] = toMillis(inner)
		}
	case string:
		if t, err := time.Parse(time.RFC3339Nano, x); err == nil {
			return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
		}
	}
	return v
}
