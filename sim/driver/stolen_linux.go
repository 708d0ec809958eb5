package driver

import (
	"bytes"
	"os"
	"strconv"
)

// processorTimes are the machine's, all processors together, from its start on, in ticks.
type processorTimes struct{ all, stolen uint64 }

// The fields of the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait,
// irq, softirq and steal. Those behind are parts of the first two.
const (
	stealField  = 7
	stolenAfter = stealField + 1
)

func readProcessorTimes() (t processorTimes) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= stolenAfter {
		return t
	}
	for i, field := range fields[1 : stolenAfter+1] {
		ticks, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return processorTimes{}
		}
		t.all += ticks
		if i == stealField {
			t.stolen = ticks
		}
	}
	return t
}
