package corpus

import "testing"

// Tables of any size and place are as they were but for their pages.
func TestAdviseHuge(t *testing.T) {
	const page = 1 << 18 // slots
	all := make([]uint64, 3*page)
	for _, n := range []int{0, 1, 511, page - 1, page, page + 1, 2 * page, 3*page - 5} {
		for _, from := range []int{0, 1, 5} {
			part := all[from : from+n]
			for i := range part {
				part[i] = uint64(i) + 1
			}
			adviseHuge(part)
			for i, x := range part {
				if x != uint64(i)+1 {
					t.Fatalf("%d slots from %d: slot %d is %d", n, from, i, x)
				}
			}
		}
	}
}
