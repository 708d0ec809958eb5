package raft_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// list is a state machine that remembers its commands in order; the answer to
// a command is its place, counted from 1, with the command.
type list struct {
	mu       sync.Mutex
	commands []string
	indexes  []uint64
	stamps   []int64
	gate     chan struct{} // when not nil, Apply waits for it
	filed    bool          // its snapshots carry files, see filed
	restored string        // directory of the files of the newest snapshot restored
}

type answer struct {
	place   int
	command string
}

func newList(int) raft.StateMachine      { return &list{} }
func newFiledList(int) raft.StateMachine { return &list{filed: true} }

// filed is a captured list whose end is in files too: a small one, and one so large
// that its checksum is not verified whenever it is opened.
type filed struct{ *bytes.Reader }

func endOf(body []byte) []byte { return body[max(0, len(body)-64<<10):] }

var filedAfter = map[string]int{"small": 0, "large": 1 << 20} // bytes of nothing before the commands

func (f filed) WriteFiles(dir string) error {
	body := make([]byte, f.Size())
	_, err := f.ReadAt(body, 0)
	err = errors.Join(err, os.Mkdir(dir, 0o755))
	for name, after := range filedAfter {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), append(make([]byte, after), endOf(body)...), 0o644))
	}
	return err
}

// checkFiled fails unless the files hold the commands.
func checkFiled(files string, body []byte) error {
	for name, after := range filedAfter {
		path := filepath.Join(files, name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(data) < after || !bytes.Equal(data[after:], endOf(body)) {
			return fmt.Errorf("%s is %w: other commands", path, raft.ErrDamaged)
		}
	}
	return nil
}

func (l *list) Apply(index uint64, stampMS int64, commands [][]byte, answers []any) {
	for i, command := range commands {
		if l.gate != nil {
			<-l.gate
		}
		l.mu.Lock()
		l.commands = append(l.commands, string(command))
		l.indexes = append(l.indexes, index)
		l.stamps = append(l.stamps, stampMS)
		if answers != nil {
			answers[i] = answer{len(l.commands), string(command)}
		}
		l.mu.Unlock()
	}
}

func (l *list) Snapshot(raft.Place) (io.WriterTo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	body, err := json.Marshal(l.commands)
	if l.filed {
		return filed{bytes.NewReader(body)}, err
	}
	return bytes.NewReader(body), err
}

func (l *list) Restore(_ raft.Place, r io.Reader, files string) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var commands []string
	if err := json.Unmarshal(body, &commands); err != nil {
		return err
	}
	if l.filed != (files != "") {
		return fmt.Errorf("files in %q", files)
	}
	if l.filed {
		if err := checkFiled(files, body); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restored = files
	l.commands, l.indexes, l.stamps = commands, nil, nil
	return nil
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.commands...)
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// propose sends a command to whichever node leads until it is acknowledged,
// as a client would.
func propose(t testing.TB, c *rafttest.Cluster, command string) uint64 {
	t.Helper()
	for {
		_, index, err := c.Leader(t).Propose(within(t, 10*time.Second), []byte(command))
		if err == nil {
			return index
		}
		if !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrOutcomeUnknown) {
			t.Fatalf("propose %q: %v", command, err)
		}
	}
}

// holds fails unless the i-th node comes to hold every one of the commands.
func holds(t *testing.T, c *rafttest.Cluster, i int, index uint64, commands []string) {
	t.Helper()
	if err := c.Node(i).WaitApplied(within(t, 20*time.Second), index); err != nil {
		t.Fatalf("node %d: wait for index %d: %v", i+1, index, err)
	}
	have := map[string]bool{}
	for _, command := range c.Machine(i).(*list).all() {
		have[command] = true
	}
	for _, command := range commands {
		if !have[command] {
			t.Errorf("node %d lost the acknowledged command %q", i+1, command)
		}
	}
}

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return names
}

func TestThreeNodesApplyTheSame(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	var index uint64
	commands := numbered("a", 20)
	ctx := within(t, 20*time.Second)
	for i, command := range commands {
		got, at, err := c.Leader(t).Propose(ctx, []byte(command))
		for errors.Is(err, raft.ErrNotLeader) { // nor anywhere in the log
			got, at, err = c.Leader(t).Propose(ctx, []byte(command))
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := (answer{i + 1, command}); got != want {
			t.Errorf("answer %v, want %v", got, want)
		}
		if at <= index {
			t.Errorf("index %d after %d", at, index)
		}
		index = at
	}
	leader := c.LeaderAt(t)
	for i := range 3 {
		holds(t, c, i, index, commands)
		mine, theirs := c.Machine(i).(*list), c.Machine(leader).(*list)
		for k := range commands {
			if mine.commands[k] != theirs.commands[k] || mine.indexes[k] != theirs.indexes[k] || mine.stamps[k] != theirs.stamps[k] {
				t.Fatalf("node %d applied (%s %d %d) at place %d, the leader (%s %d %d)", i+1,
					mine.commands[k], mine.indexes[k], mine.stamps[k], k, theirs.commands[k], theirs.indexes[k], theirs.stamps[k])
			}
		}
	}
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const proposers, each = 64, 20
	c := rafttest.NewCluster(t, 1, newList) // no election takes the leadership away
	leader := c.Leader(t)
	var proposing sync.WaitGroup
	for p := range proposers {
		proposing.Go(func() {
			last := 0
			command := make([]byte, 8)
			for i := range each {
				binary.BigEndian.PutUint32(command, uint32(p))
				binary.BigEndian.PutUint32(command[4:], uint32(i))
				want := string(command)
				got, _, err := leader.Propose(within(t, 20*time.Second), command)
				if err != nil {
					t.Errorf("proposer %d: %v", p, err)
					return
				}
				mine := got.(answer)
				if mine.command != want {
					t.Errorf("proposer %d got another's answer", p)
				}
				if mine.place <= last {
					t.Errorf("proposer %d: place %d after %d", p, mine.place, last)
				}
				last = mine.place
			}
		})
	}
	proposing.Wait()
	entries, commands := leader.BatchCounts()
	if commands != proposers*each {
		t.Errorf("%d commands were submitted, want %d", commands, proposers*each)
	}
	if entries >= commands/2 {
		t.Errorf("%d commands took %d entries: no group commit", commands, entries)
	}
}
