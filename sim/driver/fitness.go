package driver

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/playhead-load/playhead/results"
)

// maxLagP99 is how late the driver may send one request in a hundred, of those
// that nothing else delays, before its figures say more of itself than of the
// target.
const maxLagP99 = 50 * time.Millisecond

// lagMeter measures how late requests were sent that only the driver can delay:
// their device was idle and a connection was free.
type lagMeter struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func (m *lagMeter) add(us int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.histogram == nil {
		m.histogram = hdrhistogram.New(results.MinTimeUS, results.MaxTimeUS, results.SignificantDigits)
	}
	_ = m.histogram.RecordValue(min(max(us, 0), results.MaxTimeUS)) // within its range: cannot fail
}

// Fitness judges the driver itself. cpu is the share of the machine's processors
// that it used, 0 to 1. reason is empty if it was fit.
func (d *Driver) Fitness(cpu float64) (generator results.Generator, reason string) {
	generator = results.Generator{Fit: true, CPU: cpu}
	d.lag.mu.Lock()
	defer d.lag.mu.Unlock()
	if d.lag.histogram == nil {
		return generator, ""
	}
	p99 := time.Duration(d.lag.histogram.ValueAtPercentile(99)) * time.Microsecond
	generator.SendLagMS.P99 = float64(p99.Microseconds()) / 1000
	generator.SendLagMS.Max = float64(d.lag.histogram.Max()) / 1000
	if p99 > maxLagP99 {
		generator.Fit = false
		return generator, fmt.Sprintf(
			"one request in 100 was sent %v late or more (limit %v): give the driver more processor time, or lower population.scale",
			p99.Round(time.Millisecond), maxLagP99)
	}
	return generator, ""
}

// CPUTime is the processor time that this process has used.
func CPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// recovery finds the first write that was sent after a moment and succeeded.
type recovery struct{ sinceUS, doneUS atomic.Int64 }

func (r *recovery) wrote(sentUS, doneUS int64) {
	since := r.sinceUS.Load()
	if since > 0 && sentUS >= since {
		r.doneUS.CompareAndSwap(0, doneUS)
	}
}

// WatchRecovery waits for the next write that is sent from now on and succeeds.
func (d *Driver) WatchRecovery() (sinceUS int64) {
	now := d.NowUS()
	d.recovery.doneUS.Store(0)
	d.recovery.sinceUS.Store(now)
	return now
}

// Recovered is how long after WatchRecovery a write succeeded first.
func (d *Driver) Recovered() (time.Duration, bool) {
	done := d.recovery.doneUS.Load()
	if done == 0 {
		return 0, false
	}
	return time.Duration(done-d.recovery.sinceUS.Load()) * time.Microsecond, true
}
