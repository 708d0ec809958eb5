package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTicks is USER_HZ, in which Linux tells processor time to user space on
// every architecture that Go supports (proc(5)).
const clockTicks = 100

// endedTime is the processor time of a node whose process is no more, but has not
// been counted yet. The caller holds the lock.
func (n *Node) endedTime() time.Duration {
	ended := n.ended
	n.mu.Unlock()
	<-ended
	n.mu.Lock()
	return n.used
}

// cpuTime is the processor time of the node's processes, the running one included.
func (n *Node) cpuTime() (time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return n.used, nil
	}
	used, err := ProcessTime(n.process.Pid)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return n.endedTime(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", n.ID, err)
	}
	return n.used + used, nil
}

// ProcessTime is the processor time that a running process has used so far, its own
// and the system's for it, from /proc.
func ProcessTime(pid int) (used time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold spaces: fields count from
	// after it. utime and stime are the 14th and 15th of the line.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: expected 15 fields or more, got %q", pid, stat)
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		used += time.Duration(ticks) * time.Second / clockTicks
	}
	return used, nil
}
