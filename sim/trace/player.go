package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// PlayerOptions say how a trace is played.
type PlayerOptions struct {
	Salt     uint64 // as sim.FleetOptions.Salt: its low 48 bits go into every session id
	LengthMS int64  // what is later than the first event by more is not played; 0 plays all
	// Progress is called now and then while OpenPlayer looks ahead, with how many
	// events it has seen; nil: nobody wants to know.
	Progress func(events int64)
}

// screen is a device as one account has it: what one says at a time, and in order.
type screen struct{ account, device uint64 }

// Player plays a trace as a sim.Fleet plays a population: it is the plan of a
// driver, which asks it for events when they are due. It is not safe for concurrent
// use.
type Player struct {
	reader   *Reader
	salt     uint64
	events   int64 // that it plays
	begin    viewing.Millis
	end      viewing.Millis // of the last event that it plays
	screens  map[screen]int32
	accounts map[uint64]struct{}
	refused  map[viewing.SessionID]struct{} // with the salt, those that are not over

	next  viewing.Event // read and not told
	due   viewing.Millis
	ready bool // next is such an event
	read  int64
	err   error
}

// lookEvery is how many events are looked at between two looks for the end of ctx.
const lookEvery = 1 << 14

// OpenPlayer looks at all of the trace that will be played, so that a mistake in it
// is told before anything is: as a *LineError if it is a line's. The file is read
// again while it is played, and must not change. The end of ctx ends the looking.
func OpenPlayer(ctx context.Context, path string, o PlayerOptions) (*Player, error) {
	reader, err := Open(path)
	if err != nil {
		return nil, err
	}
	p := &Player{
		reader: reader, salt: o.Salt & sim.MaxSalt, screens: map[screen]int32{},
		accounts: map[uint64]struct{}{}, refused: map[viewing.SessionID]struct{}{},
	}
	if err := p.look(ctx, path, o); err != nil {
		_ = reader.Close()
		return nil, err
	}
	return p, nil
}

func (p *Player) look(ctx context.Context, path string, o PlayerOptions) error {
	last := viewing.MaxAt
	seen := sessions{}
	for {
		if p.events%lookEvery == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("read %s: interrupted after %d events", path, p.events)
			}
			if o.Progress != nil {
				o.Progress(p.events)
			}
		}
		err := p.reader.Next(&p.next)
		if err == nil && p.events == 0 && o.LengthMS > 0 {
			last = p.reader.due + viewing.Millis(o.LengthMS)
		}
		if isEnd(err) || err == nil && p.reader.due > last {
			break
		}
		if err != nil {
			return err
		}
		if err := p.take(seen); err != nil {
			return err
		}
	}
	if p.events == 0 {
		return fmt.Errorf("%s has no events: expected NDJSON, an event a line", path)
	}
	return p.reader.rewind()
}

// take counts the next event among those that will be played.
func (p *Player) take(seen sessions) error {
	e := &p.next
	if fault := playable(e); fault != nil {
		return p.reader.fault(fault)
	}
	fault, err := seen.check(e)
	switch {
	case fault != nil:
		return p.reader.fault(fault)
	case err != nil:
		return p.reader.fault(err)
	case p.events == audit.MaxEvents:
		return p.reader.fault(fmt.Errorf("more than the %d events that the audit of a run has room for: play a shorter time, or fewer accounts", audit.MaxEvents))
	}
	if p.events == 0 {
		p.begin = p.reader.due
	}
	p.events++
	p.end = p.reader.due
	p.accounts[e.AccountID] = struct{}{}
	on := screen{e.AccountID, e.DeviceID}
	if _, known := p.screens[on]; !known {
		p.screens[on] = int32(len(p.screens)) // audit.MaxEvents of them at most
	}
	return nil
}

// Next fills e with the first event due at or before until that its session is still
// to tell, and says whose it is; not ok when there is none. Times are by the trace's
// clock. The memory of e.BitrateMS is reused.
func (p *Player) Next(until viewing.Millis, e *viewing.Event) (step sim.Step, ok bool) {
	for p.peek() && p.due <= until {
		p.ready = false
		p.mix(&p.next.SessionID)
		_, refused := p.refused[p.next.SessionID]
		if refused {
			if p.next.Type == viewing.Stop {
				delete(p.refused, p.next.SessionID)
			}
			continue
		}
		*e, p.next = p.next, viewing.Event{BitrateMS: e.BitrateMS}
		return sim.Step{DueMS: p.due, Device: p.screens[screen{e.AccountID, e.DeviceID}], Type: e.Type}, true
	}
	return sim.Step{}, false
}

// peek has the next event ready, unless there is none.
func (p *Player) peek() bool {
	if p.ready || p.err != nil || p.read == p.events {
		return p.ready
	}
	err := p.reader.Next(&p.next)
	if isEnd(err) {
		err = p.reader.fault(fmt.Errorf("it ends after %d events of %d", p.read, p.events))
	}
	if err != nil {
		p.err = fmt.Errorf("the trace changed while it was played: %w", err)
		return false
	}
	if _, known := p.screens[screen{p.next.AccountID, p.next.DeviceID}]; !known {
		p.err = p.reader.fault(errors.New("the trace changed while it was played: a device that was not there"))
		return false
	}
	p.read++
	p.ready, p.due = true, p.reader.due
	return true
}

// mix puts the salt into an id, as sim's fleet does.
func (p *Player) mix(id *viewing.SessionID) {
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])^p.salt)
}

// Denied says that the target refused that session, named as Next named it: no more
// of it is told. The device does not matter.
func (p *Player) Denied(_ int32, session viewing.SessionID) { p.refused[session] = struct{}{} }

// Devices is the number of devices; one that plays in two accounts counts twice.
func (p *Player) Devices() int { return len(p.screens) }

// Accounts are those that play, in no order. The map is the player's.
func (p *Player) Accounts() map[uint64]struct{} { return p.accounts }

// Events is how many events are played if none is refused.
func (p *Player) Events() int64 { return p.events }

// StartMS is the moment of the first event, by the trace's clock.
func (p *Player) StartMS() viewing.Millis { return p.begin }

// LengthMS is how long the trace takes at its own pace: 0 if all is at one moment.
func (p *Player) LengthMS() int64 { return int64(p.end - p.begin) }

// Err says why Next gave less than OpenPlayer saw; nil if it did not.
func (p *Player) Err() error { return p.err }

// Close closes the file.
func (p *Player) Close() error { return p.reader.Close() }
