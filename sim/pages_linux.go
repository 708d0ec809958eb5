package sim

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// inHugePages asks the system to keep a slice in pages of 2 MiB, of which a processor
// can have the addresses of millions of devices at hand: with pages of 4 KiB it looks
// most of them up in memory. T has no pointers. It is a wish: what it changes is speed.
func inHugePages[T any](s []T) []T {
	const page = 4096
	if len(s) == 0 {
		return s
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0]))
	skip := int(-uintptr(unsafe.Pointer(&s[0])) % page)
	if inside := (len(bytes) - skip) / page * page; inside > 0 {
		_ = unix.Madvise(bytes[skip:skip+inside], unix.MADV_HUGEPAGE)
	}
	return s
}
