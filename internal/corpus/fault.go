package corpus

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// catchFault turns a fault while reading a mapped file (somebody truncated it,
// or the disk fails) into an error that names the file. It keeps the segments
// mapped until the function that defers it is done:
//
//	defer catchFault(&err, segments, debug.SetPanicOnFault(true))
func catchFault(err *error, segs []*segment, before bool) {
	debug.SetPanicOnFault(before)
	r := recover()
	if r == nil {
		runtime.KeepAlive(segs)
		return
	}
	if f, ok := r.(interface{ Addr() uintptr }); ok {
		for _, s := range segs {
			start := uintptr(unsafe.Pointer(unsafe.SliceData(s.data)))
			if at := f.Addr(); at >= start && at-start < uintptr(len(s.data)) {
				*err = fmt.Errorf("segment %s: %w: byte %d cannot be read (truncated file or failing disk)", s.key, ErrCorrupt, at-start)
				return
			}
		}
	}
	panic(r)
}

// guard runs f, which reads the segments, under catchFault.
func guard(segs []*segment, f func() error) (err error) {
	defer catchFault(&err, segs, debug.SetPanicOnFault(true))
	return f()
}
