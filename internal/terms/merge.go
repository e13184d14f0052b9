package terms

import "errors"

// Part is an index to merge, and the number that its document 0 gets.
type Part struct {
	Index *Index
	Base  uint32
}

// Merge writes the index of all parts together. Their documents must not overlap
// and come in ascending order.
func Merge(parts []Part) (post, fst []byte, err error) {
	return nil, nil, errors.New("being written")
}
