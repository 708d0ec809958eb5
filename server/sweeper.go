package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// How a sweeper paces itself: it may take a sixth of the time that the state is free
// for changes, in slices that nobody notices.
const (
	sliceTime  = time.Millisecond     // that a slice should take at most
	slicePause = 5 * time.Millisecond // between two of them
	leastSteps = 32                   // of a slice
	mostSteps  = 4096

	walksPerRetention = 16          // by the clock of the log
	manyRevived       = 10_000      // sessions that came back: they begin a walk too
	restTime          = time.Second // between two looks whether a walk is due, at most
	failedPause       = 10 * time.Second
)

// sweeper moves sessions from the state's memory to the cold store, in walks over all
// accounts. What it does is this node's alone: the others do it at other times, and what
// their states answer is the same.
type sweeper struct {
	views  *views
	keep   viewing.Keep
	log    *slog.Logger
	failed atomic.Bool // sessions could not leave, and none has since: memory grows
	stop   chan struct{}
	ended  chan struct{}

	steps   int            // of the next slice
	walking bool           // a walk is under way
	walked  viewing.Millis // when it, or the one before, was begun by the clock of the log
	revived uint64         // how many sessions had come back by then
}

// startSweeper begins to sweep, unless sessions are kept for ever.
func startSweeper(v *views, keep viewing.Keep, log *slog.Logger) *sweeper {
	s := &sweeper{views: v, keep: keep, log: log, stop: make(chan struct{}), ended: make(chan struct{}), steps: leastSteps}
	if keep.ForMS == 0 {
		close(s.ended)
		return s
	}
	go s.run()
	return s
}

// end tells the sweeper to end, once: at most the slice under way is made.
func (s *sweeper) end() { close(s.stop) }

// await waits until nothing leaves memory any more, for as long as ctx allows and
// sliceTimeout at least.
func (s *sweeper) await(ctx context.Context) error {
	limit := time.NewTimer(sliceTimeout)
	defer limit.Stop()
	select {
	case <-s.ended:
		return nil
	case <-limit.C:
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close: sessions are still leaving memory: %w", ctx.Err())
	}
}

func (s *sweeper) run() {
	defer close(s.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		timer.Reset(s.slice())
	}
}

// slice goes on with a walk, or begins one if it is due, and says when to go on.
func (s *sweeper) slice() (pause time.Duration) {
	pause, works, err := s.evict()
	switch {
	case works:
		s.failed.Store(false)
	case err != nil && !s.failed.Swap(true):
		s.log.Error("sessions cannot leave memory, which grows until they can", "error", err)
	}
	return pause
}

// evict is a slice under the lock. works: sessions left, or all have been looked at.
func (s *sweeper) evict() (pause time.Duration, works bool, err error) {
	v := s.views
	v.mu.Lock()
	defer v.mu.Unlock()
	if !s.walking {
		revived := v.sum().Revived
		due := s.walked + viewing.Millis(s.keep.ForMS/walksPerRetention)
		if v.stamp < due && revived < s.revived+manyRevived {
			return min(restTime, time.Duration(s.keep.ForMS/walksPerRetention)*time.Millisecond), false, nil
		}
		s.walking, s.walked, s.revived = true, v.stamp, revived
	}
	begun := time.Now()
	evicted, done, err := v.state.Evict(v.stamp, s.keep, s.steps)
	if err != nil {
		return failedPause, false, err // and the walk is still under way
	}
	switch took := time.Since(begun); {
	case took > sliceTime:
		s.steps = max(s.steps/2, leastSteps)
	case took < sliceTime/2:
		s.steps = min(s.steps*5/4, mostSteps)
	}
	s.walking = !done
	return slicePause, done || evicted > 0, nil
}
