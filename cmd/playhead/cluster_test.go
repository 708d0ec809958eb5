package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/sim/target"
)

// TestClusterCommand replaces a node of a real cluster by the command line: known bug
// 20, leadership handed to a non-voter, among what it must refuse.
func TestClusterCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: binary, DataDir: dir, LogDir: dir, Nodes: 3, Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	n1, n2, n3 := cluster.Nodes()[0], cluster.Nodes()[1], cluster.Nodes()[2]
	c := clusterCommand{t: t, node: n1.URL}

	c.eventually("leader", "status")
	c.must("NODE", "transfer", n2.ID) // who leads shows a moment later
	c.eventually("n2     leader", "status")
	c.must("", "snapshot")

	raftAddress := startWaiting(t, binary, "n4", dir)
	c.eventually("n4     non-voter   "+raftAddress, "add", "n4", raftAddress, "--non-voter")
	c.mustFail("n4 has no vote and cannot lead", "transfer", "n4")
	c.must("n4     voter", "add", "n4", raftAddress)

	if err := n3.Kill(); err != nil {
		t.Fatal(err)
	}
	c.eventually("does not answer", "status")
	if out := c.must("n4     voter", "remove", "n3"); strings.Contains(out, "n3") {
		t.Errorf("n3 is still there:\n%s", out)
	}

	c.mustFail(`no such member: "n9"`, "remove", "n9")
	c.mustFail("raft_address", "add", "n9", "")
	c.mustFail("n9 does not answer", "add", "n9", "127.0.0.1:1")
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"cluster", "status", "--node", "http://127.0.0.1:1"}, &out, &errs); code != exitError || !strings.Contains(errs.String(), "--node names another") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	for _, usage := range [][]string{{"add", "n9"}, {"remove"}, {"statu"}, {"status", "--node", "nonsense"}} {
		if code := execute(t.Context(), append([]string{"cluster"}, usage...), &out, &errs); code != exitUsage {
			t.Errorf("%q: exit code %d", usage, code)
		}
	}
}

// clusterCommand runs subcommands of cluster.
type clusterCommand struct {
	t     *testing.T
	node  string
	flags []string // in addition
}

func (c clusterCommand) run(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = execute(c.t.Context(), slices.Concat([]string{"cluster", "--node", c.node}, c.flags, args), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func (c clusterCommand) must(want string, args ...string) string {
	c.t.Helper()
	code, out, errs := c.run(args...)
	if code != exitOK || !strings.Contains(out, want) {
		c.t.Fatalf("%q: exit code %d, want %q in\n%s%s", args, code, want, out, errs)
	}
	return out
}

func (c clusterCommand) mustFail(want string, args ...string) {
	c.t.Helper()
	if code, out, errs := c.run(args...); code != exitError || !strings.Contains(errs, want) {
		c.t.Errorf("%q: exit code %d, want %q in\n%s%s", args, code, want, out, errs)
	}
}

// eventually asks again until the answer has what is wanted.
func (c clusterCommand) eventually(want string, args ...string) {
	c.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, out, errs := c.run(args...)
		if strings.Contains(out, want) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%q: never %q, at last\n%s%s", args, want, out, errs)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// startWaiting starts a node that waits to be added to a cluster, until the test ends.
func startWaiting(t *testing.T, binary, id, dir string) (raftAddress string) {
	t.Helper()
	free := rafttest.FreeAddresses(t, 2)
	raftAddress = free[0]
	node := exec.Command(binary, "serve", "--node-id", id, "--http", free[1], "--raft", raftAddress,
		"--data", filepath.Join(dir, id), "--bootstrap-expect", "0")
	var log bytes.Buffer
	node.Stderr = &log
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := node.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", id, err, log.String())
		}
	})
	return raftAddress
}
