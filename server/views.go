package server

import (
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
	index   uint64         // of the newest command in state
	stamp   viewing.Millis // the leader's clock in the newest command
	decoder wire.Decoder
	event   viewing.Event
}

func newViews() *views {
	return &views{state: viewing.NewState(viewing.Rules{})}
}

// Apply runs one committed command and answers with what the handler that
// proposed it waits for: []viewing.Outcome, viewing.Admission, nil, or an error
// that says the command could not be read.
func (v *views) Apply(index uint64, stampMS int64, b []byte) any {
	c, err := parseCommand(b)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index, v.stamp = index, viewing.Millis(stampMS)
	v.state.SetRules(sabotageRules(c.rules))
	switch c.kind {
	case commandEvents:
		return v.applyEvents(&c)
	case commandStart:
		v.event.Reset()
		if err := c.event(&v.decoder, &v.event); err != nil {
			return err
		}
		return v.state.Start(v.stamp, &v.event)
	case commandAccount:
		var account, streams uint64
		if err := c.uints(&account, &streams); err != nil {
			return err
		}
		v.state.SetMaxStreams(account, sabotageLimit(int(streams)))
		return nil
	case commandHide:
		var account, profile, title uint64
		if err := c.uints(&account, &profile, &title); err != nil {
			return err
		}
		v.state.Hide(v.stamp, account, uint8(profile), uint32(title))
		return nil
	}
	return fmt.Errorf("a command in the log has kind %d: run a newer server", c.kind)
}

func (v *views) applyEvents(c *command) any {
	count, err := c.uint()
	if err != nil || count > wire.MaxEvents {
		return errCommand
	}
	outcomes := make([]viewing.Outcome, 0, count)
	for range count {
		v.event.Reset()
		if err := c.event(&v.decoder, &v.event); err != nil {
			return err
		}
		if sabotageDrops(&v.event) {
			outcomes = append(outcomes, viewing.Outcome{Status: viewing.Accepted})
			continue
		}
		outcomes = append(outcomes, v.state.Observe(v.stamp, &v.event))
	}
	return outcomes
}

// read lets f look at the state, at a clock no earlier than that of the newest
// command, and returns the index that f saw.
func (v *views) read(clock viewing.Millis, f func(state *viewing.State, now viewing.Millis)) (index uint64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	f(v.state, max(clock, v.stamp))
	return v.index
}

// Snapshot encodes the state as it is now. Commands wait for it meanwhile.
func (v *views) Snapshot() (io.WriterTo, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	head := viewsHead{Index: v.index, StampMS: int64(v.stamp)}
	return &viewsSnapshot{v.state.AppendBinary(head.append(nil))}, nil
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
	head, encoded, err := parseViewsHead(encoded)
	if err != nil {
		return err
	}
	restored := viewing.NewState(viewing.Rules{})
	if err := restored.UnmarshalBinary(encoded); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.index, v.stamp = restored, head.Index, viewing.Millis(head.StampMS)
	return nil
}
