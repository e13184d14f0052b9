package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

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
// where the client has them already.
func (c *call) sendTagged(mediaType string, body []byte) {
	sum := sha256.Sum256(body)
	var buf [34]byte
	buf[0], buf[33] = '"', '"'
	hex.Encode(buf[1:], sum[:16])
	tag := string(buf[:])
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
