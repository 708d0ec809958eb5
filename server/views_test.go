package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// applyOne applies an entry of one command, and returns its answer.
func (v *views) applyOne(index uint64, stampMS int64, command []byte) any {
	answers := make([]any, 1)
	v.Apply(index, stampMS, [][]byte{command}, answers)
	return answers[0]
}

// applyUnlogged applies a command as a replay does.
func (v *fold) applyUnlogged(stampMS int64, command []byte) error {
	return v.apply(stampMS, [][]byte{command}, nil)
}

// toldViews has applied the golden commands.
func toldViews(t testing.TB) *views {
	v := newViews()
	for i, c := range readGolden(t) {
		if err := v.applyUnlogged(goldenStamp+int64(i), c.bytes); err != nil {
			t.Fatalf("apply %s: %v", c.name, err)
		}
	}
	return v
}

// fingerprint is all there is to compare.
type fingerprint struct {
	digest [32]byte
	stamp  viewing.Millis
}

func (v *views) fingerprint() fingerprint { return fingerprint{v.state.Digest(), v.stamp} }

func encoded(t testing.TB, v *views) []byte {
	t.Helper()
	s, err := v.Snapshot(raft.Place{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("written %d of %d: %v", n, b.Len(), err)
	}
	s.(*viewsSnapshot).Release()
	return b.Bytes()
}

// TestCommandsOfAnEntryTogether: however commands share entries, their answers and the
// state are the same.
func TestCommandsOfAnEntryTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		together, alone := newViews(), newViews()
		stampMS := goldenStamp
		for index := range uint64(rapid.IntRange(1, 8).Draw(t, "entries")) {
			commands := rapid.SliceOfN(rapid.Custom(drawCommand), 1, 80).Draw(t, "commands")
			stampMS += rapid.Int64Range(0, 100_000).Draw(t, "later by")
			var answers []any
			if rapid.Bool().Draw(t, "somebody waits") {
				answers = make([]any, len(commands))
			}
			together.Apply(index+1, stampMS, commands, answers)
			for i, command := range commands {
				answer := alone.applyOne(index+1, stampMS, command)
				if answers != nil && !reflect.DeepEqual(answers[i], answer) {
					t.Fatalf("entry %d, command %d is answered %+v, alone %+v", index+1, i+1, answers[i], answer)
				}
			}
			if together.fingerprint() != alone.fingerprint() || together.told != alone.told {
				t.Fatalf("after entry %d the states differ", index+1)
			}
		}
	})
}

// drawCommand is of a few accounts, so that commands meet.
func drawCommand(t *rapid.T) []byte {
	rules := rapid.SampledFrom([]viewing.Rules{goldenRules, goldenRules, {LeaseMS: 60_000, DefaultStreams: 1}}).Draw(t, "rules")
	account := rapid.Uint64Range(1, 3).Draw(t, "account")
	event := func(kind viewing.EventType) *viewing.Event {
		e := goldenEvent(rapid.Uint32Range(0, 9).Draw(t, "seq"), kind)
		e.AccountID, e.SessionID[0] = account, byte(rapid.IntRange(1, 4).Draw(t, "session"))
		e.DeviceID = uint64(e.SessionID[0])
		return &e
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return wire.AppendEvent(appendCommand(nil, commandStart, rules), event(viewing.Start))
	case 1:
		return appendAccountCommand(nil, rules, account, rapid.IntRange(1, 3).Draw(t, "streams"))
	case 2:
		return appendHideCommand(nil, rules, account, 1, 80)
	}
	count := rapid.SampledFrom([]int{1, 1, 1, 2, 31, 32, 33, 100}).Draw(t, "events")
	command := binary.AppendUvarint(appendCommand(nil, commandEvents, rules), uint64(count))
	for range count {
		command = wire.AppendEvent(command, event(rapid.SampledFrom([]viewing.EventType{viewing.Keepalive, viewing.Pause, viewing.Stop}).Draw(t, "type")))
	}
	return command
}

// TestApplyRefuses: what cannot be read changes nothing and stops the node.
func TestApplyRefuses(t *testing.T) {
	commands := map[string][]byte{}
	for _, c := range readGolden(t) {
		commands[c.name] = c.bytes
	}
	damage := func(name string, at int, to byte) []byte {
		b := bytes.Clone(commands[name])
		b[at] = to
		return b
	}
	head := appendCommand(nil, commandEvents, goldenRules)
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"version alone":     {commandVersion},
		"kind alone":        {commandVersion, byte(commandEvents)},
		"newer version":     damage("events", 0, commandVersion+1),
		"version 0":         damage("events", 0, 0),
		"newer kind":        damage("events", 1, 200),
		"kind 0":            damage("events", 1, 0),
		"no count":          head,
		"a count too large": binary.AppendUvarint(bytes.Clone(head), 10_001),
		"a huge count":      binary.AppendUvarint(bytes.Clone(head), 1<<63),
		"endless uvarint":   append(bytes.Clone(head), bytes.Repeat([]byte{0xff}, 11)...),
		"no event":          binary.AppendUvarint(bytes.Clone(head), 1),
		"start of nothing":  appendCommand(nil, commandStart, goldenRules),
		"account alone":     binary.AppendUvarint(appendCommand(nil, commandAccount, goldenRules), 42),
		"hide of nothing":   appendCommand(nil, commandHide, goldenRules),
	} {
		v := toldViews(t)
		before := v.state.Digest()
		err := v.applyUnlogged(goldenStamp+100, b)
		if err == nil {
			t.Errorf("%s: applied", name)
		}
		if !panics(func() { v.applyOne(100, goldenStamp+100, b) }) {
			t.Errorf("%s: the node goes on without it", name)
		}
		if strings.HasPrefix(name, "newer") && (err == nil || !strings.Contains(err.Error(), "newer server")) {
			t.Errorf("%s: %v", name, err)
		}
		// The rules alone may be those of the command.
		v.state.SetRules(toldViews(t).state.Rules())
		if v.state.Digest() != before {
			t.Errorf("%s: changed the state", name)
		}
	}
}

// TestApplySurvivesDamage cuts and flips commands everywhere: whatever they say
// then, they do not panic, the state can be written and read again, and a good
// command works afterwards.
func TestApplySurvivesDamage(t *testing.T) {
	golden := readGolden(t)
	check := func(name string, b []byte) {
		t.Helper()
		v := newViews()
		defer func() {
			if p := recover(); p != nil {
				t.Fatalf("%s: %x panics: %v", name, b, p)
			}
		}()
		_ = v.applyUnlogged(goldenStamp, b) // whether it is refused is another test's
		for _, c := range golden {
			if err := v.applyUnlogged(goldenStamp, c.bytes); err != nil {
				t.Fatalf("after %x, %s: %v", b, c.name, err)
			}
		}
		v.state.Active(viewing.Millis(goldenStamp), 42)
		_, _, history := v.state.History(viewing.Millis(goldenStamp), 42, 1, nil, 10)
		if _, err := v.state.ContinueWatching(viewing.Millis(goldenStamp), 42, 1, 10); err != nil || history != nil {
			t.Fatalf("after %x: %v, %v", b, history, err)
		}
		again := newViews()
		if err := again.Restore(raft.Place{}, bytes.NewReader(encoded(t, v)), ""); err != nil || again.fingerprint() != v.fingerprint() {
			t.Fatalf("after %x: the snapshot is not the state: %v", b, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range golden {
		for size := range c.bytes {
			check(c.name, c.bytes[:size])
		}
		for range 500 {
			b := bytes.Clone(c.bytes)
			for range 1 + random.IntN(3) {
				b[2+random.IntN(len(b)-2)] ^= 1 << random.IntN(8)
			}
			check(c.name, b)
		}
	}
}

func TestSnapshotAndRestore(t *testing.T) {
	v := toldViews(t)
	snapshot, err := v.Snapshot(raft.Place{})
	if err != nil {
		t.Fatal(err)
	}
	taken := v.fingerprint()
	// It is of the moment at which it was taken.
	v.applyOne(50, goldenStamp+50, appendAccountCommand(nil, goldenRules, 43, 1))
	if v.fingerprint() == taken {
		t.Fatal("a command changed nothing")
	}
	var b bytes.Buffer
	if _, err := snapshot.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	snapshot.(*viewsSnapshot).Release()
	restored := newViews()
	restored.applyOne(99, goldenStamp+99, appendAccountCommand(nil, goldenRules, 1, 1)) // replaced
	if err := restored.Restore(raft.Place{}, iotest.OneByteReader(bytes.NewReader(b.Bytes())), ""); err != nil {
		t.Fatal(err)
	}
	if restored.fingerprint() != taken {
		t.Errorf("restored %+v, taken %+v", restored.fingerprint(), taken)
	}
	// Both go on alike.
	restored.applyOne(50, goldenStamp+50, appendAccountCommand(nil, goldenRules, 43, 1))
	if restored.fingerprint() != v.fingerprint() || !bytes.Equal(encoded(t, restored), encoded(t, v)) {
		t.Error("the same command, another state")
	}
	if err := newViews().Restore(raft.Place{}, bytes.NewReader(encoded(t, newViews())), ""); err != nil {
		t.Errorf("the snapshot of nothing: %v", err)
	}
}

// TestFailedRestoreChangesNothing: cut anywhere, longer than it should be, of
// another version, or from a disk that fails.
func TestFailedRestoreChangesNothing(t *testing.T) {
	good := encoded(t, toldViews(t))
	v := newViews()
	v.applyOne(7, goldenStamp, appendAccountCommand(nil, goldenRules, 7, 3))
	before := v.fingerprint()
	try := func(name string, r io.Reader) {
		t.Helper()
		if err := v.Restore(raft.Place{}, r, ""); err == nil {
			t.Errorf("%s: restored", name)
		}
		if v.fingerprint() != before {
			t.Fatalf("%s: the state changed", name)
		}
	}
	for size := range good {
		try("cut", bytes.NewReader(good[:size]))
		try("a failing disk", io.MultiReader(bytes.NewReader(good[:size]), iotest.ErrReader(errors.New("input/output error"))))
	}
	try("a failing disk at the end", io.MultiReader(bytes.NewReader(good), iotest.ErrReader(io.ErrUnexpectedEOF)))
	try("longer", bytes.NewReader(append(bytes.Clone(good), 0)))
	other := bytes.Clone(good)
	other[stampBytes]++
	try("another version", bytes.NewReader(other))
	try("junk", strings.NewReader(strings.Repeat("junk", 1000)))
	if err := v.Restore(raft.Place{}, bytes.NewReader(good), ""); err != nil || v.fingerprint() != toldViews(t).fingerprint() {
		t.Errorf("the good one: %v", err)
	}
}

// TestReadsSeeNoTimeBeforeTheLog: a node whose clock is behind the leader's judges
// leases by the newest command's.
func TestReadsSeeNoTimeBeforeTheLog(t *testing.T) {
	v := toldViews(t)
	newest := viewing.Millis(goldenStamp) + viewing.Millis(len(readGolden(t))-1)
	for clock, want := range map[viewing.Millis]viewing.Millis{0: newest, newest + 5: newest + 5} {
		v.read(clock, func(_ *viewing.State, now viewing.Millis) {
			if now != want {
				t.Errorf("at %d it reads at %d, want %d", clock, now, want)
			}
		})
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}
