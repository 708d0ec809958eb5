package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// TestManyAtOnce writes and reads on all nodes at the same time: every event is
// acknowledged once and kept, a reader never goes back in time on one node, and
// in the end all nodes hold the same state.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	const writers, batches, perBatch = 9, 12, 10
	var writing, reading sync.WaitGroup
	var over atomic.Bool
	for w := range writers {
		writing.Go(func() {
			n, account := c.nodes[w%3], 100+w
			for b := range batches {
				var events []event
				for i := range perBatch {
					events = append(events, newEvent(w, b*perBatch+i, "keepalive").with("account_id", account))
				}
				events = append(events, events[0], event{"seq": 1})
				a, err := n.trySend(http.MethodPost, "/v1/events", events)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %v, %d %s", n.nodeID, err, a.status, a.body)
					return
				}
				var told struct{ Outcomes []struct{ Status string } }
				if err := json.Unmarshal(a.body, &told); err != nil || len(told.Outcomes) != perBatch+2 {
					t.Errorf("%v: %s", err, a.body)
					return
				}
				for i, o := range told.Outcomes {
					want := "accepted"
					switch {
					case i == perBatch:
						want = "duplicate"
					case i > perBatch:
						want = "rejected"
					}
					if o.Status != want {
						t.Errorf("batch %d of %d: event %d is %s, want %s", b, w, i, o.Status, want)
					}
				}
				// It reads its own write on the next node.
				other := c.nodes[(w+1)%3]
				s, err := other.trySend(http.MethodGet, sessionsPath(account)+"/"+sessionID(w)+"?consistency=stale", nil, headerMinIndex, a.header.Get(headerIndex))
				var report struct {
					LastSeq int `json:"last_seq"`
				}
				if err != nil || json.Unmarshal(s.body, &report) != nil || report.LastSeq != (b+1)*perBatch-1 {
					t.Errorf("%s after its write: %v, %d %s, want seq %d", other.nodeID, err, s.status, s.body, (b+1)*perBatch-1)
				}
			}
		})
	}
	for r := range 6 {
		reading.Go(func() {
			n, seen := c.nodes[r%3], uint64(0)
			for i := 0; !over.Load(); i++ {
				account := 100 + (r+i)%writers
				for _, path := range []string{
					withLevel(sessionsPath(account), []string{"stale", "leader", "linearizable"}[i%3]),
					profilePath(account, 1) + "/history?consistency=stale", "/v1/cluster", "/metrics", "/readyz",
				} {
					a, err := n.trySend(http.MethodGet, path, nil)
					if err != nil || a.status != http.StatusOK {
						t.Errorf("%s %s: %v, %d %s", n.nodeID, path, err, a.status, a.body)
						return
					}
					var index uint64
					if _, err := fmt.Sscan(a.header.Get(headerIndex), &index); err == nil && i%3 == 0 {
						if index < seen {
							t.Errorf("%s went back from %d to %d", n.nodeID, seen, index)
						}
						seen = index
					}
				}
				if r == 0 && i%10 == 0 {
					if a, err := n.trySend(http.MethodPost, "/v1/cluster/snapshot", nil); err != nil || a.status >= http.StatusInternalServerError {
						t.Errorf("snapshot: %v, %d %s", err, a.status, a.body)
					}
				}
			}
		})
	}
	writing.Wait()
	over.Store(true)
	reading.Wait()
	for w := range writers {
		s := c.nodes[(w+2)%3].get(t, sessionsPath(100+w)+"/"+sessionID(w)+"?consistency=linearizable").want(t, http.StatusOK)
		if number(t, s, "events") != batches*perBatch {
			t.Errorf("writer %d: %v events, want %d", w, s["events"], batches*perBatch)
		}
	}
	leader := c.leader(t)
	rafttest.Eventually(t, "all nodes hold the same state", func() bool {
		for _, n := range c.nodes {
			if n.digest() != leader.digest() {
				return false
			}
		}
		return true
	})
}

// TestRacingStarts: of many starts at once on all nodes as many are admitted as
// the account may play, and one start that is repeated is one start.
func TestRacingStarts(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.leader(t).setLimit(t, 42, 3)
	const devices = 24
	race := func(e func(i int) event) (byStatus map[int]int, bodies map[string]int) {
		var mu sync.Mutex
		var racing sync.WaitGroup
		byStatus, bodies = map[int]int{}, map[string]int{}
		for i := range devices {
			racing.Go(func() {
				body := e(i)
				a, err := c.nodes[i%3].trySend(http.MethodPost, sessionsPath(42), body)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("start %d: %v", i, err)
				}
				byStatus[a.status]++
				bodies[string(bytes.TrimSpace(a.body))]++
			})
		}
		racing.Wait()
		return byStatus, bodies
	}
	statuses, _ := race(func(i int) event { return newEvent(1+i, 0, "start") })
	if statuses[http.StatusCreated] != 3 || statuses[http.StatusConflict] != devices-3 {
		t.Errorf("answered %v", statuses)
	}
	active := list(t, c.leader(t).get(t, sessionsPath(42)+"?consistency=linearizable").want(t, http.StatusOK), "active")
	if len(active) != 3 {
		t.Errorf("%d active", len(active))
	}
	for _, a := range active {
		id := a["session_id"].(string)
		var n int
		if _, err := fmt.Sscanf(id, "00000000-0000-4000-8000-%d", &n); err != nil {
			t.Fatal(err)
		}
		c.leader(t).tell(t, newEvent(n, 1, "stop"))
	}
	statuses, bodies := race(func(int) event {
		return newEvent(500, 0, "start").with("at", begun.Add(time.Minute).Format(timeLayout))
	})
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusOK] != devices-1 || len(bodies) != 1 {
		t.Errorf("answered %v, %d different bodies", statuses, len(bodies))
	}
}
