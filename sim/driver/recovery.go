package driver

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxWatches is how many recoveries are awaited at once. With one more the oldest is
// given up.
const maxWatches = 100

// recoveries find, for each watch, the first write that was sent after it began and
// succeeded. May be used by many goroutines.
type recoveries struct {
	waiting atomic.Int32 // watches; while there are none a write takes no lock
	mu      sync.Mutex
	watches []*recovery // that wait, the oldest first
}

type recovery struct {
	sinceUS, doneUS int64
	recovered       bool
}

// wrote tells of a write that succeeded.
func (r *recoveries) wrote(sentUS, doneUS int64) {
	if r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	still := r.watches[:0]
	for _, w := range r.watches {
		if sentUS < w.sinceUS {
			still = append(still, w)
			continue
		}
		w.recovered, w.doneUS = true, doneUS
	}
	r.keep(still)
}

// keep notes who still waits. The lock is held.
func (r *recoveries) keep(still []*recovery) {
	clear(r.watches[len(still):])
	r.watches = still
	r.waiting.Store(int32(len(still)))
}

// WatchRecovery waits for the next write that is sent from now on and succeeds, beside
// what else is watched. recovered tells how long after this call that was, if there has
// been one; any goroutine may call it.
func (d *Driver) WatchRecovery() (recovered func() (time.Duration, bool)) {
	r := &d.recoveries
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.watches) == maxWatches {
		r.keep(append(r.watches[:0], r.watches[1:]...))
	}
	w := &recovery{sinceUS: d.NowUS()}
	r.watches = append(r.watches, w)
	r.waiting.Store(int32(len(r.watches)))
	return func() (time.Duration, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return time.Duration(w.doneUS-w.sinceUS) * time.Microsecond, w.recovered
	}
}
