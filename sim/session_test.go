package sim_test

import (
	"encoding/binary"
	"testing"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// heard is what a test remembers of a session.
type heard struct {
	last     viewing.Event
	startAt  viewing.Millis
	countsAt viewing.Millis // from when the keepalive counts
	known    bool           // the position
	stopped  bool
}

func (h *heard) check(t *testing.T, e *viewing.Event, keepalive viewing.Millis) {
	t.Helper()
	was := &h.last
	fail := func(law string) {
		t.Helper()
		t.Errorf("%s:\n  %s  %s", law, describe(was, -1), describe(e, -1))
	}
	if h.stopped {
		fail("nothing follows a stop")
	}
	if e.Seq != was.Seq+1 || e.At < was.At {
		fail("seq is dense and time does not go back")
	}
	if e.Type == viewing.Start {
		fail("a session starts once")
	}
	if e.AccountID != was.AccountID || e.ProfileID != was.ProfileID || e.DeviceID != was.DeviceID ||
		e.TitleID != was.TitleID || e.DeviceType != was.DeviceType || e.RuntimeMS != was.RuntimeMS {
		fail("identity does not change")
	}
	advance := e.PlayedMS - was.PlayedMS
	if advance < 0 || e.PlayedMS+e.RebufferMS > int64(e.At-h.startAt) {
		fail("time played grows, and no faster than time")
	}
	if e.PositionMS < 0 || e.PositionMS > e.RuntimeMS {
		fail("the position is within the title")
	}
	if h.known && e.Type != viewing.Seek && e.PositionMS-was.PositionMS != advance {
		fail("the position moves by what was played")
	}
	var sum int64
	for _, rung := range e.BitrateMS {
		sum += rung.PlayedMS
	}
	if sum != e.PlayedMS {
		fail("the rungs sum to the time played")
	}
	h.checkTimes(e, keepalive, fail)
}

func (h *heard) checkTimes(e *viewing.Event, keepalive viewing.Millis, fail func(string)) {
	was := &h.last
	if was.Type == viewing.Start {
		h.countsAt = e.At - viewing.Millis(e.PlayedMS) // play begins after the start-up
		if wait := h.countsAt - h.startAt; wait < viewing.Millis(e.RebufferMS) || wait > 2*minute {
			fail("play begins after the stall, and soon")
		}
	}
	paused := was.Type == viewing.Pause
	switch e.Type {
	case viewing.Keepalive:
		if paused || e.At-h.countsAt != keepalive {
			fail("a keepalive a minute of play, counted from the last pause or seek")
		}
	case viewing.Resume:
		if !paused || e.At-was.At >= 30*minute {
			fail("a resume follows a pause below 30 minutes")
		}
	case viewing.Stop:
		joined := was.Seq == 1 && was.At == h.startAt // paused since before the fleet's beginning
		pause := e.At - was.At
		if paused && (pause > 30*minute || pause < 30*minute && !joined) {
			fail("a pause of 30 minutes stops the session")
		}
	default:
		if paused {
			fail("a pause ends with a resume or a stop")
		}
	}
	if (e.Type == viewing.Error) != (e.ErrorCode != "") {
		fail("an error has a code")
	}
	switch e.Type {
	case viewing.Keepalive, viewing.Resume, viewing.Seek:
		h.countsAt = e.At
	}
}

func TestSessionsKeepTheirLaws(t *testing.T) {
	const keepalive = 60 * second
	f := newFleet(t, setting{scale: 1.0 / 5000, seed: 11, shared: 0.1, warmUp: minute})
	sessions := map[viewing.SessionID]*heard{}
	seen := map[viewing.EventType]int{}
	resumed, offline := 0, 0
	last := viewing.Millis(0)
	lastDevice := int32(-1)
	var e viewing.Event
	for {
		step, ok := f.Next(prime+3*hour, &e)
		if !ok {
			break
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("%v: %s", err, describe(&e, step.Device))
		}
		if late := e.Offline && e.At < step.DueMS; e.At != step.DueMS && !late || step.DueMS < last || step.DueMS == last && step.Device < lastDevice {
			t.Fatalf("out of order: %s", describe(&e, step.Device))
		}
		if e.Offline {
			offline++
			if e.Type == viewing.Keepalive || e.ResumePos {
				t.Fatalf("told without a connection: %s", describe(&e, step.Device))
			}
		}
		last, lastDevice = step.DueMS, step.Device
		seen[e.Type]++
		h := sessions[e.SessionID]
		if h == nil {
			checkStart(t, &e)
			h = &heard{startAt: e.At, countsAt: e.At}
			sessions[e.SessionID] = h
			if e.ResumePos {
				resumed++
			}
		} else {
			h.check(t, &e, keepalive)
		}
		h.known = !e.ResumePos
		h.stopped = e.Type == viewing.Stop
		rungs := h.last.BitrateMS[:0]
		h.last = e
		h.last.BitrateMS = append(rungs, e.BitrateMS...)
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, kind := range viewing.EventTypes {
		if seen[kind] == 0 {
			t.Errorf("no %v among %v", kind, seen)
		}
	}
	if resumed == 0 || offline == 0 {
		t.Errorf("%d starts resume, %d events were told later", resumed, offline)
	}
}

func checkStart(t *testing.T, e *viewing.Event) {
	t.Helper()
	begun := viewing.Millis(binary.BigEndian.Uint64(e.SessionID[:8]) >> 16)
	if e.Type != viewing.Start || e.Seq != 0 || e.PlayedMS != 0 || e.RebufferMS != 0 || len(e.BitrateMS) != 0 ||
		e.PositionMS < 0 || e.PositionMS > e.RuntimeMS || e.ResumePos && e.PositionMS != 0 {
		t.Errorf("first event: %s", describe(e, -1))
	}
	if begun != e.At || e.SessionID[6]>>4 != 7 || e.SessionID[8]>>6 != 2 {
		t.Errorf("session %v is no UUIDv7 of %d", e.SessionID, e.At)
	}
}

// With no silent ends, a device plays one thing at a time, and a profile is on
// one device of its household.
func TestAProfilePlaysOnOneDeviceOfItsHousehold(t *testing.T) {
	type viewer struct {
		account   uint64
		household uint64
		profile   uint8
	}
	f := newFleet(t, setting{scale: 1.0 / 4000, seed: 4, shared: 0.3, everyPlaybackStops: true})
	byDevice, byViewer := map[uint64]int{}, map[viewer]int{}
	accounts := map[uint64]int{}
	together := 0
	var e viewing.Event
	for {
		if _, ok := f.Next(prime+3*hour, &e); !ok {
			break
		}
		change := 0
		switch e.Type {
		case viewing.Start:
			change = 1
		case viewing.Stop:
			change = -1
		default:
			continue
		}
		account := f.Account(int(e.AccountID) - 1)
		v := viewer{e.AccountID, (e.DeviceID - 1) % population.MaxDevices / 4, e.ProfileID}
		byDevice[e.DeviceID] += change
		byViewer[v] += change
		accounts[e.AccountID] += change
		if accounts[e.AccountID] > 1 {
			together++
		}
		if byDevice[e.DeviceID] > 1 || byViewer[v] > 1 || int(e.ProfileID) > account.Profiles {
			t.Fatalf("two at once, or no such profile: %s", describe(&e, -1))
		}
	}
	if together == 0 {
		t.Error("no account plays two things at a time")
	}
}

// overLimit counts the starts of one hour of prime time, and those refused by a
// server that counts sessions without leases.
func overLimit(t *testing.T, shared float64) (starts, refused int) {
	f := newFleet(t, setting{scale: 1.0 / 2000, seed: 1, shared: shared, everyPlaybackStops: true})
	limits, playing := map[uint64]int{}, map[uint64]int{}
	for _, account := range f.Accounts() {
		limits[account.ID] = account.MaxStreams
	}
	var e viewing.Event
	for {
		step, ok := f.Next(prime+hour, &e)
		if !ok {
			return starts, refused
		}
		switch e.Type {
		case viewing.Start:
			if e.At > prime {
				starts++
			}
			if playing[e.AccountID] < limits[e.AccountID] {
				playing[e.AccountID]++
				continue
			}
			f.Denied(step.Device, e.SessionID)
			if e.At > prime {
				refused++
			}
		case viewing.Stop:
			playing[e.AccountID]--
		}
	}
}

func TestSharedAccountsMeetTheirLimits(t *testing.T) {
	starts, few := overLimit(t, 0)
	sharedStarts, many := overLimit(t, 0.1)
	t.Logf("an hour of prime time: %d of %d starts over the limit, with 10 %% shared %d of %d", few, starts, many, sharedStarts)
	if few == 0 || many <= few {
		t.Errorf("%d starts over the limit, with 10 %% shared accounts %d", few, many)
	}
}

// The next episode begins nine seconds after the last one's end: with a keepalive as often,
// what is due then is still no keepalive of the session that has stopped.
func TestNothingFollowsAStop(t *testing.T) {
	f := newFleet(t, setting{scale: 1.0 / 10_000, seed: 8, keepalive: 9 * second, everyPlaybackStops: true})
	var e viewing.Event
	stopped := map[viewing.SessionID]bool{}
	for {
		step, ok := f.Next(prime+hour, &e)
		if !ok {
			break
		}
		if stopped[e.SessionID] {
			t.Fatalf("after its stop: %s", describe(&e, step.Device))
		}
		stopped[e.SessionID] = e.Type == viewing.Stop
	}
	if len(stopped) < 1000 {
		t.Errorf("%d sessions", len(stopped))
	}
}
