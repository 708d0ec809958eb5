package main

import (
	"context"
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
	percent := func() int {
		now := debug.SetGCPercent(defaultGarbage)
		debug.SetGCPercent(now)
		return now
	}
	alive := make([]byte, 1<<30) // untouched: the system gives it no memory
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		go boundGarbage(ctx)
		time.Sleep(heapEvery)
		synctest.Wait()
		if got := percent(); got > 50 || got < leastGarbage {
			t.Errorf("%d %% with 1 GiB alive, want 50 at most", got)
		}
		end()
		synctest.Wait()
		if got := percent(); got != defaultGarbage {
			t.Errorf("%d %% afterwards, want %d", got, defaultGarbage)
		}
	})
	runtime.KeepAlive(alive)
}

func TestGOGCIsObeyed(t *testing.T) {
	t.Setenv("GOGC", "200")
	before := debug.SetGCPercent(200)
	defer debug.SetGCPercent(before)
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go boundGarbage(ctx)
		synctest.Wait()
		if got := debug.SetGCPercent(200); got != 200 {
			t.Errorf("%d %%, GOGC says 200", got)
		}
	})
}
