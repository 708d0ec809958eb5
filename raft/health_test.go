package raft_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// hangable makes three nodes whose logs can hang, through a store under the log (with
// a file system that hangs: see sim/target).
func hangable(t *testing.T, on func(int, *raft.Config)) (*rafttest.Cluster, [3]*raft.FaultyLog) {
	t.Helper()
	logs := [3]*raft.FaultyLog{{}, {}, {}}
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		on(i, cfg)
		cfg.SetFaultyLog(logs[i])
	})
	for _, log := range logs {
		t.Cleanup(log.Release)
	}
	return c, logs
}

// The write that hangs on the leader's disk is that of a real command (known bug 8).
func TestHangingLogCostsTheLeadership(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c, logs := hangable(t, on)
		propose(t, c, "before")
		old := c.LeaderAt(t)
		logs[old].Hang()
		go func() { _, _, _ = c.Node(old).Propose(context.Background(), []byte("hangs")) }()
		rafttest.Eventually(t, "a write hangs", func() bool { return logs[old].Waiting() > 0 })
		rafttest.Eventually(t, "another leads", func() bool {
			return c.Node((old+1)%3).IsLeader() || c.Node((old+2)%3).IsLeader()
		})
		if role := c.Node(old).Status().Role; role == "leader" {
			t.Errorf("the node whose disk hangs says that it is the %s", role)
		}
		propose(t, c, "meanwhile")
		logs[old].Release()
		holds(t, c, old, propose(t, c, "after"), []string{"before", "meanwhile", "after"})
	})
}

// A follower whose disk refuses an append now and then is sent the log again each time,
// while writes go on: a leader must not wait for ever for the answer to a request that
// it has sent on (known bug 23), nor its close.
func TestFollowerThatRefusesIsSentTheLogAgain(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c, logs := hangable(t, on)
		over, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		t.Cleanup(func() { stop(); writing.Wait() })
		for range 4 {
			writing.Go(func() {
				for over.Err() == nil {
					_, _, _ = c.Node(0).Propose(within(t, 10*time.Second), []byte("x")) // by whoever leads
					_, _, _ = c.Node(1).Propose(within(t, 10*time.Second), []byte("x"))
					_, _, _ = c.Node(2).Propose(within(t, 10*time.Second), []byte("x"))
				}
			})
		}
		for range 20 {
			leader := c.LeaderAt(t)
			follower := (leader + 1) % 3
			refused := logs[follower].Refused()
			logs[follower].Hang()
			rafttest.Eventually(t, "an append hangs", func() bool { return logs[follower].Waiting() > 0 })
			for range 5 { // so that the next requests are on their way
				propose(t, c, "meanwhile")
			}
			logs[follower].RefuseAppends()
			logs[follower].Release()
			rafttest.Eventually(t, "an append is refused", func() bool { return logs[follower].Refused() > refused })
			logs[follower].Free()
			if err := c.Node(follower).WaitApplied(within(t, 10*time.Second), propose(t, c, "again")); err != nil {
				t.Fatalf("the follower is left behind: %v", err)
			}
		}
	})
}

// lines is a node's log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with are the lines that hold a text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// Leadership is handed to a node that nothing reaches any more, so that the leader waits
// for it and refuses every entry meanwhile, for longer than the transfer may take (known
// bug 7): it ends that itself, and writes go on.
func TestStuckTransferDoesNotStopWrites(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	var told lines
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		w.wire(i, cfg)
		cfg.Logger = slog.New(slog.NewTextHandler(&told, nil))
		// The watchdog, after four of them, is to be quicker than the ten seconds that a
		// request may take; and a stall of the machine is to cost no leader its lease.
		cfg.HeartbeatTimeout, cfg.LeaderLease = 1500*time.Millisecond, 1500*time.Millisecond
	})
	leader := c.LeaderAt(t)
	to := (leader + 1) % 3
	// The successor has all there is: the library would wait for that, and give up.
	if err := c.Node(to).WaitApplied(within(t, 10*time.Second), propose(t, c, "before")); err != nil {
		t.Fatal(err)
	}
	w.swallow(leader, to)
	transferred := make(chan error, 1)
	go func() {
		transferred <- c.Node(leader).TransferLeadership(context.Background(), c.Config(to).NodeID)
	}()
	rafttest.Eventually(t, "an entry is refused", func() bool {
		_, _, err := c.Node(leader).Propose(within(t, time.Second), []byte("refused"))
		return errors.Is(err, raft.ErrNotLeader)
	})
	if err := <-transferred; err == nil {
		t.Error("leadership was handed to a node that nothing reaches")
	}
	writesWithin(t, c, 20*time.Second, "meanwhile")
	if len(told.with("a transfer of leadership is stuck")) == 0 {
		t.Errorf("writes went on, but not because the stuck transfer was noticed:\n%s", told.text.String())
	}
	w.heal()
	holds(t, c, to, writesWithin(t, c, 10*time.Second, "after"), []string{"before", "meanwhile", "after"})
}

// A node that cannot write its term, as on a full disk (known bug 12), stops with one
// line instead of a panic.
func TestTermThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	logs := [3]*raft.FaultyLog{{}, {}, {}}
	told := make(chan error, 64)
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		cfg.SetFaultyLog(logs[i])
		cfg.Damaged = func(err error) {
			told <- err
			runtime.Goexit() // a process would end here
		}
	})
	leader := c.LeaderAt(t)
	full, next := (leader+1)%3, (leader+2)%3
	logs[full].Fill()
	rafttest.Eventually(t, "another leads, in another term", func() bool {
		_ = c.Node(leader).TransferLeadership(within(t, time.Second), c.Config(next).NodeID)
		return c.Node(next).IsLeader()
	})
	select {
	case err := <-told:
		if line := err.Error(); !strings.Contains(line, c.Config(full).DataDir) || !strings.Contains(line, "no space left on device: make space on the disk") || strings.Contains(line, "\n") {
			t.Errorf("it stops with %q, want one line with the file, the reason and what to do", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("a node that could not write its term goes on")
	}
	propose(t, c, "without it")
}
