package driver

import (
	"sync"
	"sync/atomic"

	"github.com/playhead-load/playhead/results"
)

// counts is what became of what was due in the measured time. Of events, due is the
// sum of answered, unanswered and unsent, once all have ended.
type counts struct {
	due, sent, answered, unanswered, unsent atomic.Int64 // events
	unasked                                 atomic.Int64 // questions that were never sent

	placed, foundFull, retries atomic.Int64 // events and questions
}

// planEnd is how things stood when the plan had ended.
type planEnd struct{ sent, answered, pending int64 }

// endPlan notes how things stand at the plan's end. What a slow target still
// answers while the driver waits for it was not answered at the rate of the plan.
func (d *Driver) endPlan() {
	d.measure.EndRates()
	d.planEnd.Store(&planEnd{d.counts.sent.Load(), d.counts.answered.Load(), d.pending.Load()})
}

// Load is what was due, sent and answered of events over the measured time, in
// seconds. Sent and answered is what was so by the plan's end, or by now if it has
// not ended; what ends later is in the operations' figures only. Unsent and
// Retries are of the whole run, and of questions too.
func (d *Driver) Load(measuredS float64) results.Load {
	sent, answered := d.counts.sent.Load(), d.counts.answered.Load()
	if end := d.planEnd.Load(); end != nil {
		sent, answered = end.sent, end.answered
	}
	per := func(n int64) float64 {
		if measuredS <= 0 {
			return 0
		}
		return float64(n) / measuredS
	}
	return results.Load{
		TargetPerS: per(d.counts.due.Load()), OfferedPerS: per(sent), AchievedPerS: per(answered),
		Unsent: d.counts.unsent.Load() + d.counts.unasked.Load(), Retries: d.counts.retries.Load(),
	}
}

// Backlog is how many requests had not ended when the plan had, those of the
// warm-up and questions included; 0 before.
func (d *Driver) Backlog() int64 {
	if end := d.planEnd.Load(); end != nil {
		return end.pending
	}
	return 0
}

// ConnectionsBusy is the share of measured requests, 0 to 1, that found every
// connection taken or spoken for when they were due. Near 1 it is the number of
// connections that bounds the load; more of them may be what the driver needs.
func (d *Driver) ConnectionsBusy() float64 {
	placed := d.counts.placed.Load()
	if placed == 0 {
		return 0
	}
	return float64(d.counts.foundFull.Load()) / float64(placed)
}

// unsentLimit bounds what is remembered of each request that was never sent, at 16
// bytes.
const unsentLimit = 1 << 20

// unsentList remembers what was due and never sent until the run has ended: only
// then is it known how long it was waited for. May be used by many goroutines.
type unsentList struct {
	mu       sync.Mutex
	requests []unsent
	more     map[results.Op]unsentMore // beyond unsentLimit
}

type unsent struct {
	dueUS int64
	op    results.Op
}

// unsentMore stands for requests that are only counted.
type unsentMore struct{ count, latestDueUS int64 }

func (u *unsentList) add(op results.Op, dueUS int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.requests) < unsentLimit {
		u.requests = append(u.requests, unsent{dueUS, op})
		return
	}
	if u.more == nil {
		u.more = make(map[results.Op]unsentMore)
	}
	more := u.more[op]
	u.more[op] = unsentMore{more.count + 1, max(more.latestDueUS, dueUS)}
}

// record tells the recorder of them all. Those that were only counted are taken to
// be due as late as the latest of them: none waited less.
func (u *unsentList) record(recorder *results.Recorder, endUS int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.requests {
		recorder.RecordUnsent(r.op, r.dueUS, endUS)
	}
	for op, more := range u.more {
		for range more.count {
			recorder.RecordUnsent(op, more.latestDueUS, endUS)
		}
	}
	u.requests, u.more = nil, nil
}
