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
// enough, and where there is not, none writes for more than its share of the time.
func TestTurnsOfSnapshotsThatTakeTime(t *testing.T) {
	t.Parallel()
	const nodes, threshold, perSecond, seconds = 3, 30_000, 200, 4000 // a threshold takes 150 s
	for _, took := range []int{5, 45, 100} {
		var last, until, rests [nodes]int
		var taken, wrote [nodes]int
		together := 0
		for now := range seconds {
			writing := 0
			for place := range nodes {
				if now >= rests[place] && isTurn(uint64(now*perSecond), uint64(last[place]), threshold, place, nodes) {
					last[place], until[place] = now*perSecond, now+took
					rests[place] = until[place] + int(restAfter(time.Duration(took)*time.Second, nodes)/time.Second)
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
		for place := range nodes {
			want := seconds * perSecond / threshold
			if rest := int(restAfter(time.Duration(took)*time.Second, nodes) / time.Second); took+rest > threshold/perSecond {
				want = seconds / (took + rest) / 2 // at least: the next look may come late for a turn
			}
			if taken[place] < want-1 || wrote[place] > seconds/2 {
				t.Errorf("%d s each: node %d took %d and wrote for %d s of %d, want %d of them", took, place, taken[place], wrote[place], seconds, want)
			}
		}
	}
}
