package server

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/raft/rafttest"
)

var clusterKeys = []string{"node_id", "role", "leader_id", "term", "commit_index", "applied_index", "members"}

func TestClusterFromEachNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, n := range c.nodes {
		if body := n.get(t, "/v1/cluster").want(t, http.StatusOK); number(t, body, "commit_index") == 0 {
			t.Errorf("%s is ready, and knows of nothing committed", n.nodeID)
		}
	}
	index := c.leader(t).tell(t, newEvent(1, 1, "start")).index(t)
	for _, n := range c.nodes {
		n.get(t, sessionsPath(42)+"?consistency=stale", headerMinIndex, formatIndex(index)).want(t, http.StatusOK)
		var body map[string]any
		rafttest.Eventually(t, n.nodeID+" knows everybody", func() bool {
			body = n.get(t, "/v1/cluster").want(t, http.StatusOK)
			return !slices.ContainsFunc(list(t, body, "members"), func(m map[string]any) bool { return m["http_address"] == "" })
		})
		wantKeys(t, body, clusterKeys...)
		leader := c.leader(t)
		role := "follower"
		if n == leader {
			role = "leader"
		}
		if body["node_id"] != n.nodeID || body["role"] != role || body["leader_id"] != leader.nodeID {
			t.Errorf("%s: %v", n.nodeID, body)
		}
		if number(t, body, "term") < 1 || number(t, body, "commit_index") < 1 || number(t, body, "applied_index") < 1 {
			t.Errorf("%s: %v", n.nodeID, body)
		}
		members := list(t, body, "members")
		if len(members) != 3 {
			t.Fatalf("%s knows %d members", n.nodeID, len(members))
		}
		for i, m := range members {
			wantKeys(t, m, "node_id", "raft_address", "http_address", "voter")
			of := c.nodes[i]
			if m["node_id"] != of.nodeID || m["raft_address"] != of.cfg.Raft.RaftAddress || m["http_address"] != of.HTTPAddress() || m["voter"] != true {
				t.Errorf("%s says of %s: %v", n.nodeID, of.nodeID, m)
			}
		}
	}
}

func TestBadClusterRequests(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for _, c := range []struct{ path, body, field string }{
		{"/v1/cluster/members", `{}`, "node_id"},
		{"/v1/cluster/members", `{"node_id":"n2"}`, "raft_address"},
		{"/v1/cluster/members", `{"raft_address":"127.0.0.1:1"}`, "node_id"},
		{"/v1/cluster/members", `{"node_id":2,"raft_address":"127.0.0.1:1"}`, "node_id"},
		{"/v1/cluster/members", `{"node_id":"n2","raft_address":"127.0.0.1:1","voter":1}`, "voter"},
		{"/v1/cluster/members", `{"node_id":"n2","raft_address":"127.0.0.1:1","vote":true}`, "vote"},
		{"/v1/cluster/members", `{"node_id":"n2","raft_address":"127.0.0.1:1"} x`, "body"},
		{"/v1/cluster/members", `{"node_id":"n2","raft_address":"127.0.0.1:1","Voter":true}`, "Voter"},
		{"/v1/cluster/members", `{"node_id":"n2","node_id":"n3","raft_address":"127.0.0.1:1"}`, "node_id"},
		{"/v1/cluster/leadership", `{"node_id":"n2","node_id":"n1"}`, "node_id"},
		{"/v1/cluster/members", `[]`, "body"},
		{"/v1/cluster/members", ``, ""},
		{"/v1/cluster/members", `{`, ""},
		{"/v1/cluster/leadership", `{"node":"n2"}`, "node"},
		{"/v1/cluster/leadership", `{"node_id":2}`, "node_id"},
		{"/v1/cluster/leadership", `"n2"`, "body"},
		{"/v1/cluster/leadership", `{`, ""},
	} {
		n.send(t, http.MethodPost, c.path, c.body).wantProblem(t, http.StatusBadRequest, c.field)
	}
	// Nobody answers there, nobody has that name, nobody else can lead.
	n.send(t, http.MethodPost, "/v1/cluster/members", `{"node_id":"n2","raft_address":"127.0.0.1:1"}`).wantProblem(t, http.StatusConflict, "")
	n.send(t, http.MethodPost, "/v1/cluster/members", `{"node_id":"n2","raft_address":"nonsense"}`).wantProblem(t, http.StatusConflict, "")
	n.send(t, http.MethodDelete, "/v1/cluster/members/n9", nil).wantProblem(t, http.StatusNotFound, "")
	n.send(t, http.MethodPost, "/v1/cluster/leadership", `{"node_id":"n9"}`).wantProblem(t, http.StatusNotFound, "")
	n.send(t, http.MethodPost, "/v1/cluster/leadership", nil).wantProblem(t, http.StatusConflict, "")
	n.send(t, http.MethodPost, "/v1/cluster/leadership", io.MultiReader(strings.NewReader(""))).wantProblem(t, http.StatusConflict, "")
	n.send(t, http.MethodPost, "/v1/cluster/leadership", `{"node_id":"n1"}`).want(t, http.StatusOK) // it leads
	n.tell(t, newEvent(1, 1, "start"))
}

// TestMembers adds a fourth node, lets it read, vote and lead, and removes it,
// each asked of a node that does not lead.
func TestMembers(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.leader(t).tell(t, newEvent(1, 1, "start"))
	cfg := testConfig(t.TempDir())
	cfg.Raft.NodeID, cfg.Raft.BootstrapExpect = "n4", 0
	cfg.Raft.RaftAddress = rafttest.FreeAddresses(t, 1)[0]
	cfg.Raft.HeartbeatTimeout, cfg.Raft.LeaderLease = heartbeatOfMany, heartbeatOfMany
	fourth := startNode(t, cfg)

	member := func(voter any) map[string]any {
		t.Helper()
		body := map[string]any{"node_id": "n4", "raft_address": cfg.Raft.RaftAddress}
		if voter != nil {
			body["voter"] = voter
		}
		var changed map[string]any
		eventuallyOK(t, c, http.MethodPost, "/v1/cluster/members", body, &changed)
		wantKeys(t, changed, clusterKeys...)
		for _, m := range list(t, changed, "members") {
			if m["node_id"] == "n4" {
				return m
			}
		}
		t.Fatalf("it is not among %v", changed)
		return nil
	}
	if m := member(false); m["voter"] != false {
		t.Errorf("added without a vote: %v", m)
	}
	fourth.waitReady(t)
	first := c.followers(t)[0].get(t, sessionsPath(42))
	if again := fourth.get(t, sessionsPath(42)); string(again.body) != string(first.body) {
		t.Errorf("it answers %s, the others %s", again.body, first.body)
	}
	// Without a vote it cannot lead; with one it can.
	c.followers(t)[0].send(t, http.MethodPost, "/v1/cluster/leadership", `{"node_id":"n4"}`).wantProblem(t, http.StatusConflict, "")
	if m := member(nil); m["voter"] != true {
		t.Errorf("added with a vote: %v", m)
	}
	c.nodes = append(c.nodes, fourth)
	rafttest.Eventually(t, "n4 leads", func() bool {
		n := c.followers(t)[0]
		a := n.send(t, http.MethodPost, "/v1/cluster/leadership", `{"node_id":"n4"}`)
		if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
		return fourth.node.IsLeader()
	})
	eventuallyTold(t, fourth, newEvent(1, 2, "keepalive"))
	var left map[string]any
	eventuallyOK(t, c, http.MethodDelete, "/v1/cluster/members/n4", nil, &left)
	c.nodes = c.nodes[:3]
	eventuallyTold(t, c.leader(t), newEvent(1, 3, "keepalive"))
	if members := list(t, c.leader(t).get(t, "/v1/cluster").want(t, http.StatusOK), "members"); len(members) != 3 {
		t.Errorf("members: %v", members)
	}
}

// eventuallyOK asks followers until the answer is 200; meanwhile it may be 503.
func eventuallyOK(t testing.TB, c *testCluster, method, path string, body any, to *map[string]any) {
	t.Helper()
	rafttest.Eventually(t, method+" "+path, func() bool {
		a := c.followers(t)[0].send(t, method, path, body)
		if a.status == http.StatusServiceUnavailable {
			return false
		}
		*to = a.want(t, http.StatusOK)
		return true
	})
}

// eventuallyTold tells an event until it is accepted, or was before; meanwhile the
// answer may be 503 with Retry-After and nothing else.
func eventuallyTold(t testing.TB, n *testNode, e event) answer {
	t.Helper()
	var a answer
	rafttest.Eventually(t, "an event is accepted", func() bool {
		a = n.send(t, http.MethodPost, "/v1/events", []event{e})
		if a.status == http.StatusServiceUnavailable {
			a.wantProblem(t, http.StatusServiceUnavailable, "")
			if a.header.Get("Retry-After") == "" {
				t.Fatalf("503 without Retry-After: %s", a.body)
			}
			return false
		}
		a.want(t, http.StatusOK)
		var told struct{ Outcomes []struct{ Status string } }
		if err := json.Unmarshal(a.body, &told); err != nil || len(told.Outcomes) != 1 ||
			told.Outcomes[0].Status != "accepted" && told.Outcomes[0].Status != "duplicate" {
			t.Fatalf("answered %s", a.body)
		}
		return true
	})
	return a
}

func TestSnapshotOnEachNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	index := c.leader(t).tell(t, newEvent(1, 1, "start")).index(t)
	for _, n := range c.nodes {
		n.get(t, sessionsPath(42)+"?consistency=stale", headerMinIndex, formatIndex(index)).want(t, http.StatusOK)
		for range 2 { // again is the same
			if a := n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil); a.status != http.StatusNoContent || len(a.body) > 0 {
				t.Errorf("%s: %d %s", n.nodeID, a.status, a.body)
			}
		}
	}
}
