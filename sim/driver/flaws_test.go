package driver

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// order is which seqs of an account were heard, in that order.
func (s *stage) order(account uint64) (seqs []uint32) {
	for _, h := range s.requests() {
		if h.isEvent() && h.account == account {
			seqs = append(seqs, h.seq)
		}
	}
	return seqs
}

func sessionOf(device int32, session byte, seqs uint32) (lines []line) {
	for seq := range seqs {
		kind := viewing.Keepalive
		switch seq {
		case 0:
			kind = viewing.Start
		case seqs - 1:
			kind = viewing.Stop
		}
		lines = append(lines, line{dueMS: 5 * int64(seq), device: device, session: session, seq: seq, kind: kind})
	}
	return lines
}

// TestRepeated: what is acknowledged is told once more, and counts once: in the log, as
// what was answered at the first try, and in the figures.
func TestRepeated(t *testing.T) {
	t.Parallel()
	var known sync.Map
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		_, again := known.LoadOrStore(h.seq, true)
		switch {
		case !again || !h.isEvent():
			accept(w, h)
		case h.path == eventsPath:
			_, _ = io.WriteString(w, `{"outcomes":[{"status":"duplicate"}]}`)
		default:
			_, _ = io.WriteString(w, `{"position_ms":4321}`)
		}
	})
	d := newDrive(newScript(sessionOf(0, 1, 4)...), target.urls, func(c *Config) { c.Flaws, c.Unasked = Flaws{Repeated: 1}, 1 })
	d.play(t, t.Context())
	if got, want := target.order(1), []uint32{0, 0, 1, 1, 2, 2, 3, 3}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 4})
	for _, e := range d.log.entries {
		if e.FirstSentUS != e.LastSentUS || e.Type == viewing.Start && e.PositionMS != 4321 {
			t.Errorf("%v at %d ms counts as tried again, or as begun elsewhere", &e, e.PositionMS)
		}
	}
	if load := d.Load(1); load.Retries != 0 || d.Recorder().Operations(1)["keepalive"].Count != 2 {
		t.Errorf("load %+v and %d keepalives, want no retries, and two", load, d.Recorder().Operations(1)["keepalive"].Count)
	}
}

// TestRepeatedInVain: a repetition that is not answered leaves open whether the event is
// there, and whether its session plays.
func TestRepeatedInVain(t *testing.T) {
	t.Parallel()
	var known sync.Map
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if _, again := known.LoadOrStore(h.seq, true); again {
			unavailable(w)
			return
		}
		accept(w, h)
	})
	d := newDrive(newScript(keepalives(0, 1, 1)...), target.urls, func(c *Config) { c.Flaws = Flaws{Repeated: 1} })
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Unanswered: 1})
	if e := d.log.entries[0]; e.FirstSentUS == e.LastSentUS {
		t.Errorf("%v does not count as tried again", &e)
	}
}

// TestDelayed: an event is told after the next of its session, or before what its device
// says of another, or at the plan's end; and not at all when its session is denied.
func TestDelayed(t *testing.T) {
	t.Parallel()
	fleet := newScript(slices.Concat(
		sessionOf(0, 1, 4),
		[]line{{dueMS: 20, device: 1, session: 2, seq: 0, kind: viewing.Start}, {dueMS: 21, device: 1, session: 2, seq: 1, kind: viewing.Pause}},
		[]line{{dueMS: 30, device: 2, session: 3, seq: 7, kind: viewing.Keepalive}, {dueMS: 31, device: 2, session: 4, seq: 0, kind: viewing.Start}},
		[]line{{dueMS: 40, device: 3, session: 5, seq: 0, kind: viewing.Start}, {dueMS: 41, device: 3, session: 5, seq: 1, kind: viewing.Keepalive}},
	)...)
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if h.account == account(3) && h.isEvent() {
			eventually(t, "all is said", func() bool { fleet.mu.Lock(); defer fleet.mu.Unlock(); return fleet.said == len(fleet.lines) })
			deny(w, h)
			return
		}
		accept(w, h)
	})
	d := newDrive(fleet, target.urls, func(c *Config) { c.Flaws, c.Unasked = Flaws{Delayed: 1}, 1 })
	d.play(t, t.Context())
	for device, want := range [][]uint32{{0, 2, 1, 3}, {0, 1}, {7, 0}, {0}} {
		if got := target.order(account(int32(device))); !slices.Equal(got, want) {
			t.Errorf("of device %d heard %v, want %v", device, got, want)
		}
	}
}

// TestDelayedBeyondItsStop: what is told of a session that has stopped does not make it
// play again.
func TestDelayedBeyondItsStop(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	d := newDrive(newScript(sessionOf(0, 1, 3)...), target.urls, func(c *Config) { c.Flaws = Flaws{Delayed: 1} })
	d.play(t, t.Context())
	if got, want := target.order(account(0)), []uint32{0, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	if active := d.Active(); active != 0 {
		t.Errorf("%d sessions play after the only one has stopped", active)
	}
}

// TestDelayedByTheVanished: a device that has fallen silent does not say at the plan's end
// what it held back.
func TestDelayedByTheVanished(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	fleet := newScript(sessionOf(0, 1, 3)...)
	var d *drive
	fleet.before = func(l line) {
		if l.kind == viewing.Stop {
			d.Vanish(1, 7)
		}
	}
	d = newDrive(fleet, target.urls, func(c *Config) { c.Flaws = Flaws{Delayed: 1} })
	d.play(t, t.Context())
	if got, due := target.order(account(0)), d.counts.due.Load(); !slices.Equal(got, []uint32{0}) || due != 1 {
		t.Errorf("heard %v of %d that were due, want the start alone", got, due)
	}
}

// TestSkewed: the clocks of the named share of devices are wrong, each always by as much,
// no more than a target lets them be ahead.
func TestSkewed(t *testing.T) {
	t.Parallel()
	f := Flaws{Seed: 1, Skewed: 0.2, Skew: time.Hour, Ahead: time.Hour}
	behind, ahead := 0, 0
	for device := range int32(10_000) {
		switch by := f.skewMS(device); {
		case by != f.skewMS(device), by < -3_600_000, by > viewing.Millis(AheadLimit.Milliseconds()):
			t.Fatalf("device %d is ahead by %d ms", device, by)
		case by < 0:
			behind++
		case by > 0:
			ahead++
		}
	}
	if behind < 800 || behind > 1200 || ahead < 800 || ahead > 1200 {
		t.Errorf("%d of 10,000 clocks are behind and %d ahead, want about 1,000 each", behind, ahead)
	}
	f.Skewed, f.Ahead = 1, 0
	for device := range int32(1000) {
		if by := f.skewMS(device); by > 0 {
			t.Fatalf("device %d is ahead by %d ms of a target whose clock is set back", device, by)
		}
	}
	d := newDrive(newScript(keepalives(0, 1, 1)...), newStage(t, 1, accept).urls, func(c *Config) { c.Flaws = Flaws{Skewed: 1, Skew: time.Hour} })
	d.play(t, t.Context())
	at := d.log.entries[0].AtMS - viewing.Millis(d.begun.UnixMilli())
	if want := d.config.Flaws.skewMS(0); at != want {
		t.Errorf("the event is told at %d ms by the device's clock, want %d", at, want)
	}
}
