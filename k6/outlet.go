package k6

import (
	"context"
	"sync"

	"go.k6.io/k6/js/modules"
	"go.k6.io/k6/metrics"
)

// testEnd is the number of k6's event that the test's execution has ended, after which its
// channel of samples closes. The package that names it is internal to k6
// (internal/event.TestEnd).
const testEnd = 3

// outlet is the way of samples to k6, until the test ends. Any goroutine may use it.
type outlet struct {
	mu     sync.RWMutex
	closed bool
}

// push hands samples to k6, unless the test or ctx has ended.
func (o *outlet) push(ctx context.Context, to chan<- metrics.SampleContainer, samples metrics.Samples) {
	if len(samples) == 0 {
		return
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	if !o.closed {
		metrics.PushIfNotDone(ctx, to, samples)
	}
}

func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// awaitEnd ends what still plays, and hands over what was measured last, when the test ends, and nothing
// after that: k6 closes its channel then.
func (m *Module) awaitEnd(vu modules.VU) {
	events := vu.Events().Global
	if events == nil { // in a test of the module
		return
	}
	id, ended := events.Subscribe(testEnd)
	go func() {
		if e, ok := <-ended; ok {
			m.callers.flush()
			m.end()
			m.watching.Wait()
			m.outlet.close()
			e.Done()
		}
		events.Unsubscribe(id)
	}()
}
