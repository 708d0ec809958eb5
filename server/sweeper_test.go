package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/server/cold"
	"github.com/playhead-load/playhead/viewing"
)

// failingCold is a cold store whose disk takes nothing, and tells nothing of a session,
// while fails is not nil.
type failingCold struct {
	*cold.Store
	fails error
}

func (c *failingCold) Put(sessions []viewing.ColdSession) error {
	if c.fails != nil {
		return c.fails
	}
	return c.Store.Put(sessions)
}

func (c *failingCold) Session(accountID uint64, id viewing.SessionID) ([]byte, error) {
	if c.fails != nil {
		return nil, c.fails
	}
	return c.Store.Session(accountID, id)
}

// oldViews holds a session in each of its accounts: fresh ones, then old ones that are due
// to leave for a store that fails as it is told to.
func oldViews(t *testing.T, fresh, old int) (*views, *failingCold) {
	t.Helper()
	store, err := cold.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	v, c := newViews(), &failingCold{Store: store}
	v.cold = store
	v.state.SetCold(c)
	v.stamp = viewing.Millis(goldenStamp) + 1_000_000
	for n := range fresh + old {
		now := v.stamp
		if n >= fresh {
			now = viewing.Millis(goldenStamp)
		}
		e := goldenEvent(0, viewing.Start)
		e.AccountID, e.Offline = uint64(n+1), true
		if got := v.state.Observe(now, &e); got.Status != viewing.Accepted {
			t.Fatal(got)
		}
	}
	return v, c
}

// TestSweeperTriesAgain: while sessions cannot leave, the sweeper tries them every ten
// seconds although the clock of the log stands still, says so once, and tells of it until
// they can.
func TestSweeperTriesAgain(t *testing.T) {
	t.Parallel()
	const fresh, old = 2 * leastSteps, 3 * leastSteps
	v, c := oldViews(t, fresh, old) // the first slices of a walk find nothing that may leave
	var log bytes.Buffer
	s := &sweeper{views: v, keep: viewing.Keep{ForMS: 1000}, log: slog.New(slog.NewTextHandler(&log, nil)), steps: leastSteps}
	c.fails = errors.New("no space")
	pauses := 0
	for range 50 {
		pause := s.slice()
		if pause == failedPause {
			pauses++
		} else if pause != slicePause {
			t.Fatalf("it rests for %v", pause)
		}
		if pauses > 0 && !s.failed.Load() {
			t.Fatal("it tells of no failure, and nothing has left")
		}
	}
	if said := strings.Count(log.String(), "cannot leave memory"); pauses < 3 || said != 1 {
		t.Errorf("%d failures in 50 slices, said %d times:\n%s", pauses, said, log.String())
	}
	c.fails = nil
	for s.walking {
		s.slice()
	}
	if size := v.size(); size.Cold != old || size.Sessions != fresh || s.failed.Load() {
		t.Errorf("after one walk %+v, failed: %v", size, s.failed.Load())
	}
}

// hungCold is a cold store whose disk takes as long as the test wants.
type hungCold struct {
	*cold.Store
	began, goOn chan struct{}
}

func (c *hungCold) Put(sessions []viewing.ColdSession) error {
	close(c.began)
	<-c.goOn
	return c.Store.Put(sessions)
}

// now is the clock of the log.
func (v *views) now() (clock viewing.Millis) {
	v.read(0, func(_ *viewing.State, now viewing.Millis) { clock = now })
	return clock
}

// TestHungColdStoreHoldsNoLeadershipUp: a leader whose disk hangs while sessions leave its
// memory hands over when it is closed, says that it was not done, and closes no store that
// is in use.
func TestHungColdStoreHoldsNoLeadershipUp(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	old := c.leader(t)
	old.tell(t, played(1, 1, 1000)...)
	rafttest.Eventually(t, "the clock of the log goes on", func() bool {
		before := old.views.now()
		old.tell(t, newEvent(2, 1, "start"))
		return old.views.now() > before
	})
	hung := &hungCold{old.cold, make(chan struct{}), make(chan struct{})}
	old.views.mu.Lock()
	old.views.state.SetCold(hung)
	old.views.mu.Unlock()
	old.sweeper = startSweeper(old.views, viewing.Keep{ForMS: 1}, old.log)
	<-hung.began

	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	go func() {
		closed <- old.end(t, ctx)
		close(closed)
	}()
	goOn := sync.OnceFunc(func() { close(hung.goOn) })
	t.Cleanup(func() {
		cancel()
		goOn()
		for range closed { // until it has ended
		}
	})
	rafttest.Eventually(t, "another leads", func() bool {
		return slices.ContainsFunc(c.nodes, func(n *testNode) bool { return n != old && n.node.IsLeader() })
	})
	cancel()
	if err := <-closed; !errors.Is(err, context.Canceled) {
		t.Errorf("closed with %v", err)
	}
	if err := old.cold.Failure(); err != nil {
		t.Errorf("the store was closed under the sweeper: %v", err)
	}
	goOn()
	<-old.sweeper.ended
	if err := old.cold.Close(); err != nil {
		t.Error(err)
	}
}
