package wire

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Of a TCP connection that loses packets.
const (
	packetBytes = 1460                   // that a packet carries
	resendAfter = 200 * time.Millisecond // a lost packet is sent again, and then after twice as long each time
	maxResends  = 8                      // then the connection breaks
)

// Conditions are what a way is like. The zero value is a way without faults.
type Conditions struct {
	Cut       bool          // nothing arrives; what is on its way does when the way is whole again
	Delay     time.Duration // of everything
	Jitter    time.Duration // up to so much is added, at random
	Loss      float64       // share of packets, 0 … 1, that have to be sent again
	Bandwidth int64         // bytes a second of all connections together; 0: no bound
	Duplicate float64       // share of requests, 0 … 1, that are said twice; of a wire of requests
	Reorder   float64       // share of requests, 0 … 1, that others overtake; of a wire of requests
}

// with is a way under both conditions.
func (c Conditions) with(other Conditions) Conditions {
	either := func(a, b float64) float64 { return 1 - (1-a)*(1-b) }
	both := Conditions{
		Cut:   c.Cut || other.Cut,
		Delay: c.Delay + other.Delay, Jitter: c.Jitter + other.Jitter,
		Loss: either(c.Loss, other.Loss), Bandwidth: max(c.Bandwidth, other.Bandwidth),
		Duplicate: either(c.Duplicate, other.Duplicate), Reorder: either(c.Reorder, other.Reorder),
	}
	if c.Bandwidth > 0 && other.Bandwidth > 0 {
		both.Bandwidth = min(c.Bandwidth, other.Bandwidth)
	}
	return both
}

// Way is one direction of a wire. Its methods may be called from any goroutine.
type Way struct {
	mu      sync.Mutex
	imposed []*Conditions
	now     Conditions    // all of them together
	changed chan struct{} // closed by the next change
	free    time.Time     // when all that was admitted has passed, at its bandwidth
}

func newWay() *Way { return &Way{changed: make(chan struct{})} }

// Impose adds conditions, until lift is called.
func (w *Way) Impose(c Conditions) (lift func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	added := &c
	w.imposed = append(w.imposed, added)
	w.combine()
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, one := range w.imposed {
			if one == added {
				w.imposed = append(w.imposed[:i:i], w.imposed[i+1:]...)
				break
			}
		}
		w.combine()
	})
}

// combine works out what all conditions make. The lock is held.
func (w *Way) combine() {
	w.now = Conditions{}
	for _, one := range w.imposed {
		w.now = w.now.with(*one)
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Way) look() (now Conditions, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, w.changed
}

// piece says when bytes that set out now arrive.
func (w *Way) piece(bytes []byte) piece {
	now, _ := w.look()
	late, broken := now.resent(len(bytes))
	return piece{bytes: bytes, due: time.Now().Add(now.Delay + upTo(now.Jitter) + late), reset: broken}
}

// resent is how long it takes until so many bytes are there, for those that are lost.
func (c Conditions) resent(bytes int) (late time.Duration, broken bool) {
	if c.Loss == 0 {
		return 0, false
	}
	packets := math.Ceil(float64(bytes) / packetBytes)
	lost := 1 - math.Pow(1-c.Loss, packets) // that one of them is
	again := resendAfter
	for resends := 0; rand.Float64() < lost; resends++ {
		if resends == maxResends {
			return late, true
		}
		late, again, lost = late+again, 2*again, c.Loss
	}
	return late, false
}

// await waits until then, and until the way is not cut. It says whether ctx let it.
func (w *Way) await(ctx context.Context, due time.Time) bool {
	for {
		now, changed := w.look()
		late := time.Until(due)
		switch {
		case now.Cut:
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		case late <= 0:
			return ctx.Err() == nil
		case !sleep(ctx, late):
			return false
		}
	}
}

// admit waits until so many bytes have passed.
func (w *Way) admit(ctx context.Context, bytes int) bool {
	w.mu.Lock()
	bandwidth := w.now.Bandwidth
	if bandwidth == 0 {
		w.mu.Unlock()
		return true
	}
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(time.Duration(float64(bytes) / float64(bandwidth) * float64(time.Second)))
	free := w.free
	w.mu.Unlock()
	return sleep(ctx, time.Until(free))
}

func upTo(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

// sleep says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func chance(share float64) bool { return share > 0 && rand.Float64() < share }
