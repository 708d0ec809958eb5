package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
)

func TestSecondLine(t *testing.T) {
	for want, s := range map[string]results.Interval{
		"    5/60s       0/s      0 playing  p50        –  p99         –    0 denied    3 errors     2 waiting  leader n1": {AtS: 5, Errors: 3},
		"    6/60s      10/s      7 playing  p50   2.0 ms  p99   12.5 ms    1 denied    0 errors     2 waiting  leader n1": {
			AtS: 6, Count: 10, RatePerS: 10, ActiveSessions: 7, P50MS: 2, P99MS: 12.5, Denied: 1,
		},
	} {
		if got := secondLine(time.Minute, s, 2, "  leader n1"); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestNothingFailsUnseen: a plain line comes every few seconds, and tells what failed or was
// denied in those between.
func TestNothingFailsUnseen(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, false)
	p.tell(time.Minute, results.Interval{AtS: 1, Errors: 1, Denied: 2}, 0, "")
	p.tell(time.Minute, results.Interval{AtS: 2, Errors: 115}, 0, "")
	p.tell(time.Minute, results.Interval{AtS: 3, Denied: 4}, 0, "")
	p.plainAt = p.plainAt.Add(-plainEvery)
	p.tell(time.Minute, results.Interval{AtS: 4, Errors: 2}, 0, "")
	p.plainAt = p.plainAt.Add(-plainEvery)
	p.tell(time.Minute, results.Interval{AtS: 5}, 0, "")
	var told []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, " p99         –  ")
		told = append(told, strings.TrimSpace(line))
	}
	want := []string{"2 denied    1 errors     0 waiting", "4 denied  117 errors     0 waiting", "0 denied    0 errors     0 waiting"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q:\n%s", told, want, out.String())
	}
}

func TestLeaderText(t *testing.T) {
	if got := leaderText("", false); got != "" {
		t.Errorf("before the first leader: %q", got)
	}
	if got := leaderText("n2", true); got != "  leader n2" {
		t.Errorf("with a leader: %q", got)
	}
	if got := leaderText("", true); got != "  no leader" {
		t.Errorf("without the one that led: %q", got)
	}
}

func TestNumbered(t *testing.T) {
	for n, want := range map[int]string{0: "0 processes", 1: "1 process", 3: "3 processes"} {
		if got := numbered(n, "process", "processes"); got != want {
			t.Errorf("numbered(%d) = %q, want %q", n, got, want)
		}
	}
}
