package raft

import (
	"testing"
	"time"
)

// TestLeaderClock moves the clock on the wall while a steady one goes on: a stamp each
// second, from 1,000 s on.
func TestLeaderClock(t *testing.T) {
	t.Parallel()
	const second = int64(1000)
	type move struct {
		term    uint64
		offMS   int64 // the clock on the wall is ahead of the steady one
		applied int64 // the newest stamp in the log
		aheadMS int64 // the stamp is ahead of the steady clock
	}
	strobe := make([]move, 100)
	for i := range strobe {
		strobe[i] = move{term: 1, offMS: -3 * second * int64(i%2)}
	}
	jitter := make([]move, 100)
	for i := range jitter {
		jitter[i] = move{term: 1, offMS: 5 * second * int64(i%2), aheadMS: 5 * second}
	}
	jitter[0].aheadMS = 0
	for name, moves := range map[string][]move{
		"right":                        {{term: 1}, {term: 1}, {term: 1}},
		"set back":                     {{term: 1}, {term: 1, offMS: -60 * second}, {term: 1, offMS: -60 * second}},
		"set back, and right again":    {{term: 1}, {term: 1, offMS: -60 * second}, {term: 1}, {term: 1}},
		"back and right, as a strobe":  strobe,
		"set ahead":                    {{term: 1}, {term: 1, offMS: 60 * second, aheadMS: 60 * second}, {term: 1, offMS: 60 * second, aheadMS: 60 * second}},
		"set ahead, and right again":   {{term: 1}, {term: 1, offMS: 60 * second, aheadMS: 60 * second}, {term: 1, aheadMS: 60 * second}, {term: 1, aheadMS: 60 * second}},
		"ahead and right, as a strobe": jitter,
		"slept":                        {{term: 1}, {term: 1, offMS: 3600 * second, aheadMS: 3600 * second}},
		"a leader before was ahead":    {{term: 2, applied: 1500 * second, aheadMS: 500 * second}, {term: 2, aheadMS: 500 * second}, {term: 2, aheadMS: 500 * second}},
		"and led again": {
			{term: 1}, {term: 3, applied: 1500 * second, aheadMS: 499 * second}, {term: 3, aheadMS: 499 * second},
		},
		"its clock is behind that of the one before": {{term: 1, offMS: -5 * second, applied: 999 * second, aheadMS: -second}, {term: 1, offMS: -5 * second, aheadMS: -second}},
		"it catches up slowly":                       {{term: 1}, {term: 1, offMS: -3 * second}, {term: 1, offMS: -2 * second}, {term: 1, offMS: -second}, {term: 1}, {term: 1, offMS: second, aheadMS: second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c leaderClock
			steady, lastMS := time.Now(), int64(0)
			for i, m := range moves {
				trueMS := (1000 + int64(i)) * second
				got := c.stamp(m.term, trueMS+m.offMS, steady.Add(time.Duration(i)*time.Second), m.applied)
				if got != trueMS+m.aheadMS {
					t.Errorf("stamp %d is ahead by %d ms, want %d", i, got-trueMS, m.aheadMS)
				}
				if got < lastMS {
					t.Errorf("stamp %d goes back by %d ms", i, lastMS-got)
				}
				lastMS = got
			}
		})
	}
}
