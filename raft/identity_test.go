package raft_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// prove gives each node of a cluster a certificate of its own.
func prove(t testing.TB, a *rafttest.Authority) func(int, *raft.Config) {
	return func(_ int, cfg *raft.Config) { cfg.Identity = a.Identity(t, cfg.NodeID) }
}

// TestNodesThatProveThemselves found a cluster, lose their leader, and take one more in.
func TestNodesThatProveThemselves(t *testing.T) {
	t.Parallel()
	a := rafttest.NewAuthority(t)
	c := rafttest.NewClusterWith(t, 3, newList, prove(t, a))
	propose(t, c, "before")
	lost := c.LeaderAt(t)
	c.Stop(lost)
	index := writesWithin3(t, c, lost, "after")
	c.Config(0).Identity = a.Identity(t, "n4") // Add copies it
	fourth := c.Add(t)
	c.Join(t, fourth, true)
	holds(t, c, fourth, index, []string{"before", "after"})
}

func writesWithin3(t *testing.T, c *rafttest.Cluster, lost int, command string) (index uint64) {
	t.Helper()
	rafttest.Eventually(t, "a write succeeds", func() bool {
		for _, i := range others(lost) {
			var err error
			if _, index, err = c.Node(i).Propose(within(t, time.Second), []byte(command)); err == nil {
				return true
			}
		}
		return false
	})
	return index
}

// TestStrangersAtTheRaftPort: who does not prove to be a node is told nothing, and is
// heard by nobody.
func TestStrangersAtTheRaftPort(t *testing.T) {
	t.Parallel()
	a, other := rafttest.NewAuthority(t), rafttest.NewAuthority(t)
	c := rafttest.NewClusterWith(t, 1, newList, prove(t, a))
	node, address := c.Leader(t), c.Config(0).RaftAddress
	heard := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := node.Forwarded().Accept()
			if err != nil {
				return
			}
			heard <- struct{}{}
			_ = conn.Close()
		}
	}()
	for name, settings := range map[string]*tls.Config{
		"in the clear":         nil,
		"no certificate":       {},
		"of another authority": {Certificates: []tls.Certificate{other.Issue(t, nil, "n1")}},
		"expired":              {Certificates: []tls.Certificate{a.Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "n1")}},
		"for servers alone": {Certificates: []tls.Certificate{a.Issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, "n1")}},
		"TLS 1.2": {Certificates: []tls.Certificate{a.Issue(t, nil, "n1")}, MaxVersion: tls.VersionTLS12},
	} {
		for _, first := range []string{"FGET / HTTP/1.1\r\n\r\n", "\x00 and more of it", "H{\"version\":1,\"node_id\":\"n1\"}\n"} {
			if said, err := visit(t, address, settings, first); said != "" || !ended(err) {
				t.Errorf("%s, %q: told %q, %v", name, first, said, err)
			}
		}
	}
	if len(heard) > 0 {
		t.Errorf("%d strangers were heard", len(heard))
	}
	// The test is not blind: a node is heard, and told.
	good := &tls.Config{Certificates: []tls.Certificate{a.Issue(t, nil, "n2")}}
	if said, err := visit(t, address, good, "H{\"version\":1,\"node_id\":\"n2\"}\n"); !strings.Contains(said, `"node_id":"n1"`) {
		t.Errorf("a node is told %q, %v", said, err)
	}
	if said, _ := visit(t, address, good, "H{\"version\":1,\"node_id\":\"n3\"}\n"); said != "" {
		t.Errorf("a node under another's name is told %q", said)
	}
	if _, err := visit(t, address, good, "F"); !ended(err) {
		t.Error(err)
	}
	<-heard
}

// visit says something at an address and returns what it is told until the end.
func visit(t *testing.T, address string, settings *tls.Config, say string) (told string, err error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if settings != nil {
		settings.InsecureSkipVerify = true
		conn = tls.Client(conn, settings)
	}
	if _, err := io.WriteString(conn, say); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	if settings == nil && bytes.HasPrefix(text, []byte{21, 3}) { // an alert of TLS
		text = nil
	}
	return string(text), err
}

// ended says that a connection was ended by the other side, not by our patience.
func ended(err error) bool {
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// TestWrongNames: a certificate of the right authority is that of the node it names
// and of no other.
func TestWrongNames(t *testing.T) {
	t.Parallel()
	a := rafttest.NewAuthority(t)
	c := rafttest.NewClusterWith(t, 1, newList, prove(t, a))
	impostor := *c.Config(0)
	impostor.NodeID, impostor.DataDir, impostor.BootstrapExpect, impostor.Join = "n2", t.TempDir(), 0, nil
	impostor.RaftAddress, impostor.Identity = "127.0.0.1:0", a.Identity(t, "n9")
	node, err := raft.Open(impostor, &list{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := node.Close(within(t, 10*time.Second)); err != nil {
			t.Error(err)
		}
	}()
	at := node.Forwarded().Addr().String()
	err = c.Leader(t).AddMember(within(t, 10*time.Second), "n2", at, true)
	if !errors.Is(err, raft.ErrMemberRefused) || !strings.Contains(err.Error(), "its certificate does not") {
		t.Errorf("added under a name that its certificate does not have: %v", err)
	}
	if conn, err := c.Leader(t).DialPeer(t.Context(), raft.Peer{NodeID: "n2", RaftAddress: at}); err == nil || !strings.Contains(err.Error(), `names "n9", expected the node "n2"`) {
		t.Errorf("requests are passed on to it: %v, %v", conn, err)
	}
	for name, check := range map[string]struct {
		identity raft.Identity
		nodeID   string
	}{
		"another name":      {a.Identity(t, "n9")(), "n2"},
		"wildcard":          {a.Identity(t, "*.example.com")(), "n2.example.com"},
		"another authority": {raft.Identity{Certificate: a.Issue(t, nil, "n2"), Authorities: rafttest.NewAuthority(t).Pool}, "n2"},
		"for servers alone": {raft.Identity{Authorities: a.Pool, Certificate: a.Issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, "n2")}, "n2"},
		"nothing": {raft.Identity{}, "n2"},
	} {
		if err := check.identity.Check(check.nodeID, time.Now()); err == nil {
			t.Errorf("%s: passes for %s", name, check.nodeID)
		}
	}
	named := raft.Identity{Authorities: a.Pool, Certificate: a.Issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "n2" })}
	if err := errors.Join(named.Check("n2", time.Now()), a.Identity(t, "n2")().Check("n2", time.Now())); err != nil {
		t.Error(err)
	}
}

// TestLogGoesToTheNodeOfTheAddress: at a member's address stands another node, with a
// certificate of the authority; the leader tells it nothing.
func TestLogGoesToTheNodeOfTheAddress(t *testing.T) {
	t.Parallel()
	a := rafttest.NewAuthority(t)
	c := rafttest.NewClusterWith(t, 3, newList, prove(t, a))
	propose(t, c, "before")
	gone := (c.LeaderAt(t) + 1) % 3
	c.Stop(gone)
	var listener net.Listener
	rafttest.Eventually(t, "its port is free", func() (ok bool) {
		var err error
		listener, err = net.Listen("tcp", c.Config(gone).RaftAddress)
		return err == nil
	})
	defer listener.Close()
	var came, said atomic.Int64
	go func() {
		settings := &tls.Config{Certificates: []tls.Certificate{a.Issue(t, nil, "n9")}, ClientAuth: tls.RequireAnyClientCert}
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				n, _ := io.Copy(io.Discard, tls.Server(conn, settings))
				said.Add(n)
				came.Add(1)
			}()
		}
	}()
	rafttest.Eventually(t, "the others try to reach it", func() bool { return came.Load() >= 5 })
	writesWithin3(t, c, gone, "after")
	if n := said.Load(); n > 0 {
		t.Errorf("it was told %d bytes", n)
	}
}

// TestSilentStrangers: those who never end their handshake, or claim that it is long,
// keep no node out, cost little, and are cut.
func TestSilentStrangers(t *testing.T) {
	t.Parallel()
	const strangers = 200
	a := rafttest.NewAuthority(t)
	c := rafttest.NewClusterWith(t, 1, newList, prove(t, a))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var conns []net.Conn
	for i := range strangers {
		conn, err := net.Dial("tcp", c.Config(0).RaftAddress)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 { // a record of 16 KiB, in it a hello of 16 MiB, of which nothing more comes
			_, _ = conn.Write(append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 16<<10)...))
		}
		conns = append(conns, conn)
	}
	c.Config(0).Identity = a.Identity(t, "n2") // Add copies it
	second := c.Add(t)
	c.Join(t, second, false)
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
		t.Errorf("%d strangers cost %d bytes", strangers, spent)
	}
	for _, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(conn); !ended(err) {
			t.Fatalf("a stranger is not cut: %v", err)
		}
	}
}
