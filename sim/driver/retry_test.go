package driver

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
)

func TestWaitsGrowAndAreLeftToChance(t *testing.T) {
	for _, tc := range []struct {
		retry Retry
		luck  float64
		want  string // after one try, two and so on
	}{
		{Retry{}, 0.9, "[1s 1s 1s 1s 1s]"},
		{Retry{Tries: 5, Wait: 0, Multiplier: 2}, 0, "[0s 0s 0s 0s 0s]"},
		{Retry{Tries: 5, Wait: time.Second, Multiplier: 2}, 0.9, "[1s 2s 4s 8s 10s]"},
		{Retry{Tries: 5, Wait: time.Second, Multiplier: 3, Jitter: 1}, 0.5, "[500ms 1.5s 4.5s 5s 5s]"},
		{Retry{Tries: 5, Wait: time.Second, Multiplier: 1, Jitter: 0.5}, 0.5, "[750ms 750ms 750ms 750ms 750ms]"},
	} {
		retry := tc.retry.orUsual()
		var waits []time.Duration
		for tries := 1; tries <= 5; tries++ {
			waits = append(waits, retry.wait(tries, tc.luck))
		}
		if got := fmt.Sprint(waits); got != tc.want {
			t.Errorf("%+v: waits %s, want %s", tc.retry, got, tc.want)
		}
	}
	if got, want := (Retry{Tries: 4, Wait: time.Second, Multiplier: 2}).longest(3*time.Second), 19*time.Second; got != want {
		t.Errorf("four tries take %v at most, want %v", got, want)
	}
}

// TestAStorm: devices that repeat at once, many times, and without jitter. A second apart so
// many tries would take nine.
func TestAStorm(t *testing.T) {
	t.Parallel()
	target := newStage(t, 2, func(w http.ResponseWriter, _ heard) { unavailable(w) })
	d := newDrive(newScript(keepalives(0, 1, 0)...), target.urls, func(c *Config) {
		c.Retry = Retry{Tries: MaxTries, Multiplier: 1}
	})
	d.play(t, t.Context())
	if got := len(target.requests()); got != MaxTries {
		t.Errorf("tried %d times, want %d", got, MaxTries)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Unanswered: 1})
	if got := d.Load(1).Retries; got != MaxTries-1 {
		t.Errorf("%d tries are told after the first, want %d", got, MaxTries-1)
	}
	if e := d.log.entries[0]; e.LastSentUS-e.FirstSentUS > (5 * time.Second).Microseconds() {
		t.Errorf("the tries took %d µs", e.LastSentUS-e.FirstSentUS)
	}
}

// TestRetryAfterIsKept: who would repeat at once waits as long as the target names.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, func(w http.ResponseWriter, _ heard) {
		w.Header().Set("Retry-After", "1")
		unavailable(w)
	})
	d := newDrive(newScript(keepalives(0, 1, 0)...), target.urls, func(c *Config) {
		c.Retry = Retry{Tries: 2, Multiplier: 1, Jitter: 1}
	})
	d.play(t, t.Context())
	if e := d.log.entries[0]; len(target.requests()) != 2 || e.LastSentUS-e.FirstSentUS < time.Second.Microseconds() {
		t.Errorf("%d tries, %d µs from the first to the last: want two, a second apart", len(target.requests()), e.LastSentUS-e.FirstSentUS)
	}
}

// TestABatchIsRepeated: aggregators repeat as devices do.
func TestABatchIsRepeated(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, func(w http.ResponseWriter, _ heard) { unavailable(w) })
	d := newDrive(newScript(keepalives(0, 1, 0)...), target.urls, func(c *Config) {
		c.Connections, c.Batch, c.Retry = 1, Batch{Events: 2}, Retry{Tries: 5, Multiplier: 1}
	})
	d.play(t, t.Context())
	if got := len(target.requests()); got != 5 {
		t.Errorf("tried %d times, want 5", got)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Unanswered: 1})
}
