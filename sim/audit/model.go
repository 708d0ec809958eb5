package audit

import (
	"encoding/binary"

	"github.com/anishathalye/porcupine"
)

// model is an account's streams, one operation after another, as docs/api.md has
// them. Its state is a string of op numbers, 16 bits each and 0 for none: for each
// device the contact that holds its stream, then for each session the newest that
// was heard of it.
func (h *history) model(limit int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return string(make([]byte, 2*(h.devices+h.sessions))) },
		Step: func(state, input, _ any) (bool, any) {
			s := streams{history: h, limit: limit, state: state.(string)}
			ok := s.step(input.(int))
			return ok, s.state
		},
	}
}

// streams is a state and how it changes.
type streams struct {
	*history
	limit int
	state string
}

// at is the op in a slot of the state, nil for none.
func (s *streams) at(slot int) *streamOp {
	n := int(s.state[2*slot])<<8 | int(s.state[2*slot+1])
	if n == 0 {
		return nil
	}
	return s.ops[n-1]
}

func (s *streams) set(slot, n int) {
	changed := []byte(s.state)
	binary.BigEndian.PutUint16(changed[2*slot:], uint16(n))
	s.state = string(changed)
}

func (s *streams) step(i int) bool {
	op := s.ops[i]
	held, newest := s.at(op.device), s.at(s.devices+op.session)
	switch op.kind {
	case expireOp:
		if held == s.ops[op.of] {
			s.set(op.device, 0)
		}
		return true
	case stopOp:
		if newest == nil || op.seq >= newest.seq {
			s.set(s.devices+op.session, i+1)
			if held != nil && held.session == op.session {
				s.set(op.device, 0)
			}
		}
		return true
	}
	if newest != nil && op.seq <= newest.seq && newest.kind == stopOp ||
		newest != nil && op.seq < newest.seq && !op.start {
		return true // overtaken: it says nothing of whether the session plays
	}
	return s.play(i, held, newest)
}

// play lets a session that says it plays hold a stream, if it may.
func (s *streams) play(i int, held, newest *streamOp) bool {
	op := s.ops[i]
	fresh := newest == nil || op.seq > newest.seq
	if held != nil && held.session == op.session {
		if fresh {
			s.set(op.device, i+1)
			s.set(s.devices+op.session, i+1)
		}
		return op.promise != refused
	}
	others := 0
	for device := range s.devices {
		if device != op.device && s.at(device) != nil {
			others++
		}
	}
	room := others < s.limit
	movedOn := held != nil && newest != nil // the device has begun something else since
	admit := room && (!movedOn || op.promise == admitted)
	if op.promise == admitted && !admit || op.promise == refused && admit {
		return false
	}
	if admit {
		s.set(op.device, i+1)
	}
	if fresh && (admit || op.fact) {
		s.set(s.devices+op.session, i+1)
	}
	return true
}
