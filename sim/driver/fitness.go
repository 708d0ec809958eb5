package driver

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/playhead-load/playhead/results"
)

// maxLagP99 is how late the driver may send one request in a hundred, of those
// that nothing else delays, before its figures say more of itself than of the
// target.
const maxLagP99 = 100 * time.Millisecond

// lagMeter measures how late the driver is by its own doing. Every measured event
// is a sample: of one that nothing else can delay, because its device was idle and
// a connection free, how late it was sent; of another, how late it began to wait
// for the target. Were only the first kind counted, all but a few of the events
// that come at once after the driver has stood still would go unseen.
type lagMeter struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func newLagMeter() lagMeter {
	return lagMeter{histogram: hdrhistogram.New(results.MinTimeUS, results.MaxTimeUS, results.SignificantDigits)}
}

func (m *lagMeter) add(us int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.histogram.RecordValue(min(max(us, 0), results.MaxTimeUS)) // within its range: cannot fail
}

// Fitness judges the driver itself, of the first that is wrong: its descriptors, how late
// it sent, and what its process went through. cpu is the share of the machine's processors
// that it used, 0 to 1. reason is empty if it was fit.
func (d *Driver) Fitness(cpu float64) (generator results.Generator, reason string) {
	generator = results.Generator{CPU: cpu}
	d.lag.mu.Lock()
	defer d.lag.mu.Unlock()
	p99 := time.Duration(d.lag.histogram.ValueAtPercentile(99)) * time.Microsecond
	generator.SendLagMS.P99 = float64(p99.Microseconds()) / 1000
	generator.SendLagMS.Max = float64(d.lag.histogram.Max()) / 1000
	reason = tooFewDescriptors(d.config.calls(), len(d.config.Targets))
	if reason == "" && p99 > maxLagP99 {
		reason = fmt.Sprintf(
			"one request in 100 was sent %v late or more (limit %v): give the driver more processor time, or lower population.scale",
			p99.Round(time.Millisecond), maxLagP99)
	}
	if reason == "" {
		reason = d.vitals.unfit()
	}
	generator.Fit = reason == ""
	return generator, reason
}

// CPUTime is the processor time that this process has used.
func CPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
