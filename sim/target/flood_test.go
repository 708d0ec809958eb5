//go:build soak

package target

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Of large batches at once, at all nodes and far more than they take, every one is
// acknowledged and there, or refused with 429 and nothing of it was done; and the
// nodes' memory stays within what the limits add up to.
func TestOverloadedCluster(t *testing.T) {
	t.Parallel()
	const clients, perBatch, enough, mostBytes = 480, 10_000, 8, 1 << 30 // a batch is 2 MB: each node is sent more than it has memory for
	cluster := boot(t, 3)
	leaderOf(t, cluster)
	batch := batchOf(perBatch)
	var next atomic.Int64
	var refusals atomic.Int64
	var acknowledged sync.Map // account → whether its batch was
	ctx, stop := context.WithTimeout(t.Context(), readyTimeout)
	defer stop()
	most := 0.0
	var flood sync.WaitGroup
	for i := range clients {
		url := cluster.URLs()[i%3]
		flood.Go(func() {
			for ctx.Err() == nil && refusals.Load() < enough {
				account := firstAccount + int(next.Add(1))
				status, header := postEvents(t, url, account, perBatch, batch)
				switch status {
				case http.StatusOK:
					acknowledged.Store(account, true)
				case http.StatusTooManyRequests:
					acknowledged.Store(account, false)
					refusals.Add(1)
					if header.Get("Retry-After") == "" {
						t.Error("refused without Retry-After")
					}
				case http.StatusServiceUnavailable, 0: // a leader or a connection was lost on a machine too busy: there or not
				default:
					t.Errorf("answered %d", status)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { flood.Wait(); close(ended) }()
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-time.After(10 * pollInterval):
		}
		for _, node := range cluster.Nodes() {
			most = max(most, node.metric(t, residentBytes))
		}
	}
	if refusals.Load() < enough {
		t.Fatalf("%d of %d batches were refused: this is no overload", refusals.Load(), next.Load())
	}
	leader := leaderOf(t, cluster)
	kept := 0
	acknowledged.Range(func(account, is any) bool {
		want := 0
		if is.(bool) {
			want = perBatch
			kept++
		}
		if got := eventsOf(t, leader.URL, account.(int)); got != want {
			t.Errorf("account %d, acknowledged %v: %d events are there", account, is, got)
		}
		return true
	})
	t.Logf("%d acknowledged, %d refused, at most %.0f MiB in a node", kept, refusals.Load(), most/(1<<20))
	if kept == 0 || most > mostBytes {
		t.Errorf("%d batches were acknowledged, a node took %.0f bytes, want at most %d", kept, most, mostBytes)
	}
}
