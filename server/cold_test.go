package server

import (
	"net/http"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
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
		rafttest.Eventually(t, within, "sessions leave memory", func() bool {
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
