package corpus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// fakeGroup is a group of these segments as plans see it.
func fakeGroup(key string, segs []candidate) *group {
	g := &group{key: key}
	base := 0
	for _, s := range segs {
		g.members = append(g.members, groupMember{s.key, uint32(base), s.docs})
		base += s.docs
	}
	return g
}

func candidates(sizes ...int) (out []candidate) {
	for i, n := range sizes {
		out = append(out, candidate{fmt.Sprint("s", i), n})
	}
	return out
}

func docsOf(segs []candidate) map[string]int {
	out := map[string]int{}
	for _, s := range segs {
		out[s.key] = s.docs
	}
	return out
}

func keysIn(segs []candidate) (out []string) {
	for _, s := range segs {
		out = append(out, s.key)
	}
	slices.Sort(out)
	return out
}

func TestPlanGroups(t *testing.T) {
	ten := candidates(10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
	for _, tt := range []struct {
		name  string
		segs  []candidate
		have  []*group
		want  [][]string
		inUse int
	}{
		{"nothing", nil, nil, nil, 0},
		{"few", ten[:8], nil, nil, 0},
		{"one too many", ten[:9], nil, [][]string{keysIn(ten[:9])}, 0},
		{"in a group", ten, []*group{fakeGroup("a", ten)}, nil, 1},
		{"in a group with few others", candidates(10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 1, 2), []*group{fakeGroup("a", ten)}, nil, 1},
		{"30 % gone", ten[:9], []*group{fakeGroup("a", append(candidates(10, 20, 30, 40, 50, 60, 70, 80, 90), candidate{"gone", 192}))}, nil, 1},
		{"more gone", ten[:9], []*group{fakeGroup("a", append(candidates(10, 20, 30, 40, 50, 60, 70, 80, 90), candidate{"gone", 194}))}, [][]string{keysIn(ten[:9])}, 1},
		{"all but one gone", ten[:1], []*group{fakeGroup("a", ten)}, nil, 0},
		{"the same twice", ten, []*group{fakeGroup("a", ten), fakeGroup("b", ten)}, nil, 1},
		{"another segment of that name", []candidate{{"s0", 11}, {"s1", 20}}, []*group{fakeGroup("a", ten[:2])}, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			used := chooseGroups(tt.have, docsOf(tt.segs))
			if len(used) != tt.inUse {
				t.Errorf("%d groups in use, want %d", len(used), tt.inUse)
			}
			var have [][]string
			for _, g := range planGroups(tt.segs, used) {
				have = append(have, keysIn(g))
			}
			if fmt.Sprint(have) != fmt.Sprint(tt.want) {
				t.Errorf("%v, want %v", have, tt.want)
			}
		})
	}
}

func TestPackFitsAll(t *testing.T) {
	var segs []candidate
	for i := range 300 {
		segs = append(segs, candidate{fmt.Sprint(i), 1 + i*7919%(groupAlone-1)})
	}
	sum, seen := 0, 0
	for _, g := range pack(slices.Clone(segs)) {
		docs := 0
		for _, s := range g {
			docs += s.docs
			seen++
		}
		if docs > groupMost {
			t.Errorf("a group of %d records", docs)
		}
		sum += docs
	}
	if seen < len(segs)-1 {
		t.Errorf("%d of %d segments are in groups", seen, len(segs))
	}
}

// TestGroupsStayFew replaces segments of 180 feeds for a long time: units stay
// few, and what is written for it in proportion to what changes.
func TestGroupsStayFew(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	var segs []candidate
	version := 0
	next := func(docs int) candidate { version++; return candidate{fmt.Sprint("v", version), docs} }
	for i := range 180 { // a base and a delta each; 2.4 M records
		segs = append(segs, next(min(400_000/(i+1), groupAlone-1)), next(1+r.IntN(2000)))
	}
	var groups []*group
	written, changed, most := 0, 0, 0
	for round := range 600 {
		for range r.IntN(30) {
			i := r.IntN(len(segs))
			segs[i] = next(segs[i].docs)
			changed += segs[i].docs
		}
		used := chooseGroups(groups, docsOf(segs))
		for _, members := range planGroups(segs, used) {
			g := fakeGroup(fmt.Sprint("g", round, len(groups)), members)
			groups = append(groups, g)
			written += g.docs()
		}
		used = chooseGroups(groups, docsOf(segs))
		groups = groups[:0]
		grouped := 0
		for _, c := range used {
			groups, grouped = append(groups, c.group), grouped+len(c.segs)
			if c.group.docs() > groupMost {
				t.Fatalf("a group of %d records", c.group.docs())
			}
		}
		most = max(most, len(groups)+len(segs)-grouped)
		if again := planGroups(segs, used); again != nil {
			t.Fatalf("round %d: to be grouped again: %v", round, again)
		}
	}
	t.Logf("at most %d units; %.1f records written to groups for each that changed", most, float64(written)/float64(changed))
	if most > 16 || written > 5*changed {
		t.Errorf("%d units, %d records written for %d that changed", most, written, changed)
	}
}
