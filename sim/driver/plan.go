package driver

import (
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/viewing"
)

// plan puts what is due on its way, of a great many events some: more says whether
// there may be others. nowUS is on the plan's clock.
func (d *Driver) plan(nowUS int64) (more bool) {
	for range planAtOnce {
		if !d.planNext(nowUS) {
			return false
		}
	}
	return true
}

// planNext puts what is due next on its way.
func (d *Driver) planNext(nowUS int64) bool {
	until, ok := d.pace.until(d, nowUS)
	if !ok {
		return false
	}
	e := &d.event
	step, ok := d.config.Fleet.Next(until, e)
	if !ok {
		return false
	}
	dueUS := d.pace.due(step.DueMS, nowUS) + d.heldUS
	if d.vanished.has(step.Device) {
		return true
	}
	ago := 0.0
	if e.Offline {
		ago = float64(step.DueMS-e.At) / d.config.TimeScale
	}
	e.At = viewing.Millis(d.begun.UnixMilli()+dueUS/1000-int64(ago)) + d.config.Flaws.skewMS(step.Device)
	measured := dueUS >= d.config.WarmUp.Microseconds()
	if measured {
		d.counts.due.Add(1)
	}
	switch {
	case d.aggregators != nil:
		d.gather(step.Device, e, dueUS, measured)
	case d.delays(step.Device, e):
		d.hold(step.Device, d.newRequest(e, dueUS, measured))
	default:
		d.placeEvent(step.Device, d.newRequest(e, dueUS, measured))
	}
	if ask := comesWith(e); ask != none && d.asks(step.Device) {
		d.place(&d.questions, step.Device, d.newQuestion(ask, e, dueUS, measured))
	}
	return true
}

// asks says whether a device is one of those that ask: always the same ones.
func (d *Driver) asks(device int32) bool {
	const golden = 0x9E3779B1 // spreads neighbours (Knuth, multiplicative hashing)
	return d.config.Unasked == 0 || float64(uint32(device)*golden) >= d.config.Unasked*(1<<32)
}

// place queues a request that is due, unless its lane is full: then it is lost.
func (d *Driver) place(of *lanes, device int32, r *request) {
	l := of.busy[device]
	full := d.underway+d.ready.len() >= d.config.Connections
	r.unhindered = l == nil && !full
	d.notePlaced(r.dueUS, r.measured, full, r.unhindered)
	switch {
	case l == nil:
		l = of.take(device)
		l.add(r)
		d.ready.push(l)
	case len(l.queue) >= of.limit:
		d.lose(r.op, r.isEvent, r.dueUS, r.measured)
		d.free(r)
		return
	default:
		l.add(r)
	}
	d.pending.Add(1)
}

// notePlaced notes of what is due whether every connection is taken, and, unless that
// will be seen when it is sent, how late it comes: what it waits for from now on is not
// the driver's doing.
func (d *Driver) notePlaced(dueUS int64, measured, full, unhindered bool) {
	if !measured {
		return
	}
	d.counts.placed.Add(1)
	if full {
		d.counts.foundFull.Add(1)
	}
	if !unhindered {
		d.lag.add(d.NowUS() - dueUS)
	}
}

// lose gives up what was never sent.
func (d *Driver) lose(op results.Op, isEvent bool, dueUS int64, measured bool) {
	d.series.lost.Add(1)
	if !measured {
		return
	}
	if isEvent {
		d.counts.unsent.Add(1)
	} else {
		d.counts.unasked.Add(1)
	}
	d.unsent.add(op, dueUS)
}
