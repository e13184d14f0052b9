package corpus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// groupGrace is how long a group that is of no use any more stays for processes
// that have not noticed yet.
const groupGrace = 15 * time.Minute

// groupMemory is what a process remembers of group objects, which never change.
type groupMemory struct {
	mu    sync.Mutex
	known map[string]*knownGroup // by key
	bad   map[string]bool        // keys of segments whose index cannot be read
}

// knownGroup is a group object as far as it is known.
type knownGroup struct {
	info  blob.Info
	group *group // without file and index: only who its members are; nil where err
	err   error  // why it cannot be used
}

// spoiled says that an error came from the object's content.
func (k *knownGroup) spoiled() bool { return errors.Is(k.err, ErrCorrupt) }

// openGroups lists the groups and maps those that are useful for segs, the most
// useful first; no segment is in two of them. Those that old has open are taken
// over. Groups that cannot be read are left out.
func (c *Corpus) openGroups(ctx context.Context, segs []*segment, old []*group) ([]*group, error) {
	all, opened, err := c.listGroups(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range old {
		opened[g.key] = g
	}
	var out []*group
	for _, choice := range chooseGroups(sound(all), c.groupable(segs)) {
		g := opened[choice.group.key]
		if g == nil {
			if g, err = c.openGroup(ctx, choice.group.key); err != nil {
				continue // deleted or damaged since: its segments are searched by themselves
			}
		}
		out = append(out, g)
	}
	return out, ctx.Err()
}

// groupable returns the records of each segment that can be in a group.
func (c *Corpus) groupable(segs []*segment) map[string]int {
	c.groupMem.mu.Lock()
	defer c.groupMem.mu.Unlock()
	out := map[string]int{}
	for _, s := range segs {
		if n := s.listings(); n > 0 && n < groupAlone && s.section(secFst).len > 0 && !c.groupMem.bad[s.key] {
			out[s.key] = n
		}
	}
	return out
}

// sound returns the groups that can be used.
func sound(all []*knownGroup) (out []*group) {
	for _, k := range all {
		if k.err == nil {
			out = append(out, k.group)
		}
	}
	return out
}

// listGroups returns all group objects, and those that had to be opened for that.
func (c *Corpus) listGroups(ctx context.Context) (all []*knownGroup, opened map[string]*group, err error) {
	infos, err := c.store.List(ctx, groupStore)
	if err != nil {
		return nil, nil, fmt.Errorf("list groups: %w", err)
	}
	m := &c.groupMem
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.known
	m.known, opened = map[string]*knownGroup{}, map[string]*group{}
	for _, info := range infos {
		k := old[info.Key]
		if k == nil {
			k = &knownGroup{}
			if g, err := c.openGroup(ctx, info.Key); err == nil {
				k.group, opened[info.Key] = &group{key: g.key, members: g.members}, g
			} else {
				k.err = err
			}
		}
		k.info = info
		if k.err == nil || k.spoiled() || errors.Is(k.err, ErrNewer) {
			m.known[info.Key] = k // else it may be readable the next time
		}
		all = append(all, k)
	}
	return all, opened, ctx.Err()
}

// spoil remembers that a group cannot be used: it is left out from now on, and
// Regroup deletes it.
func (m *groupMemory) spoil(key string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.known[key]; k != nil && k.err == nil {
		m.known[key] = &knownGroup{info: k.info, err: err}
	}
}

// Regroup writes and deletes group objects so that searches ask few indexes: at
// most about 16 over all current segments. It changes nothing that is not
// derived, is idempotent, and cheap where nothing is to be done.
func (c *Corpus) Regroup(ctx context.Context) (changed bool, err error) {
	v := c.View()
	all, _, err := c.listGroups(ctx)
	if err != nil {
		return false, err
	}
	docs := c.groupable(v.segs)
	var segs []candidate
	for _, s := range v.segs {
		if n, ok := docs[s.key]; ok {
			segs = append(segs, candidate{s.key, n})
		}
	}
	var errs []error
	for _, members := range planGroups(segs, chooseGroups(sound(all), docs)) {
		wrote, err := c.writeGroup(ctx, v, members)
		errs = append(errs, err)
		changed = changed || wrote
	}
	if changed {
		if all, _, err = c.listGroups(ctx); err != nil {
			return changed, errors.Join(append(errs, err)...)
		}
	}
	deleted, err := c.sweepGroups(ctx, all, docs)
	return changed || deleted, errors.Join(append(errs, err)...)
}

// writeGroup writes a group of these segments.
func (c *Corpus) writeGroup(ctx context.Context, v *View, segs []candidate) (wrote bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	members := membersIn(v, segs)
	post, fst, list, err := mergeTexts(members)
	if errors.Is(err, ErrCorrupt) {
		members = c.soundTexts(members)
		post, fst, list, err = mergeTexts(members)
	}
	if err != nil || len(members) < 2 {
		return false, err
	}
	name := make([]byte, 8)
	_, _ = rand.Read(name) // never fails
	key := groupStore + hex.EncodeToString(name) + groupExt
	if _, err := blob.Write(ctx, c.store, key, appendGroup(post, fst, list), blob.Cond{IfAbsent: true}); err != nil {
		return false, fmt.Errorf("group %s: %w", key, err)
	}
	return true, nil
}

// membersIn returns the segments of the view in their order there: the listings
// of a feed are side by side.
func membersIn(v *View, segs []candidate) (out []*segment) {
	for _, s := range v.segs {
		if slices.ContainsFunc(segs, func(c candidate) bool { return c.key == s.key }) {
			out = append(out, s)
		}
	}
	return out
}

// mergeTexts merges the segments' text indexes.
func mergeTexts(segs []*segment) (post, fst []byte, members []groupMember, err error) {
	err = guard(segs, func() error {
		var parts []terms.Part
		base := uint32(0)
		for _, s := range segs {
			x, err := s.terms()
			if err != nil {
				return err
			}
			parts = append(parts, terms.Part{Index: x, Base: base})
			members = append(members, groupMember{s.key, base, x.Docs()})
			base += uint32(x.Docs())
		}
		var err error
		if post, fst, err = terms.Merge(parts); errors.Is(err, terms.ErrCorrupt) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return err
	})
	return post, fst, members, err
}

// soundTexts returns the segments whose text index can be read, and remembers the others.
func (c *Corpus) soundTexts(segs []*segment) (out []*segment) {
	for _, s := range segs {
		err := guard([]*segment{s}, func() error {
			x, err := s.terms()
			if err == nil {
				err = x.Range(nil, nil, func([]byte, terms.Postings) bool { return true })
			}
			return err
		})
		if err == nil {
			out = append(out, s)
			continue
		}
		c.groupMem.mu.Lock()
		if c.groupMem.bad == nil {
			c.groupMem.bad = map[string]bool{}
		}
		c.groupMem.bad[s.key] = true
		c.groupMem.mu.Unlock()
	}
	return out
}

// sweepGroups deletes damaged groups, and those that have been of no use for
// longer than the grace. A group that others replaced became useless when the
// last of the segments it has that are current was put into one; a group of which
// none is current counts from when the next one was written, or from its own time.
func (c *Corpus) sweepGroups(ctx context.Context, all []*knownGroup, docs map[string]int) (deleted bool, err error) {
	var infos []blob.Info
	for _, k := range all {
		infos = append(infos, k.info)
	}
	used := map[*group]bool{}
	for _, use := range chooseGroups(sound(all), docs) {
		used[use.group] = true
	}
	times := groupedAt(all)
	before := c.opt.Now().Add(-groupGrace)
	var errs []error
	for _, k := range all {
		switch {
		case k.spoiled():
		case k.err != nil || used[k.group] || !uselessSince(k, infos, docs, times).Before(before):
			continue // where err: of a newer format, or not readable just now
		}
		err := c.store.Delete(ctx, k.info.Key)
		errs, deleted = append(errs, err), deleted || err == nil
	}
	return deleted, errors.Join(errs...)
}

// groupedAt returns when each segment was put into a group, in order.
func groupedAt(all []*knownGroup) map[string][]time.Time {
	out := map[string][]time.Time{}
	for _, k := range all {
		if k.err != nil {
			continue
		}
		for _, m := range k.group.members {
			out[m.key] = append(out[m.key], k.info.Modified)
		}
	}
	for _, times := range out {
		slices.SortFunc(times, time.Time.Compare)
	}
	return out
}

// uselessSince is when a group was replaced. Of the groups that its segments were
// put into later the first counts: the last would begin the grace anew with
// every group that is written.
func uselessSince(k *knownGroup, infos []blob.Info, docs map[string]int, grouped map[string][]time.Time) (t time.Time) {
	for _, m := range k.group.members {
		if _, current := docs[m.key]; !current {
			continue
		}
		times := grouped[m.key]
		at := k.info.Modified
		if i := slices.IndexFunc(times, at.Before); i >= 0 {
			at = times[i]
		}
		if at.After(t) {
			t = at
		}
	}
	if t.IsZero() {
		return replacedAt(k.info, 0, infos)
	}
	return t
}
