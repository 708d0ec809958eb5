package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// views is the state machine under the log: every committed command folded into
// one state that readers share.
type views struct {
	mu sync.RWMutex
	fold
	archiver *archiver // nil: nothing is archived
}

func newViews() *views { return &views{fold: newFold()} }

// fold is how commands become a state. The server and a replay of its archive share
// it, so that they cannot differ in it.
type fold struct {
	state   *viewing.State
	stamp   viewing.Millis // the leader's clock in the newest command
	events  uint64         // told by all commands since it was made
	decoder wire.Decoder
	event   viewing.Event
}

func newFold() fold { return fold{state: viewing.NewState(viewing.Rules{})} }

// digestVersion is the version of viewing.State.Digest. It changes when equal states
// get another digest than they had, so that an archive's old digests are not held
// against new ones.
const digestVersion = 1

// Apply runs one committed command and answers with what the handler that
// proposed it waits for: []viewing.Outcome, viewing.Admission, or nil. A command
// that cannot be read stops the process: to skip it would let the replicas part in
// silence.
func (v *views) Apply(index uint64, stampMS int64, b []byte) any {
	answer, err := v.apply(stampMS, b)
	if err != nil {
		panic(fmt.Sprintf("server: apply entry %d: %v", index, err))
	}
	if v.archiver != nil {
		v.archiver.record(index, stampMS, b)
	}
	return answer
}

func (v *views) apply(stampMS int64, b []byte) (answer any, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fold.apply(stampMS, b)
}

func (v *fold) apply(stampMS int64, b []byte) (answer any, err error) {
	c, err := parseCommand(b)
	if err != nil {
		return nil, err
	}
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
		v.events++
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

func (v *fold) applyEvents(c *command) (any, error) {
	count, err := c.uint()
	if err != nil || count > wire.MaxEvents {
		return nil, errCommand
	}
	v.events += count
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

// A snapshot is the stamp of the newest command, 8 bytes big-endian, and the
// encoded state.
const stampBytes = 8

// Snapshot encodes the state as it is now. Commands wait for it meanwhile. The
// snapshot is written only after the archive has all that is in it on the disk: then
// the log may be truncated.
func (v *views) Snapshot(at raft.Place) (io.WriterTo, error) {
	if v.archiver != nil {
		if err := v.archiver.failure(); err != nil { // before the work
			return nil, v.archiver.refusal(err)
		}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := &viewsSnapshot{archived: func() error { return nil }}
	if v.archiver != nil {
		s.archived = v.archiver.capture(at, v.stamp, v.state.Digest())
	}
	s.encoded = v.state.AppendBinary(binary.BigEndian.AppendUint64(nil, uint64(v.stamp)))
	return s, nil
}

type viewsSnapshot struct {
	encoded  []byte
	archived func() error // waits for the archive
}

func (s *viewsSnapshot) WriteTo(w io.Writer) (int64, error) {
	if err := s.archived(); err != nil {
		return 0, err
	}
	n, err := w.Write(s.encoded)
	return int64(n), err
}

// maxSnapshotBytes bounds what Restore reads into memory.
const maxSnapshotBytes = 16 << 30

// Restore replaces the state by a snapshot, or leaves it as it is and says why.
func (v *views) Restore(at raft.Place, r io.Reader) error {
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
	v.state, v.stamp = restored, viewing.Millis(binary.BigEndian.Uint64(encoded))
	v.mu.Unlock()
	if v.archiver != nil {
		v.archiver.restored(at)
	}
	return nil
}
