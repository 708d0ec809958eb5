package target

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// PeakBytes is the most memory that one of the nodes running now ever had resident.
func (c *Cluster) PeakBytes() (most int64, err error) {
	for _, n := range c.nodes {
		n.mu.Lock()
		process := n.process
		n.mu.Unlock()
		if process == nil {
			continue
		}
		peak, err := PeakBytesOf(process.Pid)
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", n.ID, err)
		}
		most = max(most, peak)
	}
	return most, nil
}

// PeakBytesOf is the most memory that a process ever had resident.
func PeakBytesOf(pid int) (int64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, err
	}
	return int64(status.VmHWM), nil
}
