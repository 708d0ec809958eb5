//go:build amd64 || arm64

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hugePage  = 2 << 20
	hugeShare = 2 // of the memory that this process may have, in parts
)

// growInHugePages has the heap of this process grow, up to a half of its memory, into pages
// of 2 MiB: among millions of sessions in pages of 4 KiB a processor looks up in memory
// where most of them are. It is a wish: what it changes is speed. The runtime has no door
// for it, so the room is taken as one piece that is not touched, and given back: the
// addresses stay the heap's, and keep what was asked for them. GODEBUG=disablethp=1 leaves
// it out.
func growInHugePages() {
	size := memoryToReserve()
	if size <= hugePage {
		return
	}
	var room strings.Builder
	room.Grow(int(size)) // it clears nothing, as make may
	_ = room.WriteByte(0)
	begin := unsafe.StringData(room.String())
	skip := -uintptr(unsafe.Pointer(begin)) % hugePage
	_ = unix.Madvise(unsafe.Slice(begin, room.Cap())[skip:], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(&room)
	debug.FreeOSMemory()
}

// memoryToReserve is how many bytes of addresses are free of charge as long as they are
// not touched: 0 where they are counted, since too many would end the process.
func memoryToReserve() uint64 {
	var machine unix.Sysinfo_t
	counted := textOf("/proc/sys/vm/overcommit_memory")
	if counted != "0" && counted != "1" ||
		textOf("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") != strconv.Itoa(hugePage) ||
		strings.Contains(os.Getenv("GODEBUG"), "disablethp=1") || unix.Sysinfo(&machine) != nil {
		return 0
	}
	for _, resource := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var limit unix.Rlimit
		if unix.Getrlimit(resource, &limit) != nil || limit.Cur != unix.RLIM_INFINITY {
			return 0
		}
	}
	memory := min(machine.Totalram*uint64(machine.Unit), uint64(debug.SetMemoryLimit(-1)))
	if container, err := strconv.ParseUint(textOf("/sys/fs/cgroup/memory.max"), 10, 64); err == nil {
		memory = min(memory, container)
	}
	return memory / hugeShare
}

// textOf is what the kernel tells in a file; empty if it does not.
func textOf(path string) string {
	told, _ := os.ReadFile(path)
	return strings.TrimSpace(string(told))
}
