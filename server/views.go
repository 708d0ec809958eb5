package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server/cold"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// views is the state machine under the log: every committed command folded into
// one state that readers share.
type views struct {
	mu sync.RWMutex
	fold
	digests  digests
	archiver *archiver   // nil: nothing is archived
	cold     *cold.Store // nil: no session leaves memory

	evicted, revived uint64 // by the states before this one
}

func newViews() *views { return &views{fold: newFold()} }

// keepCold gives the views a store for sessions that leave memory, before anything else.
func (v *views) keepCold(store *cold.Store) {
	v.cold = store
	v.state.SetCold(store)
}

// fold is how commands become a state. The server and a replay of its archive share
// it, so that they cannot differ in it.
type fold struct {
	state   *viewing.State
	stamp   viewing.Millis // the leader's clock in the newest command
	told    uint64         // events of all commands since it was made
	decoder wire.Decoder

	// For use by apply.
	events   [eventsAtOnce]viewing.Event // those before decoded are not observed yet
	decoded  int
	outcomes []viewing.Outcome // of the commands of events, one after another
	ends     []int             // where in them each command ends; of others elsewhere
}

func newFold() fold { return fold{state: viewing.NewState(viewing.Rules{})} }

// digestVersion is the version of viewing.State.Digest. It changes when equal states
// get another digest than they had, so that an archive's old digests are not held
// against new ones.
const digestVersion = 1

// appliedTogether is how many bytes of commands are applied while readers wait, or one
// command.
const appliedTogether = 32 << 10

// Apply runs the committed commands of an entry and answers with what the handlers that
// proposed them wait for: []viewing.Outcome, viewing.Admission, or nil. A command
// that cannot be read stops the process, and so does a disk that does not tell what a
// session was: to go on would let the replicas part in silence. Readers wait for that
// end: what the state would tell them is wrong.
func (v *views) Apply(index uint64, stampMS int64, commands [][]byte, answers []any) {
	for len(commands) > 0 {
		n := together(commands)
		v.mu.Lock()
		v.digests.begin(index, v.state)
		if err := v.apply(stampMS, commands[:n], answers); err != nil {
			panic(fmt.Sprintf("server: apply entry %d: %v", index, err))
		}
		if failed := v.state.Err(); failed != nil {
			panic(fmt.Sprintf("server: apply entry %d: %v; restart this node, and if that does not help remove its data directory and let it rejoin from its peers", index, failed))
		}
		v.mu.Unlock()
		if v.archiver != nil {
			for _, b := range commands[:n] {
				v.archiver.record(index, stampMS, b)
			}
		}
		commands = commands[n:]
		if answers != nil {
			answers = answers[n:]
		}
	}
}

// together is how many of the commands are applied while readers wait.
func together(commands [][]byte) (n int) {
	for bytes := 0; n < len(commands); n++ {
		if bytes += len(commands[n]); n > 0 && bytes > appliedTogether {
			break
		}
	}
	return n
}

// apply runs commands of one stamp in order. answers is nil, or has a place for each.
func (v *fold) apply(stampMS int64, commands [][]byte, answers []any) error {
	v.stamp = viewing.Millis(stampMS)
	v.decoded, v.ends, v.outcomes = 0, v.ends[:0], slices.Grow(v.outcomes[:0], len(commands))
	var rules viewing.Rules
	for i, b := range commands {
		c, err := parseCommand(b)
		if err != nil {
			return err
		}
		if i == 0 || c.rules != rules {
			v.observe()
			rules = c.rules
			v.state.SetRules(sabotageRules(rules))
		}
		if c.kind == commandEvents {
			if err := v.applyEvents(&c); err != nil {
				return err
			}
			v.ends = append(v.ends, len(v.outcomes)+v.decoded)
			continue
		}
		v.observe()
		answer, err := v.applyOther(&c)
		if err != nil {
			return err
		}
		if answers != nil {
			answers[i] = answer
		}
		v.ends = append(v.ends, elsewhere)
	}
	v.observe()
	if answers != nil {
		v.answer(answers)
	}
	return nil
}

// elsewhere is of a command without outcomes.
const elsewhere = -1

// answer hands the outcomes over to who waits for them.
func (v *fold) answer(answers []any) {
	begin := 0
	for i, end := range v.ends {
		if end != elsewhere {
			answers[i] = v.outcomes[begin:end:end]
			begin = end
		}
	}
	v.outcomes = nil
}

// applyOther runs a command that is not one of events.
func (v *fold) applyOther(c *command) (answer any, err error) {
	switch c.kind {
	case commandStart:
		e := &v.events[0]
		e.Reset()
		if err := c.event(&v.decoder, e); err != nil {
			return nil, err
		}
		v.told++
		return v.state.Start(v.stamp, e), nil
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

// eventsAtOnce is how many events are decoded before they are observed together, those of
// commands that have only a few each as well.
const eventsAtOnce = 32

// applyEvents decodes the events of a command, and observes all but the last of them.
func (v *fold) applyEvents(c *command) error {
	count, err := c.uint()
	if err != nil || count > wire.MaxEvents {
		return errCommand
	}
	v.told += count
	v.outcomes = slices.Grow(v.outcomes, v.decoded+int(count))
	for range count {
		e := &v.events[v.decoded]
		e.Reset()
		if err := c.event(&v.decoder, e); err != nil {
			return err
		}
		if outcome, broken := sabotageOutcome(e); broken {
			v.observe()
			v.outcomes = append(v.outcomes, outcome)
			continue
		}
		if v.decoded++; v.decoded == eventsAtOnce {
			v.observe()
		}
	}
	return nil
}

// observe observes what is decoded.
func (v *fold) observe() {
	v.outcomes = v.state.ObserveAll(v.stamp, v.events[:v.decoded], v.outcomes)
	v.decoded = 0
}

// size is how much the state holds, and what it and those before it have moved.
func (v *views) size() viewing.Size {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.sum()
}

// sum is size under the lock.
func (v *views) sum() viewing.Size {
	size := v.state.Size()
	size.Evicted += v.evicted
	size.Revived += v.revived
	return size
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

// Snapshot is the state as it is now. Commands and reads go on while it is written:
// they wait for a piece of it at most. It is written only after the archive has all
// that is in it on the disk: then the log may be truncated. The cold store as it is now
// goes with it, as files.
func (v *views) Snapshot(at raft.Place) (io.WriterTo, error) {
	s := &viewsSnapshot{views: v, archived: func() error { return nil }}
	if v.archiver != nil {
		if err := v.archiver.failure(); err != nil {
			return nil, v.archiver.refusal(err)
		}
	}
	v.mu.Lock()
	if v.state.Size().Cold > 0 {
		var err error
		if s.cold, err = v.cold.Capture(); err != nil {
			v.mu.Unlock()
			return nil, err
		}
	}
	s.state, s.stamp = v.state.Capture(), v.stamp
	sum := v.state.Digest()
	v.mu.Unlock()
	if v.archiver != nil {
		s.archived = v.archiver.capture(at, s.stamp, sum)
	}
	return s, nil
}

type viewsSnapshot struct {
	views    *views
	archived func() error // waits for the archive
	state    *viewing.Snapshot
	cold     *cold.Capture // nil: nothing has left memory
	stamp    viewing.Millis
}

// WriteFiles implements raft.FileWriter.
func (s *viewsSnapshot) WriteFiles(dir string) error {
	if s.cold == nil {
		return nil
	}
	return s.cold.WriteFiles(dir)
}

// WriteTo writes the snapshot, once.
func (s *viewsSnapshot) WriteTo(w io.Writer) (written int64, err error) {
	if err := s.archived(); err != nil {
		return 0, err
	}
	piece := binary.BigEndian.AppendUint64(nil, uint64(s.stamp))
	for more := true; more; {
		s.views.mu.RLock()
		piece, more = s.state.Append(piece)
		s.views.mu.RUnlock()
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
		piece = piece[:0]
	}
	return written, nil
}

// Release lets the state go that was captured.
func (s *viewsSnapshot) Release() {
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	s.state.Release()
	if s.cold != nil {
		s.cold.Release()
	}
}

// Restore replaces the state by a snapshot, or leaves it as it is and says why.
func (v *views) Restore(at raft.Place, r io.Reader, files string) error {
	var stamp [stampBytes]byte
	if _, err := io.ReadFull(r, stamp[:]); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	restored, err := viewing.ReadState(r)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	if err := v.adopt(restored, viewing.Millis(binary.BigEndian.Uint64(stamp[:])), files); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	if v.archiver != nil {
		v.archiver.restored(at)
	}
	return nil
}

// adopt takes a state, and what it had in its cold store, in place of this one's.
func (v *views) adopt(state *viewing.State, stamp viewing.Millis, files string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cold != nil {
		if err := v.cold.Reset(files, int64(state.Size().Cold)); err != nil {
			return err
		}
		state.SetCold(v.cold)
	}
	moved := v.sum()
	v.evicted, v.revived = moved.Evicted, moved.Revived
	v.digests = digests{}
	v.state, v.stamp = state, stamp
	return nil
}
