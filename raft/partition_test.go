package raft_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

var errCut = errors.New("the network is cut")

// network is the wires between the nodes of a cluster, which a test can cut, one from
// whoever begins it to the other. What a node says over the wire to itself, and to
// clients, is never cut.
type network struct {
	mu    sync.Mutex
	at    map[string]int // nodes by raft address
	cut   map[[2]int]bool
	holes map[[2]int]bool // from the request to take over on, what is written is lost; true: it has come
	conns map[[2]int][]net.Conn
	said  [3]atomic.Int64 // how often a node has written on a wire that it began
}

// speaking is a wire from a node to another.
type speaking struct {
	net.Conn
	over    *network
	between [2]int
	known   bool // to the other end, which closes a connection whose first byte does not come
}

func (s *speaking) Write(b []byte) (int, error) {
	s.over.said[s.between[0]].Add(1)
	known := s.known
	s.known = true
	switch lost := s.over.lost(s.between, b); {
	case lost && known:
		return len(b), nil
	case lost:
		if _, err := s.Conn.Write(b[:1]); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func newNetwork() *network {
	return &network{at: map[string]int{}, cut: map[[2]int]bool{}, holes: map[[2]int]bool{}, conns: map[[2]int][]net.Conn{}}
}

// wire makes a node's configuration use the network.
func (w *network) wire(i int, cfg *raft.Config) {
	w.at[cfg.RaftAddress] = i
	cfg.SetDial(func(network, address string, timeout time.Duration) (net.Conn, error) {
		w.mu.Lock()
		between := [2]int{i, w.at[address]}
		cut := w.cut[between]
		w.mu.Unlock()
		if cut {
			return nil, errCut
		}
		conn, err := net.DialTimeout(network, address, timeout)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cut[between] {
			return nil, errors.Join(errCut, conn.Close())
		}
		w.conns[between] = append(w.conns[between], conn)
		return &speaking{Conn: conn, over: w, between: between}, nil
	})
}

// split leaves only the wires between nodes of the same group.
func (w *network) split(groups ...[]int) {
	group := map[int]int{}
	for g, nodes := range groups {
		for _, i := range nodes {
			group[i] = g
		}
	}
	var cut [][2]int
	for _, i := range w.at {
		for _, j := range w.at {
			if group[i] != group[j] {
				cut = append(cut, [2]int{i, j})
			}
		}
	}
	w.set(cut)
}

// set cuts these wires, and mends all others.
func (w *network) set(cut [][2]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cut)
	for _, between := range cut {
		w.cut[between] = true
		for _, conn := range w.conns[between] {
			_ = conn.Close()
		}
		delete(w.conns, between)
	}
}

// timeoutNow begins the library's request to take over the leadership.
const timeoutNow = 3

// swallow makes a node's request that another take over vanish, and all that it writes
// to it from then on, as behind a switch that died: the writer has to find out by itself.
func (w *network) swallow(from, to int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holes[[2]int{from, to}] = false
}

func (w *network) lost(between [2]int, b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost, hole := w.holes[between]
	if hole && !lost && b[0] == timeoutNow {
		lost = true
		w.holes[between] = true
	}
	return lost
}

// heal mends every wire. Those that swallowed something begin anew.
func (w *network) heal() {
	w.mu.Lock()
	for between := range w.holes {
		for _, conn := range w.conns[between] {
			_ = conn.Close()
		}
		delete(w.conns, between)
	}
	clear(w.holes)
	w.mu.Unlock()
	w.set(nil)
}

// others are the two nodes of three beside i.
func others(i int) []int { return []int{(i + 1) % 3, (i + 2) % 3} }

// writesWithin proposes a command until a node takes it, known bug 7's measure.
func writesWithin(t *testing.T, c *rafttest.Cluster, limit time.Duration, command string) (index uint64) {
	t.Helper()
	begun := time.Now()
	defer func() {
		if took := time.Since(begun); took > limit {
			t.Errorf("the first write succeeded after %v, want %v at most", took, limit)
		}
	}()
	rafttest.Eventually(t, "a write succeeds", func() bool {
		for i := range 3 {
			var err error
			if _, index, err = c.Node(i).Propose(within(t, time.Second), []byte(command)); err == nil {
				return true
			}
		}
		return false
	})
	return index
}

// A leader that is cut from its peers but not from its clients answers no linearizable
// read after the others have gone on without it (known bugs 1 and 2), nor one at the
// level `leader` once it has noticed.
func TestCutLeaderAnswersNothingStale(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, newList, w.wire)
	propose(t, c, "before")
	old := c.LeaderAt(t)
	w.split([]int{old}, others(old))

	answered := make(chan time.Time, 1) // the latest linearizable answer of the cut leader
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		var latest time.Time
		for ctx.Err() == nil {
			begun := time.Now()
			if _, err := c.Node(old).LinearizableReadIndex(within(t, time.Second)); err == nil {
				latest = begun
			}
		}
		answered <- latest
	})
	var wrote time.Time
	rafttest.Eventually(t, "the others go on", func() bool {
		for _, i := range others(old) {
			if _, _, err := c.Node(i).Propose(within(t, time.Second), []byte("behind its back")); err == nil {
				wrote = time.Now()
				return true
			}
		}
		return false
	})
	rafttest.Eventually(t, "the cut leader notices", func() bool { return !c.Node(old).IsLeader() })
	if _, err := c.Node(old).LeaderReadIndex(within(t, time.Second)); !errors.Is(err, raft.ErrNotLeader) {
		t.Errorf("a leader read after it noticed: %v", err)
	}
	stop()
	asking.Wait()
	if latest := <-answered; latest.After(wrote) {
		t.Errorf("the cut leader answered a linearizable read %v after a write that it does not know", latest.Sub(wrote))
	}
	w.heal()
	holds(t, c, old, writesWithin(t, c, 10*time.Second, "after"), []string{"before", "behind its back", "after"})
}

// The wire to the successor is cut while leadership is handed over (known bug 7): after
// it is mended the cluster writes again within 10 s, and goes on doing so.
func TestCutDuringATransferDoesNotStopWrites(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, newList, w.wire)
	propose(t, c, "before")
	for round := range 3 {
		leader := c.LeaderAt(t)
		successor := (leader + 1) % 3
		transferred := make(chan error, 1)
		go func() {
			transferred <- c.Node(leader).TransferLeadership(within(t, 5*time.Second), c.Config(successor).NodeID)
		}()
		w.split([]int{successor}, others(successor))
		err := <-transferred // it may have been quicker than the cut, or have failed
		t.Logf("round %d: transfer: %v", round+1, err)
		writesWithin(t, c, 20*time.Second, "without the successor")
		w.heal()
		for range 3 {
			writesWithin(t, c, 10*time.Second, "healed")
		}
	}
}

// A member that was removed while it was cut off comes back, and disturbs nobody
// (known bug 9). It is not told that it was removed: nobody reaches it, it reaches all.
func TestRemovedWhileCutOffDisturbsNobody(t *testing.T) {
	t.Parallel()
	// A stall of the machine may cost a leader its term too. A removed node that
	// disturbs does so each time.
	var disturbed error
	for range 3 {
		if disturbed = removedAsksForVotes(t); disturbed == nil {
			return
		}
		t.Log(disturbed)
	}
	t.Error("disturbed each time")
}

// removedAsksForVotes tells how the leader lost its term, if it did.
func removedAsksForVotes(t *testing.T) error {
	t.Helper()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		w.wire(i, cfg)
		cfg.HeartbeatTimeout = 2 * time.Second // only the removed node may cost the leader its term
	})
	propose(t, c, "before")
	leader := c.LeaderAt(t)
	gone := (leader + 1) % 3
	w.split([]int{gone}, others(gone))
	rafttest.Eventually(t, "the cut node stands for election", func() bool {
		return c.Node(gone).Status().Role == "candidate"
	})
	term := c.Node(leader).Status().Term
	if err := c.Node(leader).RemoveMember(within(t, 10*time.Second), c.Config(gone).NodeID); err != nil {
		return fmt.Errorf("remove it: %w", err)
	}
	w.set([][2]int{{leader, gone}, {3 - leader - gone, gone}})
	asked := w.said[gone].Load()
	var err error
	rafttest.Eventually(t, "the removed node has asked for votes again and again", func() bool {
		_, _, err = c.Node(leader).Propose(within(t, 30*time.Second), []byte("undisturbed"))
		return err != nil || w.said[gone].Load() >= asked+4
	})
	if err != nil {
		return fmt.Errorf("while it asks for votes: %w", err)
	}
	if now := c.Node(leader).Status(); now.Role != "leader" || now.Term != term {
		return fmt.Errorf("the leader is %s in term %d, was leader in term %d", now.Role, now.Term, term)
	}
	return nil
}

// One node of three is down, and the leader is cut from the other for as long as its
// lease: the two agree on a leader again (known bug 10).
func TestTwoOfThreeAgreeAgainAfterACut(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, newList, w.wire)
	propose(t, c, "before")
	down := (c.LeaderAt(t) + 1) % 3
	c.Stop(down)
	index := uint64(0)
	for range 2 {
		leader := c.LeaderAt(t)
		w.split([]int{leader}, others(leader))
		rafttest.Eventually(t, "the leader loses its lease", func() bool { return !c.Node(leader).IsLeader() })
		w.heal()
		rafttest.Eventually(t, "the two write again", func() bool {
			for _, i := range others(down) {
				var err error
				if _, index, err = c.Node(i).Propose(within(t, time.Second), []byte("again")); err == nil {
					return true
				}
			}
			return false
		})
	}
	c.Start(down)
	holds(t, c, down, index, []string{"before", "again", "again"})
}

// A follower that was cut off until the log it needs was truncated catches up from a
// snapshot, while writes go on (known bug 18).
func TestCutFollowerCatchesUpFromASnapshot(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) { w.wire(i, cfg); cfg.TrailingLogs = 1 })
	all := []string{"before"}
	propose(t, c, "before")
	leader := c.LeaderAt(t)
	behind := (leader + 1) % 3
	w.split([]int{behind}, others(behind))
	write := func(command string) uint64 {
		all = append(all, command)
		return writesWithin(t, c, 20*time.Second, command)
	}
	for _, command := range numbered("missed", 30) {
		write(command)
	}
	for _, i := range others(behind) {
		if err := c.Node(i).TakeSnapshot(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	w.heal()
	var index uint64
	for i := 0; c.Node(behind).AppliedIndex()+2 < index || i < 30; i++ { // it hears with the next write what is committed
		if i == 1000 {
			t.Fatal("it never catches up with writes that come one after another")
		}
		index = write(fmt.Sprintf("meanwhile %d", i))
	}
	holds(t, c, behind, index, all)
}

// history is what clients of a register saw.
type history struct {
	mu    sync.Mutex
	ops   []operation
	tries atomic.Int64 // those that certainly failed among them
}

// TestLinearizableUnderPartitions cuts the network at random while clients write and
// read one register at every node: what they see has an order that explains it.
func TestLinearizableUnderPartitions(t *testing.T) {
	t.Parallel()
	const clients, rounds = 6, 12
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, func(int) raft.StateMachine { return &register{} }, w.wire)
	ctx, stop := context.WithCancel(t.Context())
	var seen history
	var playing sync.WaitGroup
	for id := range clients {
		playing.Go(func() { seen.play(ctx, c, id) })
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		lone := random.IntN(3)
		if at := c.LeaderAt; random.IntN(2) == 0 {
			w.heal()
			lone = at(t)
		}
		switch random.IntN(3) {
		case 0: // one alone, the leader most often
			w.split([]int{lone}, others(lone))
		case 1: // each alone
			w.split([]int{0}, []int{1}, []int{2})
		case 2: // a bridge: two that only the third can reach
			a, b := others(lone)[0], others(lone)[1]
			w.set([][2]int{{a, b}, {b, a}})
		}
		enough := seen.tries.Load() + clients*20
		rafttest.Eventually(t, "the clients have tried", func() bool { return seen.tries.Load() >= enough })
	}
	w.heal()
	stop()
	playing.Wait()
	writesWithin(t, c, 10*time.Second, "0") // only now: no client is told of it
	seen.mustBeLinearizable(t)
}

// TestTheCheckOfLinearizabilityIsNotBlind: a stale answer of a cut leader is found.
func TestTheCheckOfLinearizabilityIsNotBlind(t *testing.T) {
	t.Parallel()
	w := newNetwork()
	c := rafttest.NewClusterWith(t, 3, func(int) raft.StateMachine { return &register{} }, w.wire)
	old := c.LeaderAt(t)
	w.split([]int{old}, others(old))
	var seen history
	begun := time.Now()
	writesWithin(t, c, 20*time.Second, "7")
	seen.add(operation{call: begun, done: time.Now(), write: true, value: 7})
	asked := time.Now()
	seen.add(operation{call: asked, done: time.Now(), value: c.Machine(old).(*register).get()}) // without asking a quorum
	if seen.linearizable() {
		t.Error("a stale read passes for linearizable")
	}
	if !slices.ContainsFunc(seen.ops, func(o operation) bool { return !o.write && o.value == 0 }) {
		t.Error("the cut leader knows of the write")
	}
}
