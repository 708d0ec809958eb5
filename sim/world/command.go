package world

import (
	"encoding/binary"
	"errors"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Kinds of command, the first byte of each.
const (
	planCommand   byte = 1 + iota // account id, streams
	startCommand                  // one event, a start that is asked for
	eventsCommand                 // how many, and each
)

func appendPlan(dst []byte, account uint64, streams int) []byte {
	dst = binary.AppendUvarint(append(dst, planCommand), account)
	return binary.AppendUvarint(dst, uint64(streams))
}

func appendTellings(dst []byte, tellings []*telling) []byte {
	if tellings[0].asks() {
		return append(append(dst, startCommand), tellings[0].body...)
	}
	dst = binary.AppendUvarint(append(dst, eventsCommand), uint64(len(tellings)))
	for _, t := range tellings {
		dst = append(dst, t.body...)
	}
	return dst
}

// answer is what is told to the device that sent a command: a fate for each event, and
// where a start begins.
type answer struct {
	fates      []audit.Fate
	positionMS int64
}

// fates are how a device reads what became of an event.
var fates = map[viewing.Status]audit.Fate{
	viewing.Accepted: audit.Accepted, viewing.Duplicate: audit.Known,
	viewing.Denied: audit.Denied, viewing.Rejected: audit.Rejected,
}

// Machine is the rules with their state: viewing.State, or a broken one.
type Machine interface {
	SetMaxStreams(account uint64, streams int)
	Start(now viewing.Millis, e *viewing.Event) viewing.Admission
	ObserveAll(now viewing.Millis, events []viewing.Event, dst []viewing.Outcome) []viewing.Outcome

	Active(now viewing.Millis, account uint64) (maxStreams int, active []viewing.ActiveStream)
	Session(now viewing.Millis, account uint64, id viewing.SessionID) (report viewing.Report, known bool, err error)
	Position(account uint64, profile uint8, title uint32) (viewing.Position, bool)
	History(now viewing.Millis, account uint64, profile uint8, after *viewing.Cursor, limit int) (page []viewing.View, next *viewing.Cursor, err error)
}

var errCommand = errors.New("a command is cut short")

// apply runs one command on a machine. heard is told of each event that is now there,
// which it may not keep; nil: nobody is.
func apply(m Machine, now viewing.Millis, command []byte, heard func(*viewing.Event)) (answer, error) {
	kind, rest := command[0], command[1:]
	if kind == planCommand {
		account, n := binary.Uvarint(rest)
		streams, more := binary.Uvarint(rest[max(n, 0):])
		if n <= 0 || more <= 0 {
			return answer{}, errCommand
		}
		m.SetMaxStreams(account, int(streams))
		return answer{}, nil
	}
	events, err := decodeEvents(kind, rest)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if kind == startCommand {
		admission := m.Start(now, &events[0])
		a = answer{[]audit.Fate{fates[admission.Status]}, admission.PositionMS}
	} else {
		for _, outcome := range m.ObserveAll(now, events, nil) {
			a.fates = append(a.fates, fates[outcome.Status])
		}
	}
	for i := range events {
		denied := a.fates[i] == audit.Denied && kind == startCommand
		if heard != nil && !denied && a.fates[i] != audit.Rejected {
			heard(&events[i])
		}
	}
	return a, nil
}

func decodeEvents(kind byte, rest []byte) ([]viewing.Event, error) {
	count := uint64(1)
	if kind == eventsCommand {
		var n int
		if count, n = binary.Uvarint(rest); n <= 0 {
			return nil, errCommand
		}
		rest = rest[n:]
	}
	var decoder wire.Decoder
	events := make([]viewing.Event, count)
	for i := range events {
		var err error
		if rest, err = decoder.DecodeBinary(rest, &events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}
