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
	d.noteEvent(device, &r.entry, r.measured)
}

// measured is where what was due is recorded.
func (d *Driver) measured(measured bool) *results.Recorder {
	if measured {
		return d.measure
	}
	return d.warm
}

// noteEvent counts the fate of an event that was sent.
func (d *Driver) noteEvent(device int32, e *audit.Entry, measured bool) {
	d.playing.heard(device, e)
	switch {
	case !measured:
	case e.Fate == audit.Unanswered:
		d.counts.unanswered.Add(1)
	default:
		d.counts.answered.Add(1)
	}
	if e.Fate == audit.Accepted || e.Fate == audit.Known {
		d.recoveries.wrote(e.LastSentUS, e.DoneUS)
	}
}
