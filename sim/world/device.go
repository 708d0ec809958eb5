package world

import (
	"slices"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// How a device tells its events: as the open-source Netflix client for Kodi does.
const (
	queueEvents = 10 // what comes when there are as many is dropped
	maxTries    = 3  // then the event is lost
	timeoutUS   = 10 * secondUS
	waitUS      = 2 * secondUS // between two tries, at least
	maxOpen     = 3            // requests under way at once, of devices that are not that patient
)

// device is a device's way to the server.
type device struct {
	world     *World
	number    int32
	skewMS    int64      // how far its clock is ahead
	reachedUS int64      // the network does not reach it before
	window    int        // how many requests it has under way at once
	queue     []*telling // what is under way, too
	open      int        // requests under way
}

// telling is an event from when it is queued to when its fate is known.
type telling struct {
	entry  audit.Entry
	body   []byte
	sent   bool
	ended  bool // its fate is known, or it was given up
	copied bool // the network delivered some request with it twice
}

// asks: a start waits for leave to play, unless it was offline.
func (t *telling) asks() bool { return t.entry.Type == viewing.Start && !t.entry.Offline }

// request is events that a device tells together: a start that asks by itself, or others.
type request struct {
	tellings []*telling
	command  []byte
	tries    int
	open     int // the try whose answer is awaited, 0 for none
}

func newDevice(w *World, number int32) device {
	d := device{world: w, number: number, skewMS: drawSkew(&w.clients), window: 1}
	if w.clients.Chance(0.4) {
		d.window = 1 + w.clients.Intn(maxOpen)
	}
	return d
}

// drawSkew draws how far a device's clock is ahead; most are about right.
func drawSkew(stream *random.Stream) int64 {
	switch u := stream.Float64(); {
	case u < 0.5:
		return between(stream, -2000, 2000)
	case u < 0.7:
		return -between(stream, 2000, 3_600_000)
	case u < 0.8:
		return between(stream, 2000, viewing.MaxAheadMS)
	}
	return between(stream, viewing.MaxAheadMS, 7_200_000)
}

// tell queues an event, which is the caller's.
func (d *device) tell(e *viewing.Event) {
	w := d.world
	w.counts.Events++
	e.At += viewing.Millis(d.skewMS)
	if len(d.queue) == queueEvents {
		w.counts.Dropped++
		w.tell("device %d drops %v %v seq %d", d.number, e.Type, e.SessionID, e.Seq)
		w.droppedInCalm(d)
		return
	}
	w.tell("device %d queues %v %v seq %d", d.number, e.Type, e.SessionID, e.Seq)
	d.queue = append(d.queue, &telling{entry: audit.NewEntry(e), body: wire.AppendEvent(nil, e)})
	d.goOn()
}

// goOn sends what was not sent yet, as far as the window allows.
func (d *device) goOn() {
	for d.open < d.window {
		r := d.nextRequest()
		if r == nil {
			return
		}
		d.open++
		d.world.told = append(d.world.told, r.tellings...)
		d.try(r)
	}
}

// nextRequest takes what is to be sent next: a start that asks by itself; of other events
// all up to the next such start, or one, as the device's mood is. nil: there is nothing.
func (d *device) nextRequest() *request {
	alone := d.world.clients.Chance(0.5)
	r := &request{}
	for _, t := range d.queue {
		if t.sent {
			continue
		}
		if t.asks() && len(r.tellings) > 0 {
			break
		}
		t.sent = true
		r.tellings = append(r.tellings, t)
		if t.asks() || alone {
			break
		}
	}
	if len(r.tellings) == 0 {
		return nil
	}
	r.command = appendTellings(nil, r.tellings)
	return r
}

// try sends a request.
func (d *device) try(r *request) {
	w := d.world
	r.tries++
	r.open = r.tries
	try := r.tries
	w.counts.Tries++
	for _, t := range r.tellings {
		if try == 1 {
			t.entry.FirstSentUS = w.nowUS
		}
		t.entry.LastSentUS = w.nowUS
	}
	w.tell("device %d try %d of %d events", d.number, try, len(r.tellings))
	times := w.network.carry(d, func() {
		w.server.receive(r.command, func(a answer) {
			w.network.carry(d, func() { d.hear(r, try, a) })
		})
	})
	if times > 1 {
		w.counts.Copied++
		for _, t := range r.tellings {
			t.copied = true
		}
	}
	w.after(timeoutUS, func() { d.timeout(r, try) })
}

// timeout gives a try up; its answer is not heard any more.
func (d *device) timeout(r *request, try int) {
	if r.open != try {
		return
	}
	r.open = 0
	w := d.world
	if r.tries < maxTries {
		w.after(between(&w.clients, waitUS, 2*waitUS), func() { d.try(r) })
		return
	}
	w.counts.Lost += len(r.tellings)
	w.tell("device %d loses %d events", d.number, len(r.tellings))
	w.lostInCalm(d, r)
	for _, t := range r.tellings {
		t.entry.DoneUS = w.nowUS
	}
	d.done(r)
}

// hear takes the answer to a try, unless it was given up or has been answered.
func (d *device) hear(r *request, try int, a answer) {
	if r.open != try {
		return
	}
	r.open = 0
	w := d.world
	for i, t := range r.tellings {
		e := &t.entry
		e.Fate, e.DoneUS = a.fates[i], w.nowUS
		if e.Resumed && (e.Fate == audit.Accepted || e.Fate == audit.Known) {
			w.counts.Resumed++
			e.PositionMS = a.positionMS
		}
		w.tell("device %d hears %v of %v seq %d at %d", d.number, e.Fate, e.Session, e.Seq, e.PositionMS)
	}
	d.done(r)
}

// done takes a request that has ended off the queue, with what is left to say of
// sessions that were denied.
func (d *device) done(r *request) {
	for _, t := range r.tellings {
		t.ended = true
		if t.entry.Fate == audit.Denied {
			d.world.counts.Denied++
			d.world.fleet.Denied(d.number, t.entry.Session)
			d.leave(t.entry.Session)
		}
	}
	d.queue = slices.DeleteFunc(d.queue, func(t *telling) bool { return t.ended })
	d.open--
	d.goOn()
}

// leave forgets what was not sent yet of a session.
func (d *device) leave(session viewing.SessionID) {
	for _, t := range d.queue {
		t.ended = t.ended || !t.sent && t.entry.Session == session
	}
}
