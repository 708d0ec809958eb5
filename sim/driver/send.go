package driver

import (
	"time"

	"github.com/playhead-load/playhead/sim/audit"
)

// sendReady sends the first request of each lane that is ready, as long as there are
// connections for them.
func (d *Driver) sendReady() {
	for d.ready.len() > 0 && d.underway < d.config.Connections {
		l := d.ready.pop()
		r := l.queue[0]
		if d.closing && r.tries == 0 {
			d.abandon(l)
			continue
		}
		now := time.Now()
		d.begin(r, now)
		d.underway++
		home := d.home(l.device)
		d.request = d.appendRequest(d.request[:0], r, &d.nodes[home])
		d.call(home, now, l)
	}
}

// call makes a call of d.request.
func (d *Driver) call(node int, now time.Time, c caller) {
	d.carrier.call(node, d.request, now.Add(d.config.Timeout), c)
}

// begin notes that a request is sent now.
func (d *Driver) begin(r *request, now time.Time) {
	r.tries++
	r.sentUS = d.sinceBegunUS(now)
	if r.repeated && r.againUS == 0 {
		r.againUS = r.sentUS
		return
	}
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

// end notes what became of a request, and takes it off the lane.
func (d *Driver) end(l *lane, r *request, a answer, doneUS int64) {
	d.note(l.device, r, a, doneUS)
	if a.fate == audit.Denied {
		d.config.Fleet.Denied(l.device, r.entry.Session)
		for _, dropped := range l.cut(r.entry.Session) {
			d.forget(dropped)
		}
		d.dropHeld(l.device, r.entry.Session)
	}
	l.shift()
	d.free(r)
	d.pending.Add(-1)
	if len(l.queue) == 0 {
		l.leave()
		return
	}
	d.ready.push(l)
}

// forget takes back an event that a device has nothing to say of any more.
func (d *Driver) forget(r *request) {
	if r.measured {
		d.counts.due.Add(-1)
	}
	d.pending.Add(-1)
	d.free(r)
}

// abandon ends all that a lane has to say: what was sent is unanswered, the rest
// unsent.
func (d *Driver) abandon(l *lane) {
	for _, r := range l.queue {
		if r.tries > 0 {
			d.note(l.device, r, answer{fate: audit.Unanswered}, d.NowUS())
		} else {
			d.lose(r.op, r.isEvent, r.dueUS, r.measured)
		}
		d.pending.Add(-1)
	}
	clear(l.queue)
	l.queue = l.queue[:0]
	l.leave()
}

// abandonAll ends whatever has not ended.
func (d *Driver) abandonAll() {
	for _, of := range []*lanes{&d.events, &d.questions} {
		for _, l := range of.busy {
			d.abandon(l)
		}
	}
	for i := range d.aggregators {
		d.abandonBatches(&d.aggregators[i])
	}
}
