package server

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// everything is what the API tells of account 42, told at a moment when nothing
// expires.
func (n *testNode) everything(t testing.TB) string {
	t.Helper()
	paths := readPaths(80, 1)
	for i := 2; i <= 5; i++ {
		paths = append(paths, sessionsPath(42)+"/"+sessionID(i))
	}
	var all strings.Builder
	for _, path := range paths {
		a := n.get(t, withLevel(path, "linearizable"))
		all.WriteString(path + " " + http.StatusText(a.status) + " " + string(a.body) + "\n")
	}
	return all.String()
}

// tellAStory leaves something of every kind behind.
func (n *testNode) tellAStory(t testing.TB) {
	t.Helper()
	n.setLimit(t, 42, 2)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	n.tell(t,
		newEvent(1, 5, "keepalive").with("bitrate_ms", map[string]int{"3000": 5000}, "rebuffer_ms", 7),
		newEvent(2, 1, "start").with("title_id", 2, "country", "DE"), newEvent(2, 3, "error").with("title_id", 2, "error_code", "E-7"),
		newEvent(3, 1, "start").with("title_id", 3, "offline", true), newEvent(3, 9, "stop").with("title_id", 3, "offline", true))
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{newEvent(4, 2, "keepalive").with("title_id", 4)}), "denied")
	n.send(t, http.MethodDelete, profilePath(42, 1)+"/history/3", nil)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		snapshot func(n *testNode)
		stop     func(n *testNode)
	}{
		{"from the log, after a crash", func(*testNode) {}, func(n *testNode) { n.crash(t) }},
		{"from a snapshot", snapshotNow(t), func(n *testNode) { n.shutDown(t) }},
		{"from a snapshot and the log behind it, after a crash", func(n *testNode) {
			snapshotNow(t)(n)
			n.tell(t, newEvent(1, 6, "keepalive"), newEvent(5, 1, "start").with("offline", true))
		}, func(n *testNode) { n.crash(t) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startSingle(t, func(c *Config) { c.Raft.TrailingLogs = 1 })
			n.tellAStory(t)
			c.snapshot(n)
			want := n.everything(t)
			digest := n.digest()
			for range 2 { // and again: what restarts is what was kept
				c.stop(n)
				n = startNode(t, n.cfg)
				n.waitReady(t)
				if got := n.everything(t); got != want {
					t.Fatalf("before\n%s\nafter\n%s", want, got)
				}
				if n.digest() != digest {
					t.Fatal("the state's digest is another")
				}
			}
			// What it knew it still judges by.
			wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{
				newEvent(1, 5, "keepalive"), newEvent(4, 3, "keepalive").with("title_id", 4), newEvent(3, 9, "stop").with("title_id", 3, "offline", true),
			}), "duplicate", "denied", "duplicate")
		})
	}
}

func snapshotNow(t *testing.T) func(n *testNode) {
	return func(n *testNode) {
		t.Helper()
		if a := n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil); a.status != http.StatusNoContent {
			t.Fatalf("snapshot: %d %s", a.status, a.body)
		}
	}
}

func (n *testNode) digest() [32]byte {
	n.views.mu.RLock()
	defer n.views.mu.RUnlock()
	return n.views.state.Digest()
}

// TestRestartChangesTheRules: the flags of the node that leads count.
func TestRestartChangesTheRules(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 1, "start"))
	n.shutDown(t)
	cfg := n.cfg
	cfg.DefaultStreams, cfg.Lease = 1, time.Hour
	n = startNode(t, cfg)
	n.waitReady(t)
	p := n.start(t, newEvent(2, 1, "start")).wantProblem(t, http.StatusConflict, "")
	if number(t, p, "max_streams") != 1 {
		t.Errorf("denied with %v", p)
	}
}

// TestFollowerRestoresASnapshot: one that was away while the log was cut catches
// up from a snapshot and tells the same.
func TestFollowerRestoresASnapshot(t *testing.T) {
	t.Parallel()
	c := startCluster(t, func(c *Config) { c.Raft.TrailingLogs = 1 })
	away := c.followers(t)[0]
	away.crash(t)
	leader := c.leader(t)
	leader.tellAStory(t)
	snapshotNow(t)(leader)
	index := leader.tell(t, newEvent(1, 7, "keepalive")).index(t)
	back := startNode(t, away.cfg)
	c.nodes[slices.Index(c.nodes, away)] = back
	back.waitReady(t)
	if installed, err := filepath.Glob(filepath.Join(back.cfg.Raft.DataDir, "snapshots", "*")); err != nil || len(installed) == 0 {
		t.Errorf("it caught up without a snapshot: %v, %v", installed, err)
	}
	for _, path := range readPaths(80, 1) {
		want := leader.get(t, path)
		a := back.get(t, withLevel(path, "stale"), headerMinIndex, formatIndex(index))
		if string(a.body) != string(want.body) || a.index(t) < index {
			t.Errorf("%s: %d %s at %s, want %s", path, a.status, a.body, a.header.Get(headerIndex), want.body)
		}
	}
	if back.digest() != leader.digest() {
		t.Error("the digests differ")
	}
}
