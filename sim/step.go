package sim

import (
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Next fills e with the first event due at or before until, in the order of (due,
// account), and says whose it is; not ok when there is none. It is Advance and Event.
func (f *Fleet) Next(until viewing.Millis, e *viewing.Event) (step Step, ok bool) {
	if step, ok = f.Advance(until); ok {
		f.fetchTold()
		f.Event(e)
	}
	return step, ok
}

// Advance takes the next step that an event tells, if it is due at or before until.
// Event says the rest of it, until the next call.
func (f *Fleet) Advance(until viewing.Millis) (step Step, ok bool) {
	until = min(until, viewing.MaxAt)
	for {
		if f.ended {
			f.release()
		}
		if line := &f.wheel.line; line.first.before(f.wheel.bound) && line.first.due <= int64(until) {
			step = Step{viewing.Millis(line.first.due), int32(line.at(line.taken).device), viewing.Keepalive}
			if f.keepalive(); f.tellsKeepalive() {
				return step, true
			}
			continue
		}
		next, due := f.wheel.pop(int64(until))
		if next == nil {
			return Step{}, false
		}
		if f.wheel.window != f.fetched || f.wheel.taken > f.fetchedUntil {
			f.fetch()
		}
		f.now, f.current = due, uint32(next.ref)
		if next.due == next.turn {
			if step, ok = f.step(*next); ok {
				return step, true
			}
			continue
		}
		f.kind, f.telling.kind = viewing.Keepalive, 0
		device := next.device
		f.fileKeepalive(*next)
		if f.tellsKeepalive() {
			return Step{viewing.Millis(due), int32(device), viewing.Keepalive}, true
		}
	}
}

// keepalive takes the first keepalive of the line, whose next is due at the end of it.
func (f *Fleet) keepalive() {
	line := &f.wheel.line
	first := line.at(line.taken)
	f.now, f.current, f.kind, f.telling.kind = line.first.due, uint32(first.ref), viewing.Keepalive, 0
	next := moment{f.now + int64(f.keepaliveMS), line.first.rank}
	if next.due >= whole(f.now, first.turn) || !line.last.before(next) {
		f.fileKeepalive(*line.pop())
		return
	}
	line.again(next)
}

// fileKeepalive files the next keepalive of the sitting that each was one of, or its turn.
func (f *Fleet) fileKeepalive(each wait) {
	due := f.now + int64(f.keepaliveMS)
	if turn := whole(f.now, each.turn); due >= turn {
		f.wheel.push(each, turn)
		return
	}
	f.wheel.pushInLine(each, due)
}

// tellsKeepalive says whether the keepalive of the current sitting is told.
func (f *Fleet) tellsKeepalive() bool {
	return !f.refused || !f.sittings.at(f.current).has(denied)
}

// fetchedAtOnce is for how many turns what they look at is fetched at once: more, and the
// first of it would be gone again before it is used.
const fetchedAtOnce = 64

// fetch has the processor bring what the next turns of the open window will look at, all at
// once: one after another, each would wait for memory.
func (f *Fleet) fetch() {
	var accounts, slots [fetchedAtOnce]uint32 // of those whose sitting begins, and of those who sit
	begin, sit := 0, 0
	w := &f.wheel
	from := max(0, w.taken-1) // the turn that is to be done, unless it came late
	f.fetched, f.fetchedUntil = w.window, min(from+fetchedAtOnce, len(w.open))
	for _, each := range w.open[from:f.fetchedUntil] {
		if each.ref&arrivalTag != 0 {
			accounts[begin] = uint32(each.ref & indexMask)
			begin++
		} else {
			slots[sit] = uint32(each.ref)
			sit++
		}
	}
	for i, slot := range slots[:sit] {
		accounts[begin+i] = f.sittings.at(slot).account
	}
	touched := uint32(0)
	for _, account := range accounts[:begin+sit] {
		touched += f.accounts[account].playing
	}
	f.touched = touched
}

// toldAtOnce is for how many keepalives what tells them is fetched at once.
const toldAtOnce = 32

// fetchTold has the processor bring the sittings of the next keepalives in the line, all at
// once, as fetch does.
func (f *Fleet) fetchTold() {
	line := &f.wheel.line
	if int32(line.taken-f.toldUntil) < 0 {
		return
	}
	f.toldUntil = line.taken + min(line.filed-line.taken, toldAtOnce)
	touched := uint32(0)
	for n := line.taken; n != f.toldUntil; n++ {
		touched += f.sittings.at(uint32(line.at(n).ref)).account
	}
	f.touched = touched
}

// step does what is due, which is no keepalive; not ok when no event tells it.
func (f *Fleet) step(next wait) (step Step, ok bool) {
	if next.ref&arrivalTag != 0 {
		begun, arrival, due := f.arrive(next.ref, f.now)
		f.wheel.push(arrival, due)
		if !begun {
			return step, false
		}
	} else {
		f.turnOf(f.sittings.at(f.current))
	}
	s := f.sittings.at(f.current)
	if f.kind == 0 || s.flags&(quiet|denied) != 0 && f.telling.kind == 0 {
		return step, false
	}
	if f.telling.kind == 0 {
		s.seq++
	}
	return Step{viewing.Millis(f.now), int32(s.device), f.kind}, true
}

// file files what is due next in a sitting.
func (f *Fleet) file(slot uint32, s *sitting) {
	if f.quiet { // preRoll looks at the sittings themselves
		return
	}
	turn, due := s.nextTurn(), s.due()
	each := wait{turn: uint32(turn), device: s.device, ref: ref(slot)}
	if due < turn && due == f.now+int64(f.keepaliveMS) {
		f.wheel.pushInLine(each, due)
		return
	}
	f.wheel.push(each, due)
}

// turnOf does what is due on the current sitting.
func (f *Fleet) turnOf(s *sitting) {
	before := s.inProgress()
	if s.state() == browsing {
		s.view++
		s.drawn = 0
	}
	if s.state() == uploading {
		f.tellKept(s)
	} else {
		stream := random.At(f.viewKey(s), uint32(s.drawn))
		f.kind = f.turn(s, int32(f.now-s.start), &f.accounts[s.account].shelf, &stream)
		f.hold(s, &stream)
		s.drawn = uint16(stream.Counter())
	}
	f.count(before, s.inProgress())
	if f.ended = s.state() == over; !f.ended {
		f.file(f.current, s)
	}
}

// hold keeps what a sitting without a connection does from being told, until its upload.
func (f *Fleet) hold(s *sitting, stream *random.Stream) {
	f.telling.kind = 0
	if !s.offline() {
		return
	}
	if f.kind != 0 {
		f.keep(s)
	}
	f.kind = 0
	if s.state() == over {
		f.planUpload(s, stream)
	}
}

func (f *Fleet) count(before, after bool) {
	switch {
	case after && !before:
		f.active++
	case before && !after:
		f.active--
	}
}

// release frees the slot of a sitting that has ended.
func (f *Fleet) release() {
	f.ended = false
	s := f.sittings.at(f.current)
	link := &f.accounts[s.account].playing
	for *link != f.current+1 {
		link = &f.sittings.at(*link - 1).next
	}
	*link = s.next
	f.sittings.free(f.current)
}
