package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

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
