package driver

import (
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
)

// note measures a request that was sent and has ended, and logs it if it told an
// event.
func (d *Driver) note(device int32, r *request, a answer, doneUS int64) {
	if !r.repeated {
		d.measured(r.measured).Record(r.op, r.dueUS, r.sentUS, doneUS, a.result())
	}
	if !r.isEvent {
		d.noteReading(r, a, doneUS)
		return
	}
	switch {
	case !r.repeated:
		r.take(a, doneUS)
	case r.againUS > 0:
		r.entry.ToldAgain(r.againUS, r.sentUS, doneUS, a.fate, d.config.Lease)
	}
	d.config.Log.Add(r.entry)
	if !r.repeated || r.entry.Fate == audit.Denied {
		d.heard(device, r)
	}
	d.noteEvent(&r.entry, r.measured)
}

// heard notes what the answer to a device's event tells of what it plays, and of the
// target.
func (d *Driver) heard(device int32, r *request) {
	if !r.late || d.playing.plays(device, r.entry.Session) { // else it may have stopped since
		d.playing.heard(device, &r.entry)
	}
	d.noteWrite(&r.entry)
}

// measured is where what was due is recorded.
func (d *Driver) measured(measured bool) *results.Recorder {
	if measured {
		return d.measure
	}
	return d.warm
}

// noteEvent counts the fate of an event that was sent.
func (d *Driver) noteEvent(e *audit.Entry, measured bool) {
	switch {
	case !measured:
	case e.Fate == audit.Unanswered:
		d.counts.unanswered.Add(1)
	default:
		d.counts.answered.Add(1)
	}
}

// noteWrite tells those who wait for a write that the target took one, if it did.
func (d *Driver) noteWrite(e *audit.Entry) {
	if e.Fate == audit.Accepted || e.Fate == audit.Known {
		d.recoveries.wrote(e.LastSentUS, e.DoneUS)
	}
}
