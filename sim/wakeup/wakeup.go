// Package wakeup measures wake-up latency, as cyclictest does: how late a machine wakes a
// thread that only sleeps. An idle machine does within a tenth of a millisecond, a busy
// one within a few. Tens mean that more wants to run than there are processors for, or
// that the kernel, or the host under it, keeps a processor to itself. Either stands in
// every latency that is measured there, whatever the system under test does.
package wakeup

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	every         = 10 * time.Millisecond
	maxProcessors = 8 // that are watched, the first of a larger machine
	maxLate       = time.Hour
	digits        = 3
)

// Latency is how late the threads woke, of moments 10 ms apart, on all processors
// together. Moments that a thread sleeps through wait for its waking, each by itself.
type Latency struct{ P99, P999, Max time.Duration }

// Meter has a thread on each of the processors that this process may use, until it is
// stopped.
type Meter struct {
	stop     chan struct{}
	watching sync.WaitGroup
	mu       sync.Mutex
	lateUS   *hdrhistogram.Histogram
}

// Watch begins to watch.
func Watch() *Meter {
	m := &Meter{stop: make(chan struct{}), lateUS: hdrhistogram.New(1, maxLate.Microseconds(), digits)}
	for _, processor := range processors() {
		m.watching.Go(func() { m.watch(processor) })
	}
	return m
}

// Stop ends the watch, within 10 ms, and tells what it saw: a moment of each processor at
// least. It is to be called once.
func (m *Meter) Stop() Latency {
	close(m.stop)
	m.watching.Wait()
	at := func(percentile float64) time.Duration {
		return time.Duration(m.lateUS.ValueAtPercentile(percentile)) * time.Microsecond
	}
	return Latency{P99: at(99), P999: at(99.9), Max: time.Duration(m.lateUS.Max()) * time.Microsecond}
}

func (m *Meter) watch(processor int) {
	runtime.LockOSThread() // for good: the thread ends with this goroutine, and so does what pin did to it
	pin(processor)
	for due := time.Now().Add(every); ; {
		sleep(time.Until(due))
		now := time.Now()
		m.mu.Lock()
		for ; !due.After(now); due = due.Add(every) {
			_ = m.lateUS.RecordValue(min(now.Sub(due), maxLate).Microseconds()) // within its range: cannot fail
		}
		m.mu.Unlock()
		select {
		case <-m.stop:
			return
		default:
		}
	}
}
