package driver

import (
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Flaws are what real devices do wrong, each in a share of 0 … 1, chosen by the seed. The
// zero value is devices without any. Those of events are of events that are requests of
// their own.
type Flaws struct {
	Seed     uint64
	Skewed   float64       // of the devices: their clocks are wrong,
	Skew     time.Duration // behind by that much at most, or ahead,
	Ahead    time.Duration // by that at most too, and by AheadLimit
	Repeated float64       // of the events: each is told again when it was acknowledged at the first try
	Delayed  float64       // of the events but starts and stops: each is told after the next of its session
}

// AheadLimit is how far a device's clock is ahead at most. What is more than
// viewing.MaxAheadMS ahead a target takes back to its own clock, of which the auditor
// does not know how it stands when it does so.
const AheadLimit = 4 * time.Second

// The uses of the seed in random.Key.
const (
	skewDomain   = 33
	repeatDomain = 34
	delayDomain  = 35
)

// chosen says whether a thing is in a share of all.
func (f *Flaws) chosen(share float64, domain, thing uint64) bool {
	return share > 0 && float64(random.Key(f.Seed, domain, thing)) < share*(1<<64)
}

// skewMS is how far a device's clock is ahead, below 0 behind: always the same.
func (f *Flaws) skewMS(device int32) viewing.Millis {
	if !f.chosen(f.Skewed, skewDomain, uint64(device)) {
		return 0
	}
	key := random.Key(f.Seed, skewDomain, uint64(device))
	most := f.Skew
	if ahead := random.Hash(key, 0)%2 == 0; ahead {
		most = min(most, f.Ahead, AheadLimit)
	} else {
		most = -most
	}
	return viewing.Millis(float64(most.Milliseconds()) * float64(random.Hash(key, 1)) / (1 << 64))
}

// ofEvent stands for a device's event.
func ofEvent(device int32, title, seq uint32) uint64 {
	return uint64(device)<<32 | uint64(title*31+seq)
}

// delays says whether a device holds an event back until it has told the next.
func (d *Driver) delays(device int32, e *viewing.Event) bool {
	if e.Type == viewing.Start || e.Type == viewing.Stop || e.Offline || d.aggregators != nil {
		return false
	}
	f := &d.config.Flaws
	return f.chosen(f.Delayed, delayDomain, ofEvent(device, e.TitleID, e.Seq)) && d.held[device] == nil
}

// hold keeps a request until its device has told the next event of its session.
func (d *Driver) hold(device int32, r *request) {
	if d.held == nil {
		d.held = map[int32]*request{}
	}
	d.held[device] = r
}

// unhold takes what a device holds back, if that is of the session, or of another; nil:
// there is none.
func (d *Driver) unhold(device int32, session viewing.SessionID, same bool) *request {
	r := d.held[device]
	if r == nil || (r.entry.Session == session) != same {
		return nil
	}
	delete(d.held, device)
	return r
}

// placeEvent queues an event, and what the device had held back until then: behind it,
// or before it where it is of another session.
func (d *Driver) placeEvent(device int32, r *request) {
	session, dueUS := r.entry.Session, r.dueUS
	d.placeHeld(device, d.unhold(device, session, false), dueUS)
	d.place(&d.events, device, r)
	d.placeHeld(device, d.unhold(device, session, true), dueUS)
}

// placeHeld queues what was held back, if there is something. It is due now: what it
// waited for was its device.
func (d *Driver) placeHeld(device int32, r *request, dueUS int64) {
	if r != nil {
		r.dueUS, r.late = dueUS, true
		d.place(&d.events, device, r)
	}
}

// placeAllHeld queues what is still held back at the end of the plan, but for what devices
// hold that have vanished.
func (d *Driver) placeAllHeld() {
	nowUS := d.NowUS()
	for device, r := range d.held {
		if d.vanished.has(device) {
			d.dropHeld(device, r.entry.Session)
			continue
		}
		delete(d.held, device)
		d.placeHeld(device, r, nowUS)
	}
}

// dropHeld takes back what a device holds of a session.
func (d *Driver) dropHeld(device int32, session viewing.SessionID) {
	if r := d.unhold(device, session, true); r != nil {
		d.pending.Add(1) // which forget takes off
		d.forget(r)
	}
}

// repeats says whether a device tells an event, just acknowledged, once more.
func (d *Driver) repeats(l *lane, r *request, a answer) bool {
	f := &d.config.Flaws
	return r.isEvent && r.tries == 1 && (a.fate == audit.Accepted || a.fate == audit.Known) && !d.closing &&
		f.chosen(f.Repeated, repeatDomain, ofEvent(l.device, r.entry.Title, r.entry.Seq))
}

// tellAgain notes what came of the first time, which alone is measured, and has the
// event told once more.
func (d *Driver) tellAgain(l *lane, r *request, a answer, doneUS int64) {
	d.measured(r.measured).Record(r.op, r.dueUS, r.sentUS, doneUS, a.result())
	r.repeated = true
	r.take(a, doneUS)
	d.heard(l.device, r)
	d.ready.push(l)
}

// take notes what came of an event.
func (r *request) take(a answer, doneUS int64) {
	e := &r.entry
	e.LastSentUS, e.DoneUS, e.Fate = r.sentUS, doneUS, a.fate
	if e.Resumed && a.positioned {
		e.PositionMS = a.positionMS
	}
}
