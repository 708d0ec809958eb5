package target

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Two of three nodes are gone for good, twice (known bug 21): what is left is made a new
// cluster, and new nodes are sent all that it has, not what an older snapshot had. A
// node with data of the old cluster is not taken in. The archive of before is whole.
func TestALostMajorityIsRecovered(t *testing.T) {
	t.Parallel()
	withALogStore(t, func(t *testing.T, store string) {
		cluster := boot(t, 3, "PLAYHEAD_LOG_STORE="+store)
		s := newStorm(t, cluster)
		s.begin()
		for round := range 2 {
			if round > 0 { // the first time nobody knows from a snapshot of which cluster he is
				for _, node := range cluster.Nodes() {
					s.snapshot(node)
				}
			}
			s.more(200)
			left := leaderOf(t, cluster) // it has all that was acknowledged
			lost := without(cluster.Nodes(), left)
			s.kill(lost...)
			s.kill(left)
			aside := mustRecover(t, left, store)
			if round == 0 { // the next begins after an entry
				if out, err := exec.Command(binary, "replay", aside).CombinedOutput(); err != nil {
					t.Errorf("replay %s: %v\n%s", aside, err, out)
				}
			}
			s.restart(left)
			s.more(100)
			if err := lost[0].Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, lost[0].ID+" is up", func() bool { return lost[0].ask(t.Context(), "/healthz", nil) == nil })
			if status, text := join(t, left, lost[0]); status != http.StatusConflict || !strings.Contains(text, "remove its data directory first") {
				t.Errorf("round %d: %s with the data of the old cluster is added: %d %s", round, lost[0].ID, status, text)
			}
			s.kill(lost[0])
			for _, node := range lost {
				if err := os.RemoveAll(node.dataDir()); err != nil {
					t.Fatal(err)
				}
				if err := node.Start(); err != nil {
					t.Fatal(err)
				}
				eventually(t, node.ID+" is added", func() bool {
					status, _ := join(t, left, node)
					return status/100 == 2
				})
				mustBeReady(t, node)
			}
			s.more(100)
		}
		s.end()
		s.check()
	})
}

// mustRecover makes a node that is down the only member, and tells where its archive is.
func mustRecover(t *testing.T, node *Node, store string) (archive string) {
	t.Helper()
	command := exec.Command(binary, "recover", "--force", "--node-id", node.ID, "--data", node.dataDir(), "--log-store", store)
	var trouble bytes.Buffer
	command.Stderr = &trouble
	said, err := command.Output()
	if err != nil || !strings.Contains(string(said), "It is now the only member of the new cluster") {
		t.Fatalf("recover: %v: %s%s", err, said, trouble.String())
	}
	_, after, _ := strings.Cut(string(said), "The archive of before is in ")
	archive, _, found := strings.Cut(after, ".\n")
	if !found {
		t.Fatalf("no archive was moved aside: %s", said)
	}
	return archive
}

// join asks a node to take another in.
func join(t *testing.T, node, other *Node) (status int, text string) {
	t.Helper()
	raft := other.args[slices.Index(other.args, "--raft")+1]
	body := fmt.Sprintf(`{"node_id":%q,"raft_address":%q,"voter":true}`, other.ID, raft)
	response, err := http.Post(node.URL+"/v1/cluster/members", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
