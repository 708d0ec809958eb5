package fault

import (
	"testing"

	"github.com/playhead-load/playhead/sim/target"
)

// No two faults break the same of a node, or anything of one whose process is broken.
func TestClaims(t *testing.T) {
	t.Parallel()
	a, b := &target.Node{ID: "a"}, &target.Node{ID: "b"}
	both := []*target.Node{a, b}
	var c claims
	take := func(want bool, what string, nodes ...*target.Node) {
		t.Helper()
		if got := c.take(nodes, what); got != want {
			t.Errorf("%s of %d nodes: %v, want %v", what, len(nodes), got, want)
		}
	}
	take(true, ofDisk, a)
	take(true, ofClock, a)
	take(false, ofDisk, a, b)
	take(true, ofDisk, b) // nothing was claimed by the try before
	take(true, ofProcess, b)
	take(false, ofProcess, b)
	take(false, ofClock, b)
	if free := c.free(both, ofClock); len(free) != 0 {
		t.Errorf("%d nodes have a clock that is free, want none", len(free))
	}
	if free := c.free(both, ""); len(free) != 1 || free[0] != a {
		t.Errorf("%d nodes run undisturbed, want a", len(free))
	}
	c.drop([]*target.Node{b}, ofProcess)
	take(true, ofClock, b)
	take(true, ofFleet, nil)
	take(false, ofFleet, nil)
}
