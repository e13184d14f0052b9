package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// errEnough ends a search of which the first listing is enough.
var errEnough = errors.New("enough")

// streamSearch answers with a result that may not fit into memory, as it is found.
func (a *api) streamSearch(c *call, text string, o lookup.SearchOptions) error {
	ctx := c.r.Context()
	select { // as bulk look-ups do
	case a.bulk <- struct{}{}:
		defer func() { <-a.bulk }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.unlimit() // net/http watches the connection meanwhile; each write has a limit of its own
	m := a.mem.get()
	s := &searchStream{c: c, rows: rows{media: c.accept, buf: m.buf}, damage: a.Lookup.Damage()}
	defer func() {
		m.buf = s.rows.buf
		a.mem.put(m)
	}()
	found, err := a.Lookup.Search(ctx, text, o, s.add)
	if errors.Is(err, errEnough) {
		c.Header().Set("Content-Type", mediaType(c.accept))
		c.WriteHeader(http.StatusOK)
		return nil
	}
	if err != nil {
		return err
	}
	a.metrics.searched(searchStreamed, &found)
	return s.end(&found)
}

// searchStream sends listings as they are found.
type searchStream struct {
	c      *call
	rows   rows
	damage error
}

func (s *searchStream) add(l *intel.Listing) error {
	if s.c.r.Method == http.MethodHead { // whatever follows, the answer is a good one
		return errEnough
	}
	if err := s.rows.add(l); err != nil || len(s.rows.buf) < paceBytes {
		return err
	}
	return s.flush()
}

func (s *searchStream) flush() error {
	if s.c.status == 0 {
		h := s.c.Header()
		h.Set("Content-Type", mediaType(s.rows.media))
		if s.rows.media != typeJSON {
			h["Trailer"] = []string{headerTotal, headerTotalIs, headerNext}
			if s.damage != nil { // known already: whoever reads no trailers learns it too
				h.Set(headerPartial, "some stored data is damaged or missing")
			} else {
				h["Trailer"] = append(h["Trailer"], headerPartial)
			}
		} else if err := s.write([]byte(lookup.OpenPage)); err != nil {
			return err
		}
	}
	err := s.write(s.rows.buf)
	s.rows.buf = s.rows.buf[:0]
	return err
}

func (s *searchStream) write(b []byte) error {
	s.c.limitWrite(time.Now())
	_, err := s.c.Write(b)
	return err
}

func (s *searchStream) end(found *lookup.Found) error {
	if s.c.status == 0 { // it did fit
		s.c.limitWrite(time.Now())
		s.c.sendResults(found, &s.rows)
		return nil
	}
	if s.rows.media == typeJSON {
		s.rows.buf = append(found.AppendRest(s.rows.buf), '\n')
	} else {
		setFound(s.c.Header(), found)
	}
	return s.flush()
}
