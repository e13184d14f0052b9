package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/elasticintel/elasticintel/internal/intel"
)

const defaultChanges = 20 // events where the client names no limit

// changes serves GET /api/v1/changes: what changed since a cursor, as it is read.
func (a *api) changes(c *call) error {
	limit, err := c.limit(defaultChanges)
	if err != nil {
		return err
	}
	since := c.query.Get("since")
	if c.query.Has("since") && since == "" { // a script's unset variable: it would be told everything again
		return &fault{is: errRequest, code: "bad_since", detail: "since is empty: give the cursor of the answer before, or leave since out to begin"}
	}
	ctx := c.r.Context()
	select { // as bulk look-ups do
	case a.bulk <- struct{}{}:
		defer func() { <-a.bulk }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.unlimit() // net/http watches the connection meanwhile; each write has a limit of its own
	m := a.mem.get()
	s := &stream{c: c, buf: m.buf, lines: c.accept == typeNDJSON}
	defer func() {
		m.buf = s.buf
		a.mem.put(m)
	}()
	n := 0
	next, more, err := a.Lookup.Changes(ctx, since, limit, func(e *intel.Event) error {
		if c.r.Method == http.MethodHead { // whatever follows, the answer is a good one
			return errEnough
		}
		switch {
		case s.lines:
		case n == 0:
			s.buf = append(s.buf, `{"changes":[`...)
		default:
			s.buf = append(s.buf, ',')
		}
		n++
		s.buf = e.AppendJSON(s.buf)
		return s.after()
	})
	if errors.Is(err, errEnough) {
		c.Header().Set("Content-Type", c.accept)
		c.WriteHeader(http.StatusOK)
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case s.lines:
		s.buf = append(s.buf, '{')
	case n == 0:
		s.buf = append(s.buf, `{"changes":[],`...)
	default:
		s.buf = append(s.buf, "],"...)
	}
	s.buf = strconv.AppendQuote(append(s.buf, `"next":`...), next) // base64: nothing in it needs an escape
	s.buf = append(strconv.AppendBool(append(s.buf, `,"more":`...), more), "}\n"...)
	return s.send()
}
