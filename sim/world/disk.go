package world

import (
	"bytes"
	"encoding/binary"

	"github.com/playhead-load/playhead/viewing"
)

// disk is what survives a crash: every committed entry, and the newest whole snapshot.
type disk struct {
	entries  [][]byte
	snapshot []byte // nil: there is none
	cold     *cold  // of the snapshot
	covers   int    // entries that are in the snapshot
	forgets  int    // written entries that a crash takes along: only the disk of a test does that
}

func (d *disk) crash() {
	kept := max(d.covers, len(d.entries)-d.forgets)
	d.entries = d.entries[:min(kept, len(d.entries))]
}

// capture is a snapshot that is being written, a piece after each entry.
type capture struct {
	snapshot *viewing.Snapshot
	written  []byte
	cold     *cold
	covers   int
}

// snapshot goes on with the snapshot that is under way, or begins one now and again.
func (s *server) snapshot() {
	if s.capture == nil {
		if s.random.Chance(snapshotOdds) {
			s.capture = &capture{snapshot: s.state.Capture(), cold: s.cold.clone(), covers: len(s.disk.entries)}
		}
		return
	}
	c := s.capture
	var more bool
	if c.written, more = c.snapshot.Append(c.written); more {
		return
	}
	c.snapshot.Release()
	s.capture = nil
	s.disk.snapshot, s.disk.cold, s.disk.covers = c.written, c.cold, c.covers
	s.world.tell("server has a snapshot of entry %d", c.covers)
}

// recover makes the state anew: the snapshot, and the entries after it.
func (s *server) recover() {
	d := &s.disk
	s.cold = &cold{}
	s.state = newState(s.world.pace)
	after := d.entries
	if d.snapshot != nil {
		state, err := viewing.ReadState(bytes.NewReader(d.snapshot))
		if err != nil {
			s.world.find(KindRecovery, "the snapshot of entry %d: %v", d.covers, err)
		} else {
			s.state, s.cold, after = state, d.cold.clone(), d.entries[d.covers:]
			s.world.counts.Snapshots++
		}
	}
	s.state.SetCold(s.cold)
	s.machine = s.breaks(s.state)
	for _, entry := range after {
		s.run(entry, nil)
	}
}

// replay is the state that all entries make from the first one on, with no snapshot
// and no cold store on the way.
func (s *server) replay() *viewing.State {
	again := &server{world: s.world, breaks: s.breaks, state: newState(s.world.pace)}
	again.machine = s.breaks(again.state)
	for _, entry := range s.disk.entries {
		again.run(entry, nil)
	}
	return again.state
}

func newState(pace pace) *viewing.State {
	return viewing.NewState(viewing.Rules{LeaseMS: pace.leaseMS, DefaultStreams: defaultStreams})
}

// sealEntry is an entry: its stamp, and each command with its length before it.
func sealEntry(stamp viewing.Millis, proposals []proposal) []byte {
	b := binary.AppendUvarint(nil, uint64(stamp))
	for _, p := range proposals {
		b = binary.AppendUvarint(b, uint64(len(p.command)))
		b = append(b, p.command...)
	}
	return b
}

func openEntry(b []byte) (stamp viewing.Millis, commands [][]byte, err error) {
	ms, n := binary.Uvarint(b)
	for b = b[max(n, 0):]; n > 0 && len(b) > 0; {
		var length uint64
		if length, n = binary.Uvarint(b); n > 0 {
			commands = append(commands, b[n:n+int(length)])
			b = b[n+int(length):]
		}
	}
	if n <= 0 {
		return 0, nil, errCommand
	}
	return viewing.Millis(ms), commands, nil
}
