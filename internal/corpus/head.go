package corpus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// HeadFormat is the version of heads/FEED.json that this program writes.
//
// Format 1 had one segment, no shards, and none of what came with them.
const HeadFormat = 2

// Head says what is current for one feed. It is written whole.
type Head struct {
	Format   int            `json:"format"` // HeadFormat; 0 is written as that
	Feed     string         `json:"feed"`
	Version  int64          `json:"version"` // one more with every commit
	Info     intel.FeedInfo `json:"info"`
	Shards   int            `json:"shards,omitempty"` // a power of two; 0 is 1
	Segments []SegmentRef   `json:"segments"`         // by shard; in one, history (the oldest first), base, delta
	Table    *TableRef      `json:"table,omitempty"`  // of a feed of offline data, which lists nothing and has no segments
	LastGood time.Time      `json:"last_good"`        // of the last good run: last_seen of what is open and present
	Run      intel.Run      `json:"run"`              // the run that wrote this version

	Purged time.Time `json:"purged,omitzero"`  // closed listings that changed before it may have been deleted
	Lost   time.Time `json:"lost,omitzero"`    // the last run that lost listings to damage, whose end nobody is told
	Former []Former  `json:"former,omitempty"` // segments of earlier versions, for Sweep

	// What the unchanged check needs.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	ValidatorURL string `json:"validator_url,omitempty"`
	SHA256       string `json:"sha256,omitempty"`
	ParseHash    string `json:"parse_hash,omitempty"`

	// From when on the same bytes list less, because entries say when they end; zero = never.
	Expires time.Time `json:"expires,omitzero"`

	// From where on the next pull asks, of a feed that is asked for what is new, by
	// collection; and what the definition asked for that this came of.
	Since   map[string]string `json:"since,omitempty"`
	SinceOf string            `json:"since_of,omitempty"`
}

// Former is a segment that is current no more.
type Former struct {
	Name  string `json:"name"`
	Until int64  `json:"until"` // the first version without it
}

// SegmentRef names one segment of a feed.
type SegmentRef struct {
	Name     string `json:"name"`
	Key      string `json:"key"` // of the object
	Shard    int    `json:"shard,omitempty"`
	Delta    bool   `json:"delta,omitempty"`   // the changes since the base, above it
	History  bool   `json:"history,omitempty"` // closed listings only, below the base
	Listings int    `json:"listings"`          // open and closed
	Open     int    `json:"open"`
	Bytes    int64  `json:"bytes"`
	Sum      string `json:"sum"` // xxhash64 of the whole object, hex

	// How many records of lower segments it replaces, and how many of those are open.
	Replaces     int `json:"replaces,omitempty"`
	ReplacesOpen int `json:"replaces_open,omitempty"`
}

// TableRef names the table of a feed that lists nothing (internal/enrich/table).
type TableRef struct {
	Key   string `json:"key"` // of the object
	Rows  int    `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// Open sums the open listings of all segments.
func (h *Head) Open() int {
	n := 0
	for i := range h.Segments {
		n += h.Segments[i].Open - h.Segments[i].ReplacesOpen
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
	if h.Shards < 0 || h.Shards > 1<<maxShardBits || h.Shards&(h.Shards-1) != 0 {
		return fmt.Errorf("%d shards", h.Shards)
	}
	last, above := -1, 0
	for i := range h.Segments {
		r := &h.Segments[i]
		rank := r.rank()
		if r.Key != segDir+feed+"/"+r.Name || r.Delta && r.History || r.Shard < 0 || r.Shard >= max(h.Shards, 1) ||
			r.Shard < last || r.Shard == last && (rank < above || rank == above && !r.History) {
			return fmt.Errorf("segment %q (key %q) of shard %d", r.Name, r.Key, r.Shard)
		}
		last, above = r.Shard, rank
	}
	return nil
}

// rank is where a segment stands in its shard.
func (r *SegmentRef) rank() int {
	switch {
	case r.History:
		return 0
	case r.Delta:
		return 2
	}
	return 1
}

// maxFormer is how many former segments a head remembers: those of hours.
const maxFormer = 256

// replaced notes which segments of prev are current no more.
func (h *Head) replaced(prev *Head) {
	if prev == nil {
		return
	}
	h.Former = nil
	for _, r := range prev.Segments {
		if !slices.ContainsFunc(h.Segments, func(o SegmentRef) bool { return o.Name == r.Name }) {
			h.Former = append(h.Former, Former{r.Name, h.Version})
		}
	}
	h.Former = append(h.Former, prev.Former...)
	h.Former = h.Former[:min(len(h.Former), maxFormer)]
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
