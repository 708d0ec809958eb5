package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// windowBits are of an address within the part of the address space that Go's heap grows
// in, arena after arena (runtime/malloc.go).
const windowBits = 36

// hugeHeap asks the system to keep this process's heap in pages of 2 MiB, of which a
// processor can have the addresses of millions of sessions at hand: with pages of 4 KiB
// it looks most of them up in memory. It is of what the heap has now, and is a wish: what
// it changes is speed.
func hugeHeap() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	heap := uint64(uintptr(unsafe.Pointer(new([64]byte)))) >> windowBits
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); n == 2 && from>>windowBits == heap && strings.Contains(lines.Text(), " rw-p ") {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_HUGEPAGE)
		}
	}
}
