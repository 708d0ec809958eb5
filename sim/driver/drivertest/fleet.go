package drivertest

import (
	"encoding/binary"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/viewing"
)

// StartMS is a Steady fleet's clock at the beginning.
const StartMS = viewing.Millis(1_448_000_000_000)

// Steady is a fleet whose keepalives are due at even distances, of one device after
// another. It is not safe for concurrent use.
type Steady struct {
	Every  time.Duration // whole milliseconds
	Events int
	Each   int // devices; each is an account

	said int
}

// Due is when the n-th event is due, counted from 0, in a run that began then.
func (s *Steady) Due(n int, begun time.Time) time.Time { return begun.Add(time.Duration(n) * s.Every) }

// DueOfAll is when each event is due.
func (s *Steady) DueOfAll(begun time.Time) []time.Time {
	due := make([]time.Time, s.Events)
	for i := range due {
		due[i] = s.Due(i, begun)
	}
	return due
}

// Length is how long the fleet plays.
func (s *Steady) Length() time.Duration { return time.Duration(s.Events) * s.Every }

// Next is the next event, if it is due by then.
func (s *Steady) Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool) {
	at := StartMS + viewing.Millis(int64(s.said)*s.Every.Milliseconds())
	if s.said == s.Events || at > until {
		return sim.Step{}, false
	}
	device := s.said % s.Each
	s.said++
	KeepaliveOf(device, uint32(s.said/s.Each), at, e)
	return sim.Step{DueMS: at, Device: int32(device), Type: viewing.Keepalive}, true
}

// KeepaliveOf fills e with one of a device's only session, about 230 bytes in JSON.
func KeepaliveOf(device int, seq uint32, at viewing.Millis, e *viewing.Event) {
	id := uint64(device) + 1
	*e = viewing.Event{
		At: at, Seq: seq, Type: viewing.Keepalive, AccountID: id, ProfileID: 1, DeviceID: id,
		DeviceType: "tv", TitleID: 80, PositionMS: int64(seq) * 60_000, PlayedMS: int64(seq) * 60_000,
	}
	binary.BigEndian.PutUint64(e.SessionID[8:], id)
}

// Denied does nothing: a target of this package denies nothing.
func (s *Steady) Denied(int32, viewing.SessionID) {}

// Devices is how many there are.
func (s *Steady) Devices() int { return s.Each }
