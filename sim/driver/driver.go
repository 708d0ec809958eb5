// Package driver plays a fleet of simulated devices against a target over HTTP,
// in real time and open loop: when a request is due is the plan's business, not
// the target's mood.
//
// A device says one thing at a time and in order; what it cannot say yet waits in
// its own short queue, as in a real client. Response time counts from when a
// request was due, service time from when it was last sent.
package driver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// Limits of the driver. The queue and the tries are those of the open-source
// Netflix client for Kodi (calibration, mark V).
const (
	queueLimit  = 10               // what one device may have to say at once; more is lost, and counted
	maxTries    = 3                // of one request
	retryWait   = time.Second      // before another try, unless the target names its own
	retryLimit  = 10 * time.Second // the longest wait that a target may name
	planEvery   = time.Millisecond // how often the plan is looked at
	drainLimit  = 45 * time.Second // after the last due event: all tries of what waits
	lateRequest = 2 * time.Second  // how long after the driver gave a try up it may still take effect
)

// Late is how long after its last try an unanswered request may still take effect.
const Late = lateRequest

// Fleet is the plan that is played.
type Fleet interface {
	Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool)
	Denied(device int32, session viewing.SessionID)
	Devices() int
	Active() int
}

// Config says what is played against what.
type Config struct {
	Fleet       Fleet
	StartMS     viewing.Millis // the plan's clock at the beginning
	Targets     []string       // base URLs; a device keeps to one until it fails
	Connections int
	Timeout     time.Duration // of one try
	TimeScale   float64       // milliseconds of the plan in one of ours
	Duration    time.Duration
	WarmUp      time.Duration // what is due in it is sent and audited, but not measured
	Log         *audit.Log
}

// Driver plays one run. Run may be called once, the other methods at
// any time after it has begun.
type Driver struct {
	config  Config
	client  *client
	begun   time.Time
	warm    *results.Recorder
	measure *results.Recorder

	mu    sync.Mutex // of the fleet and the lanes
	fleet Fleet
	lanes []lane
	ready chan *lane // lanes whose first request may be sent

	idle     atomic.Int64  // workers that wait for a lane
	pending  atomic.Int64  // requests not yet ended
	ended    chan struct{} // signals that pending fell to 0
	lag      lagMeter
	recovery recovery
	counts   counts
}

// counts is what became of requests, over the measured time.
type counts struct{ due, sent, answered, unsent, retries atomic.Int64 }

// New returns a driver. Its clock begins with Run.
func New(config Config) *Driver {
	return &Driver{
		config:  config,
		client:  newClient(config.Targets, config.Connections, config.Timeout),
		warm:    results.NewRecorder(0),
		measure: results.NewRecorder(config.WarmUp.Microseconds()),
		fleet:   config.Fleet,
		lanes:   make([]lane, config.Fleet.Devices()),
		ready:   make(chan *lane, config.Fleet.Devices()), // a lane is in it once at most
		ended:   make(chan struct{}, 1),
	}
}

// Run plays until the plan's end or the end of ctx, then waits for what is under
// way. It calls begun when its clock has begun, and returns how long the plan was
// played.
func (d *Driver) Run(ctx context.Context, begun func()) time.Duration {
	d.begun = time.Now()
	begun()
	var workers sync.WaitGroup
	for range d.config.Connections {
		workers.Go(d.work)
	}
	played := d.plan(ctx)
	d.drain()
	close(d.ready)
	workers.Wait()
	d.client.close()
	return played
}

// NowUS is the driver's clock: microseconds since Run began.
func (d *Driver) NowUS() int64 { return time.Since(d.begun).Microseconds() }

// plan sends everything on its way when it is due.
func (d *Driver) plan(ctx context.Context) time.Duration {
	tick := time.NewTicker(planEvery)
	defer tick.Stop()
	var e viewing.Event
	for {
		now := min(time.Since(d.begun), d.config.Duration)
		until := d.config.StartMS + viewing.Millis(float64(now.Microseconds())*d.config.TimeScale/1000)
		for d.planNext(until, &e) {
		}
		if now >= d.config.Duration {
			return now
		}
		select {
		case <-ctx.Done():
			return now
		case <-tick.C:
		}
	}
}

// planNext queues what is due next until then on its device's lane.
func (d *Driver) planNext(until viewing.Millis, e *viewing.Event) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	step, ok := d.fleet.Next(until, e)
	if !ok {
		return false
	}
	dueUS := int64(float64(step.DueMS-d.config.StartMS) * 1000 / d.config.TimeScale)
	e.At = viewing.Millis(d.begun.UnixMilli() + dueUS/1000)
	measured := dueUS >= d.config.WarmUp.Microseconds()
	if measured {
		d.counts.due.Add(1)
	}
	lane := &d.lanes[step.Device]
	if len(lane.queue) >= queueLimit {
		if measured {
			d.counts.unsent.Add(1)
		}
		return true
	}
	r := newRequest(e, dueUS, measured)
	lane.device = step.Device
	r.unhindered = !lane.busy && len(d.ready) == 0 && d.idle.Load() > 0
	d.enqueue(lane, r)
	if ask := follows(e.Type); ask != none {
		d.enqueue(lane, newQuestion(ask, r))
	}
	return true
}

// enqueue puts a request at the end of the lane, and the lane on its way unless it
// is already.
func (d *Driver) enqueue(lane *lane, r *request) {
	d.pending.Add(1)
	lane.queue = append(lane.queue, r)
	if !lane.busy {
		lane.busy = true
		d.ready <- lane
	}
}

// drain waits until nothing is under way, at most as long as all tries may take.
func (d *Driver) drain() {
	limit := time.After(drainLimit)
	for d.pending.Load() > 0 {
		select {
		case <-d.ended:
		case <-limit:
			return
		}
	}
}

// Pending is how many requests have not ended.
func (d *Driver) Pending() int64 { return d.pending.Load() }

// InWarmUp says whether the warm-up is not over.
func (d *Driver) InWarmUp() bool { return time.Since(d.begun) < d.config.WarmUp }

// Interval ends a second of the run: what was answered in it, and how many
// sessions play by the plan.
func (d *Driver) Interval() results.Interval {
	d.mu.Lock()
	active := d.fleet.Active()
	d.mu.Unlock()
	recorder := d.measure
	if d.InWarmUp() {
		recorder = d.warm
	}
	second := recorder.Interval(d.NowUS(), int64(active))
	second.AtS = time.Since(d.begun).Seconds() // the recorder's own count begins after the warm-up
	return second
}

// Recorder holds what was measured, the warm-up left out.
func (d *Driver) Recorder() *results.Recorder { return d.measure }

// Load is what was due, sent and answered over the measured time, in seconds.
func (d *Driver) Load(measuredS float64) results.Load {
	per := func(n *atomic.Int64) float64 {
		if measuredS <= 0 {
			return 0
		}
		return float64(n.Load()) / measuredS
	}
	return results.Load{
		TargetPerS: per(&d.counts.due), OfferedPerS: per(&d.counts.sent), AchievedPerS: per(&d.counts.answered),
		Unsent: d.counts.unsent.Load(), Retries: d.counts.retries.Load(),
	}
}
