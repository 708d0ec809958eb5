// Package driver plays a fleet of simulated devices against a target over HTTP,
// in real time and open loop: when a request is due is the plan's business, not
// the target's mood.
//
// A device says one thing at a time and in order; what it cannot say yet waits in
// its own short queue, as in a real client. What it asks is due at the moment of
// the event that it comes with, and waits for no event. Response time counts from
// when a request was due, service time from when it was last sent. What was due
// and never sent is an error that was waited for until the run's end.
//
// With a batch above 1 aggregators stand between the devices and the target, as at the
// edge of a real system: each gathers the events of its devices, and sends them on the
// connections that are its own.
//
// One goroutine does it all: it plans, sends, reads answers and notes what became of
// what, so that a request costs little beside its two system calls.
package driver

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// Limits of the driver. The queue is that of the open-source Netflix client for Kodi
// (calibration, mark V).
const (
	queueLimit    = 10                   // what one device may have to say at once; more is lost, and counted
	questionLimit = 2                    // the same of what it has to ask
	stepEvery     = time.Millisecond     // how often the plan, and what is under way, are looked at;
	restEvery     = time.Millisecond / 8 // the plan, where the carrier can rest for so short a while
	planAtOnce    = 256                  // events that are planned before answers are looked at again
	drainLimit    = 45 * time.Second     // after the last due event, for what waits,
	longestDrain  = 10 * time.Minute     // where the tries of one request take longer than that
)

// Late is how long after its last try an unanswered request may still take effect.
const Late = 2 * time.Second

// Fleet is the plan that is played. One goroutine calls it.
type Fleet interface {
	Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool)
	Denied(device int32, session viewing.SessionID)
}

// Log keeps what became of every event that was sent, and what was answered to the
// devices' questions.
type Log interface {
	Add(e audit.Entry)
	AddAll(entries []audit.Entry) // of a batch; they are the caller's again afterwards
	AddReading(r audit.Reading)   // its list is the caller's again afterwards
}

// Config says what is played against what. Fleet, Targets, Connections, Timeout,
// TimeScale, Duration or Turns, and Log must be set.
type Config struct {
	Fleet       Fleet
	StartMS     viewing.Millis // the plan's clock at the beginning
	Targets     []string       // base URLs; a device keeps to one until it fails
	Connections int            // requests under way at once
	Timeout     time.Duration  // of one try
	TimeScale   float64        // milliseconds of the plan in one of ours
	Duration    time.Duration
	Turns       *Turns        // in which the plan is played, in place of Duration; nil: in one go
	WarmUp      time.Duration // what is due in it is sent and audited, but not measured
	Lease       time.Duration // how long a session plays unheard, by our clock; 0 is for ever
	Log         Log
	Executor    Executor    // when events are due; the zero value: by the plan's own clock
	Batch       Batch       // how events are put together; the zero value: each is a request
	Retry       Retry       // how a device repeats what failed
	Unasked     float64     // share of the devices, 0 … 1, that ask nothing
	Flaws       Flaws       // of the devices
	TLS         *tls.Config // of targets under https
	Dial        Dial        // opens connections to the targets; nil: the machine's own way
	Signer      Signer      // nil: the target asks for no tokens
}

// Driver plays one run. Run may be called once. Active, Backlog, BeginPhase,
// ConnectionsBusy, Interval, InWarmUp, Load, NowUS, Pending, Recorder and the methods about recovery may
// be called from any goroutine, but not before Run has called begun.
type Driver struct {
	config  Config
	nodes   []node
	carrier carrier
	rests   bool // the carrier can, and may
	told    tell
	pace    pace
	begun   time.Time     // what NowUS counts from, on the monotonic clock
	heldUS  int64         // for how long the plan's clock has stood still between turns
	until   time.Duration // up to which the plan may be played, on its own clock
	warm    *results.Recorder
	measure *results.Recorder

	event       viewing.Event // that is planned
	events      lanes
	questions   lanes
	moved       map[int32]uint16   // of each device that a node has failed: the node that it talks to
	ready       queue              // lanes that wait for a connection
	held        map[int32]*request // of a device each: what it tells after its next event
	again       tries              // what waits to be sent again
	retry       Retry
	luck        *rand.Rand // which device waits how long
	aggregators []aggregator
	telling     devices // that have an event in a batch
	underway    int     // requests of lanes
	request     []byte  // that is sent
	fates       []audit.Fate
	listed      []audit.Listed // of the answer at hand
	spare       []*request
	closing     bool // nothing is sent any more that was not sent before

	pending    atomic.Int64 // requests not yet ended; events of batches one by one
	lag        lagMeter
	vitals     vitals
	recoveries recoveries
	vanished   vanished
	series     series
	phases     phases
	playing    playing
	unsent     unsentList
	counts     counts
	planEnd    atomic.Pointer[planEnd] // nil before it
}

// New returns a driver. Its clock begins with Run. The targets must be URLs of http or
// https.
func New(config Config) (*Driver, error) {
	nodes, err := nodesOf(config.Targets)
	if err != nil {
		return nil, err
	}
	carrier, rests, err := newCarrier(nodes, &config)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		config:    config,
		nodes:     nodes,
		carrier:   carrier,
		rests:     rests,
		pace:      newPace(&config),
		warm:      results.NewRecorder(0, config.WarmUp.Microseconds()),
		measure:   results.NewRecorder(config.WarmUp.Microseconds(), config.Duration.Microseconds()),
		events:    newLanes(queueLimit),
		questions: newLanes(questionLimit),
		retry:     config.Retry.orUsual(),
		luck:      rand.New(rand.NewPCG(1, 1)),
		moved:     map[int32]uint16{},
		lag:       newLagMeter(),
	}
	d.told = func(c caller, a *http1.Answer, at time.Time, err error) { c.answered(d, a, at, err) }
	if config.Batch.Events > 1 {
		if d.aggregators, err = newAggregators(&config, len(nodes)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// calls is how many there may be at once: of batches, and of questions beside them.
func (c *Config) calls() int {
	if c.Batch.Events > 1 {
		return 2 * c.Connections
	}
	return c.Connections
}

// mayRest says whether the carrier may rest while no request waits for a connection. A closed
// loop, and aggregators, send at each answer what is next.
func (c *Config) mayRest() bool {
	return c.Executor.Name != ConstantVUs && c.Batch.Events <= 1
}

// Run plays until the plan's end, then waits for what is under way. When ctx ends
// it plays no further: only what was sent already is given its tries. What has not
// ended by then is counted as unanswered, or as unsent. Run calls begun when its
// clock has begun, and returns how long the plan was played.
func (d *Driver) Run(ctx context.Context, begun func()) time.Duration {
	d.begun = time.Now()
	begun()
	defer d.vitals.watch(d.begun, d.config.WarmUp)()
	played := d.playAll(ctx)
	d.endPlan()
	d.placeAllHeld()
	d.drain(ctx)
	d.abandonAll()
	d.unsent.record(d.measure, d.NowUS())
	d.carrier.close()
	if d.config.Turns != nil {
		close(d.config.Turns.ended)
	}
	return played
}

// NowUS is the driver's clock: microseconds since Run began.
func (d *Driver) NowUS() int64 { return time.Since(d.begun).Microseconds() }

func (d *Driver) sinceBegunUS(at time.Time) int64 { return at.Sub(d.begun).Microseconds() }

// playAll plays in one go, or in turns.
func (d *Driver) playAll(ctx context.Context) time.Duration {
	if d.config.Turns != nil {
		return d.playTurns(ctx)
	}
	return d.play(ctx, d.config.Duration)
}

// play puts everything on its way when it is due, until a moment of the plan or the end of
// ctx. It returns how long the plan has been played by then.
func (d *Driver) play(ctx context.Context, until time.Duration) time.Duration {
	every := stepEvery
	if d.rests {
		every = restEvery
	}
	d.until = until
	for {
		now := min(time.Since(d.begun)-time.Duration(d.heldUS)*time.Microsecond, until)
		more := d.plan(now.Microseconds())
		if !more && now >= until || ctx.Err() != nil {
			return now
		}
		if more {
			d.exchange(time.Time{})
		} else {
			d.exchange(time.Now().Add(every))
		}
	}
}

// exchange sends what can be sent, and notes the answers that come until a moment.
func (d *Driver) exchange(until time.Time) {
	nowUS := d.NowUS()
	d.sendAgain(nowUS)
	d.sendBatches(nowUS)
	d.sendReady()
	d.carrier.await(until, d.rests && d.ready.len() == 0, d.told)
}

// drain waits until nothing is under way, or the time for it is over: drainLimit or that of
// one request's tries, the longer, longestDrain at most; from the end of ctx on, the shorter.
func (d *Driver) drain(ctx context.Context) {
	tries := d.retry.longest(d.config.Timeout) + retryWait
	limit := time.Now().Add(min(max(drainLimit, tries), longestDrain))
	for d.pending.Load() > 0 && time.Now().Before(limit) {
		if ctx.Err() != nil && !d.closing {
			d.closing = true
			limit = time.Now().Add(min(drainLimit, tries))
		}
		d.exchange(time.Now().Add(stepEvery))
	}
}

// Pending is how many requests have not ended, the events of batches one by one.
func (d *Driver) Pending() int64 { return d.pending.Load() }

// Recorder holds what was measured, the warm-up left out.
func (d *Driver) Recorder() *results.Recorder { return d.measure }
