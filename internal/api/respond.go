package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Sizes up to which memory is kept for the next request.
const (
	maxKept     = 256 << 10 // bytes
	maxListings = 256
)

// memory is what an answer is made in, used again.
type memory struct {
	buf    []byte
	answer intel.Answer
}

type memories struct{ pool sync.Pool }

func (p *memories) get() *memory {
	if m, ok := p.pool.Get().(*memory); ok {
		return m
	}
	return &memory{buf: make([]byte, 0, 8<<10)}
}

// put takes back memory whose content nobody reads any more.
func (p *memories) put(m *memory) {
	if cap(m.buf) <= maxKept && cap(m.answer.Listings) <= maxListings {
		m.buf = m.buf[:0]
		p.pool.Put(m)
	}
}

// send writes a whole answer. It does not keep body.
func (c *call) send(status int, mediaType string, body []byte) {
	c.set(headerType, "Content-Type", mediaType)
	c.set(headerLength, "Content-Length", strconv.Itoa(len(body)))
	c.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.Write(body) // the client is gone: nobody is left to tell
	}
}

// sendTagged answers a GET with 200 and an ETag over the bytes, or with 304
// where the client has them already. The tag is the answer's length and its
// xxHash64: as good as any hash against chance, at a tenth of the cost of one
// that also withstands whoever writes a feed so that its next text hashes alike.
func (c *call) sendTagged(mediaType string, body []byte) {
	var buf [40]byte
	b := strconv.AppendInt(append(buf[:0], '"'), int64(len(body)), 36)
	b = strconv.AppendUint(append(b, '-'), xxhash.Sum64(body), 36)
	tag := string(append(b, '"'))
	c.set(headerTag, "Etag", tag)
	if matches(c.r.Header["If-None-Match"], tag) {
		c.WriteHeader(http.StatusNotModified)
		return
	}
	c.send(http.StatusOK, mediaType, body)
}

// matches says whether If-None-Match names the tag (RFC 9110, 13.1.2: weak comparison).
func matches(header []string, tag string) bool {
	for _, line := range header {
		for t := range strings.SplitSeq(line, ",") {
			t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
			if t == tag || t == "*" {
				return true
			}
		}
	}
	return false
}

// sendJSON answers a GET with the JSON of v.
func (c *call) sendJSON(v any) error {
	body, err := appendJSON(nil, v)
	if err != nil {
		return err
	}
	c.sendTagged(typeJSON, body)
	return nil
}

// appendJSON appends the JSON of v and a newline; < > & stay as they are.
func appendJSON(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return buf.Bytes(), err
}
