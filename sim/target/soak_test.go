//go:build soak

package target

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/sim/audit"
)

var (
	soakFor  = flag.Duration("soak", 10*time.Minute, "how long the soak test breaks its cluster")
	soakSeed = flag.Uint64("soak-seed", 0, "what decides how; 0 takes another each time")
)

const (
	soakScenario = "../../scenarios/soak.yaml"
	soakCalm     = 45 * time.Second // at the end, for the cluster to heal and the run to drain
	soakJudges   = 5 * time.Minute  // for the audit, after the run
	soakEntries  = 300              // log entries between two breakages
)

// TestSoak breaks a cluster at random for minutes while playhead run plays devices
// against it: nodes are killed, one, two or all, stopped, restarted and paused, told
// to take snapshots and to hand over leadership, and a fourth joins and leaves. Then
// the run's own audit finds nothing lost and nothing violated, the nodes agree, and
// their archives rebuild the same state.
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: repeat the breakages with -soak-seed", seed)
	opts := options(t, 3)
	opts.Keepalive, opts.Lease = time.Second, 2500*time.Millisecond // the scenario's, by its time_scale
	opts.Env = []string{"PLAYHEAD_SESSION_MEMORY=5s", "PLAYHEAD_HISTORY_MEMORY=2"}
	s := &soak{t: t, opts: opts, cluster: bootWith(t, opts), random: rand.New(rand.NewPCG(seed, 0))}
	run, said := startSoakRun(t, s.cluster)
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	s.await(soakEntries) // it has told the plans, and plays
	for begun := time.Now(); time.Since(begun) < *soakFor-soakCalm; {
		s.breakSomething()
		s.await(soakEntries)
	}
	err := <-ended
	t.Logf("the run, %v:\n%s", err, said.String())
	if err != nil {
		t.Errorf("the run ended with %v", err)
	}
	s.judge()
}

// startSoakRun plays the soak's scenario against a cluster, in a process that ends with
// the test. What it said is to be read after its end.
func startSoakRun(t *testing.T, cluster *Cluster) (run *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor+soakJudges)
	t.Cleanup(cancel)
	run = exec.CommandContext(ctx, binary, "run", soakScenario, "--no-faults", "--quiet", "--duration", soakFor.String(),
		"--target", strings.Join(cluster.URLs(), ","), "--out", filepath.Join(t.TempDir(), "run"))
	said = new(bytes.Buffer)
	run.Stdout, run.Stderr = said, said
	run.SysProcAttr = processAttributes()
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run, said
}

// soak is a cluster that is being broken. In between every node runs.
type soak struct {
	t       *testing.T
	opts    Options
	cluster *Cluster
	random  *rand.Rand
	guests  int // nodes that joined, so far
}

func (s *soak) breakSomething() {
	s.t.Helper()
	nodes := s.cluster.Nodes()
	leader := leaderOf(s.t, s.cluster)
	other := nodes[s.random.IntN(len(nodes))]
	switch breakage := s.random.IntN(9); breakage {
	case 0:
		s.note("kill the leader, %s", leader.ID)
		s.kill(leader)
	case 1:
		s.note("kill %s", other.ID)
		s.kill(other)
	case 2:
		s.note("kill all but %s", other.ID)
		s.kill(without(nodes, other)...)
	case 3:
		s.note("kill all")
		s.kill(nodes...)
	case 4:
		s.note("restart one after another")
		for _, node := range nodes {
			s.stop(node)
			s.start(node)
		}
	case 5:
		s.note("snapshots, and kill %s", other.ID)
		for _, node := range nodes {
			s.ask(node, http.MethodPost, "/v1/cluster/snapshot", "")
		}
		s.kill(other)
	case 6:
		s.note("pause %s for longer than a leader may be silent", leader.ID)
		s.pause(leader)
	case 7:
		s.note("hand leadership over")
		s.ask(other, http.MethodPost, "/v1/cluster/leadership", "")
	case 8:
		s.guest()
	}
}

func (s *soak) note(format string, args ...any) {
	s.t.Helper()
	s.t.Logf("%s  %s", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// kill kills nodes at once, lets those that are left go on for a moment if they are
// enough, and brings them back.
func (s *soak) kill(nodes ...*Node) {
	s.t.Helper()
	var killing errgroup.Group
	for _, node := range nodes {
		killing.Go(node.Kill)
	}
	if err := killing.Wait(); err != nil {
		s.t.Fatal(err)
	}
	if 2*len(nodes) < len(s.cluster.Nodes()) {
		s.await(soakEntries)
	}
	for _, node := range nodes {
		if err := node.Start(); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, node := range nodes {
		mustBeReady(s.t, node)
	}
}

func (s *soak) stop(node *Node) {
	s.t.Helper()
	if err := errors.Join(node.terminate(), node.waitEnd(stopTimeout)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *soak) start(node *Node) {
	s.t.Helper()
	if err := node.Start(); err != nil {
		s.t.Fatal(err)
	}
	mustBeReady(s.t, node)
}

// pause stops a leader until another leads, and lets it go on.
func (s *soak) pause(leader *Node) {
	s.t.Helper()
	pid := leader.pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
		mustBeReady(s.t, leader)
	}()
	eventually(s.t, "another leads", func() bool {
		for _, node := range without(s.cluster.Nodes(), leader) {
			if status, err := node.Cluster(s.t.Context()); err == nil && status.Role == "leader" {
				return true
			}
		}
		return false
	})
}

// guest lets a fourth node join, with a vote or without, be killed and come back, and
// leave.
func (s *soak) guest() {
	s.t.Helper()
	s.guests++
	id := fmt.Sprintf("guest%d", s.guests)
	voter := s.random.IntN(2) == 0
	s.note("%s joins, voter %v, is killed, comes back, and leaves", id, voter)
	addresses := rafttest.FreeAddresses(s.t, 2)
	node := &Node{
		ID: id, URL: "http://" + addresses[0], binary: s.opts.Binary, env: s.opts.Env, log: filepath.Join(s.opts.LogDir, id+".log"),
		args: []string{
			"serve", "--node-id", id, "--http", addresses[0], "--raft", addresses[1], "--data", filepath.Join(s.opts.DataDir, id),
			"--bootstrap-expect", "0", "--keepalive", s.opts.Keepalive.String(), "--lease", s.opts.Lease.String(),
		},
	}
	if err := node.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		s.stop(node)
		if err := os.RemoveAll(filepath.Join(s.opts.DataDir, id)); err != nil {
			s.t.Error(err)
		}
	}()
	host := s.cluster.Nodes()[0]
	s.mustDo(host, http.MethodPost, "/v1/cluster/members", fmt.Sprintf(`{"node_id":%q,"raft_address":%q,"voter":%v}`, id, addresses[1], voter))
	mustBeReady(s.t, node)
	s.await(soakEntries)
	s.kill(node)
	s.mustDo(host, http.MethodDelete, "/v1/cluster/members/"+id, "")
}

// mustDo repeats a request until it is done: elections get in its way.
func (s *soak) mustDo(node *Node, method, path, body string) {
	s.t.Helper()
	said := ""
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s %s %s: %s", method, path, body, said)
		}
	}()
	eventually(s.t, method+" "+path, func() bool {
		var status int
		status, said = s.ask(node, method, path, body)
		return status == http.StatusOK
	})
}

func (s *soak) ask(node *Node, method, path, body string) (status int, said string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, node.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := overloadClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// await waits until so many more entries are applied by whoever leads.
func (s *soak) await(entries uint64) {
	s.t.Helper()
	applied := func() (index uint64) {
		for _, node := range s.cluster.Nodes() {
			if status, err := node.Cluster(s.t.Context()); err == nil {
				index = max(index, status.AppliedIndex)
			}
		}
		return index
	}
	goal := applied() + entries
	eventually(s.t, fmt.Sprintf("%d more entries are applied", entries), func() bool { return applied() >= goal })
}

// judge compares the nodes, and their archives.
func (s *soak) judge() {
	s.t.Helper()
	differing, err := audit.Replicas(s.t.Context(), s.cluster.RunningURLs(), 3)
	if err != nil || len(differing) > 0 {
		s.t.Errorf("replicas: %v, %v", differing, err)
	}
	replaysToOneState(s.t, s.cluster, s.opts)
}
