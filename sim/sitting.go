package sim

import (
	"math"

	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

type state uint8

const (
	over      state = iota // the sitting has ended: its device is idle
	browsing               // due: the next view of this sitting
	playing                // due: the earliest of end, interrupt, keepalive
	paused                 // due: resume at interrupt, or stop at end
	rejoining              // announced while paused: the pause follows at once
	uploading              // over, and due: to tell what was played without a connection
)

type flag uint8

const (
	quiet      flag = 1 << iota // this view is not told to the server (yet)
	denied                      // the server refused it
	silent                      // it ends without a stop
	complete                    // it plays to the end of the title
	short                       // a short view while browsing
	nextUp                      // the next view is the next episode
	fromMemory                  // the next view is the remembered title
	resumes                     // its start asks the server for the position
)

const (
	never    = math.MaxInt32
	maxViews = 1<<7 - 1 // of a sitting

	oldestMS = 7 * dayMS // a view that is older ends with its next pause

	offlineView = 1 << 7 // with a sitting's view: it is played without a connection
)

// sitting is a viewer at a device from the first view to the end of the last: 64
// bytes, a cache line, without a pointer. Times are milliseconds since start, the
// view's own beginning, where not said otherwise.
type sitting struct {
	start int64 // Unix ms

	// What is due first is due next.
	end       int32 // of play, or of a pause that is too long; while browsing, of that
	interrupt int32 // the next pause, seek, error or telemetry; the resume of a pause
	keepalive int32 // the next keepalive, as of the last turn; while quiet, the announcement

	playFrom int32 // when play (re)started; played and position count up to it

	position int32 // in the title, at playFrom
	played   int32 // at playFrom
	left     int32 // play still wanted, at playFrom

	account uint32 // of the fleet's
	device  uint32 // of the fleet's
	number  uint32 // of the sitting in its account
	seq     uint32 // of the next event, but for keepalives since the last turn
	next    uint32 // sitting of the same account: slot + 1

	title uint16
	drawn uint16 // counter of the view's random numbers
	view  uint8  // of the sitting; and offlineView
	who   who
	flags flag
	place uint8 // state, and zone
}

// who is a viewer at a device: profile, household and kind; and whether the fleet
// began during the view.
type who uint8

const joined who = 1 << 7

const (
	profileBits   = 3
	householdBits = 2
	stateBits     = 3
)

func newWho(profile, household, kind uint8) who {
	return who(profile | household<<profileBits | kind<<(profileBits+householdBits))
}

func (w who) profile() uint8   { return uint8(w) & (1<<profileBits - 1) }
func (w who) household() uint8 { return uint8(w) >> profileBits & (1<<householdBits - 1) }
func (w who) kind() uint8      { return uint8(w&^joined) >> (profileBits + householdBits) }

// viewer is who without the device.
func (w who) viewer() uint8 { return uint8(w) & (1<<(profileBits+householdBits) - 1) }

func (s *sitting) has(f flag) bool { return s.flags&f != 0 }
func (s *sitting) set(f flag)      { s.flags |= f }
func (s *sitting) clear(f flag)    { s.flags &^= f }

func (s *sitting) state() state      { return state(s.place & (1<<stateBits - 1)) }
func (s *sitting) become(next state) { s.place = s.place&^(1<<stateBits-1) | uint8(next) }
func (s *sitting) zone() uint8       { return s.place >> stateBits }

func (s *sitting) inProgress() bool {
	state := s.state()
	return state >= playing && state <= rejoining
}

func (s *sitting) offline() bool { return s.view&offlineView != 0 }

// due is when it is due, Unix ms.
func (s *sitting) due() int64 { return s.start + int64(min(s.end, s.interrupt, s.keepalive)) }

// at is the position and the time played when the view is elapsed ms old.
func (s *sitting) at(elapsed int32) (position, played int32) {
	position, played = s.position, s.played
	if s.state() == playing && elapsed > s.playFrom {
		position += elapsed - s.playFrom
		played += elapsed - s.playFrom
	}
	return position, played
}

// settle moves the counters up to elapsed.
func (s *sitting) settle(elapsed int32) {
	position, played := s.at(elapsed)
	s.left -= played - s.played
	s.position, s.played, s.playFrom = position, played, elapsed
}

// play starts or restarts the clock of play at elapsed.
func (m *machine) play(s *sitting, elapsed int32, stream *random.Stream) {
	s.become(playing)
	s.playFrom = elapsed
	s.end = elapsed + min(s.left, m.catalogue.Title(uint32(s.title)).RuntimeMS-s.position)
	s.interrupt = m.untilInterrupt(elapsed, stream)
	if !s.has(quiet) && !s.offline() {
		s.keepalive = elapsed + m.keepaliveMS
	}
}

// sent is how many keepalives were due before elapsed since the last turn. They are
// told without a look at the sitting, and counted at its next turn.
func (m *machine) sent(s *sitting, elapsed int32) int32 {
	if elapsed <= s.keepalive {
		return 0
	}
	return (elapsed-s.keepalive-1)/m.keepaliveMS + 1
}

// nextTurn is when anything but a keepalive is due, Unix ms.
func (s *sitting) nextTurn() int64 {
	if s.state() == playing && !s.has(quiet) {
		return s.start + int64(min(s.end, s.interrupt))
	}
	return s.due()
}

// turn does what is due on a sitting at elapsed, and says which event tells it, 0 for
// none.
func (m *machine) turn(s *sitting, elapsed int32, shelf *shelf, stream *random.Stream) viewing.EventType {
	sent := m.sent(s, elapsed)
	s.keepalive += sent * m.keepaliveMS
	s.seq += uint32(sent)
	switch s.state() {
	case browsing:
		return m.begin(s, elapsed, shelf, stream)
	case rejoining:
		s.become(paused)
		s.keepalive = never
		return viewing.Pause
	case paused:
		switch elapsed {
		case s.end:
			return m.finish(s, elapsed, shelf, true, stream)
		case s.interrupt:
			m.play(s, elapsed, stream)
			return viewing.Resume
		}
		return m.announce(s, elapsed)
	}
	switch elapsed {
	case s.end:
		s.settle(elapsed)
		return m.finish(s, elapsed, shelf, false, stream)
	case s.interrupt:
		return m.interruption(s, elapsed, stream)
	}
	return m.announce(s, elapsed)
}

// announce tells the server of a view that began before the fleet did, as a
// session that starts where the view is.
func (m *machine) announce(s *sitting, elapsed int32) viewing.EventType {
	if s.state() == playing && elapsed > s.playFrom {
		s.settle(elapsed)
	}
	s.clear(quiet | resumes)
	s.who |= joined
	s.start += int64(elapsed)
	s.seq, s.played, s.playFrom = 0, 0, max(0, s.playFrom-elapsed) // of its start-up the rest is left
	if s.end != never {
		s.end -= elapsed
	}
	if s.interrupt != never {
		s.interrupt -= elapsed
	}
	if s.state() == paused {
		s.become(rejoining)
		s.keepalive = 0 // the pause follows in the same millisecond
		return viewing.Start
	}
	s.keepalive = s.playFrom + m.keepaliveMS
	return viewing.Start
}

func (m *machine) interruption(s *sitting, elapsed int32, stream *random.Stream) viewing.EventType {
	b := &m.habits
	u := stream.Float64() * b.interruptsPerHour
	if u < b.errors+b.telemetry {
		s.interrupt = m.untilInterrupt(elapsed, stream)
		if u < b.errors {
			return viewing.Error
		}
		return viewing.Telemetry
	}
	s.settle(elapsed)
	if u < b.errors+b.telemetry+b.seeks {
		m.seek(s, stream)
		m.play(s, elapsed, stream)
		return viewing.Seek
	}
	m.pause(s, elapsed, stream)
	return viewing.Pause
}

func (m *machine) seek(s *sitting, stream *random.Stream) {
	b := &m.habits
	move := b.shortSeekMS
	if !stream.Chance(b.shortSeeks) {
		move = int32(stream.Between(float64(move), b.longSeekMS))
	}
	if stream.Chance(0.5) {
		move = -move
	}
	s.position = min(max(0, s.position+move), m.catalogue.Title(uint32(s.title)).RuntimeMS)
}

func (m *machine) pause(s *sitting, elapsed int32, stream *random.Stream) {
	b := &m.habits
	s.become(paused)
	length := stream.Lognormal(b.pauseMedianMS, b.pauseSigma)
	s.end, s.interrupt = never, never
	if length >= float64(b.longPauseMS) || elapsed > oldestMS {
		s.end = elapsed + b.longPauseMS
	} else {
		s.interrupt = elapsed + max(1, int32(length))
	}
	if !s.has(quiet) {
		s.keepalive = never
	}
}

func (m *machine) untilInterrupt(elapsed int32, stream *random.Stream) int32 {
	if m.habits.interruptsPerHour == 0 {
		return never
	}
	wait := stream.Exp() * (hourMS / m.habits.interruptsPerHour)
	return elapsed + 1 + int32(min(wait, never/2))
}
