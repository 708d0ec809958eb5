package world

import (
	"slices"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// Broken machines: each has the rules, but for one thing.

type dropsAcknowledged struct{ Machine }

func (m dropsAcknowledged) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		if e := &events[i]; (uint32(e.SessionID[15])+e.Seq)%40 == 0 {
			dst = append(dst, viewing.Outcome{Status: viewing.Accepted})
			continue
		}
		dst = m.Machine.ObserveAll(now, events[i:i+1], dst)
	}
	return dst
}

type ignoresTheLimit struct{ Machine }

func (m ignoresTheLimit) SetMaxStreams(account uint64, _ int) {
	m.Machine.SetMaxStreams(account, viewing.MaxStreams)
}

type deniesBelowTheLimit struct{ Machine }

func (m deniesBelowTheLimit) SetMaxStreams(account uint64, streams int) {
	m.Machine.SetMaxStreams(account, max(1, streams-1))
}

// neverFrees keeps the streams of sessions that say they stop.
type neverFrees struct{ Machine }

func (m neverFrees) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		events[i].Offline = events[i].Offline || events[i].Type == viewing.Stop
	}
	return m.Machine.ObserveAll(now, events, dst)
}

// neverRenews lets a lease run from the start only.
type neverRenews struct{ Machine }

func (m neverRenews) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		events[i].Offline = events[i].Offline || events[i].Type != viewing.Stop
	}
	return m.Machine.ObserveAll(now, events, dst)
}

// place is a title of a profile.
type place struct {
	account uint64
	title   uint32
	profile uint8
}

// tellsOldPositions tells the position before the newest.
type tellsOldPositions struct {
	Machine
	old map[place]viewing.Position
}

func (m tellsOldPositions) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		e := &events[i]
		if p, known := m.Machine.Position(e.AccountID, e.ProfileID, e.TitleID); known {
			m.old[place{e.AccountID, e.TitleID, e.ProfileID}] = p
		}
		dst = m.Machine.ObserveAll(now, events[i:i+1], dst)
	}
	return dst
}

func (m tellsOldPositions) Position(account uint64, profile uint8, title uint32) (viewing.Position, bool) {
	if p, known := m.old[place{account, title, profile}]; known {
		return p, true
	}
	return m.Machine.Position(account, profile, title)
}

// resumesAtTheBeginning answers every start that it is to begin at 0.
type resumesAtTheBeginning struct{ Machine }

func (m resumesAtTheBeginning) Start(now viewing.Millis, e *viewing.Event) viewing.Admission {
	admission := m.Machine.Start(now, e)
	admission.PositionMS = 0
	return admission
}

// losesHistory leaves out the last view of each page.
type losesHistory struct{ Machine }

func (m losesHistory) History(now viewing.Millis, account uint64, profile uint8, after *viewing.Cursor, limit int) ([]viewing.View, *viewing.Cursor, error) {
	page, next, err := m.Machine.History(now, account, profile, after, limit)
	return page[:max(0, len(page)-1)], next, err
}

// activeForEver lists streams whose leases have ended.
type activeForEver struct{ Machine }

func (m activeForEver) Active(_ viewing.Millis, account uint64) (int, []viewing.ActiveStream) {
	return m.Machine.Active(startMS, account)
}

// forgetsIdentity takes an event that it hears again for another one.
type forgetsIdentity struct {
	Machine
	heard map[identity]uint32
}

const again = 1 << 16 // seqs of what was heard again begin there

func (m forgetsIdentity) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		id := identity{events[i].SessionID, events[i].Seq}
		events[i].Seq += again * m.heard[id]
		m.heard[id]++
	}
	return m.Machine.ObserveAll(now, events, dst)
}

// countsTwice counts an event that it hears again as one more of its session.
type countsTwice struct {
	Machine
	times map[viewing.SessionID]uint32
}

func (m countsTwice) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	from := len(dst)
	dst = m.Machine.ObserveAll(now, events, dst)
	for i := range events {
		if dst[from+i].Status == viewing.Duplicate {
			m.times[events[i].SessionID]++
		}
	}
	return dst
}

func (m countsTwice) Session(now viewing.Millis, account uint64, id viewing.SessionID) (viewing.Report, bool, error) {
	report, known, err := m.Machine.Session(now, account, id)
	report.Events += m.times[id]
	return report, known, err
}

// startsTwice makes a session of its own of a start that it hears again.
type startsTwice struct {
	Machine
	heard map[viewing.SessionID]bool
}

func (m startsTwice) Start(now viewing.Millis, e *viewing.Event) viewing.Admission {
	if m.heard[e.SessionID] {
		ghost := *e
		ghost.SessionID[0] ^= 0xff
		ghost.DeviceID = viewing.MaxDeviceID - ghost.DeviceID
		m.Machine.Start(now, &ghost)
	}
	m.heard[e.SessionID] = true
	return m.Machine.Start(now, e)
}

// believesClocks takes every device's clock for right.
type believesClocks struct{ Machine }

func (m believesClocks) Position(account uint64, profile uint8, title uint32) (viewing.Position, bool) {
	p, known := m.Machine.Position(account, profile, title)
	p.At += viewing.MaxAheadMS
	return p, known
}

// takesClocksBack lets no device's clock be ahead at all.
type takesClocksBack struct{ Machine }

func (m takesClocksBack) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		events[i].At = min(events[i].At, now)
	}
	return m.Machine.ObserveAll(now, events, dst)
}

// refusesPauses takes a valid event for a wrong one.
type refusesPauses struct{ Machine }

func (m refusesPauses) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		if events[i].Type == viewing.Pause {
			dst = append(dst, viewing.Outcome{Status: viewing.Rejected})
			continue
		}
		dst = m.Machine.ObserveAll(now, events[i:i+1], dst)
	}
	return dst
}

// countsSinceItWasMade forgets every 20th event since it was made: what it is does not
// follow from the entries alone.
type countsSinceItWasMade struct {
	Machine
	n *int
}

func (m countsSinceItWasMade) ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome {
	for i := range events {
		if *m.n++; *m.n%20 == 0 {
			dst = append(dst, viewing.Outcome{Status: viewing.Duplicate})
			continue
		}
		dst = m.Machine.ObserveAll(now, events[i:i+1], dst)
	}
	return dst
}

// TestBrokenServersAreNamed: for each promise that a server breaks, the auditor names
// a kind of violation that says so.
func TestBrokenServersAreNamed(t *testing.T) {
	for _, broken := range []struct {
		name     string
		machine  func(Machine) Machine
		prepare  func(w *World)
		expected []string
	}{
		{"drops acknowledged events", func(m Machine) Machine { return dropsAcknowledged{m} }, nil,
			[]string{audit.KindLost}},
		{"ignores the limit", func(m Machine) Machine { return ignoresTheLimit{m} }, nil,
			[]string{audit.KindOverAdmission, audit.KindLinearizable}},
		{"denies below the limit", func(m Machine) Machine { return deniesBelowTheLimit{m} }, nil,
			[]string{audit.KindFalseDenial, audit.KindLinearizable}},
		{"never frees a stream", func(m Machine) Machine { return neverFrees{m} }, nil,
			[]string{audit.KindFalseDenial}},
		{"never renews a lease", func(m Machine) Machine { return neverRenews{m} }, nil,
			[]string{audit.KindOverAdmission, audit.KindHistory}},
		{"tells old positions", func(m Machine) Machine { return tellsOldPositions{m, map[place]viewing.Position{}} }, nil,
			[]string{audit.KindPosition}},
		{"resumes at the beginning", func(m Machine) Machine { return resumesAtTheBeginning{m} }, nil,
			[]string{audit.KindPosition}},
		{"loses an entry of the history", func(m Machine) Machine { return losesHistory{m} }, nil,
			[]string{audit.KindHistory}},
		{"lists what is over as active", func(m Machine) Machine { return activeForEver{m} }, nil,
			[]string{audit.KindHistory}},
		{"forgets who an event is", func(m Machine) Machine { return forgetsIdentity{m, map[identity]uint32{}} }, nil,
			[]string{audit.KindHistory}},
		{"counts an event twice", func(m Machine) Machine { return countsTwice{m, map[viewing.SessionID]uint32{}} }, nil,
			[]string{audit.KindHistory}},
		{"starts a session twice", func(m Machine) Machine { return startsTwice{m, map[viewing.SessionID]bool{}} }, nil,
			[]string{audit.KindHistory, audit.KindFalseDenial}},
		{"tells later clocks", func(m Machine) Machine { return believesClocks{m} }, nil,
			[]string{audit.KindPosition}},
		{"takes clocks back too far", func(m Machine) Machine { return takesClocksBack{m} }, nil,
			[]string{audit.KindPosition, audit.KindHistory}},
		{"rejects what is right", func(m Machine) Machine { return refusesPauses{m} }, nil,
			[]string{audit.KindRejected}},
		{"is not a function of its entries", func(m Machine) Machine { return countsSinceItWasMade{m, new(int)} }, nil,
			[]string{KindRecovery, KindReplay}},
		{"forgets entries in a crash", nil, func(w *World) { w.server.disk.forgets = 5 },
			[]string{KindRecovery, audit.KindLost}},
		{"hangs for good", nil, func(w *World) { w.schedule.add(w.faultsUS+minuteUS, func() { w.server.up = false }) },
			[]string{KindUnanswered}},
		{"does not hear a device", nil, func(w *World) { w.schedule.add(w.faultsUS, func() { w.devices[0].reachedUS = w.endUS }) },
			[]string{KindUnanswered}},
	} {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			v := play(t, Options{Seed: mutantSeed, Break: broken.machine}, func(w *World) {
				w.search = -1
				if slices.Contains(broken.expected, audit.KindLinearizable) {
					w.search = time.Minute // it takes milliseconds, and must be found on a slow machine too
				}
				if broken.prepare != nil {
					broken.prepare(w)
				}
			})
			t.Logf("%v", v.Violations)
			for _, kind := range broken.expected {
				if !slices.Contains(v.Kinds(), kind) {
					t.Errorf("no violation of kind %s", kind)
				}
			}
		})
	}
}

// mutantSeed is a world in which each of them has an occasion.
const mutantSeed = 4
