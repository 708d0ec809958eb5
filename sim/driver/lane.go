package driver

import (
	"slices"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/viewing"
)

// lanes are the ways of devices to the target that have something on them: one for
// what they say, in order, and beside it one for what they ask. What one of the two
// waits for does not hold up the other.
type lanes struct {
	limit int // of a lane's queue, what is under way included
	busy  map[int32]*lane
	spare []*lane
}

func newLanes(limit int) lanes { return lanes{limit: limit, busy: map[int32]*lane{}} }

// lane is what a device has to say or to ask: the first is under way, or the next to
// be. It waits in one place at a time: with the carrier, among those that are ready, or
// for another try.
type lane struct {
	of     *lanes
	device int32
	queue  []*request
}

// take is an empty lane of a device that has none.
func (s *lanes) take(device int32) *lane {
	var l *lane
	if last := len(s.spare) - 1; last >= 0 {
		l, s.spare = s.spare[last], s.spare[:last]
	} else {
		l = &lane{of: s}
	}
	l.device = device
	s.busy[device] = l
	return l
}

// leave gives back a lane that is empty.
func (l *lane) leave() {
	delete(l.of.busy, l.device)
	l.of.spare = append(l.of.spare, l)
}

func (l *lane) add(r *request) { l.queue = append(l.queue, r) }

// shift takes the first request off the lane.
func (l *lane) shift() { l.queue = slices.Delete(l.queue, 0, 1) }

// cut takes what the lane still has to say of a session, after its first request, off
// the lane and returns it.
func (l *lane) cut(session viewing.SessionID) (dropped []*request) {
	kept := l.queue[:1] // in the same memory
	for _, r := range l.queue[1:] {
		if r.entry.Session == session {
			dropped = append(dropped, r)
		} else {
			kept = append(kept, r)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	return dropped
}

// queue is lanes in the order in which they came.
type queue struct {
	lanes []*lane
	first int
}

func (q *queue) len() int { return len(q.lanes) - q.first }

func (q *queue) push(l *lane) { q.lanes = append(q.lanes, l) }

func (q *queue) pop() *lane {
	l := q.lanes[q.first]
	q.lanes[q.first] = nil
	q.first++
	if q.first == len(q.lanes) {
		q.lanes, q.first = q.lanes[:0], 0
	} else if q.first > cap(q.lanes)/2 {
		q.lanes, q.first = q.lanes[:copy(q.lanes, q.lanes[q.first:])], 0
	}
	return l
}

// answered implements caller.
func (l *lane) answered(d *Driver, a *http1.Answer, at time.Time, err error) {
	d.underway--
	r := l.queue[0]
	answer := r.read(a, err, d.listed)
	if cap(answer.reading.Listed) > cap(d.listed) {
		d.listed = answer.reading.Listed[:0]
	}
	doneUS := max(r.sentUS, d.sinceBegunUS(at))
	if answer.again {
		d.moveOn(l.device)
		if r.tries < d.retry.Tries {
			d.tryAgain(try{lane: l}, r.tries, answer.wait)
			return
		}
	}
	if !r.repeated && d.repeats(l, r, answer) {
		d.tellAgain(l, r, answer, doneUS)
		return
	}
	d.end(l, r, answer, doneUS)
}

// home is the node that a device talks to.
func (d *Driver) home(device int32) int {
	if node, moved := d.moved[device]; moved {
		return int(node)
	}
	return int(device) % len(d.nodes)
}

// moveOn has a device talk to another node than the one that failed it.
func (d *Driver) moveOn(device int32) {
	d.moved[device] = uint16((d.home(device) + 1) % len(d.nodes))
}
