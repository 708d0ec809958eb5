// Package rafttest runs clusters of raft nodes inside a test: real TCP on
// loopback, real disks in the test's temporary directory.
package rafttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/loopback"
	"github.com/playhead-load/playhead/raft"
)

// Deadlines of the helpers; a test fails when one passes.
const (
	ElectWithin = 20 * time.Second
	closeWithin = 10 * time.Second
	pollEvery   = 5 * time.Millisecond
)

// heartbeat is long enough for the race detector on a busy machine: what waits for an
// election waits beside others.
const heartbeat = time.Second

// Cluster is a set of nodes founded together. Its methods are for the test's
// own goroutine.
type Cluster struct {
	t        testing.TB
	configs  []raft.Config
	machine  func(i int) raft.StateMachine
	nodes    []*raft.Node // nil: stopped
	machines []raft.StateMachine
}

// NewCluster starts n nodes, n1 … nN, each with its own state machine, and
// waits until they have a leader. They are stopped when the test ends.
// machine is called again for every restart: a restarted node gets an empty one.
func NewCluster(t testing.TB, n int, machine func(i int) raft.StateMachine) *Cluster {
	t.Helper()
	return NewClusterWith(t, n, machine, nil)
}

// NewClusterWith is NewCluster with a chance to change each node's
// configuration before it starts.
func NewClusterWith(t testing.TB, n int, machine func(i int) raft.StateMachine, change func(i int, cfg *raft.Config)) *Cluster {
	t.Helper()
	log := &testLog{out: t.Output()}
	t.Cleanup(log.end) // runs last
	logger := slog.New(slog.NewTextHandler(log, nil))
	c := &Cluster{t: t, machine: machine, nodes: make([]*raft.Node, n), machines: make([]raft.StateMachine, n)}
	dir, addresses := t.TempDir(), FreeAddresses(t, n)
	for i := range n {
		cfg := raft.Config{
			NodeID:           fmt.Sprintf("n%d", i+1),
			RaftAddress:      addresses[i],
			HTTPAddress:      fmt.Sprintf("http.test:%d", i+1),
			DataDir:          filepath.Join(dir, fmt.Sprintf("n%d", i+1)),
			Join:             addresses,
			BootstrapExpect:  n,
			HeartbeatTimeout: heartbeat,
			LeaderLease:      heartbeat, // at most: a stall of the machine is to cost no test its leader
			Logger:           logger,
		}
		if change != nil {
			change(i, &cfg)
		}
		c.configs = append(c.configs, cfg)
	}
	t.Cleanup(c.stopAll)
	for i := range n {
		c.Start(i)
	}
	c.Leader(t)
	return c
}

// OnEachStore runs a test once over every log store, side by side: on makes a
// cluster's nodes use it (see NewClusterWith).
func OnEachStore(t *testing.T, run func(t *testing.T, on func(i int, cfg *raft.Config))) {
	t.Helper()
	for _, store := range []string{raft.LogStoreBoltDB, raft.LogStoreWAL} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			run(t, func(_ int, cfg *raft.Config) { cfg.LogStore = store })
		})
	}
}

// testLog passes the nodes' lines to the test's own output until it ends.
type testLog struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = io.Discard
}

func (c *Cluster) stopAll() {
	ended, cancel := context.WithCancel(context.Background())
	cancel() // no hand-over, the whole cluster goes
	for i, node := range c.nodes {
		if node == nil {
			continue
		}
		if err := node.Close(ended); err != nil {
			c.t.Errorf("close %s: %v", c.configs[i].NodeID, err)
		}
	}
}

// Node is the i-th node, nil while it is stopped.
func (c *Cluster) Node(i int) *raft.Node { return c.nodes[i] }

// Machine is the i-th node's present state machine.
func (c *Cluster) Machine(i int) raft.StateMachine { return c.machines[i] }

// Config is the i-th node's configuration; it may be changed while it is stopped.
func (c *Cluster) Config(i int) *raft.Config { return &c.configs[i] }

// Add prepares one more node that is not a member yet and starts it; it waits
// to be added. It returns its place.
func (c *Cluster) Add(t testing.TB) int {
	t.Helper()
	i := len(c.nodes)
	cfg := c.configs[0]
	cfg.NodeID = fmt.Sprintf("n%d", i+1)
	cfg.RaftAddress = FreeAddresses(t, 1)[0]
	cfg.HTTPAddress = fmt.Sprintf("http.test:%d", i+1)
	cfg.DataDir = filepath.Join(filepath.Dir(c.configs[0].DataDir), cfg.NodeID)
	cfg.BootstrapExpect = 0
	c.configs = append(c.configs, cfg)
	c.nodes = append(c.nodes, nil)
	c.machines = append(c.machines, nil)
	c.Start(i)
	return i
}

// Join makes the i-th node a member, with or without a vote; it tries again
// while the leadership changes.
func (c *Cluster) Join(t testing.TB, i int, voter bool) {
	t.Helper()
	Eventually(t, "the node became a member", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), ElectWithin)
		defer cancel()
		err := c.Leader(t).AddMember(ctx, c.configs[i].NodeID, c.configs[i].RaftAddress, voter)
		if err != nil && !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrOutcomeUnknown) {
			t.Fatalf("add %s: %v", c.configs[i].NodeID, err)
		}
		return err == nil
	})
}

// Start starts a stopped node from its disk, with a new state machine.
func (c *Cluster) Start(i int) *raft.Node {
	c.t.Helper()
	if err := c.TryStart(i); err != nil {
		c.t.Fatalf("open %s: %v", c.configs[i].NodeID, err)
	}
	return c.nodes[i]
}

// TryStart is Start of a node that may refuse.
func (c *Cluster) TryStart(i int) error {
	machine := c.machine(i)
	node, err := raft.Open(c.configs[i], machine)
	if err != nil {
		return err
	}
	c.nodes[i], c.machines[i] = node, machine
	return nil
}

// Stop ends a node at once, without handing its leadership over.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	c.close(ended, i)
}

// Shutdown ends a node the polite way: it hands its leadership over first.
func (c *Cluster) Shutdown(i int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	c.close(ctx, i)
}

func (c *Cluster) close(ctx context.Context, i int) {
	c.t.Helper()
	if c.nodes[i] == nil {
		return
	}
	if err := c.nodes[i].Close(ctx); err != nil {
		c.t.Fatalf("close %s: %v", c.configs[i].NodeID, err)
	}
	c.nodes[i] = nil
}

// Restart stops a node at once and starts it again from its disk.
func (c *Cluster) Restart(i int) *raft.Node {
	c.t.Helper()
	c.Stop(i)
	return c.Start(i)
}

// Leader waits until exactly one running node believes that it leads
// and returns it.
func (c *Cluster) Leader(t testing.TB) *raft.Node {
	t.Helper()
	return c.nodes[c.LeaderAt(t)]
}

// LeaderAt is Leader by place.
func (c *Cluster) LeaderAt(t testing.TB) int {
	t.Helper()
	at := -1
	Eventually(t, "one leader", func() bool {
		at = -1
		for i, node := range c.nodes {
			if node == nil || !node.IsLeader() {
				continue
			}
			if at >= 0 {
				return false
			}
			at = i
		}
		return at >= 0
	})
	return at
}

// Followers are the running nodes that do not lead.
func (c *Cluster) Followers(t testing.TB) []*raft.Node {
	t.Helper()
	leader := c.Leader(t)
	var followers []*raft.Node
	for _, node := range c.nodes {
		if node != nil && node != leader {
			followers = append(followers, node)
		}
	}
	return followers
}

// patience is how long a test waits for what must come, also where all processors are taken.
const patience = time.Minute

// Eventually polls until the condition holds, and fails the test when it does
// not within the time that it has patience for.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// FreeAddresses reserves n loopback addresses that nobody listens on until the test ends.
func FreeAddresses(t testing.TB, n int) []string {
	t.Helper()
	ports, err := loopback.Reserve(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ports.Close() })
	return ports.Addresses
}
