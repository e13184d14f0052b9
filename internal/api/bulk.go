package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// How a bulk request must keep moving: in each direction paceBytes every pace,
// or it is cut off.
const (
	pace      = 60 * time.Second
	paceBytes = 32 << 10
)

// lookup serves POST /api/v1/lookup.
func (a *api) lookup(c *call) error {
	o, err := c.options(a.Now())
	if err != nil {
		return err
	}
	read, err := readerFor(c.r)
	if err != nil {
		return err
	}
	if c.r.ContentLength > a.Limits.MaxBody {
		return tooLarge(a.Limits.MaxBody)
	}
	select { // more requests than that wait here, not in memory
	case a.bulk <- struct{}{}:
		defer func() { <-a.bulk }()
	case <-c.r.Context().Done():
		return c.r.Context().Err()
	}
	values := &spool{dir: a.Limits.TempDir}
	defer values.close()
	body := &pacedBody{c: c, r: http.MaxBytesReader(c.ResponseWriter, c.r.Body, a.Limits.MaxBody), max: a.Limits.MaxBody}
	c.limitRead(time.Now())
	err = read(bufio.NewReaderSize(body, readSize), values.add)
	a.metrics.bulk.AddInt64(body.n)
	if err != nil {
		return err
	}
	if err := values.rewind(); err != nil {
		return err
	}
	c.unlimitRead()
	return a.answerAll(c.r.Context(), c, values, o)
}

func tooLarge(limit int64) error {
	return &fault{is: errTooLarge, detail: "the body is larger than " + strconv.FormatInt(limit, 10) + " bytes: send it in parts"}
}

// answerAll streams the answers to all values.
func (a *api) answerAll(ctx context.Context, c *call, values *spool, o lookup.Options) error {
	m := a.mem.get()
	s := &stream{c: c, buf: m.buf, lines: c.accept == typeNDJSON}
	defer func() {
		m.buf = s.buf
		a.mem.put(m)
	}()
	s.open()
	err := a.Lookup.Answers(ctx, values.next, o, func(ans *intel.Answer) error {
		a.metrics.looked(viaBulk, ans)
		s.before(ans)
		s.buf = appendAnswer(s.buf, ans, o)
		return s.after()
	})
	if err != nil {
		return err
	}
	return s.end()
}

// stream writes the answers of a bulk request: NDJSON, or one JSON object.
type stream struct {
	c                    *call
	buf                  []byte
	lines                bool
	asked, found, errors int
}

func (s *stream) open() {
	if !s.lines {
		s.buf = append(s.buf, `{"results":[`...)
	}
}

// before puts what must stand before an answer into the buffer, and counts it.
func (s *stream) before(a *intel.Answer) {
	if s.asked > 0 && !s.lines {
		s.buf = append(s.buf, ',')
	}
	s.asked++
	switch {
	case a.Error != nil:
		s.errors++
	case a.Found:
		s.found++
	}
}

// after puts what must stand behind an answer into the buffer and sends it when full.
func (s *stream) after() error {
	if s.lines {
		s.buf = append(s.buf, '\n')
	}
	if len(s.buf) < paceBytes {
		return nil
	}
	return s.flush()
}

func (s *stream) flush() error {
	if s.c.status == 0 {
		s.c.Header().Set("Content-Type", s.c.accept)
	}
	s.c.limitWrite(time.Now())
	_, err := s.c.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

func (s *stream) end() error {
	if !s.lines {
		s.buf = append(s.buf, `],"summary":{"asked":`...)
		s.buf = strconv.AppendInt(s.buf, int64(s.asked), 10)
		s.buf = append(s.buf, `,"found":`...)
		s.buf = strconv.AppendInt(s.buf, int64(s.found), 10)
		s.buf = append(s.buf, `,"errors":`...)
		s.buf = strconv.AppendInt(s.buf, int64(s.errors), 10)
		s.buf = append(s.buf, "}}\n"...)
	}
	return s.send()
}

// send sends what is left, or all of it where it did fit.
func (s *stream) send() error {
	if s.c.status == 0 {
		s.c.limitWrite(time.Now())
		s.c.send(http.StatusOK, s.c.accept, s.buf)
		return nil
	}
	return s.flush()
}

// pacedBody is a request body that must keep moving and may not be too long.
type pacedBody struct {
	c       *call
	r       io.Reader
	max     int64
	n, mark int64 // bytes read, and read when the time limit was last moved
}

// Read implements io.Reader. Its errors are faults, save io.EOF.
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if b.n-b.mark >= paceBytes {
		b.mark = b.n
		b.c.limitRead(time.Now())
	}
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	var big *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &big):
		err = tooLarge(b.max)
	case errors.As(err, &slow) && slow.Timeout():
		err = &fault{is: errSlow, detail: fmt.Sprintf("the body came too slowly: %d bytes every %s are wanted", paceBytes, pace)}
	default:
		err = &fault{is: errRequest, code: "bad_body", detail: "the body could not be read: " + err.Error()}
	}
	return n, err
}

// The time limits of one connection. They are the network's, so they are in the
// machine's own time; a writer without a connection behind it has none to move.

func (c *call) limitRead(now time.Time) {
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(now.Add(pace))
}

func (c *call) limitWrite(now time.Time) {
	_ = http.NewResponseController(c.ResponseWriter).SetWriteDeadline(now.Add(pace))
}

// unlimitRead ends the limit on reading: net/http goes on watching the
// connection, and would take the limit's end for the client's.
func (c *call) unlimitRead() {
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(time.Time{})
}

// unlimit ends all limits, for what may take long before there is an answer.
func (c *call) unlimit() {
	c.unlimitRead()
	_ = http.NewResponseController(c.ResponseWriter).SetWriteDeadline(time.Time{})
}
