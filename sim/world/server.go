package world

import (
	"fmt"

	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// What the server's processes do.
const (
	offsetShare   = 2500 // its clock is right within that part of the lease, another in each term
	slowDiskUS    = 3 * secondUS
	snapshotOdds  = 0.02 // that one begins after an entry
	evictionOdds  = 0.05
	evictionSteps = 50
)

// keep sends nearly all that is over out of memory, so that much of it has to come back.
var keep = viewing.Keep{ForMS: 60_000, Views: 1}

// server is a node that answers what its disk holds: what arrives while an entry is
// being written goes into the next one. It crashes, and begins again from its disk.
type server struct {
	world  *World
	random random.Stream
	breaks func(Machine) Machine
	disk   disk
	heard  map[identity]viewing.Millis // what is there, and by which stamp it first was

	// What a crash wipes out.
	up       bool
	doomed   bool // it crashes while it writes the next entry
	term     int  // counts its crashes
	offsetMS viewing.Millis
	stamp    viewing.Millis // of the newest entry
	state    *viewing.State
	machine  Machine
	cold     *cold
	capture  *capture
	gathered []proposal
	writing  *writing // nil: the disk is idle

	expected [32]byte // the digest that the state must have after a crash
}

type identity struct {
	session viewing.SessionID
	seq     uint32
}

// proposal is a command whose sender waits.
type proposal struct {
	command []byte
	answer  func(answer)
}

// writing is an entry on its way to the disk.
type writing struct {
	entry     []byte
	proposals []proposal
}

func newServer(w *World, stream random.Stream, breaks func(Machine) Machine) *server {
	if breaks == nil {
		breaks = func(m Machine) Machine { return m }
	}
	return &server{world: w, random: stream, breaks: breaks, heard: map[identity]viewing.Millis{}}
}

// begin plans the crashes.
func (s *server) begin() { s.world.after(between(&s.random, minuteUS, 15*minuteUS), s.fail) }

// fail crashes the server, now or while it writes the next entry, and plans the next
// crash, until the faults end.
func (s *server) fail() {
	if !s.world.faulty() {
		return
	}
	if s.doomed = s.random.Chance(0.8); !s.doomed {
		s.crash()
	}
	s.begin()
}

// now is the server's clock, which never goes back.
func (s *server) now() viewing.Millis {
	return max(s.stamp, s.world.moment(s.world.nowUS)+s.offsetMS)
}

// plan tells the limit of an account.
func (s *server) plan(account uint64, streams int) {
	s.receive(appendPlan(nil, account, streams), func(answer) {})
}

// receive takes a command that arrives. A server that is down hears nothing.
func (s *server) receive(command []byte, answer func(answer)) {
	if !s.up {
		s.world.counts.Vanished++
		return
	}
	s.gathered = append(s.gathered, proposal{command, answer})
	s.write()
}

// write begins to write what was gathered, if the disk is idle.
func (s *server) write() {
	if s.writing != nil || len(s.gathered) == 0 {
		return
	}
	s.writing = &writing{sealEntry(s.now(), s.gathered), s.gathered}
	s.gathered = nil
	takes := between(&s.random, 1000, 30_000)
	if s.world.faulty() && s.random.Chance(0.1) {
		takes = between(&s.random, 1000, slowDiskUS)
	}
	term := s.term
	s.world.after(takes, func() {
		if s.term == term { // else it crashed meanwhile
			s.commit()
		}
	})
	if s.doomed && s.world.faulty() {
		s.doomed = false
		s.world.after(between(&s.random, 0, takes), s.crash)
	}
}

// commit applies the entry that is on the disk now, and answers.
func (s *server) commit() {
	written := s.writing
	s.writing = nil
	s.disk.entries = append(s.disk.entries, written.entry)
	for i, a := range s.take(written.entry) {
		written.proposals[i].answer(a)
	}
	s.snapshot()
	s.evict()
	s.write()
}

// take applies an entry that is new, and notes which events are there since.
func (s *server) take(entry []byte) []answer {
	s.world.tell("server entry %d %x", len(s.disk.entries), entry)
	return s.run(entry, func(e *viewing.Event) {
		id := identity{e.SessionID, e.Seq}
		if _, known := s.heard[id]; !known {
			s.heard[id] = s.stamp
		}
	})
}

// run applies an entry to the machine. One that cannot be read is the world's own fault.
func (s *server) run(entry []byte, heard func(*viewing.Event)) []answer {
	stamp, commands, err := openEntry(entry)
	if err != nil {
		panic(fmt.Sprintf("world: entry: %v", err))
	}
	s.stamp = stamp
	answers := make([]answer, len(commands))
	for i, command := range commands {
		if answers[i], err = apply(s.machine, stamp, command, heard); err != nil {
			panic(fmt.Sprintf("world: command: %v", err))
		}
	}
	if err := s.state.Err(); err != nil {
		panic(fmt.Sprintf("world: cold store: %v", err))
	}
	return answers
}

// crash forgets what is not on the disk. An entry that is on its way there may have
// arrived: then it is there for good, though nobody was told.
func (s *server) crash() {
	if !s.up {
		return
	}
	w := s.world
	w.counts.Crashes++
	w.counts.Forgotten += len(s.gathered)
	if s.writing != nil {
		if s.random.Chance(0.5) {
			w.counts.Unsaid += len(s.writing.proposals)
			s.disk.entries = append(s.disk.entries, s.writing.entry)
			s.take(s.writing.entry)
		} else {
			w.counts.Forgotten += len(s.writing.proposals)
		}
	}
	s.expected = s.state.Digest()
	w.tell("server crashes after entry %d, digest %x", len(s.disk.entries), s.expected)
	s.moved()
	s.disk.crash()
	s.up, s.state, s.machine, s.cold, s.capture = false, nil, nil, nil, nil
	s.gathered, s.writing, s.stamp = nil, nil, 0
	down := between(&s.random, secondUS/10, 90*secondUS)
	w.schedule.add(max(w.nowUS, min(w.nowUS+down, w.faultsUS)), s.boot)
	s.term++
}

// boot begins a term with what the disk holds.
func (s *server) boot() {
	if s.up {
		return
	}
	s.up = true
	offsetMS := s.world.pace.leaseMS / offsetShare
	s.offsetMS = viewing.Millis(between(&s.random, -offsetMS, offsetMS))
	s.recover()
	s.world.tell("server boots term %d, digest %x", s.term, s.state.Digest())
	if s.term > 0 && s.state.Digest() != s.expected {
		s.world.find(KindRecovery, "term %d began from %d entries with another state than the one before had", s.term, len(s.disk.entries))
	}
}

// moved counts what a state that ends has moved to its cold store, and back.
func (s *server) moved() {
	size := s.state.Size()
	s.world.counts.Evicted += int(size.Evicted)
	s.world.counts.Revived += int(size.Revived)
}

// evict sends what is over out of memory, now and again.
func (s *server) evict() {
	if !s.random.Chance(evictionOdds) {
		return
	}
	if _, _, err := s.state.Evict(s.now(), keep, evictionSteps); err != nil {
		panic(fmt.Sprintf("world: evict: %v", err))
	}
}
