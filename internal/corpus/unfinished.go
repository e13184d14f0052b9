package corpus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Unfinished is a run that ran out of time, as it is kept for whoever goes on with
// it: unfinished/FEED.json, one for each feed at most. Readers know nothing of it;
// Sweep spares the segments it names for UnfinishedLife.
type Unfinished struct {
	Format  int             `json:"format"` // UnfinishedFormat; 0 is written as that
	Feed    string          `json:"feed"`
	Head    string          `json:"head,omitempty"` // ETag of the head that it is compared with; "" = none
	Written time.Time       `json:"written"`        // by the clock of who wrote it
	Merge   MergeState      `json:"merge"`
	Note    json.RawMessage `json:"note,omitempty"` // what the caller needs to go on
}

// UnfinishedFormat is the version of unfinished/FEED.json that this program writes.
const UnfinishedFormat = 1

// UnfinishedLife is for how long after it was written an Unfinished keeps its
// segments from being swept. Nobody may go on with one that is nearly as old.
const UnfinishedLife = 24 * time.Hour

const unfinishedDir = "unfinished/"

// MergeState is what a Merge that was broken off got done. It holds for the same
// entries, head and time only; Merge begins anew where it finds that it does not.
type MergeState struct {
	Version int64       `json:"version,omitempty"` // of the next head
	Now     time.Time   `json:"now,omitzero"`      // Merged.Now
	Shards  int         `json:"shards,omitempty"`  // into how many the feed is cut
	Cut     *Head       `json:"cut,omitempty"`     // the feed cut anew, where that was the first step
	Done    []ShardDone `json:"done,omitempty"`

	Added int `json:"-"` // how many steps were added since this was read: shards, and a cut
}

// ShardDone is a shard that was merged, and what came of it.
type ShardDone struct {
	Shard    int          `json:"shard"`
	Segments []SegmentRef `json:"segments,omitempty"` // for the next head
	Change   intel.Change `json:"change"`
	Wrote    bool         `json:"wrote,omitempty"`
	Lost     int          `json:"lost,omitempty"`
	Damage   string       `json:"damage,omitempty"`
}

// refs are all segments that the state names.
func (st *MergeState) refs() (out []SegmentRef) {
	if st.Cut != nil {
		out = append(out, st.Cut.Segments...)
	}
	for i := range st.Done {
		out = append(out, st.Done[i].Segments...)
	}
	return out
}

// resume looks whether a state is of this merge and its segments are still there,
// and empties it where not.
func (m *merger) resume(st *MergeState) error {
	now := toTime(m.now)
	if st.Version == m.version && st.Now.Equal(now) {
		there, err := m.c.present(m.ctx, m.feed, st.refs())
		if err != nil || there {
			m.earlier = st.refs()
			return err
		}
	}
	*st = MergeState{Version: m.version, Now: now, Added: st.Added}
	return nil
}

// present says whether a feed's segments exist, each of its size.
func (c *Corpus) present(ctx context.Context, feed string, refs []SegmentRef) (bool, error) {
	if len(refs) == 0 {
		return true, nil
	}
	list, err := c.store.List(ctx, segDir+feed+"/")
	if err != nil {
		return false, fmt.Errorf("list segments: %w", err)
	}
	have := make(map[string]int64, len(list))
	for _, o := range list {
		have[o.Key] = o.Size
	}
	for i := range refs {
		if size, ok := have[refs[i].Key]; !ok || size != refs[i].Bytes {
			return false, nil
		}
	}
	return true, nil
}

// known takes over the shards that are done.
func (m *merger) known(st *MergeState) {
	if st.Shards != len(m.shards) {
		st.Shards, st.Done = len(m.shards), nil
	}
	for _, d := range st.Done {
		if d.Shard < 0 || d.Shard >= len(m.shards) {
			continue
		}
		s := &shardMerge{out: d.Segments, change: d.Change, lost: d.Lost, wrote: d.Wrote, done: true}
		if d.Damage != "" {
			s.damage = errors.New(d.Damage)
		}
		m.shards[d.Shard] = s
	}
}

// keep notes the shards that are done.
func (m *merger) keep(st *MergeState) {
	before := len(st.Done)
	st.Done = nil
	for i, s := range m.shards {
		if s == nil || !s.done {
			continue
		}
		d := ShardDone{Shard: i, Segments: s.out, Change: s.change, Wrote: s.wrote, Lost: s.lost}
		if s.damage != nil {
			d.Damage = s.damage.Error()
		}
		st.Done = append(st.Done, d)
	}
	st.Added += len(st.Done) - before
}

// Unfinished reads what is kept of a feed's run that ran out of time, and the ETag
// to write against; nil and "" where there is none. With ErrCorrupt, or ErrNewer,
// the ETag is that of what cannot be read.
func (c *Corpus) Unfinished(ctx context.Context, feed string) (*Unfinished, string, error) {
	u, info, err := c.unfinished(ctx, feed)
	return u, info.ETag, err
}

func (c *Corpus) unfinished(ctx context.Context, feed string) (*Unfinished, blob.Info, error) {
	key := unfinishedDir + feed + headExt
	data, info, err := blob.Read(ctx, c.store, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, blob.Info{}, nil
	} else if err != nil {
		return nil, info, err
	}
	u := &Unfinished{}
	if err := unseal(data, "it", UnfinishedFormat, u); err != nil {
		return nil, info, fmt.Errorf("%s: %w", key, err)
	}
	for _, r := range u.Merge.refs() {
		if u.Feed != feed || r.Key != segDir+feed+"/"+r.Name {
			return nil, info, fmt.Errorf("%s: %w: it is of feed %q and names segment %q", key, ErrCorrupt, u.Feed, r.Key)
		}
	}
	return u, info, nil
}

// SaveUnfinished keeps u in the place of what etag names ("" = nothing).
// blob.ErrConflict says that another process was first.
func (c *Corpus) SaveUnfinished(ctx context.Context, u *Unfinished, etag string) (newETag string, err error) {
	out := *u
	out.Format = UnfinishedFormat
	key := unfinishedDir + u.Feed + headExt
	data, err := seal(&out)
	if err == nil && len(data) > maxHeader {
		err = fmt.Errorf("%d bytes, at most %d", len(data), maxHeader)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	info, err := blob.Write(ctx, c.store, key, data, blob.Cond{IfMatch: etag, IfAbsent: etag == ""})
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return info.ETag, nil
}

// DropUnfinished forgets what is kept of a feed's run, if it still is what etag
// names. Its segments are swept unless a head names them.
func (c *Corpus) DropUnfinished(ctx context.Context, feed, etag string) error {
	_, info, err := c.unfinished(ctx, feed)
	if info.ETag == "" || info.ETag != etag {
		return err
	}
	return c.store.Delete(ctx, unfinishedDir+feed+headExt)
}

// spared are the names of the segments that a feed's unfinished run wants kept;
// all says that it cannot be told which. One that nobody goes on with any more is
// forgotten.
func (c *Corpus) spared(ctx context.Context, feed string, now time.Time) (names map[string]bool, all bool, err error) {
	u, info, err := c.unfinished(ctx, feed)
	if info.ETag == "" {
		return nil, false, err
	}
	if now.Sub(info.Modified) > UnfinishedLife {
		return nil, false, c.store.Delete(ctx, unfinishedDir+feed+headExt)
	}
	if err != nil {
		return nil, true, nil
	}
	names = map[string]bool{}
	for _, r := range u.Merge.refs() {
		names[path.Base(r.Key)] = true
	}
	return names, false, nil
}
