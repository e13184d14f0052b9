package corpus

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of the pages asked for; where the system's are larger,
// it takes the advice for those that fit.
const hugePage = 2 << 20

// adviseHuge asks for large pages for a table that is about to be filled: a
// look-up reads one slot anywhere in it, and finding a small page of so many
// costs nearly as much as the slot. The table stays ordinary memory, collected and
// counted like all other: a mapping of its own is no faster, and old ones would
// pile up where little else is allocated that has the collector run.
func adviseHuge(slots []uint64) {
	if len(slots) == 0 {
		return
	}
	size := uintptr(len(slots)) * unsafe.Sizeof(slots[0])
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(slots)))
	from := (begin+hugePage-1)&^(hugePage-1) - begin
	to := (begin+size)&^(hugePage-1) - begin
	if begin+from < begin+to && to <= size {
		b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(slots))), size)
		_ = unix.Madvise(b[from:to], unix.MADV_HUGEPAGE)
	}
}
