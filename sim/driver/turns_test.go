package driver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// A plan that is played in turns stands still between them: nothing is due then, nothing is
// left out, and what comes after is due as much later.
func TestAPlanIsPlayedInTurns(t *testing.T) {
	t.Parallel()
	var said atomic.Int64
	target := newStage(t, 2, func(w http.ResponseWriter, h heard) {
		said.Add(1)
		accept(w, h)
	})
	plan := newScript(
		line{dueMS: 10, device: 0, session: 1, seq: 0, kind: viewing.Keepalive},
		line{dueMS: 150, device: 0, session: 1, seq: 1, kind: viewing.Keepalive},
		line{dueMS: 250, device: 0, session: 1, seq: 2, kind: viewing.Keepalive},
		line{dueMS: 1000, device: 0, session: 1, seq: 3, kind: viewing.Keepalive},
	)
	turns := NewTurns()
	d := newDrive(plan, target.urls, func(c *Config) { c.Turns, c.Duration = turns, 0 })
	ended := make(chan time.Duration)
	begun := make(chan struct{})
	go func() { ended <- d.Run(t.Context(), func() { close(begun) }) }()
	<-begun
	play := func(lasts time.Duration) {
		t.Helper()
		if err := turns.Play(t.Context(), lasts); err != nil {
			t.Fatal(err)
		}
	}
	play(100 * time.Millisecond)
	if plan.said != 1 {
		t.Errorf("after 100 ms of the plan %d of its events were due, want 1", plan.said)
	}
	between := d.NowUS()
	eventually(t, "answers are read between turns", func() bool { return d.Pending() == 0 && d.NowUS() > 180_000 })
	held := d.NowUS() - between
	play(200 * time.Millisecond)
	turns.End()
	if played := <-ended; played != 300*time.Millisecond {
		t.Errorf("%v of the plan were played, want 300ms", played)
	}
	if said.Load() != 3 || plan.said != 3 {
		t.Errorf("%d events were sent and %d due, want 3", said.Load(), plan.said)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 3})
	for _, e := range d.log.entries {
		if due := map[uint32]int64{1: 150_000, 2: 250_000}[e.Seq]; due > 0 && e.FirstSentUS < due+held {
			t.Errorf("event %d was sent after %d µs, before it was due %d µs after %d of standing still", e.Seq, e.FirstSentUS, due, held)
		}
	}
	if err := turns.Play(t.Context(), time.Second); !errors.Is(err, ErrEnded) {
		t.Errorf("a turn after the end: %v", err)
	}
}

// What the driver dials with is the caller's to choose, and it ends with the caller.
func TestConnectionsAreOpenedByWhoWasNamed(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	var dialled atomic.Int64
	d := newDrive(newScript(keepalives(0, 1, 0, 1)...), []string{"http://nowhere.invalid:1"}, func(c *Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Add(1)
			if address != "nowhere.invalid:1" {
				t.Errorf("asked for %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, target.urls[0][len("http://"):])
		}
	})
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 2})
	if dialled.Load() == 0 {
		t.Error("the driver dialled by itself")
	}
}
