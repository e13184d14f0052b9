package corpus

import (
	"context"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// HeadFormat is the version of heads/FEED.json that this program writes.
const HeadFormat = 1

// Head says what is current for one feed. It is written whole.
type Head struct {
	Format   int            `json:"format"` // HeadFormat; 0 is written as that
	Feed     string         `json:"feed"`
	Version  int64          `json:"version"` // one more with every commit
	Info     intel.FeedInfo `json:"info"`
	Segments []SegmentRef   `json:"segments"`
	LastGood time.Time      `json:"last_good"` // of the last good run: last_seen of what is open and present
	Run      intel.Run      `json:"run"`       // the run that wrote this version

	// What the unchanged check needs.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	ValidatorURL string `json:"validator_url,omitempty"`
	SHA256       string `json:"sha256,omitempty"`
	ParseHash    string `json:"parse_hash,omitempty"`
}

// SegmentRef names one segment of a feed.
type SegmentRef struct {
	Name     string `json:"name"`
	Key      string `json:"key"` // of the object
	Shard    int    `json:"shard,omitempty"`
	Delta    bool   `json:"delta,omitempty"`
	Listings int    `json:"listings"` // open and closed
	Open     int    `json:"open"`
	Bytes    int64  `json:"bytes"`
	Sum      string `json:"sum"` // xxhash64 of the whole object, hex
}

// Open sums the open listings of all segments.
func (h *Head) Open() int {
	n := 0
	for i := range h.Segments {
		n += h.Segments[i].Open
	}
	return n
}

// Head reads a feed's head and the ETag to Commit against; nil and "" where the
// feed has none.
func (c *Corpus) Head(ctx context.Context, feed string) (h *Head, etag string, err error) {
	panic("TODO")
}

// Commit makes h current if the head is still the one that etag names ("" = none).
// blob.ErrConflict says that another process was first. Nothing in h is changed.
func (c *Corpus) Commit(ctx context.Context, h *Head, etag string) (newETag string, err error) {
	panic("TODO")
}
