package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/viewing"
)

// TestSessionsLeaveMemory: what left memory is told as before, by the same node, after a
// crash before and behind a snapshot, and an event of it is merged.
func TestSessionsLeaveMemory(t *testing.T) {
	t.Parallel()
	n := startSingle(t, func(c *Config) { c.SessionMemory, c.Raft.TrailingLogs = time.Second, 1 })
	n.tellAStory(t)
	n.tell(t, newEvent(1, 9, "stop"), newEvent(2, 9, "stop").with("title_id", 2))
	want, digest := n.everything(t), n.digest()
	seq := 100
	leave := func() {
		t.Helper()
		rafttest.Eventually(t, "sessions leave memory", func() bool {
			seq++ // the clock of the log goes on with another account's events
			n.tell(t, newEvent(5, seq, "keepalive").with("account_id", 99))
			return n.views.size().Cold >= 3
		})
	}
	leave()
	if got := n.everything(t); got != want {
		t.Fatalf("before\n%s\nafter they left\n%s", want, got)
	}
	for i, snapshot := range []bool{true, false} {
		if snapshot {
			snapshotNow(t)(n)
		}
		cold := n.views.size().Cold
		n.crash(t)
		n = startNode(t, n.cfg)
		n.waitReady(t)
		if got := n.everything(t); got != want {
			t.Fatalf("restart %d: before\n%s\nafter\n%s", i, want, got)
		}
		if got := n.views.size().Cold; snapshot && got < cold {
			t.Errorf("%d sessions on the disk, before the restart %d", got, cold)
		}
	}
	leave()
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{newEvent(1, 5, "keepalive"), newEvent(1, 7, "keepalive")}), "duplicate", "accepted")
	if n.views.size().Revived == 0 || n.digest() == digest {
		t.Errorf("nothing came back: %+v", n.views.size())
	}
}

// TestColdStoreCannotBeRead: who asks is told so without a path, the log says the cause
// once, and the metrics that it is so; what is in memory is told as before.
func TestColdStoreCannotBeRead(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	n := startSingle(t, func(c *Config) {
		c.SessionMemory = 200 * time.Millisecond
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	n.tell(t, append(played(1, 1, 1000), played(2, 2, 1000)...)...)
	(&testCluster{nodes: []*testNode{n}}).goOn(t, "sessions leave memory", func() bool { return n.views.size().Cold == 2 })
	failed := func() bool {
		return strings.Contains(string(n.get(t, "/metrics").body), "\nplayhead_cold_failed 1\n")
	}
	if failed() {
		t.Fatal("the metrics tell of a failure before there is one")
	}
	snapshotNow(t)(n) // what it held in memory is in files now
	tables, err := filepath.Glob(filepath.Join(n.cfg.Raft.DataDir, coldDir, "*", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(data) / 2 {
			data[i] ^= 0xff
		}
		if err := os.WriteFile(table, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{profilePath(42, 1) + "/history", sessionsPath(42) + "/" + sessionID(1), profilePath(42, 1) + "/continue-watching"} {
		for range 2 {
			a := n.get(t, path)
			a.wantProblem(t, http.StatusInternalServerError, "")
			if text := string(a.body); strings.Contains(text, coldDir) || strings.Contains(text, ".sst") {
				t.Errorf("%s tells of files: %s", path, text)
			}
		}
	}
	n.get(t, profilePath(42, 1)+"/positions/1").want(t, http.StatusOK)
	n.get(t, sessionsPath(99)).want(t, http.StatusOK)
	if !failed() {
		t.Error("the metrics do not tell")
	}
	n.crash(t)
	if said := strings.Count(log.String(), "cannot be read"); said != 1 || !strings.Contains(log.String(), filepath.Base(tables[0])) {
		t.Errorf("said %d times:\n%s", said, log.String())
	}
}

// TestMovedSessionsAreCountedOn: a restored state does not begin to count again.
func TestMovedSessionsAreCountedOn(t *testing.T) {
	t.Parallel()
	n := startSingle(t, func(c *Config) { c.SessionMemory = 200 * time.Millisecond })
	n.tell(t, played(1, 1, 1000)...)
	(&testCluster{nodes: []*testNode{n}}).goOn(t, "a session leaves memory", func() bool { return n.views.size().Cold == 1 })
	n.tell(t, played(1, 1, 1000)[1].with("seq", 2, "type", "telemetry"))
	before := n.views.size()
	if err := n.views.adopt(viewing.NewState(viewing.Rules{}), n.views.stamp, ""); err != nil {
		t.Fatal(err)
	}
	if after := n.views.size(); before.Revived != 1 || after.Revived != 1 || after.Evicted < before.Evicted || after.Cold != 0 {
		t.Errorf("%+v, restored %+v", before, after)
	}
}

// TestNobodyReadsAStateThatMissesASession: the state that has met a disk which does not
// tell what a session was is nobody's to read, until the process has ended.
func TestNobodyReadsAStateThatMissesASession(t *testing.T) {
	t.Parallel()
	v, c := oldViews(t, 0, 42)
	for done := false; !done; {
		var err error
		if _, done, err = v.state.Evict(v.stamp, viewing.Keep{}, mostSteps); err != nil {
			t.Fatal(err)
		}
	}
	c.fails = errors.New("the disk is gone")
	start := goldenCommands(t)[0] // of a session that is known
	if !panics(func() { v.applyOne(1, int64(v.stamp), start.bytes) }) {
		t.Fatal("the node goes on without a session")
	}
	if v.state.Err() == nil {
		t.Fatal("it ended of something else")
	}
	if v.mu.TryRLock() {
		t.Error("it can be read")
	}
}
