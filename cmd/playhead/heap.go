package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage a process lets lie beside a large state. Go's default lets it grow to
// the size of what is alive: gigabytes, beside a state that has no pointers and that the
// collector passes over in milliseconds. What a collection costs hardly depends on how
// much lies there, so it may come sooner.
const (
	garbageBytes   = 512 << 20 // when more than that is alive
	leastGarbage   = 10        // percent of what is alive
	defaultGarbage = 100       // percent, Go's own: when less is alive
	heapEvery      = time.Second
)

const liveHeap = "/gc/heap/live:bytes" // marked by the newest collection

// boundGarbage keeps the garbage of this process small beside its state until it is
// told to end; it has ended when end returns. It leaves alone a process that was told by
// GOGC how to collect.
func boundGarbage() (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		followHeap(over)
	}()
	return func() { close(over); <-ended }
}

func followHeap(over <-chan struct{}) {
	ticker := time.NewTicker(heapEvery)
	defer ticker.Stop()
	now := defaultGarbage
	before := debug.SetGCPercent(now)
	defer debug.SetGCPercent(before)
	live := []metrics.Sample{{Name: liveHeap}}
	for {
		select {
		case <-ticker.C:
		case <-over:
			return
		}
		metrics.Read(live)
		if next := garbagePercent(live[0].Value.Uint64()); next != now {
			now = next
			debug.SetGCPercent(now)
		}
	}
}

// garbagePercent is how much garbage there may be to so many bytes that are alive.
func garbagePercent(live uint64) int {
	if live <= garbageBytes {
		return defaultGarbage
	}
	return max(int(garbageBytes*100/live), leastGarbage)
}
