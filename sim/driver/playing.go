package driver

import (
	"sync"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// playing is which sessions the devices play, by what the target told them. May be
// used by many goroutines.
type playing struct {
	mu       sync.Mutex
	sessions []session // of each device
	count    int64     // of those that play
}

// session is the newest session of a device that was admitted.
type session struct {
	id      viewing.SessionID
	plays   bool
	heardUS int64 // when the target last accepted something of it
}

// heard takes note of what became of an event of a device.
func (p *playing) heard(device int32, r *request, fate audit.Fate, doneUS int64) {
	if r.entry.Offline {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.sessions[device]
	switch {
	case fate == audit.Denied:
		p.set(s, false) // a start's denial too: the device has left what it played before
	case fate != audit.Accepted && fate != audit.Known:
	case r.entry.Type == viewing.Stop:
		if s.id == r.session {
			p.set(s, false)
		}
	default:
		p.set(s, true)
		s.id, s.heardUS = r.session, doneUS
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.sessions {
		if s := &p.sessions[i]; s.heardUS < beforeUS {
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
