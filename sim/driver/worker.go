package driver

import (
	"context"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
)

// work sends the first request of one ready lane after another, until ctx ends.
func (d *Driver) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case lane := <-d.ready:
			for lane != nil {
				lane = d.sendFirst(ctx, lane)
			}
		}
	}
}

// sendFirst tries the lane's first request once. It returns the lane if it has
// more to say at once. What ctx breaks off stays on its lane, for Run to abandon.
func (d *Driver) sendFirst(ctx context.Context, l *lane) *lane {
	if ctx.Err() != nil {
		return nil
	}
	d.mu.Lock()
	r := l.queue[0]
	d.mu.Unlock()
	if d.closing.Load() && r.tries == 0 {
		d.abandon(l)
		return nil
	}
	d.begin(r)
	answer := d.client.send(ctx, r, l.target)
	doneUS := d.NowUS()
	if answer.again {
		if ctx.Err() != nil {
			return nil
		}
		l.target = (l.target + 1) % len(d.config.Targets)
		if r.tries < maxTries {
			d.tryAgain(l, answer.wait)
			return nil
		}
	}
	return d.end(l, r, answer, doneUS)
}

// begin notes that a request is sent now.
func (d *Driver) begin(r *request) {
	r.tries++
	r.sentUS = d.NowUS()
	if r.tries > 1 {
		if r.measured {
			d.counts.retries.Add(1)
		}
		return
	}
	r.entry.FirstSentUS = r.sentUS
	if !r.measured {
		return
	}
	if r.isEvent {
		d.counts.sent.Add(1)
	}
	if r.unhindered {
		d.lag.add(r.sentUS - r.dueUS)
	}
}

// tryAgain puts the lane back on its way after a wait.
func (d *Driver) tryAgain(l *lane, wait time.Duration) {
	d.mu.Lock()
	d.claimed--
	d.mu.Unlock()
	time.AfterFunc(min(max(wait, retryWait), retryLimit), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.claim(l)
	})
}

// end notes what became of a request, and takes it off the lane.
func (d *Driver) end(l *lane, r *request, answer answer, doneUS int64) *lane {
	d.note(l, r, answer, doneUS)
	d.mu.Lock()
	defer d.mu.Unlock()
	if answer.fate == audit.Denied {
		d.fleet.Denied(l.device, r.session)
		d.forget(l.leave(r.session))
	}
	l.queue[0] = nil
	l.queue = l.queue[1:]
	d.done(1)
	if len(l.queue) == 0 {
		l.busy, l.queue = false, nil
		d.claimed--
		return nil
	}
	return l
}

// note measures a request that was sent and has ended, and logs it if it told an
// event.
func (d *Driver) note(l *lane, r *request, answer answer, doneUS int64) {
	recorder := d.measure
	if !r.measured {
		recorder = d.warm
	}
	recorder.Record(r.op, r.dueUS, r.sentUS, doneUS, answer.result())
	if !r.isEvent {
		return
	}
	r.entry.LastSentUS, r.entry.DoneUS, r.entry.Fate = r.sentUS, doneUS, answer.fate
	if r.entry.Resumed && answer.positionMS != nil {
		r.entry.PositionMS = *answer.positionMS
	}
	d.config.Log.Add(r.entry)
	d.playing.heard(l.device, r, answer.fate, doneUS)
	switch {
	case !r.measured:
	case answer.fate == audit.Unanswered:
		d.counts.unanswered.Add(1)
	default:
		d.counts.answered.Add(1)
	}
	if answer.fate == audit.Accepted || answer.fate == audit.Known {
		d.recoveries.wrote(r.sentUS, doneUS)
	}
}

// abandon ends all that a lane has to say: what was sent is unanswered, the rest
// unsent. Whoever calls it has the lane, which is never busy again.
func (d *Driver) abandon(l *lane) {
	d.mu.Lock()
	queue := l.queue
	l.queue = nil
	d.mu.Unlock()
	for _, r := range queue {
		if r.tries > 0 {
			d.note(l, r, answer{fate: audit.Unanswered}, d.NowUS())
		} else {
			d.lose(r)
		}
	}
	d.done(len(queue))
}

// forget takes back the events that a device has nothing to say of any more.
func (d *Driver) forget(dropped []*request) {
	for _, r := range dropped {
		if r.measured {
			d.counts.due.Add(-1)
		}
	}
	d.done(len(dropped))
}

// done counts requests that have ended.
func (d *Driver) done(n int) {
	if d.pending.Add(-int64(n)) > 0 {
		return
	}
	select {
	case d.ended <- struct{}{}:
	default:
	}
}

// answer is what came of one try.
type answer struct {
	fate       audit.Fate    // Unanswered while the target could not say
	again      bool          // the target could not say: repeat it
	wait       time.Duration // not before
	positionMS *int64        // where a start begins
	failed     bool          // the target said that the request was wrong, or nonsense
}

func (a *answer) result() results.Result {
	switch {
	case a.failed || a.fate == audit.Unanswered || a.fate == audit.Rejected:
		return results.ResultError
	case a.fate == audit.Denied:
		return results.ResultDenied
	}
	return results.ResultOK
}
