package raft

import "testing"

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
	for place, want := range [nodes][]uint64{{300, 600, 900, 1200, 1500}, {200, 500, 800, 1100, 1400}, {150, 400, 700, 1000, 1300}} {
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
		{440, 290, true},  // and not as late as the next multiple
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
