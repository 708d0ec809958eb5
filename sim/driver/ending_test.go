package driver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

func TestACancelledRunEndsSoonAndLosesNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		switch h.account {
		case account(0): // no answer ever
			<-release
		case account(1): // asks for more patience than is left
			w.Header().Set("Retry-After", "10")
			unavailable(w)
		default:
			accept(w, h)
		}
	})
	t.Cleanup(func() { close(release) }) // before the servers close
	lines := slices.Concat(keepalives(0, 1, 0, 1, 2), keepalives(1, 2, 0, 1), keepalives(2, 3, 0, 1))
	d := newDrive(newScript(append(lines, line{dueMS: 60_000, kind: viewing.Stop})...), target.urls, func(c *Config) {
		c.Duration, c.Timeout = time.Hour, 200*time.Millisecond
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		heard := func(device int32) bool {
			return slices.ContainsFunc(target.requests(), func(h heard) bool { return h.account == account(device) })
		}
		for d.log.fates()[audit.Accepted] < 2 || !heard(0) || !heard(1) {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	begun := time.Now()
	if played := d.play(t, ctx); played > time.Minute {
		t.Errorf("played %v, want until it was cancelled", played)
	}
	if took := time.Since(begun); took > drainLimit/2 {
		t.Errorf("the end took %v", took)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 2, audit.Unanswered: 2})
	if load := d.Load(1); load.TargetPerS != 7 || load.Unsent != 3 {
		t.Errorf("load %+v, want 7 due and 3 unsent", load)
	}
	recorded, measured := d.Recorder().Operations(1)["keepalive"], d.Recorder().Measurements()[results.OpKeepalive]
	if recorded.Count != 7 || recorded.Errors != 5 || measured.Service.TotalCount() != 4 {
		t.Errorf("%+v and %d service times: want 7, of them 5 errors and 4 sent", recorded, measured.Service.TotalCount())
	}
}

// However a target behaves, everything that was due is accounted for, once, and
// each device is heard in order.
func TestEverythingPlannedIsAccountedFor(t *testing.T) {
	t.Parallel()
	const devices, events = 40, 12
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	target := newStage(t, 3, func(w http.ResponseWriter, h heard) {
		mu.Lock()
		way := random.IntN(40)
		mu.Unlock()
		switch way {
		case 0:
			unavailable(w)
		case 1:
			reset(w)
		case 2:
			deny(w, h)
		case 3:
			w.WriteHeader(http.StatusBadRequest)
		case 4:
			_, _ = w.Write([]byte("<html>nonsense"))
		default:
			accept(w, h)
		}
	})
	var lines []line
	for seq := range uint32(events) {
		for device := range int32(devices) {
			kind := viewing.Keepalive
			switch seq {
			case 0:
				kind = viewing.Start
			case events - 1:
				kind = viewing.Stop
			}
			lines = append(lines, line{dueMS: 40 * int64(seq), device: device, session: byte(device), seq: seq, kind: kind})
		}
	}
	d := newDrive(newScript(lines...), target.urls, func(c *Config) { c.Connections, c.Duration = 16, 500*time.Millisecond })
	d.play(t, t.Context())
	fates := d.log.fates()
	if got, want := fates[audit.Unanswered], d.counts.unanswered.Load(); got != want {
		t.Errorf("%d unanswered in the log, %d counted", got, want)
	}
	if got, want := int64(len(d.log.entries)), d.counts.sent.Load(); got != want {
		t.Errorf("%d events in the log, %d sent", got, want)
	}
	var recorded int64
	for name, op := range d.Recorder().Operations(1) {
		if name != results.OpPosition.String() && name != results.OpContinueWatching.String() {
			recorded += op.Count
		}
	}
	if recorded != d.counts.sent.Load()+d.counts.unsent.Load() {
		t.Errorf("%d operations measured, %d sent, %d unsent", recorded, d.counts.sent.Load(), d.counts.unsent.Load())
	}
	logged := map[string]bool{}
	for _, e := range d.log.entries {
		key := fmt.Sprint(e.Session, e.Seq)
		if logged[key] {
			t.Errorf("session %d seq %d is in the log twice", e.Session[15], e.Seq)
		}
		logged[key] = true
		if e.FirstSentUS > e.LastSentUS || e.LastSentUS > e.DoneUS {
			t.Errorf("times of %d/%d are %d, %d, %d", e.Session[15], e.Seq, e.FirstSentUS, e.LastSentUS, e.DoneUS)
		}
	}
	newest := map[byte]uint32{}
	for _, h := range target.requests() {
		if h.isEvent() && h.seq < newest[h.session] {
			t.Errorf("device %d said seq %d after %d", h.session, h.seq, newest[h.session])
		}
		newest[h.session] = max(newest[h.session], h.seq)
	}
}
