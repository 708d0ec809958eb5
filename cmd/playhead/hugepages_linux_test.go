//go:build amd64 || arm64

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

const aloneVariable = "PLAYHEAD_TEST_ALONE"

// What the heap grows into after the wish has it: in the kernel's words for the mapping
// (hg, proc(5)).
func TestGrowInHugePages(t *testing.T) {
	if memoryToReserve() == 0 {
		t.Skip("no huge pages, or addresses are counted here")
	}
	if os.Getenv(aloneVariable) == "" { // the heap of a process in which other tests have run has room
		alone := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGrowInHugePages$", "-test.v")
		alone.Env = append(os.Environ(), aloneVariable+"=1")
		told, err := alone.CombinedOutput()
		if err != nil || !strings.Contains(string(told), "--- PASS") {
			t.Errorf("in a process of its own: %v\n%s", err, told)
		}
		return
	}
	growInHugePages()
	state := make([]byte, 128<<20)
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
