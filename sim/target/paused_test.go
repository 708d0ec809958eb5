package target

import (
	"crypto/x509"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// A leader is stopped: its system takes connections that nobody proves himself on. Of
// the writes that wait for one at the other nodes, far more than are opened at once,
// many are acknowledged by the next leader, and so is a write that comes later, while
// the first is still stopped. Waiting for the one they would all time out.
func TestWritesLeaveAStoppedLeader(t *testing.T) {
	t.Parallel()
	const waiting = 400 // at each node; those that try to open a connection, 32 at a time for a second each, may be refused
	dir, authority := t.TempDir(), rafttest.NewAuthority(t)
	cert, key := rafttest.WritePair(t, dir, "peer", authority.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"n1", "n2", "n3"} }))
	cluster := boot(t, 3, "PLAYHEAD_PEER_CERT="+cert, "PLAYHEAD_PEER_KEY="+key, "PLAYHEAD_PEER_CA="+authority.WriteCA(t, filepath.Join(dir, "ca.pem")))
	stopped := leaderOf(t, cluster)
	others, batch := without(cluster.Nodes(), stopped), batchOf(1)
	send := func(s syscall.Signal) {
		if err := syscall.Kill(stopped.pid(), s); err != nil {
			t.Error(err)
		}
	}
	send(syscall.SIGSTOP)
	t.Cleanup(func() { send(syscall.SIGCONT) })
	var writes sync.WaitGroup
	var acknowledged [2]atomic.Int64
	for i, node := range others {
		for n := range waiting {
			writes.Go(func() {
				if status, _ := postEvents(t, node.URL, firstAccount+i*waiting+n, 1, batch); status == http.StatusOK {
					acknowledged[i].Add(1)
				}
			})
		}
	}
	var follower *Node
	eventually(t, "another leads", func() bool {
		for _, node := range others {
			if status, err := node.Cluster(t.Context()); err == nil && status.Role == "leader" {
				follower = without(others, node)[0]
				return true
			}
		}
		return false
	})
	eventually(t, "a write is acknowledged through "+follower.ID, func() bool {
		status, _ := postEvents(t, follower.URL, firstAccount+len(others)*waiting, 1, batch)
		return status == http.StatusOK
	})
	writes.Wait()
	here, there := acknowledged[0].Load(), acknowledged[1].Load()
	t.Logf("of %d writes that waited at each, %d and %d were acknowledged", waiting, here, there)
	if here+there < waiting/2 { // on a busy machine the next leader may not last: all of one node's are refused then
		t.Errorf("of %d writes that waited at each of two nodes, %d and %d were acknowledged, want many", waiting, here, there)
	}
}
