package raft_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// turnsList holds up the snapshot of one node, and counts how many write one at once.
type turnsList struct {
	list
	begun, end    chan struct{} // nil: it is not held up
	writing, most *atomic.Int32
}

func (l *turnsList) Snapshot(at raft.Place) (io.WriterTo, error) {
	state, err := l.list.Snapshot(at)
	return turnsCapture{state, l}, err
}

type turnsCapture struct {
	io.WriterTo
	of *turnsList
}

func (c turnsCapture) WriteTo(w io.Writer) (int64, error) {
	now := c.of.writing.Add(1)
	defer c.of.writing.Add(-1)
	for most := c.of.most.Load(); now > most && !c.of.most.CompareAndSwap(most, now); most = c.of.most.Load() {
	}
	if c.of.end != nil {
		select {
		case c.of.begun <- struct{}{}:
		case <-c.of.end: // its next one
		}
		<-c.of.end
	}
	return c.WriterTo.WriteTo(w)
}

// TestASnapshotWaitsForAnothers: while a node writes one, the others pass their turns, and
// take them after it, one at a time.
func TestASnapshotWaitsForAnothers(t *testing.T) {
	t.Parallel()
	const threshold = 30
	var writing, most atomic.Int32
	held := &turnsList{begun: make(chan struct{}), end: make(chan struct{}), writing: &writing, most: &most}
	waits := make(chan string, 10)
	c := rafttest.NewClusterWith(t, 3, func(i int) raft.StateMachine {
		if i == 0 {
			return held
		}
		return &turnsList{writing: &writing, most: &most}
	}, func(_ int, cfg *raft.Config) {
		cfg.SnapshotThreshold, cfg.TrailingLogs = threshold, 1
		cfg.Logger = slog.New(&waitsHandler{cfg.Logger.Handler(), cfg.NodeID, waits})
	})
	end := sync.OnceFunc(func() { close(held.end) })
	t.Cleanup(end) // or the node would not close
	index := propose(t, c, "x")
	if err := c.Node(0).WaitApplied(within(t, 20*time.Second), index); err != nil {
		t.Fatal(err)
	}
	taken := make(chan error, 1)
	go func() { taken <- c.Node(0).TakeSnapshot(within(t, time.Minute)) }()
	select {
	case <-held.begun:
	case err := <-taken:
		t.Fatalf("it was not held up: %v", err)
	}
	for index < 2*threshold {
		index = propose(t, c, "x")
	}
	rafttest.Eventually(t, "two nodes wait", func() bool { return len(waits) == 2 })
	if first, second := <-waits, <-waits; first == second || first == "n1" || second == "n1" {
		t.Errorf("%s and %s wait, want n2 and n3", first, second)
	}
	for i := 1; i < 3; i++ {
		if info, ok := c.Node(i).LastSnapshot(); ok {
			t.Errorf("n%d took one of entry %d meanwhile", i+1, info.Index)
		}
	}
	end()
	if err := <-taken; err != nil {
		t.Error(err)
	}
	for i := 1; i < 3; i++ {
		rafttest.Eventually(t, "their own", func() bool { _, ok := c.Node(i).LastSnapshot(); return ok })
	}
	if most.Load() != 1 {
		t.Errorf("%d nodes wrote one at once", most.Load())
	}
}

// waitsHandler tells of each wait for another node's snapshot whose it is.
type waitsHandler struct {
	slog.Handler
	node  string
	waits chan<- string
}

func (h *waitsHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &waitsHandler{h.Handler.WithAttrs(attrs), h.node, h.waits}
}

func (h *waitsHandler) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "a snapshot waits") {
		select {
		case h.waits <- h.node:
		default: // more than the test waits for
		}
	}
	return h.Handler.Handle(ctx, r)
}
