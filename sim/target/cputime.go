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
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return n.endedTime(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", n.ID, err)
	}
	// The name of the program, in parentheses, may hold spaces: fields count from
	// after it. utime and stime are the 14th and 15th of the line.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] {
		v, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time of %s: %w", n.ID, err)
		}
		ticks += v
	}
	return n.used + time.Duration(ticks)*time.Second/clockTicks, nil
}
