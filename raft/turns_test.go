package raft

import (
	"testing"
	"time"
)

// TestTurns: each node takes one snapshot in so many entries, at other entries than the others.
func TestTurns(t *testing.T) {
	t.Parallel()
	const threshold, nodes = 300, 3
	last := [nodes]uint64{}
	taken := [nodes][]uint64{}
	for applied := uint64(1); applied <= 5*threshold; applied++ {
		for place := range nodes {
			if isTurn(applied, last[place], threshold, place, nodes) {
				last[place] = applied
				taken[place] = append(taken[place], applied)
			}
		}
	}
	for place, want := range [nodes][]uint64{{300, 600, 900, 1200, 1500}, {200, 500, 800, 1100, 1400}, {100, 400, 700, 1000, 1300}} {
		if len(taken[place]) != len(want) {
			t.Fatalf("node %d took them at %v, want %v", place, taken[place], want)
		}
		for i := range want {
			if taken[place][i] != want[i] {
				t.Errorf("node %d took them at %v, want %v", place, taken[place], want)
				break
			}
		}
	}
	for _, c := range []struct {
		applied, last uint64
		want          bool
	}{
		{310, 290, false}, // one was taken by hand: not again so soon,
		{390, 290, true},  // and not as late as the next multiple
		{5, 400, false},   // a snapshot that was sent is ahead of what is applied
		{0, 0, false},
	} {
		if got := isTurn(c.applied, c.last, threshold, 0, nodes); got != c.want {
			t.Errorf("applied %d, last %d: %v, want %v", c.applied, c.last, got, c.want)
		}
	}
	if !isTurn(1, 0, 1, 0, 1) || isTurn(0, 0, 1, 0, 1) {
		t.Error("a threshold of one entry is after each entry")
	}
}

// TestTurnsOfSnapshotsThatTakeTime: no two nodes write one at once where there is time
// enough, and where there is not, each rests for the others' turns, up to two minutes.
func TestTurnsOfSnapshotsThatTakeTime(t *testing.T) {
	t.Parallel()
	const nodes, threshold, perSecond, seconds = 3, 30_000, 200, 4000 // a threshold takes 150 s
	for _, took := range []int{5, 45, 50, 100, 600} {
		rest := int(restAfter(time.Duration(took)*time.Second, nodes) / time.Second)
		if want := min(took*2, 120); rest != want {
			t.Errorf("%d s each: rests %d s, want %d", took, rest, want)
		}
		var last, until, rests, taken, wrote [nodes]int
		together := 0
		for now := range seconds {
			writing := 0
			for place := range nodes {
				if now >= rests[place] && isTurn(uint64(now*perSecond), uint64(last[place]), threshold, place, nodes) {
					last[place], until[place], rests[place] = now*perSecond, now+took, now+took+rest
					taken[place]++
				}
				if now < until[place] {
					wrote[place]++
					writing++
				}
			}
			if writing > 1 {
				together++
			}
		}
		if short := took*nodes <= threshold/perSecond; short && together > 0 || !short && together == 0 {
			t.Errorf("%d s each: two nodes wrote at once for %d of %d s", took, together, seconds)
		}
		between := max(threshold/perSecond, took+rest) // at least; a threshold later where a turn was missed
		for place := range nodes {
			if most, least := seconds/between+1, seconds/(between+threshold/perSecond); taken[place] > most || taken[place] < least {
				t.Errorf("%d s each: node %d took %d in %d s, want %d to %d", took, place, taken[place], seconds, least, most)
			}
			if share := float64(took) / float64(between); float64(wrote[place]) > share*seconds+float64(took) {
				t.Errorf("%d s each: node %d wrote for %d s of %d, want %.0f %% of them", took, place, wrote[place], seconds, 100*share)
			}
		}
	}
	if restAfter(time.Hour, 1) != 0 {
		t.Error("a node alone rests for nobody")
	}
}
