package corpus

import (
	"cmp"
	"slices"
)

// What is put into groups. Segments from groupAlone on are worth an index of
// their own; a group is rebuilt once groupDead percent of it are of segments that
// are no longer current, and new ones are made once more than groupLoose small
// segments are in none.
const (
	groupAlone = 250_000
	groupMost  = 1_000_000
	groupDead  = 30
	groupLoose = 8

	// When segments are put together anyway, so are groups up to groupSmall, and
	// those up to groupRatio times what is at hand: every record moves a few
	// times, and groups grow until there are few of them.
	groupSmall = 50_000
	groupRatio = 4
)

// candidate is a current segment that can be in a group.
type candidate struct {
	key  string
	docs int
}

// choice is a group that is of use, and the segments that it is used for.
type choice struct {
	group *group
	docs  int // of those segments
	segs  []candidate
}

// dead is how many of the group's documents nobody asks for.
func (c *choice) dead() int { return c.group.docs() - c.docs }

// chooseGroups finds the groups to search the segments by: again and again the one
// that has the most records of segments not yet found. Each has at least two.
func chooseGroups(groups []*group, docs map[string]int) (out []choice) {
	left := make(map[string]int, len(docs))
	for k, n := range docs {
		left[k] = n
	}
	for {
		var best choice
		for _, g := range groups {
			if c := usesOf(g, left); len(c.segs) >= 2 && (best.group == nil || compareChoices(&c, &best) < 0) {
				best = c
			}
		}
		if best.group == nil {
			return out
		}
		out = append(out, best)
		for _, s := range best.segs {
			delete(left, s.key)
		}
	}
}

// usesOf finds out what a group can be used for.
func usesOf(g *group, docs map[string]int) choice {
	c := choice{group: g}
	for _, m := range g.members {
		if n, ok := docs[m.key]; ok && n == m.docs {
			c.docs += n
			c.segs = append(c.segs, candidate{m.key, n})
		}
	}
	return c
}

// compareChoices puts what has the most records first, then what has the fewest
// in vain.
func compareChoices(a, b *choice) int {
	return cmp.Or(cmp.Compare(b.docs, a.docs), cmp.Compare(a.dead(), b.dead()), cmp.Compare(a.group.key, b.group.key))
}

// planGroups decides which segments are to be put into new groups, given the
// groups that are in use.
func planGroups(segs []candidate, used []choice) [][]candidate {
	grouped := map[string]bool{}
	var pool []candidate
	var kept []choice
	for _, c := range used {
		for _, s := range c.segs {
			grouped[s.key] = true
		}
		if 100*c.dead() > groupDead*c.group.docs() {
			pool = append(pool, c.segs...)
		} else {
			kept = append(kept, c)
		}
	}
	rebuild, loose := len(pool) > 0, 0
	for _, s := range segs {
		if !grouped[s.key] {
			pool = append(pool, s)
			loose++
		}
	}
	if !rebuild && loose <= groupLoose {
		return nil
	}
	return pack(absorb(pool, kept))
}

// absorb adds the segments of small groups to what is put together anyway.
func absorb(pool []candidate, groups []choice) []candidate {
	sum := 0
	for _, s := range pool {
		sum += s.docs
	}
	slices.SortFunc(groups, func(a, b choice) int { return cmp.Compare(a.docs, b.docs) })
	for _, c := range groups {
		if sum+c.docs > groupMost || c.docs > max(groupSmall, groupRatio*sum) {
			break
		}
		pool = append(pool, c.segs...)
		sum += c.docs
	}
	return pool
}

// pack distributes segments over groups of at most groupMost records: each, the
// largest first, to the first group that it fits into.
func pack(segs []candidate) (out [][]candidate) {
	slices.SortFunc(segs, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.docs, a.docs), cmp.Compare(a.key, b.key))
	})
	var sizes []int
	for _, s := range segs {
		i := slices.IndexFunc(sizes, func(n int) bool { return n+s.docs <= groupMost })
		if i < 0 {
			i = len(sizes)
			sizes, out = append(sizes, 0), append(out, nil)
		}
		sizes[i] += s.docs
		out[i] = append(out[i], s)
	}
	return slices.DeleteFunc(out, func(g []candidate) bool { return len(g) < 2 })
}
