//go:build !linux

package corpus

// adviseHuge: other systems choose the size of pages themselves.
func adviseHuge([]uint64) {}
