package driver

import (
	"container/heap"
	"math"
	"time"
)

// Retry says how often a request is sent, and how long a device waits in between. The zero
// value is three tries, a second apart: those of the open-source Netflix client for Kodi
// (calibration, mark V).
type Retry struct {
	Tries      int           // 1 … MaxTries in all, the first included; 0 is the zero value's
	Wait       time.Duration // before the second try
	Multiplier float64       // 1 or more: what each further wait is longer by, up to retryLimit
	Jitter     float64       // 0 … 1: share of each wait that is left to chance
}

const (
	// MaxTries bounds the tries of one request.
	MaxTries = 10

	maxTries   = 3                // where nothing else is said,
	retryWait  = time.Second      // so long apart
	retryLimit = 10 * time.Second // the longest wait, a target's own Retry-After included
)

// orUsual fills in the zero value.
func (r Retry) orUsual() Retry {
	if r.Tries == 0 {
		return Retry{Tries: maxTries, Wait: retryWait, Multiplier: 1}
	}
	return r
}

// wait is how long a device waits after so many tries, 1 or more; u, at least 0 and below 1,
// is its luck.
func (r Retry) wait(tries int, u float64) time.Duration {
	longest := min(float64(r.Wait)*math.Pow(r.Multiplier, float64(tries-1)), float64(retryLimit))
	return time.Duration(longest * (1 - r.Jitter*u))
}

// longest is how long all tries take at most, if the target names no wait of its own.
func (r Retry) longest(timeout time.Duration) time.Duration {
	total := timeout
	for tries := 1; tries < r.Tries; tries++ {
		total += r.wait(tries, 0) + timeout
	}
	return total
}

// tries is what waits to be sent again, the first to come first.
type tries []try

// try is a lane's first request, or a batch.
type try struct {
	atUS  int64
	lane  *lane // nil: the batch
	batch *batch
}

// Len implements heap.Interface, as the four after it do.
func (t tries) Len() int           { return len(t) }
func (t tries) Less(i, j int) bool { return t[i].atUS < t[j].atUS }
func (t tries) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *tries) Push(x any)        { *t = append(*t, x.(try)) }

func (t *tries) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = try{}
	*t = (*t)[:last]
	return x
}

// tryAgain puts what has been tried so often back on its way after a wait: the longer of
// the device's own and of what the target named, 0 if it did not.
func (d *Driver) tryAgain(t try, tried int, named time.Duration) {
	wait := min(max(named, d.retry.wait(tried, d.luck.Float64())), retryLimit)
	t.atUS = d.NowUS() + wait.Microseconds()
	heap.Push(&d.again, t)
}

// sendAgain puts what has waited long enough back on its way.
func (d *Driver) sendAgain(nowUS int64) {
	for len(d.again) > 0 && d.again[0].atUS <= nowUS {
		again := heap.Pop(&d.again).(try)
		if again.lane != nil {
			d.ready.push(again.lane)
		} else {
			d.sendBatch(again.batch)
		}
	}
}
