package corpus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
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
// feed has none. With ErrCorrupt the ETag is that of the damaged head, so that
// whoever decides to can put a sound one in its place.
func (c *Corpus) Head(ctx context.Context, feed string) (h *Head, etag string, err error) {
	h, etag, err = readHead(ctx, c.store, feed)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, "", nil
	}
	return h, etag, err
}

// readHead reads and checks a head. blob.ErrNotFound where there is none.
func readHead(ctx context.Context, store blob.Store, feed string) (*Head, string, error) {
	key := headDir + feed + headExt
	data, info, err := blob.Read(ctx, store, key)
	if err != nil {
		return nil, "", err
	}
	h := &Head{}
	if err := unseal(data, "it", HeadFormat, h); err != nil {
		return nil, info.ETag, fmt.Errorf("head %s: %w", key, err)
	}
	if err := h.check(feed); err != nil {
		return nil, info.ETag, fmt.Errorf("head %s: %w: %w", key, ErrCorrupt, err)
	}
	return h, info.ETag, nil
}

// check says why the head cannot be that of the feed.
func (h *Head) check(feed string) error {
	if h.Feed != feed {
		return fmt.Errorf("it is of feed %q", h.Feed)
	}
	if len(h.Segments) > 1 {
		return fmt.Errorf("%d segments; format %d has one", len(h.Segments), HeadFormat)
	}
	for _, r := range h.Segments {
		if r.Key != segDir+feed+"/"+r.Name || r.Shard != 0 || r.Delta {
			return fmt.Errorf("segment %q (key %q)", r.Name, r.Key)
		}
	}
	return nil
}

// Commit makes h current if the head is still the one that etag names ("" = none).
// blob.ErrConflict says that another process was first. Nothing in h is changed.
func (c *Corpus) Commit(ctx context.Context, h *Head, etag string) (newETag string, err error) {
	out := *h
	out.Format = HeadFormat
	key := headDir + h.Feed + headExt
	if err := out.check(h.Feed); err != nil {
		return "", fmt.Errorf("head %s: %w", key, err)
	}
	data, err := seal(&out)
	if err != nil {
		return "", fmt.Errorf("head %s: %w", key, err)
	}
	if len(data) > maxHeader {
		return "", fmt.Errorf("head %s: %d bytes, at most %d", key, len(data), maxHeader)
	}
	info, err := blob.Write(ctx, c.store, key, data, blob.Cond{IfMatch: etag, IfAbsent: etag == ""})
	if err != nil {
		return "", fmt.Errorf("head %s: %w", key, err)
	}
	return info.ETag, nil
}
