package target

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (n *Node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return 0
	}
	return n.process.Pid
}

// gone says whether no process has that id any more, a zombie neither.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

func TestACluster(t *testing.T) {
	t.Parallel()
	cluster := boot(t, 3)
	leader := leaderOf(t, cluster)
	for _, node := range cluster.Nodes() {
		status, err := node.Cluster(t.Context())
		if err != nil || status.LeaderID != leader.ID || (status.Role == "leader") != (node == leader) {
			t.Errorf("%s says %+v %v, want that %s leads", node.ID, status, err, leader.ID)
		}
	}
	if err := leader.Start(); err == nil {
		t.Error("a node that runs was started again")
	}
	before := mustUse(t, cluster, 0)
	before = mustUse(t, cluster, before+1)
	pid := leader.pid()
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	if leader.Running() || !gone(pid) {
		t.Errorf("process %d of %s runs after SIGKILL", pid, leader.ID)
	}
	mustUse(t, cluster, before) // the killed process's time is kept
	if next := leaderOf(t, cluster); next == leader {
		t.Errorf("%s leads and is dead", leader.ID)
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, leader)
	mustUse(t, cluster, before)
	var pids []int
	for _, node := range cluster.Nodes() {
		pids = append(pids, node.pid())
	}
	if err := cluster.Stop(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("process %d runs after Stop", pid)
		}
	}
	if err := cluster.Stop(); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
	mustUse(t, cluster, before)
}

// mustUse waits until the cluster has used at least so much processor time.
func mustUse(t *testing.T, cluster *Cluster, least time.Duration) (used time.Duration) {
	t.Helper()
	eventually(t, "the processes have used "+least.String(), func() bool {
		var err error
		if used, err = cluster.CPUTime(); err != nil {
			t.Fatal(err)
		}
		_, _ = cluster.Nodes()[0].Cluster(t.Context()) // a reason to use more
		return used >= least
	})
	return used
}

// Processor time may be asked at any moment, also when a process is just ending.
func TestProcessorTimeOfAnEndingProcess(t *testing.T) {
	t.Parallel()
	cluster := boot(t, 1)
	node := cluster.Nodes()[0]
	done := make(chan struct{})
	go func() { defer close(done); _ = node.Kill() }()
	var last time.Duration
	for node.Running() {
		used, err := cluster.CPUTime()
		if err != nil || used < last {
			t.Fatalf("%v after %v: %v", used, last, err)
		}
		last = used
	}
	<-done
	// A process's end tells its time more exactly than /proc did before.
	if used, err := cluster.CPUTime(); err != nil || used < last-2*time.Second/clockTicks {
		t.Errorf("%v after %v: %v", used, last, err)
	}
}

func TestANodeThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--http", "--raft"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			cluster := boot(t, 1)
			node := cluster.Nodes()[0]
			if err := node.Kill(); err != nil {
				t.Fatal(err)
			}
			var address string
			for i, arg := range node.args {
				if arg == flag {
					address = node.args[i+1]
				}
			}
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			err = node.WaitReady(t.Context())
			if err == nil {
				t.Fatal("ready although its port is taken")
			}
			for _, want := range []string{node.ID, "address already in use", node.log} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestABootThatFailsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	never := options(t, 3)
	never.Binary = filepath.Join(t.TempDir(), "never-ready")
	script := "#!/bin/sh\necho $$ >>$0.pids\nexec sleep 1000\n"
	if err := os.WriteFile(never.Binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pids := func() [][]byte {
		text, _ := os.ReadFile(never.Binary + ".pids")
		return bytes.Fields(text)
	}
	go func() {
		for len(pids()) < 3 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if cluster, err := Start(ctx, never); cluster != nil || err == nil || !strings.Contains(err.Error(), filepath.Join(never.LogDir, "n1.log")) {
		t.Errorf("%v, %v: want an error that names the log", cluster, err)
	}
	for _, text := range pids() {
		if pid, err := strconv.Atoi(string(text)); err != nil || !gone(pid) {
			t.Errorf("process %s runs: %v", text, err)
		}
	}

	missing := options(t, 3)
	missing.Binary = filepath.Join(t.TempDir(), "nothing")
	if _, err := Start(t.Context(), missing); err == nil || !strings.Contains(err.Error(), missing.Binary) {
		t.Errorf("%v: want an error that names the binary", err)
	}
	wrong := options(t, 1)
	wrong.Env = []string{"PLAYHEAD_CONFIG=/nowhere.yaml"}
	if _, err := Start(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "/nowhere.yaml") {
		t.Errorf("%v: want the node's last words", err)
	}
}
