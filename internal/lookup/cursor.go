package lookup

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// cursor says where in which search the next page begins.
type cursor struct {
	now   time.Time // that ages count from; zero where the search does not depend on it
	asOf  time.Time // zero = now
	sort  query.Sort
	query uint32         // hashQuery of the query
	after query.Position // the last listing of the page before
}

// cursorVersion is the first byte of a cursor: others are of other programs.
const cursorVersion = 1

// Bounds of what a cursor may hold: no feed id or value is longer, even if every
// byte of the value became an escape.
const (
	maxFeedID    = 1 << 10
	maxCanonical = 3 * intel.MaxValue
	maxCursor    = (maxCanonical+2*maxFeedID)/3*4 + 4 // characters
)

// hashQuery tells the queries apart with which somebody might mix a cursor up.
// The text is the canonical one, so blanks and the like make no difference.
func hashQuery(n query.Node) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.String()))
	return h.Sum32()
}

// encode returns the cursor as text that can stand in a URL as it is. A sum over
// all of it keeps a cursor that was cut in copying from leading somewhere else.
func (c *cursor) encode() string {
	b := []byte{cursorVersion, byte(c.sort.By) << 1}
	if c.sort.Reverse {
		b[1] |= 1
	}
	b = binary.BigEndian.AppendUint32(b, c.query)
	b = appendInstant(b, c.now)
	b = appendInstant(b, c.asOf)
	return sealed(appendPosition(b, c.after))
}

// sealed makes a text of a cursor's bytes and the sum over them.
func sealed(b []byte) string {
	h := fnv.New32a()
	_, _ = h.Write(b)
	return base64.RawURLEncoding.EncodeToString(h.Sum(b))
}

// appendInstant writes milliseconds, and 0 for the zero time.
func appendInstant(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMilli())
}

func appendPosition(b []byte, p query.Position) []byte {
	b = binary.AppendVarint(b, p.Key)
	for _, s := range []string{p.Feed, p.Indicator.Kind.String(), p.Indicator.Value} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// errCut is the error of a text that is no whole cursor.
var errCut = errors.New("it was cut or changed on the way, or is none of ours")

// decodeCursor reads what encode wrote. The error wraps ErrCursor.
func decodeCursor(s string) (cursor, error) {
	c, err := readCursor(s)
	if err != nil {
		return cursor{}, fmt.Errorf("%w %.40q cannot be used: %w; begin again without one", ErrCursor, s, err)
	}
	return c, nil
}

func readCursor(s string) (c cursor, err error) {
	if len(s) > maxCursor {
		return c, errCut
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 10 {
		return c, errCut
	}
	if b[0] != cursorVersion {
		return c, fmt.Errorf("it is of version %d, this program makes version %d", b[0], cursorVersion)
	}
	h := fnv.New32a()
	_, _ = h.Write(b[:len(b)-4])
	if binary.BigEndian.Uint32(b[len(b)-4:]) != h.Sum32() {
		return c, errCut
	}
	c.sort = query.Sort{By: query.SortBy(b[1] >> 1), Reverse: b[1]&1 == 1}
	c.query = binary.BigEndian.Uint32(b[2:])
	r := reader{b: b[6 : len(b)-4]}
	c.now, c.asOf = r.instant(), r.instant()
	c.after.Key = r.varint()
	c.after.Feed = r.text(maxFeedID)
	kind := r.text(16)
	c.after.Indicator.Value = r.text(maxCanonical)
	if r.bad || len(r.b) > 0 || c.sort.By > query.ByValue || c.after.Indicator.Kind.UnmarshalText([]byte(kind)) != nil || c.after.Indicator.Kind == intel.KindNone {
		return cursor{}, errCut
	}
	return c, nil
}

// reader reads the fields of a cursor. bad is set where there is none to read.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.took(n))
}

func (r *reader) text(most int) string {
	n, size := binary.Uvarint(r.b)
	if r.took(size) == 0 || n > uint64(most) || n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// took moves n bytes on and returns 1, or 0 where there were none.
func (r *reader) took(n int) int {
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return 1
}

// instant reads what appendInstant wrote. What lies outside of the years that
// can be written as RFC 3339 is none.
func (r *reader) instant() time.Time {
	ms := r.varint()
	if ms == 0 {
		return time.Time{}
	}
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 1 || y > 9999 {
		r.bad = true
	}
	return t
}
