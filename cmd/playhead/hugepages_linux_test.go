package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// What the kernel keeps of a mapping has the wish (hg, proc(5)).
func TestHugeHeap(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this kernel has no huge pages to give")
	}
	state := make([]byte, 64<<20)
	hugeHeap()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at, inside := uint64(uintptr(unsafe.Pointer(&state[len(state)/2]))), false
	for line := range strings.Lines(string(smaps)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, found := strings.CutPrefix(line, "VmFlags:"); found && inside {
			if !strings.Contains(flags, " hg ") {
				t.Errorf("the heap has the flags %s, want hg among them", flags)
			}
			runtime.KeepAlive(state)
			return
		}
	}
	t.Fatal("the heap is in no mapping")
}
