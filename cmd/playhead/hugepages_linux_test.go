package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// What the heap grows into after the wish has it: in the kernel's words for the mapping
// (hg, proc(5)).
func TestGrowInHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this kernel has no huge pages to give")
	}
	if memoryToReserve() == 0 {
		t.Skip("addresses are counted here")
	}
	growInHugePages()
	state := make([]byte, 128<<20) // of which the heap has no room from before
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(uintptr(unsafe.Pointer(&state[len(state)/2])))
	if flags := flagsOfMapping(string(smaps), at); !strings.Contains(flags, " hg") {
		t.Errorf("the mapping of a large state has the flags %q, want hg among them", flags)
	}
}

func flagsOfMapping(smaps string, at uint64) string {
	inside := false
	for line := range strings.Lines(smaps) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, found := strings.CutPrefix(line, "VmFlags:"); found && inside {
			return flags
		}
	}
	return ""
}
