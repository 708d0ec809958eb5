package driver

import (
	"encoding/binary"
	"sync"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// expireAtOnce is how many devices are looked at while others must wait.
const expireAtOnce = 1 << 16

// playing is which sessions the devices play, by what the target told them: 12 bytes a
// device. May be used by many goroutines.
type playing struct {
	mu       sync.Mutex
	sessions []session // of each device
	count    int64     // of those that play
}

// session is the newest session of a device that was admitted.
type session struct {
	id      uint32 // some bits of it
	heardMS uint32 // when the target last accepted something of it
	plays   bool
}

func newPlaying(devices int) playing { return playing{sessions: make([]session, devices)} }

// shortID is bits of a session's id that are different for each.
func shortID(id viewing.SessionID) uint32 { return binary.BigEndian.Uint32(id[12:]) }

// heard takes note of what became of an event of a device.
func (p *playing) heard(device int32, e *audit.Entry) {
	if e.Offline {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.sessions[device]
	switch {
	case e.Fate == audit.Denied:
		p.set(s, false) // a start's denial too: the device has left what it played before
	case e.Fate != audit.Accepted && e.Fate != audit.Known:
	case e.Type == viewing.Stop:
		if s.id == shortID(e.Session) {
			p.set(s, false)
		}
	default:
		p.set(s, true)
		s.id, s.heardMS = shortID(e.Session), uint32(e.DoneUS/1000)
	}
}

func (p *playing) set(s *session, plays bool) {
	switch {
	case plays && !s.plays:
		p.count++
	case !plays && s.plays:
		p.count--
	}
	s.plays = plays
}

// expire ends the sessions that were last heard of before then.
func (p *playing) expire(beforeUS int64) {
	for first := 0; first < len(p.sessions); first += expireAtOnce {
		p.expireSome(p.sessions[first:min(first+expireAtOnce, len(p.sessions))], beforeUS/1000)
	}
}

func (p *playing) expireSome(sessions []session, beforeMS int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range sessions {
		if s := &sessions[i]; s.plays && int64(s.heardMS) < beforeMS {
			p.set(s, false)
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
