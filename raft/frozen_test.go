package raft_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// A leader that freezes while it sends a snapshot costs the two others no more than the
// limit and an election: whom it sends to is needed for their majority (known bug 24).
func TestAFrozenSenderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := &freezer{addresses: map[string]int{}}
	c := rafttest.NewClusterWith(t, 3, newFiledList, func(i int, cfg *raft.Config) {
		cfg.TrailingLogs = 1
		f.addresses[cfg.RaftAddress] = i
		cfg.SetDial(func(network, address string, timeout time.Duration) (net.Conn, error) {
			conn, err := net.DialTimeout(network, address, timeout)
			return &freezingConn{Conn: conn, freezer: f, from: i, to: f.addresses[address]}, err
		})
	})
	leader := c.LeaderAt(t)
	behind := (leader + 1) % 3
	index := propose(t, c, "early")
	holds(t, c, behind, index, []string{"early"})
	c.Stop(behind)
	for _, command := range numbered("before", 20) {
		propose(t, c, command)
	}
	if err := c.Node(leader).TakeSnapshot(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	f.armed.Store(int32(leader) + 1)
	c.Start(behind)
	rafttest.Eventually(t, "the leader freezes while it sends", func() bool { return f.frozen.Load() != 0 })
	begun := time.Now()
	rafttest.Eventually(t, "the two others take a write", func() bool {
		_, _, err := c.Node((leader+2)%3).Propose(within(t, time.Second), []byte("after"))
		return err == nil
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("they took a write after %v, want 20s at most", took)
	}
}

// freezer makes a node fall silent for good, to and from all others, when it has sent half a
// MiB to one of them.
type freezer struct {
	addresses     map[string]int // nodes by raft address
	armed, frozen atomic.Int32   // the node's number from 1; 0: none
}

type freezingConn struct {
	net.Conn
	freezer  *freezer
	from, to int
	written  int
}

func (c *freezingConn) Write(p []byte) (int, error) {
	armed := c.freezer.armed.Load()
	if c.written += len(p); int(armed) == c.from+1 && c.written > 512<<10 {
		c.freezer.frozen.Store(armed)
	}
	if frozen := int(c.freezer.frozen.Load()); frozen == c.from+1 || frozen == c.to+1 {
		return len(p), nil
	}
	return c.Conn.Write(p)
}
