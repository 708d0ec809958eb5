//go:build !linux

package wakeup

import "time"

// processors stands for all: a thread cannot be kept on one.
func processors() []int { return []int{0} }

func pin(int) {}

func sleep(d time.Duration) { time.Sleep(d) }
