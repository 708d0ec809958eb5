package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestGarbageIsBoundedBesideALargeState(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		live       uint64
		percent    int
		atMost     uint64 // of garbage
		whatItsFor string
	}{
		{0, 100, 0, "nothing was collected yet"},
		{40 * mib, 100, 40 * mib, "a node that has just begun: Go's own"},
		{512 * mib, 100, 512 * mib, "the most that Go's own may come to"},
		{600 * mib, 85, 512 * mib, "a little less than all of it"},
		{3 * gib, 16, 512 * mib, "7 million sessions and 21 million positions"},
		{100 * gib, 10, 10 * gib, "not a collection after the other"},
	} {
		if got := garbagePercent(c.live); got != c.percent || c.live*uint64(got)/100 > c.atMost {
			t.Errorf("%s: %d bytes alive: %d %%, want %d %% and at most %d bytes", c.whatItsFor, c.live, got, c.percent, c.atMost)
		}
	}
}

// TestGarbageOfAProcess holds 1 GiB alive and sees the collector told, and told back
// at the end. Not parallel: the setting is the process's.
func TestGarbageOfAProcess(t *testing.T) {
	t.Setenv("GOGC", "")
	before := gcPercent()
	alive := make([]byte, 1<<30) // untouched: the system gives it no memory
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		end := boundGarbage()
		time.Sleep(heapEvery)
		synctest.Wait()
		if got := gcPercent(); got > 50 || got < leastGarbage {
			t.Errorf("%d %% with 1 GiB alive, want 50 at most", got)
		}
		end()
		if got := gcPercent(); got != before {
			t.Errorf("%d %% afterwards, want %d", got, before)
		}
	})
	runtime.KeepAlive(alive)
}

func TestGOGCIsObeyed(t *testing.T) {
	const own = 200
	t.Setenv("GOGC", "200")
	defer debug.SetGCPercent(debug.SetGCPercent(own))
	synctest.Test(t, func(t *testing.T) {
		defer boundGarbage()()
		synctest.Wait()
		if got := gcPercent(); got != own {
			t.Errorf("%d %%, GOGC says %d", got, own)
		}
	})
}

func gcPercent() int {
	now := debug.SetGCPercent(defaultGarbage)
	debug.SetGCPercent(now)
	return now
}
