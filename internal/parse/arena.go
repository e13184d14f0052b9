package parse

import "strings"

// arenaBlock is the size in bytes of the blocks that short strings share.
const arenaBlock = 64 << 10

// arena copies strings that stay into shared blocks: one allocation for
// thousands of values, and none of them holds the text that it was cut from.
type arena struct{ block strings.Builder }

// keep returns a copy of s that the arena holds.
func (a *arena) keep(s string) string {
	if len(s) > arenaBlock/8 {
		return strings.Clone(s)
	}
	// A Builder never moves what it has while there is room, so the strings that
	// it gave out stay good.
	if a.block.Cap()-a.block.Len() < len(s) {
		a.block = strings.Builder{}
		a.block.Grow(arenaBlock)
	}
	from := a.block.Len()
	a.block.WriteString(s)
	return a.block.String()[from:]
}
