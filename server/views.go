package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// views is the state machine under the log: every committed command folded into
// one state that readers share.
type views struct {
	mu      sync.RWMutex
	state   *viewing.State
	stamp   viewing.Millis // the leader's clock in the newest command
	decoder wire.Decoder
	event   viewing.Event
}

func newViews() *views {
	return &views{state: viewing.NewState(viewing.Rules{})}
}

// Apply runs one committed command and answers with what the handler that
// proposed it waits for: []viewing.Outcome, viewing.Admission, or nil. A command
// that cannot be read stops the process: to skip it would let the replicas part in
// silence.
func (v *views) Apply(index uint64, stampMS int64, b []byte) any {
	answer, err := v.apply(stampMS, b)
	if err != nil {
		panic(fmt.Sprintf("server: apply entry %d: %v", index, err))
	}
	return answer
}

func (v *views) apply(stampMS int64, b []byte) (answer any, err error) {
	c, err := parseCommand(b)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stamp = viewing.Millis(stampMS)
	v.state.SetRules(sabotageRules(c.rules))
	switch c.kind {
	case commandEvents:
		return v.applyEvents(&c)
	case commandStart:
		v.event.Reset()
		if err := c.event(&v.decoder, &v.event); err != nil {
			return nil, err
		}
		return v.state.Start(v.stamp, &v.event), nil
	case commandAccount:
		var account, streams uint64
		if err := c.uints(&account, &streams); err != nil {
			return nil, err
		}
		v.state.SetMaxStreams(account, sabotageLimit(int(streams)))
		return nil, nil
	case commandHide:
		var account, profile, title uint64
		if err := c.uints(&account, &profile, &title); err != nil {
			return nil, err
		}
		v.state.Hide(v.stamp, account, uint8(profile), uint32(title))
		return nil, nil
	}
	return nil, fmt.Errorf("a command in the log has kind %d: run a newer server", c.kind)
}

func (v *views) applyEvents(c *command) (any, error) {
	count, err := c.uint()
	if err != nil || count > wire.MaxEvents {
		return nil, errCommand
	}
	outcomes := make([]viewing.Outcome, 0, count)
	for range count {
		v.event.Reset()
		if err := c.event(&v.decoder, &v.event); err != nil {
			return nil, err
		}
		if sabotageDrops(&v.event) {
			outcomes = append(outcomes, viewing.Outcome{Status: viewing.Accepted})
			continue
		}
		outcomes = append(outcomes, v.state.Observe(v.stamp, &v.event))
	}
	return outcomes, nil
}

// read lets f look at the state, at a clock no earlier than that of the newest
// command.
func (v *views) read(clock viewing.Millis, f func(state *viewing.State, now viewing.Millis)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	f(v.state, max(clock, v.stamp))
}

// position looks up one position.
func (v *views) position(accountID uint64, profileID uint8, titleID uint32) (viewing.Position, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Position(accountID, profileID, titleID)
}

// A snapshot is the stamp of the newest command, 8 bytes big-endian, and the
// encoded state.
const stampBytes = 8

// Snapshot encodes the state as it is now. Commands wait for it meanwhile.
func (v *views) Snapshot() (io.WriterTo, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return &viewsSnapshot{v.state.AppendBinary(binary.BigEndian.AppendUint64(nil, uint64(v.stamp)))}, nil
}

type viewsSnapshot struct{ encoded []byte }

func (s *viewsSnapshot) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.encoded)
	return int64(n), err
}

// maxSnapshotBytes bounds what Restore reads into memory.
const maxSnapshotBytes = 16 << 30

// Restore replaces the state by a snapshot, or leaves it as it is and says why.
func (v *views) Restore(r io.Reader) error {
	encoded, err := io.ReadAll(io.LimitReader(r, maxSnapshotBytes))
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if len(encoded) < stampBytes {
		return errors.New("restore snapshot: it is cut short")
	}
	restored := viewing.NewState(viewing.Rules{})
	if err := restored.UnmarshalBinary(encoded[stampBytes:]); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.stamp = restored, viewing.Millis(binary.BigEndian.Uint64(encoded))
	return nil
}
