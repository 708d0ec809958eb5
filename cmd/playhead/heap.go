package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage a node lets lie. Go's default lets it grow to the size of what is
// alive: gigabytes, beside a state that has no pointers and that the collector passes
// over in milliseconds. A collection costs the same whether it comes soon or late, so
// what matters is how much is made between two of them, not how much is alive.
const (
	garbageBytes   = 512 << 20 // until the next collection, where as much is alive
	leastGarbage   = 10        // percent of what is alive
	defaultGarbage = 100       // percent, Go's own: where less is alive than garbageBytes
	heapEvery      = time.Second
)

const liveHeap = "/gc/heap/live:bytes" // marked by the newest collection

// boundGarbage keeps the garbage of this process small beside its state until ctx ends.
// It leaves alone one that was told by GOGC how to collect.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(heapEvery)
	defer ticker.Stop()
	now := defaultGarbage
	before := debug.SetGCPercent(now)
	defer debug.SetGCPercent(before)
	live := []metrics.Sample{{Name: liveHeap}}
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
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
