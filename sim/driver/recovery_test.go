package driver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Each watch is ended by the first write that was sent after it began.
func TestRecoveryIsTheFirstWriteSentAfterTheWatchBegan(t *testing.T) {
	t.Parallel()
	d := newDrive(newScript(line{}), []string{"http://127.0.0.1:1"}, nil)
	d.begun = time.Now().Add(-time.Second)
	d.recoveries.wrote(1, 2) // nobody watches
	first := d.WatchRecovery()
	since := d.NowUS()
	d.begun = d.begun.Add(-time.Second)
	second := d.WatchRecovery()
	d.recoveries.wrote(since-1_000_000, since)
	for _, recovered := range []func() (time.Duration, bool){first, second} {
		if after, ok := recovered(); ok {
			t.Errorf("recovered after %v by a write sent before", after)
		}
	}
	d.recoveries.wrote(since+1, since+900)
	if after, ok := first(); !ok || after < 900*time.Microsecond || after > 500*time.Millisecond {
		t.Errorf("recovered after %v %v, want 900µs or a little more", after, ok)
	}
	if after, ok := second(); ok {
		t.Errorf("recovered after %v by a write sent before the second watch", after)
	}
	d.recoveries.wrote(since+2_000_000, since+2_000_500)
	d.recoveries.wrote(since+3_000_000, since+3_000_500)
	if after, ok := second(); !ok || after < time.Second/2 || after > 3*time.Second/2 {
		t.Errorf("recovered after %v %v, want a second", after, ok)
	}
	if waiting := d.recoveries.waiting.Load(); waiting != 0 {
		t.Errorf("%d watches wait, want none", waiting)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDrive(newScript(line{}), []string{"http://127.0.0.1:1"}, nil)
	d.begun = time.Now()
	oldest, next := d.WatchRecovery(), d.WatchRecovery()
	for range maxWatches - 1 {
		d.WatchRecovery()
	}
	d.recoveries.wrote(d.NowUS(), d.NowUS())
	if _, ok := oldest(); ok {
		t.Error("the oldest of too many watches was kept")
	}
	if _, ok := next(); !ok {
		t.Error("the next was given up too")
	}
}

func TestRecoveryOverHTTP(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if down.Load() {
			unavailable(w)
			return
		}
		accept(w, h)
	})
	d := newDrive(newScript(
		line{session: 1, kind: viewing.Keepalive}, line{dueMS: 1500, session: 1, seq: 1, kind: viewing.Keepalive},
	), target.urls, func(c *Config) { c.Duration = 1600 * time.Millisecond })
	played := make(chan struct{})
	go func() { defer close(played); d.Run(t.Context(), func() {}) }()
	eventually(t, "the first is answered", func() bool { return len(d.log.fates()) == 1 })
	down.Store(true)
	recovered := d.WatchRecovery()
	eventually(t, "the second was refused once", func() bool { return len(target.requests()) == 2 })
	down.Store(false)
	<-played
	if after, ok := recovered(); !ok || after < retryWait {
		t.Errorf("recovered after %v %v, want a write after a wait of a second", after, ok)
	}
}
