package wakeup

import (
	"time"

	"golang.org/x/sys/unix"
)

// processors are those that this process may use.
func processors() (list []int) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return []int{0}
	}
	for i := 0; len(list) < min(set.Count(), maxProcessors); i++ {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}

// pin keeps this thread on a processor; where it may not be, it is wherever it is put.
func pin(processor int) {
	var set unix.CPUSet
	set.Set(processor)
	_ = unix.SchedSetaffinity(0, &set)
}

// sleep asks the system, not Go's scheduler, whose delays are the program's own.
func sleep(d time.Duration) {
	if d > 0 {
		left := unix.NsecToTimespec(d.Nanoseconds())
		_ = unix.Nanosleep(&left, nil)
	}
}
