package target

import (
	"bytes"
	"context"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/target/targettest"
)

// binary is the playhead program of this tree, built once for all tests.
var binary string

// atOnce is how many tests run at once, whatever the processors: they wait for elections
// and for disks most of the time.
const atOnce = "4"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil { // -parallel still wins
		panic(err)
	}
	targettest.Main(m, &binary)
}

// options are those of a cluster whose files end with the test.
func options(t *testing.T, nodes int) Options {
	t.Helper()
	return Options{
		Binary: binary, DataDir: t.TempDir(), LogDir: t.TempDir(), Nodes: nodes,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
	}
}

// boot starts a cluster that ends with the test, in which no node may panic. It
// shows the logs if the test failed. env is added to the nodes' environment.
func boot(t *testing.T, nodes int, env ...string) *Cluster {
	t.Helper()
	opts := options(t, nodes)
	opts.Env = env
	return bootWith(t, opts)
}

func bootWith(t *testing.T, opts Options) *Cluster {
	t.Helper()
	cluster, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	endWith(t, cluster)
	return cluster
}

// endWith ends a cluster with the test.
func endWith(t *testing.T, cluster *Cluster) {
	t.Helper()
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
		for _, node := range cluster.nodes {
			text, err := os.ReadFile(node.log)
			if err != nil || bytes.Contains(text, []byte("\npanic: ")) || bytes.Contains(text, []byte("\nfatal error: ")) {
				t.Errorf("%s broke down: %v", node.ID, err)
			}
			if !t.Failed() {
				continue
			}
			t.Logf("log of %s:\n%s", node.ID, text)
		}
	})
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// leaderOf waits until a node says that it leads.
func leaderOf(t *testing.T, cluster *Cluster) (leader *Node) {
	t.Helper()
	eventually(t, "a node leads", func() bool {
		var err error
		leader, err = cluster.Leader(t.Context())
		return err == nil
	})
	return leader
}

// without are the nodes but one.
func without(nodes []*Node, one *Node) []*Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return n == one })
}

func mustBeReady(t *testing.T, node *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	if err := node.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}
