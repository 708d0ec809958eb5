package driver

import (
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
)

// work sends the first request of one ready lane after another.
func (d *Driver) work() {
	for {
		d.idle.Add(1)
		lane, ok := <-d.ready
		d.idle.Add(-1)
		if !ok {
			return
		}
		for lane != nil {
			lane = d.sendFirst(lane)
		}
	}
}

// sendFirst tries the lane's first request once. It returns the lane if it has
// more to say at once.
func (d *Driver) sendFirst(l *lane) *lane {
	d.mu.Lock()
	r := l.queue[0]
	d.mu.Unlock()
	r.tries++
	r.sentUS = d.NowUS()
	if r.tries == 1 {
		r.entry.FirstSentUS = r.sentUS
		if r.dueUS == 0 {
			r.dueUS = r.sentUS
		}
		if r.unhindered && r.measured {
			d.lag.add(r.sentUS - r.dueUS)
		}
		if r.isEvent && r.measured {
			d.counts.sent.Add(1)
		}
	}
	answer := d.client.send(r, l.target)
	doneUS := d.NowUS()
	if answer.again && r.tries < maxTries {
		d.tryAgain(l, r, answer.wait)
		return nil
	}
	if answer.again {
		answer.fate = audit.Unanswered
	}
	return d.end(l, r, answer, doneUS)
}

// tryAgain puts the lane back on its way after a wait, to another node.
func (d *Driver) tryAgain(l *lane, r *request, wait time.Duration) {
	if r.measured {
		d.counts.retries.Add(1)
	}
	time.AfterFunc(min(max(wait, retryWait), retryLimit), func() {
		d.mu.Lock()
		l.target++
		d.mu.Unlock()
		d.ready <- l
	})
}

// end notes what became of a request, and takes it off the lane.
func (d *Driver) end(l *lane, r *request, answer answer, doneUS int64) *lane {
	recorder := d.measure
	if !r.measured {
		recorder = d.warm
	}
	recorder.Record(r.op, r.dueUS, r.sentUS, doneUS, answer.result())
	answered := answer.fate != audit.Unanswered
	if r.isEvent {
		r.entry.LastSentUS, r.entry.DoneUS, r.entry.Fate = r.sentUS, doneUS, answer.fate
		if r.entry.Resumed && answer.positionMS != nil {
			r.entry.PositionMS = *answer.positionMS
		}
		d.config.Log.Add(r.entry)
		if answered && r.measured {
			d.counts.answered.Add(1)
		}
		if answer.fate == audit.Accepted || answer.fate == audit.Known {
			d.recovery.wrote(r.sentUS, doneUS)
		}
	}
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
		return nil
	}
	return l
}

// forget takes back what a device has nothing to say of any more.
func (d *Driver) forget(dropped []*request) {
	for _, r := range dropped {
		if r.isEvent && r.measured {
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
	fate       audit.Fate
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
