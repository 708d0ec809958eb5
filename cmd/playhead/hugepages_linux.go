package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hugePage  = 2 << 20
	hugeShare = 2 // of the machine's memory, in parts
)

// growInHugePages has the heap of this process grow, up to a half of the machine's memory,
// into pages of 2 MiB: among millions of sessions in pages of 4 KiB a processor looks up
// in memory where most of them are. It is a wish: what it changes is speed. The runtime has
// no door for it, so the room is taken as one piece that is not touched, and given back:
// the addresses stay the heap's, and keep what was asked for them.
func growInHugePages() {
	size := memoryToReserve()
	if size <= hugePage {
		return
	}
	room := make([]byte, size)
	skip := -uintptr(unsafe.Pointer(&room[0])) % hugePage
	_ = unix.Madvise(room[skip:], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(room)
	debug.FreeOSMemory()
}

// memoryToReserve is how many bytes of addresses are free of charge as long as they are
// not touched: 0 where they are counted, and too many would end the process.
func memoryToReserve() uint64 {
	var machine unix.Sysinfo_t
	var limit unix.Rlimit
	counted, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	if err != nil || strings.TrimSpace(string(counted)) == "2" ||
		unix.Getrlimit(unix.RLIMIT_AS, &limit) != nil || limit.Cur != unix.RLIM_INFINITY || unix.Sysinfo(&machine) != nil {
		return 0
	}
	return uint64(machine.Totalram) * uint64(machine.Unit) / hugeShare
}
