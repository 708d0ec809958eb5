package target

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// How long a device of a rolling restart tries to tell an event. The cluster is
// without a leader for milliseconds then; the rest is for a busy machine.
const (
	mostTries  = 200
	mostTrying = 10 * time.Second
)

// Every node in turn is ended by SIGTERM and started again under load, the leader as
// well, until each has led and handed its leadership over. Every event is
// acknowledged by the first node or a next one, and is there once.
func TestARollingRestartCostsNoWrite(t *testing.T) {
	t.Parallel()
	cluster := boot(t, 3)
	s := newStorm(t, cluster)
	s.within = mostTrying
	s.begin()
	s.more(200)
	for _, node := range cluster.Nodes() {
		if !s.handToAndRestart(node) {
			t.Errorf("%s ended without a word of handing its leadership over", node.ID)
		}
	}

	// The check of a hand-over is not blind: a killed leader is no such thing.
	leader := leaderOf(t, cluster)
	before := mustTell(t, leader)
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	if term := handedOver(t, leader, before.Term); term != 0 {
		t.Errorf("a leader that was killed is said to have handed over its leadership to term %d", term)
	}
	s.restart(leader)
	s.more(200)

	s.end()
	for _, p := range s.sessions {
		if p.may != 0 {
			t.Errorf("session %s: %d events without an answer", p.id, p.may)
		}
	}
	s.check()
}

// handToAndRestart makes the node lead, ends it by SIGTERM, and starts it again. It
// says whether the node handed its leadership over.
func (s *storm) handToAndRestart(node *Node) bool {
	s.t.Helper()
	eventually(s.t, node.ID+" leads", func() bool {
		status, err := node.Cluster(s.t.Context())
		if err != nil || status.Role == "leader" {
			return err == nil
		}
		body := strings.NewReader(fmt.Sprintf(`{"node_id":%q}`, node.ID))
		response, err := s.client.Post(node.URL+"/v1/cluster/leadership", "application/json", body)
		if err == nil {
			_ = response.Body.Close()
		}
		return false
	})
	s.more(100)
	before := mustTell(s.t, node)
	if err := node.terminate(); err != nil {
		s.t.Fatal(err)
	}
	if err := node.waitEnd(stopTimeout); err != nil {
		s.t.Fatal(err)
	}
	next := handedOver(s.t, node, before.Term)
	if after := mustTell(s.t, leaderOf(s.t, s.cluster)); after.Term < next {
		s.t.Errorf("%s handed over to term %d, its successor leads %d", node.ID, next, after.Term)
	}
	s.more(100)
	s.restart(node)
	if err := node.Crash(); err != nil {
		s.t.Error(err)
	}
	return next != 0
}

var handOverLine = regexp.MustCompile(`msg="leadership was handed over before closing" node_id=(\S+) term=(\d+)\n`)

// handedOver is the term that began while the node was still there, by its log, because
// it gave up the one that it led; 0 when it tells of none. Such a term needs no election
// timeout, and a node that takes longer than its two seconds for it tells of none.
func handedOver(t *testing.T, node *Node, led uint64) uint64 {
	t.Helper()
	text, err := os.ReadFile(node.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range handOverLine.FindAllSubmatch(text, -1) {
		if term, err := strconv.ParseUint(string(line[2]), 10, 64); err == nil && term > led {
			return term
		}
	}
	return 0
}

func mustTell(t *testing.T, node *Node) Status {
	t.Helper()
	status, err := node.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}
