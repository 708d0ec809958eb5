// Package driver plays a fleet of simulated devices against a target over HTTP,
// in real time and open loop: when a request is due is the plan's business, not
// the target's mood.
//
// A device says one thing at a time and in order; what it cannot say yet waits in
// its own short queue, as in a real client. What it asks is due at the moment of
// the event that it comes with, and waits for no event. Response time counts from
// when a request was due, service time from when it was last sent. What was due
// and never sent is an error that was waited for until the run's end.
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
	queueLimit    = 10               // what one device may have to say at once; more is lost, and counted
	questionLimit = 2                // the same of what it has to ask
	maxTries      = 3                // of one request
	retryWait     = time.Second      // before another try, unless the target names its own
	retryLimit    = 10 * time.Second // the longest wait that a target may name
	planEvery     = time.Millisecond // how often the plan is looked at
	drainLimit    = 45 * time.Second // after the last due event, for what waits
)

// Late is how long after its last try an unanswered request may still take effect.
const Late = 2 * time.Second

// Fleet is the plan that is played.
type Fleet interface {
	Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool)
	Denied(device int32, session viewing.SessionID)
	Devices() int
}

// Log keeps what became of every event that was sent. It is called from many
// goroutines at once.
type Log interface{ Add(e audit.Entry) }

// Config says what is played against what. All of it must be set, but for WarmUp
// and Lease.
type Config struct {
	Fleet       Fleet
	StartMS     viewing.Millis // the plan's clock at the beginning
	Targets     []string       // base URLs; a device keeps to one until it fails
	Connections int
	Timeout     time.Duration // of one try
	TimeScale   float64       // milliseconds of the plan in one of ours
	Duration    time.Duration
	WarmUp      time.Duration // what is due in it is sent and audited, but not measured
	Lease       time.Duration // how long a session plays unheard, by our clock; 0 is for ever
	Log         Log
}

// Driver plays one run. Run may be called once. The other methods may be called
// from any goroutine, but not before Run has called begun.
type Driver struct {
	config  Config
	client  *client
	begun   time.Time // what NowUS counts from, on the monotonic clock
	warm    *results.Recorder
	measure *results.Recorder

	mu        sync.Mutex // of the fleet, the lanes and claimed
	fleet     Fleet
	events    []lane     // of each device
	questions []lane     // of each device
	claimed   int        // lanes that have a connection or wait for one
	ready     chan *lane // those that wait: with room for every lane, so that nobody blocks

	closing  atomic.Bool   // nothing is sent any more that was not sent before
	pending  atomic.Int64  // requests not yet ended
	ended    chan struct{} // signals that pending fell to 0
	lag      lagMeter
	vitals   vitals
	recovery recovery
	series   series
	playing  playing
	unsent   unsentList
	counts   counts
	planEnd  atomic.Pointer[planEnd] // nil before it
}

// New returns a driver. Its clock begins with Run.
func New(config Config) *Driver {
	devices := config.Fleet.Devices()
	return &Driver{
		config:    config,
		client:    newClient(config.Targets, config.Connections, config.Timeout),
		warm:      results.NewRecorder(0),
		measure:   results.NewRecorder(config.WarmUp.Microseconds()),
		fleet:     config.Fleet,
		events:    newLanes(devices, queueLimit, len(config.Targets)),
		questions: newLanes(devices, questionLimit, len(config.Targets)),
		ready:     make(chan *lane, 2*devices), // a lane is in it once at most
		ended:     make(chan struct{}, 1),
		lag:       newLagMeter(),
		playing:   playing{sessions: make([]session, devices)},
	}
}

// Run plays until the plan's end, then waits for what is under way. When ctx ends
// it plays no further: only what was sent already is given its tries. What has not
// ended by then is counted as unanswered, or as unsent. Run calls begun when its
// clock has begun, and returns how long the plan was played.
func (d *Driver) Run(ctx context.Context, begun func()) time.Duration {
	d.begun = time.Now()
	begun()
	defer d.vitals.watch(d.begun, d.config.WarmUp)()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers sync.WaitGroup
	for range d.config.Connections {
		workers.Go(func() { d.work(sending) })
	}
	played := d.plan(ctx)
	d.endPlan()
	d.drain(ctx)
	stop()
	workers.Wait()
	for i := range d.events {
		d.abandon(&d.events[i])
		d.abandon(&d.questions[i])
	}
	d.unsent.record(d.measure, d.NowUS())
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
	ago := 0.0
	if e.Offline {
		ago = float64(step.DueMS-e.At) / d.config.TimeScale
	}
	e.At = viewing.Millis(d.begun.UnixMilli() + dueUS/1000 - int64(ago))
	measured := dueUS >= d.config.WarmUp.Microseconds()
	if measured {
		d.counts.due.Add(1)
	}
	r := newRequest(e, dueUS, measured)
	d.place(&d.events[step.Device], r)
	if ask := comesWith(e); ask != none {
		d.place(&d.questions[step.Device], newQuestion(ask, r))
	}
	return true
}

// place queues a request that is due, unless its lane is full: then it is lost.
// The caller holds the lock.
func (d *Driver) place(l *lane, r *request) {
	full := d.claimed >= d.config.Connections
	r.unhindered = !l.busy && !full
	if r.measured {
		d.counts.placed.Add(1)
		if full {
			d.counts.foundFull.Add(1)
		}
		if !r.unhindered {
			d.lag.add(d.NowUS() - r.dueUS) // what comes now is not the driver's doing
		}
	}
	if len(l.queue) >= int(l.limit) {
		d.lose(r)
		return
	}
	d.enqueue(l, r)
}

// enqueue puts a request at the end of the lane, and the lane on its way unless it
// is already. The caller holds the lock.
func (d *Driver) enqueue(lane *lane, r *request) {
	d.pending.Add(1)
	lane.queue = append(lane.queue, r)
	if !lane.busy {
		lane.busy = true
		d.claim(lane)
	}
}

// claim lets a lane wait for a connection. The caller holds the lock.
func (d *Driver) claim(lane *lane) {
	d.claimed++
	d.ready <- lane
}

// drain waits until nothing is under way, or the time for it is over: drainLimit,
// or that of one request's tries from the end of ctx on.
func (d *Driver) drain(ctx context.Context) {
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	cancelled := ctx.Done()
	for d.pending.Load() > 0 {
		select {
		case <-d.ended:
		case <-cancelled:
			cancelled = nil
			d.closing.Store(true)
			limit.Reset(min(drainLimit, maxTries*(d.config.Timeout+retryWait)))
		case <-limit.C:
			return
		}
	}
}

// Pending is how many requests have not ended.
func (d *Driver) Pending() int64 { return d.pending.Load() }

// Recorder holds what was measured, the warm-up left out.
func (d *Driver) Recorder() *results.Recorder { return d.measure }
