package sim

import (
	"math"

	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

type state uint8

const (
	idle      state = iota // due: the next sitting
	browsing               // due: the next view of this sitting
	playing                // due: the earliest of end, interrupt, keepalive
	paused                 // due: resume at interrupt, or stop at end
	rejoining              // announced while paused: the pause follows at once
)

type flag uint8

const (
	quiet      flag = 1 << iota // this playback is not told to the server (yet)
	denied                      // the server refused it
	silent                      // it ends without a stop
	complete                    // it plays to the end of the title
	short                       // a short view while browsing
	nextUp                      // the next view is the next episode
	explicit                    // the next resume tells its position
	fromMemory                  // the next view is the remembered title
)

const never = math.MaxInt32

// device is one screen: 80 bytes without a pointer. Times are milliseconds
// since start, the playback's own beginning, where not said otherwise.
type device struct {
	due   int64 // Unix ms
	start int64 // Unix ms; with sessions, the identity of the playback

	playFrom  int32 // when play (re)started; played and position count up to it
	end       int32
	interrupt int32 // the next pause, seek, error or telemetry; the resume of a pause
	keepalive int32 // the next keepalive; while quiet, the announcement

	title    uint32
	position int32 // in the title, at playFrom
	played   int32 // at playFrom
	left     int32 // play still wanted, at playFrom
	stall    int32 // before the first frame

	seq      uint32
	sessions uint32 // playbacks begun
	drawn    uint32 // counter of the device's random numbers

	account      uint32
	remembered   uint16 // title left half-way, 0: none
	household    uint8
	kind         uint8
	rememberedAt int32 // position in it
	profile      uint8
	rememberedBy uint8 // profile
	state        state
	flags        flag
}

func (d *device) has(f flag) bool { return d.flags&f != 0 }
func (d *device) set(f flag)      { d.flags |= f }
func (d *device) clear(f flag)    { d.flags &^= f }

func (d *device) inProgress() bool {
	return d.state == playing || d.state == paused || d.state == rejoining
}

// at is the position and the time played when the playback is elapsed ms old.
func (d *device) at(elapsed int32) (position, played int32) {
	position, played = d.position, d.played
	if d.state == playing && elapsed > d.playFrom {
		position += elapsed - d.playFrom
		played += elapsed - d.playFrom
	}
	return position, played
}

// settle moves the counters up to elapsed.
func (d *device) settle(elapsed int32) {
	position, played := d.at(elapsed)
	d.left -= played - d.played
	d.position, d.played, d.playFrom = position, played, elapsed
}

// play starts or restarts the clock of play at elapsed.
func (m *machine) play(d *device, elapsed int32, stream *random.Stream) {
	d.state = playing
	d.playFrom = elapsed
	d.end = elapsed + min(d.left, m.catalogue.Title(d.title).RuntimeMS-d.position)
	d.interrupt = m.untilInterrupt(elapsed, stream)
	if !d.has(quiet) {
		d.keepalive = elapsed + m.keepaliveMS
	}
	d.schedule()
}

func (d *device) schedule() {
	d.due = d.start + int64(min(d.end, d.interrupt, d.keepalive))
}

// step does what is due on a device that is not idle, and says which event
// tells it, 0 for none. A device that comes back idle has ended its sitting.
func (m *machine) step(d *device, key uint64) viewing.EventType {
	elapsed := int32(d.due - d.start)
	if d.state == playing && elapsed != d.end && elapsed != d.interrupt && !d.has(quiet) {
		d.keepalive += m.keepaliveMS
		d.schedule()
		return viewing.Keepalive
	}
	stream := random.At(key, d.drawn)
	event := m.turn(d, elapsed, &stream)
	d.drawn = stream.Counter()
	return event
}

func (m *machine) turn(d *device, elapsed int32, stream *random.Stream) viewing.EventType {
	switch d.state {
	case browsing:
		return m.begin(d, stream)
	case rejoining:
		d.state = paused
		d.schedule()
		return viewing.Pause
	case paused:
		switch elapsed {
		case d.end:
			return m.finish(d, true, stream)
		case d.interrupt:
			m.play(d, elapsed, stream)
			return viewing.Resume
		}
		return m.announce(d, elapsed)
	}
	switch elapsed {
	case d.end:
		d.settle(elapsed)
		return m.finish(d, false, stream)
	case d.interrupt:
		return m.interruption(d, elapsed, stream)
	}
	return m.announce(d, elapsed)
}

// announce tells the server of a playback that began before the fleet did, as
// a session that starts where the playback is.
func (m *machine) announce(d *device, elapsed int32) viewing.EventType {
	if d.state == playing {
		d.settle(elapsed)
	}
	d.clear(quiet | fromMemory)
	d.start = d.due
	d.sessions++
	d.seq, d.played, d.playFrom, d.stall = 0, 0, 0, 0
	if d.end != never {
		d.end -= elapsed
	}
	if d.interrupt != never {
		d.interrupt -= elapsed
	}
	if d.state == paused {
		d.state = rejoining
		d.keepalive = never
		return viewing.Start // due stays: the pause follows in the same millisecond
	}
	d.keepalive = m.keepaliveMS
	d.schedule()
	return viewing.Start
}

func (m *machine) interruption(d *device, elapsed int32, stream *random.Stream) viewing.EventType {
	b := &m.habits
	u := stream.Float64() * b.interruptsPerHour
	if u < b.errors+b.telemetry {
		d.interrupt = m.untilInterrupt(elapsed, stream)
		d.schedule()
		if u < b.errors {
			return viewing.Error
		}
		return viewing.Telemetry
	}
	d.settle(elapsed)
	if u < b.errors+b.telemetry+b.seeks {
		m.seek(d, stream)
		m.play(d, elapsed, stream)
		return viewing.Seek
	}
	m.pause(d, elapsed, stream)
	return viewing.Pause
}

func (m *machine) seek(d *device, stream *random.Stream) {
	b := &m.habits
	move := b.shortSeekMS
	if !stream.Chance(b.shortSeeks) {
		move = int32(stream.Between(float64(move), b.longSeekMS))
	}
	if stream.Chance(0.5) {
		move = -move
	}
	d.position = min(max(0, d.position+move), m.catalogue.Title(d.title).RuntimeMS)
}

func (m *machine) pause(d *device, elapsed int32, stream *random.Stream) {
	b := &m.habits
	d.state = paused
	length := stream.Lognormal(b.pauseMedianMS, b.pauseSigma)
	d.end, d.interrupt = never, never
	if length >= float64(b.longPauseMS) {
		d.end = elapsed + b.longPauseMS
	} else {
		d.interrupt = elapsed + max(1, int32(length))
	}
	if !d.has(quiet) {
		d.keepalive = never
	}
	d.schedule()
}

func (m *machine) untilInterrupt(elapsed int32, stream *random.Stream) int32 {
	if m.habits.interruptsPerHour == 0 {
		return never
	}
	wait := stream.Exp() * (hourMS / m.habits.interruptsPerHour)
	return elapsed + 1 + int32(min(wait, never/2))
}
