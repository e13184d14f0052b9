package corpus

import (
	"context"
	"slices"
	"sync"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// shelving makes a view's shelf when it is first searched, and anew when there
// are other groups. Look-ups have no use for it.
type shelving struct {
	mu     sync.Mutex
	shelf  *shelf
	listed []string // keys of the group objects that it was made from
}

// shelf returns the view's segments, arranged for searches.
func (v *View) shelf() *shelf {
	v.shelving.mu.Lock()
	defer v.shelving.mu.Unlock()
	if v.shelving.shelf == nil {
		groups, listed := v.c.groups(context.Background(), v)
		v.shelving.shelf, v.shelving.listed = newShelf(v, groups), listed
	}
	return v.shelving.shelf
}

// groups opens what groups there are for a view. Without them searches take longer
// and find the same, so that trouble with them is none.
func (c *Corpus) groups(ctx context.Context, v *View) (groups []*group, listed []string) {
	infos, err := c.store.List(ctx, groupStore)
	if err != nil || len(infos) == 0 {
		return nil, nil
	}
	c.grouped.mu.Lock()
	defer c.grouped.mu.Unlock()
	groups, err = c.openGroups(ctx, v.segs, c.grouped.open)
	if err != nil {
		groups = nil
	}
	c.grouped.open = groups
	return groups, objectKeys(infos)
}

// grouping is what was opened last, for the next view.
type grouping struct {
	mu   sync.Mutex
	open []*group
}

func objectKeys(infos []blob.Info) []string {
	out := make([]string, len(infos))
	for i := range infos {
		out[i] = infos[i].Key
	}
	return out
}

// searched says whether the view has a shelf.
func (v *View) searched() bool {
	v.shelving.mu.Lock()
	defer v.shelving.mu.Unlock()
	return v.shelving.shelf != nil
}

// prepare makes the shelf and opens its indexes before anybody waits for them.
func (v *View) prepare(ctx context.Context) {
	groups, listed := v.c.groups(ctx, v)
	sh := newShelf(v, groups)
	// An index that cannot be opened is the search's to tell.
	_ = guard(sh.files, func() error {
		for _, u := range sh.units {
			_, _ = u.index()
		}
		return nil
	})
	v.shelving.mu.Lock()
	defer v.shelving.mu.Unlock()
	v.shelving.shelf, v.shelving.listed = sh, listed
}

// regrouped has the shelf made anew where another process, or this one, has
// regrouped since. Searches go on with the old one until then.
func (v *View) regrouped(ctx context.Context) {
	v.shelving.mu.Lock()
	made := v.shelving.shelf != nil
	listed := v.shelving.listed
	v.shelving.mu.Unlock()
	if !made {
		return
	}
	infos, err := v.c.store.List(ctx, groupStore)
	if err != nil || slices.Equal(objectKeys(infos), listed) {
		return
	}
	v.prepare(ctx)
}
