package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/server/token"
)

// TestClusterBehindDoors is three processes with certificates and tokens, clients on
// every address: they serve, pass requests on, take a new key without a restart, lose
// their leader to SIGKILL and go on; and no log tells a secret.
func TestClusterBehindDoors(t *testing.T) {
	t.Parallel()
	c := startGuardedCluster(t)
	c.eventually("leader", "status")
	device := c.issue(t, "device", c.tokens, "--account", "42")
	for i := range c.nodes { // two of three pass them on
		c.tell(t, i, device, i, "accepted")
	}
	if code, _, err := c.ask("http://"+c.nodes[0].http, http.MethodGet, "/v1/accounts/42/sessions", device, ""); err == nil && code != http.StatusBadRequest {
		t.Errorf("in the clear: answered %d", code)
	}
	if code, answer, err := c.ask(c.url(0), http.MethodGet, "/v1/accounts/43/sessions", device, ""); code != http.StatusForbidden {
		t.Errorf("another account: answered %d %s, %v", code, answer, err)
	}

	// Twice a new key: the first is gone, once each node was told.
	for range 2 {
		c.issue(t, "rotate", c.tokens)
	}
	newer := c.issue(t, "device", c.tokens, "--account", "42")
	for i, n := range c.nodes {
		if err := n.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		rafttest.Eventually(t, "the old key is gone", func() bool {
			code, _, _ := c.ask(c.url(i), http.MethodGet, "/v1/accounts/42/sessions", device, "")
			return code == http.StatusUnauthorized
		})
		c.tell(t, i, newer, 10+i, "accepted")
	}

	leader := c.leader(t)
	if err := c.nodes[leader].process.Kill(); err != nil {
		t.Fatal(err)
	}
	left := (leader + 1) % len(c.nodes)
	c.node = "https://" + c.nodes[left].admin
	rafttest.Eventually(t, "another node leads", func() bool {
		_, out, _ := c.run("status", "--json")
		return !strings.Contains(out, `"leader_id":"`+c.nodes[leader].id+`"`) && strings.Contains(out, `"leader_id":"n`)
	})
	rafttest.Eventually(t, "a write succeeds", func() bool {
		code, _, _ := c.ask(c.url(left), http.MethodPost, "/v1/events", newer, eventOf(20))
		return code == http.StatusOK
	})
	for _, session := range []int{0, 1, 2, 10, 11, 12, 20} {
		path := fmt.Sprintf("/v1/accounts/42/sessions/%s?consistency=linearizable", sessionOf(session))
		if code, answer, err := c.ask(c.url(left), http.MethodGet, path, newer, ""); code != http.StatusOK {
			t.Errorf("session %d is lost: %d %s, %v", session, code, answer, err)
		}
	}
	c.wantNoSecrets(t, device, newer)
}

// guardedCluster is asked with its admin's token; nodes are asked over TLS.
type guardedCluster struct {
	clusterCommand
	dir, tokens string
	ca          string // who signed what clients are shown
	nodes       []guardedNode
	client      *http.Client
	secrets     []string // that were in the token file
}

type guardedNode struct {
	id, http, admin, log string
	process              *os.Process
}

func (c *guardedCluster) url(i int) string { return "https://" + c.nodes[i].http }

func startGuardedCluster(t *testing.T, flags ...string) *guardedCluster {
	t.Helper()
	dir := t.TempDir()
	web, peers := rafttest.NewAuthority(t), rafttest.NewAuthority(t)
	webCert, webKey := rafttest.WritePair(t, dir, "web", web.Issue(t, nil, "localhost"))
	webCA, peerCA := web.WriteCA(t, filepath.Join(dir, "web-ca.pem")), peers.WriteCA(t, filepath.Join(dir, "peer-ca.pem"))
	c := &guardedCluster{dir: dir, tokens: filepath.Join(dir, "tokens.json"), ca: webCA, client: &http.Client{
		Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: web.Pool}},
	}}
	t.Cleanup(c.client.CloseIdleConnections)
	c.issue(t, "new", c.tokens)
	free := rafttest.FreeAddresses(t, 9)
	raft := free[:3]
	for i, address := range raft {
		n := guardedNode{id: fmt.Sprintf("n%d", i+1), http: free[3+i], admin: free[6+i]}
		n.log = filepath.Join(dir, n.id+".log")
		_, port, _ := strings.Cut(n.http, ":")
		cert, key := rafttest.WritePair(t, dir, n.id, peers.Issue(t, nil, n.id))
		n.process = startNode(t, binary, n.log, append(flags, "--node-id", n.id, "--http", "0.0.0.0:"+port, "--admin", n.admin, "--raft", address,
			"--data", filepath.Join(dir, n.id), "--bootstrap-expect", "3", "--join", strings.Join(raft, ","),
			"--tokens", c.tokens, "--tls-cert", webCert, "--tls-key", webKey, "--peer-cert", cert, "--peer-key", key, "--peer-ca", peerCA)...)
		c.nodes = append(c.nodes, n)
	}
	c.clusterCommand = clusterCommand{t: t, node: "https://" + c.nodes[0].admin, flags: []string{"--tokens", c.tokens, "--ca", webCA}}
	return c
}

// startNode starts a process that ends with the test; what it says goes to a file.
func startNode(t *testing.T, binary, log string, flags ...string) *os.Process {
	t.Helper()
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command(binary, append([]string{"serve"}, flags...)...)
	node.Stdout, node.Stderr = output, output
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Process.Signal(syscall.SIGTERM) // it may have been killed
		_ = node.Wait()
		_ = output.Close()
	})
	return node.Process
}

// issue runs a subcommand of token, and remembers what is secret then.
func (c *guardedCluster) issue(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(t.Context(), append([]string{"token"}, args...), &out, &errs); code != exitOK {
		t.Fatalf("token %q: exit code %d: %s", args, code, errs.String())
	}
	file, err := token.ReadFile(c.tokens)
	if err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, file.Admin...)
	for _, k := range file.Keys {
		text, err := json.Marshal(k.Secret)
		if err != nil {
			t.Fatal(err)
		}
		c.secrets = append(c.secrets, strings.Trim(string(text), `"`))
	}
	return strings.TrimSpace(out.String())
}

func (c *guardedCluster) ask(url, method, path, bearer, body string) (code int, answer []byte, err error) {
	request, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	response, err := c.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// tell sends an event of a session to a node, again while nobody leads.
func (c *guardedCluster) tell(t *testing.T, node int, bearer string, session int, want string) {
	t.Helper()
	rafttest.Eventually(t, "an event is "+want, func() bool {
		code, answer, _ := c.ask(c.url(node), http.MethodPost, "/v1/events", bearer, eventOf(session))
		if code != http.StatusOK && code != http.StatusServiceUnavailable {
			t.Fatalf("answered %d: %s", code, answer)
		}
		return code == http.StatusOK && (strings.Contains(string(answer), want) || strings.Contains(string(answer), "duplicate"))
	})
}

func (c *guardedCluster) leader(t *testing.T) int {
	t.Helper()
	leader := -1
	rafttest.Eventually(t, "a node leads", func() bool {
		_, out, _ := c.run("status", "--json")
		for i, n := range c.nodes {
			if strings.Contains(out, `"leader_id":"`+n.id+`"`) {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// wantNoSecrets reads the logs.
func (c *guardedCluster) wantNoSecrets(t *testing.T, issued ...string) {
	t.Helper()
	secrets := append(c.secrets, issued...)
	keys, err := filepath.Glob(filepath.Join(c.dir, "*-key.pem"))
	if err != nil || len(keys) != 1+len(c.nodes) {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, key := range keys {
		text, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, strings.Split(string(text), "\n")[1])
	}
	for _, n := range c.nodes {
		text, err := os.ReadFile(n.log)
		if err != nil || !bytes.Contains(text, []byte("node is up")) || !bytes.Contains(text, []byte("read tokens and certificates again")) {
			t.Errorf("%s says %s, %v", n.id, text, err)
		}
		for _, secret := range secrets {
			if len(secret) < 32 || bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s tells the secret %q", n.id, secret)
			}
		}
	}
}

func sessionOf(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n+1) }

// eventOf is a batch of the one event of a session that was played offline.
func eventOf(session int) string {
	return fmt.Sprintf(`[{"session_id":%q,"seq":1,"type":"keepalive","at":%q,"account_id":42,"profile_id":1,"device_id":%d,"device_type":"tv","title_id":80,"position_ms":1,"played_ms":1,"offline":true}]`,
		sessionOf(session), time.Now().UTC().Format(time.RFC3339), session+1)
}
