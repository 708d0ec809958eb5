package driver

import (
	"encoding/binary"
	"sync"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/table"
	"github.com/playhead-load/playhead/viewing"
)

// heardUS is how exactly the driver knows when a session was last heard of.
const heardUS = 20_000

// playing is which sessions the devices play, by what the target told them: about 30
// bytes a session. May be used by many goroutines.
type playing struct {
	mu       sync.Mutex
	sessions table.Table[session] // by keyOf(device): the newest that was admitted and has not stopped
	heardIn  []int32              // how many of them were last heard of in each heardUS of the run
	over     int                  // those of heardIn before it have expired
	count    int64                // of the others' sessions
}

type session struct {
	id    uint32 // some bits of it
	heard uint32 // when the target last accepted something of it, in heardUS
}

// keyOf stands for a device in a table.
func keyOf(device int32) uint64 { return uint64(device) + 1 }

// shortID is bits of a session's id that are different for each.
func shortID(id viewing.SessionID) uint32 { return binary.BigEndian.Uint32(id[12:]) }

// heard takes note of what became of an event of a device.
func (p *playing) heard(device int32, e *audit.Entry) {
	if e.Offline {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.sessions.Find(keyOf(device))
	switch {
	case e.Fate == audit.Denied:
		p.leave(device, before) // a start's denial too: the device has left what it played before
	case e.Fate != audit.Accepted && e.Fate != audit.Known:
	case e.Type == viewing.Stop:
		if before != nil && before.id == shortID(e.Session) {
			p.leave(device, before)
		}
	default:
		if before != nil {
			p.add(before.heard, -1)
		} else {
			before = p.sessions.Add(keyOf(device))
		}
		*before = session{id: shortID(e.Session), heard: uint32(max(e.DoneUS, 0) / heardUS)}
		p.add(before.heard, 1)
	}
}

// plays says whether a device plays a session.
func (p *playing) plays(device int32, id viewing.SessionID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions.Find(keyOf(device))
	return s != nil && s.id == shortID(id)
}

func (p *playing) leave(device int32, s *session) {
	if s != nil {
		p.add(s.heard, -1)
		p.sessions.Remove(keyOf(device))
	}
}

// add counts sessions that were last heard of then.
func (p *playing) add(heard uint32, n int32) {
	for int(heard) >= len(p.heardIn) {
		p.heardIn = append(p.heardIn, 0)
	}
	p.heardIn[heard] += n
	if int(heard) >= p.over {
		p.count += int64(n)
	}
}

// expire ends the sessions that were last heard of before then, until they are heard of
// again.
func (p *playing) expire(beforeUS int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for until := beforeUS / heardUS; int64(p.over) < until; p.over++ {
		if p.over < len(p.heardIn) {
			p.count -= int64(p.heardIn[p.over])
		}
	}
}

// Active is how many sessions play by what the target told their devices: admitted,
// and since then not stopped, refused or replaced on their device. One that ended
// in silence counts until its lease is over, which Interval looks at.
func (d *Driver) Active() int64 {
	d.playing.mu.Lock()
	defer d.playing.mu.Unlock()
	return d.playing.count
}
