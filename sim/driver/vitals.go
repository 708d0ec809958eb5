package driver

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// What a driver may go through before its figures say more of itself than of the target.
const (
	lookEvery = time.Second

	busyShare    = 0.9  // of its processors, 0 … 1: such a look finds it busy
	mostBusy     = 0.1  // share of the looks that may
	fewestLooks  = 5    // of which to say so
	mostPaused   = 0.05 // share of the time that it may stand still to collect its garbage
	mostJumpedBy = 100 * time.Millisecond

	spareDescriptors = 64 // for what is no connection: files, pipes, the audit
)

// vitals are what the driver's process goes through in the measured time. The driver's
// goroutines do not touch it: it may be asked at any time.
type vitals struct {
	mu          sync.Mutex
	last        look
	watched     time.Duration
	looks, busy int
	paused      time.Duration
	jump        time.Duration // the longest, forward or backward
}

// look is how things stand at a moment: each is counted from some beginning.
type look struct {
	steady, wall time.Duration // by the two clocks
	cpu, paused  time.Duration // of the process
}

func takeLook(begun time.Time) look {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	now := time.Now()
	return look{
		steady: now.Sub(begun), wall: now.Round(0).Sub(begun.Round(0)), // Round(0) leaves the wall clock alone
		cpu: CPUTime(), paused: stats.PauseTotal,
	}
}

// begin forgets what was before.
func (v *vitals) begin(now look) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = now
}

// note compares a look with the last one. processors are those that the process may use.
func (v *vitals) note(now look, processors int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	took := now.steady - v.last.steady
	v.watched += took
	v.looks++
	if (now.cpu - v.last.cpu).Seconds() >= busyShare*float64(processors)*took.Seconds() {
		v.busy++
	}
	v.paused += now.paused - v.last.paused
	v.jump = max(v.jump, (now.wall - v.last.wall - took).Abs())
	v.last = now
}

// watch looks until stop is called, which is one more look. The warm-up is left out.
func (v *vitals) watch(begun time.Time, warmUp time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
			return
		case <-time.After(time.Until(begun.Add(warmUp))):
		}
		v.begin(takeLook(begun))
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				v.note(takeLook(begun), runtime.GOMAXPROCS(0))
				return
			case <-tick.C:
				v.note(takeLook(begun), runtime.GOMAXPROCS(0))
			}
		}
	}()
	return func() { close(done); <-ended }
}

// unfit is why the process was unfit to measure, and what to change; empty if it was fit.
func (v *vitals) unfit() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	pausedShare := v.paused.Seconds() / max(v.watched, 1).Seconds()
	switch {
	case v.looks >= fewestLooks && float64(v.busy) > mostBusy*float64(v.looks):
		return fmt.Sprintf(
			"the driver used %.0f %% or more of its processors in %d of %d seconds (limit 1 in %.0f): give it more of them, or lower population.scale",
			100*busyShare, v.busy, v.looks, 1/mostBusy)
	case pausedShare > mostPaused:
		return fmt.Sprintf(
			"the driver stood still for %.0f %% of the time to collect its garbage (limit %.0f %%): raise GOGC, or lower population.scale",
			100*pausedShare, 100*mostPaused)
	case v.jump > mostJumpedBy:
		return fmt.Sprintf(
			"the machine's clock jumped by %v (limit %v): have it slewed rather than set, and run again",
			v.jump.Round(time.Millisecond), mostJumpedBy)
	}
	return ""
}

// tooFewDescriptors says that the process may not open as many connections as it is to;
// empty if it may.
func tooFewDescriptors(connections, targets int) string {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return ""
	}
	needed := uint64(connections*targets + spareDescriptors)
	if needed <= limit.Cur {
		return ""
	}
	return fmt.Sprintf(
		"%d connections to each of %d nodes take %d descriptors and the driver may open %d: raise ulimit -n, or lower load.connections",
		connections, targets, needed, limit.Cur)
}

// processorTimes are seconds of the machine, all its processors together, from its start on.
type processorTimes struct{ all, stolen float64 }

// readProcessorTimes is the zero value where the system does not say.
func readProcessorTimes() processorTimes {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return processorTimes{}
	}
	stat, err := proc.Stat()
	if err != nil {
		return processorTimes{}
	}
	c := stat.CPUTotal // its time for guests is part of User and Nice
	return processorTimes{
		all:    c.User + c.Nice + c.System + c.Idle + c.Iowait + c.IRQ + c.SoftIRQ + c.Steal,
		stolen: c.Steal,
	}
}

// stolenSince is the share of the machine's processors, 0 … 1, that its host gave to
// others since an earlier reading; nil where that is not known.
func (t processorTimes) stolenSince(earlier processorTimes) *float64 {
	if earlier.all == 0 || t.all <= earlier.all || t.stolen < earlier.stolen {
		return nil
	}
	share := (t.stolen - earlier.stolen) / (t.all - earlier.all)
	return &share
}
