package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// Deadlines of the helpers; a test fails when one passes.
const (
	within       = 20 * time.Second
	answerWithin = 30 * time.Second
)

// A node alone need not wait for anybody; three on a busy machine and under the
// race detector must not take each other for dead.
const (
	heartbeatAlone  = 150 * time.Millisecond
	heartbeatOfMany = time.Second
)

// client does not follow anything and keeps no state between tests but connections.
var client = &http.Client{Timeout: answerWithin}

// testNode is one running node, reached over real HTTP.
type testNode struct {
	*Server
	cfg    Config
	served chan error
}

func testConfig(dir string) Config {
	return Config{
		HTTPAddress: "127.0.0.1:0", Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
		Raft: raft.Config{
			NodeID: "n1", RaftAddress: "127.0.0.1:0", DataDir: filepath.Join(dir, "n1"),
			BootstrapExpect: 1, HeartbeatTimeout: heartbeatAlone,
		},
		Logger: slog.New(slog.DiscardHandler),
	}
}

// startNode opens and serves a node, which stops when the test ends.
func startNode(t testing.TB, cfg Config) *testNode {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("open %s: %v", cfg.Raft.NodeID, err)
	}
	return serveNode(t, s, cfg)
}

// serveNode serves an open node, which stops when the test ends.
func serveNode(t testing.TB, s *Server, cfg Config) *testNode {
	t.Helper()
	n := &testNode{Server: s, cfg: cfg, served: make(chan error, 1)}
	go func() { n.served <- s.Serve() }()
	t.Cleanup(func() { n.crash(t) })
	return n
}

// startSingle is a cluster of one that answers.
func startSingle(t testing.TB, change ...func(*Config)) *testNode {
	t.Helper()
	cfg := testConfig(t.TempDir())
	for _, c := range change {
		c(&cfg)
	}
	n := startNode(t, cfg)
	n.waitReady(t)
	return n
}

func (n *testNode) waitReady(t testing.TB) {
	t.Helper()
	rafttest.Eventually(t, n.nodeID+" is ready", func() bool {
		return n.send(t, http.MethodGet, "/readyz", nil).status == http.StatusOK
	})
}

// crash ends the node at once, handing nothing over. It may be called again.
func (n *testNode) crash(t testing.TB) {
	t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.end(t, ended) // in haste it may say that requests were cut
}

// shutDown ends the node the polite way.
func (n *testNode) shutDown(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := n.end(t, ctx); err != nil {
		t.Fatalf("close %s: %v", n.nodeID, err)
	}
}

func (n *testNode) end(t testing.TB, ctx context.Context) error {
	t.Helper()
	if n.served == nil {
		return nil
	}
	err := n.Close(ctx)
	if served := <-n.served; served != nil {
		t.Errorf("serve %s: %v", n.nodeID, served)
	}
	n.served = nil
	return err
}

// testCluster is three nodes founded together. Its methods are for the test's own goroutine.
type testCluster struct{ nodes []*testNode }

func startCluster(t testing.TB, change ...func(*Config)) *testCluster {
	t.Helper()
	c := &testCluster{}
	dir, addresses := t.TempDir(), rafttest.FreeAddresses(t, 3)
	for i, address := range addresses {
		cfg := testConfig(dir)
		cfg.Raft.NodeID = "n" + strconv.Itoa(i+1)
		cfg.Raft.DataDir = filepath.Join(dir, cfg.Raft.NodeID)
		cfg.Raft.RaftAddress, cfg.Raft.Join, cfg.Raft.BootstrapExpect = address, addresses, len(addresses)
		cfg.Raft.HeartbeatTimeout, cfg.Raft.LeaderLease = heartbeatOfMany, heartbeatOfMany
		for _, set := range change {
			set(&cfg)
		}
		c.nodes = append(c.nodes, startNode(t, cfg))
	}
	for _, n := range c.nodes {
		n.waitReady(t)
	}
	return c
}

func (n *testNode) running() bool { return n.served != nil }

// leader waits until exactly one running node leads.
func (c *testCluster) leader(t testing.TB) *testNode {
	t.Helper()
	var leader *testNode
	rafttest.Eventually(t, "one leader", func() bool {
		leading := 0
		for _, n := range c.nodes {
			if n.running() && n.node.IsLeader() {
				leader = n
				leading++
			}
		}
		return leading == 1
	})
	return leader
}

func (c *testCluster) followers(t testing.TB) []*testNode {
	t.Helper()
	leader := c.leader(t)
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *testNode) bool { return n == leader || !n.running() })
}

// running are the nodes that were not stopped.
func (c *testCluster) running() []*testNode {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *testNode) bool { return !n.running() })
}

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send asks a node. body is nil, a string, bytes, a reader (sent in chunks) or
// something to write as JSON; headers are names and values in turn. Content-Type
// is application/json where there is a body, unless headers say otherwise.
func (n *testNode) send(t testing.TB, method, path string, body any, headers ...string) answer {
	t.Helper()
	a, err := n.trySend(method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (n *testNode) trySend(method, path string, body any, headers ...string) (answer, error) {
	return sendTo("http://"+n.HTTPAddress(), method, path, body, headers...)
}

// sendTo asks whoever answers at a URL.
func sendTo(url, method, path string, body any, headers ...string) (answer, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = bytes.NewReader([]byte(b))
	case []byte:
		in = bytes.NewReader(b)
	case io.Reader:
		in = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, url+path, in)
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return answer{response.StatusCode, response.Header, text}, nil
}

func (n *testNode) get(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	return n.send(t, http.MethodGet, path, nil, headers...)
}

// want checks the status and returns the answer's JSON object.
func (a answer) want(t testing.TB, status int) map[string]any {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d, want %d: %s", a.status, status, a.body)
	}
	if got := a.header.Get("Content-Type"); status < 300 && got != "application/json" {
		t.Fatalf("content type %q of %s", got, a.body)
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return object
}

// wantProblem checks that the answer is a problem as RFC 9457 wants it, and that it
// names the field (empty: none is to blame).
func (a answer) wantProblem(t testing.TB, status int, field string) map[string]any {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type %q of %d %s", got, a.status, a.body)
	}
	p := a.want(t, status)
	if p["type"] == "" || p["type"] == nil || p["title"] == "" || p["title"] == nil || number(t, p, "status") != int64(status) {
		t.Fatalf("type, title and status are wrong: %s", a.body)
	}
	if got, _ := p["field"].(string); got != field {
		t.Fatalf("blames field %q, want %q: %s", got, field, a.body)
	}
	if detail, _ := p["detail"].(string); field != "" && !bytes.Contains([]byte(detail), []byte(field)) {
		t.Fatalf("the detail does not name %s: %s", field, a.body)
	}
	return p
}

// index is the answer's Playhead-Index.
func (a answer) index(t testing.TB) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(a.header.Get(headerIndex), 10, 64)
	if err != nil || v == 0 {
		t.Fatalf("%s is %q on %d %s", headerIndex, a.header.Get(headerIndex), a.status, a.body)
	}
	return v
}

// wantKeys checks that an object has these keys and no other.
func wantKeys(t testing.TB, object map[string]any, keys ...string) {
	t.Helper()
	slices.Sort(keys)
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, keys) {
		t.Fatalf("keys\n%v, want\n%v", got, keys)
	}
}

func number(t testing.TB, object map[string]any, key string) int64 {
	t.Helper()
	n, ok := object[key].(json.Number)
	if !ok {
		t.Fatalf("%s is %v, want a number", key, object[key])
	}
	v, err := n.Int64()
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return v
}

// list is the objects under key; it is a list even when it is empty.
func list(t testing.TB, object map[string]any, key string) []map[string]any {
	t.Helper()
	values, ok := object[key].([]any)
	if !ok {
		t.Fatalf("%s is %v, want a list", key, object[key])
	}
	objects := make([]map[string]any, 0, len(values))
	for _, v := range values {
		objects = append(objects, v.(map[string]any))
	}
	return objects
}
