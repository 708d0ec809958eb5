package target

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	replayedState = regexp.MustCompile(`(?m)^  state +([0-9a-f]{64}) after entry`)
	replayedEqual = regexp.MustCompile(`(?m)^  ✓ EQUAL `)
)

// Through snapshots, a SIGKILL of one node and of all, and a restart, every node's
// archive keeps every entry once: each replays to the digests that its node wrote, and
// all to the same state.
func TestArchivesReplayToTheSameState(t *testing.T) {
	t.Parallel()
	opts := options(t, 3)
	cluster := bootWith(t, opts)
	s := newStorm(t, cluster)
	s.begin()
	s.more(200)
	for _, node := range cluster.Nodes() {
		s.snapshot(node)
	}
	s.killAndRestart(leaderOf(t, cluster))
	for _, node := range cluster.Nodes() {
		s.snapshot(node)
	}
	s.more(200)
	s.killAllAndCheck() // every node has applied what the others have
	replaysToOneState(t, cluster, opts)
}

// replaysToOneState ends a cluster at rest and replays each node's archive.
func replaysToOneState(t *testing.T, cluster *Cluster, opts Options) {
	t.Helper()
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, node := range cluster.Nodes() {
		output, err := exec.Command(binary, "replay", filepath.Join(opts.DataDir, node.ID)).CombinedOutput()
		found := replayedState.FindSubmatch(output)
		if err != nil || found == nil || !replayedEqual.Match(output) {
			t.Fatalf("replay of %s: %v\n%s", node.ID, err, output)
		}
		states[string(found[1])] = node.ID
		t.Logf("%s:\n%s", node.ID, output)
	}
	if len(states) != 1 {
		t.Errorf("the archives tell of different states: %v", states)
	}
}
