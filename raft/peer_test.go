package raft

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPeerIsAskedOnceAtATime(t *testing.T) {
	var asked atomic.Int64
	m, err := newMux("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.serve(func(c net.Conn) {
		asked.Add(1)
		time.Sleep(20 * time.Millisecond) // the others come in between
		serveHello(c, func() helloAnswer { return helloAnswer{NodeID: "n1", RaftAddress: m.address} })
	})
	book := &peerBook{nodeID: "n2", known: map[string]peerEntry{}}
	var asking sync.WaitGroup
	for range 100 {
		asking.Go(func() {
			if got, err := book.ask(t.Context(), m.address); err != nil || got.NodeID != "n1" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	asking.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	_ = m.Close()
	book.forget()
	if got, err := book.ask(t.Context(), m.address); err == nil || got.NodeID != "n1" {
		t.Errorf("of a peer that does not answer: %+v, %v; want the last answer and an error", got, err)
	}
}

func TestHellosDoNotKeepRaftOut(t *testing.T) {
	m, err := newMux("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	hold := make(chan struct{})
	defer close(hold)
	var held atomic.Int64
	m.serve(func(net.Conn) { held.Add(1); <-hold })
	dial := func(first byte) {
		conn, err := net.Dial("tcp", m.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte{first})
	}
	for range maxControlConns + 10 {
		dial(helloByte)
	}
	for deadline := time.Now().Add(10 * time.Second); held.Load() < maxControlConns; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d hellos are served", held.Load())
		}
	}
	dial(0)
	select {
	case conn := <-m.raft:
		_ = conn.Close()
	case <-time.After(10 * time.Second):
		t.Error("hellos keep a connection of raft out")
	}
}

func TestChangeErrors(t *testing.T) {
	for _, text := range []string{"leadership transfer timeout", "failed to make TimeoutNow RPC to n2: EOF"} {
		if err := changeError(errors.New(text)); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := changeError(nil); err != nil {
		t.Error(err)
	}
}

func TestLogOfAnotherClusterStopsTheNode(t *testing.T) {
	ours, theirs := clusterID{1}, clusterID{2}
	m := &machine{}
	if err := m.belongTo(ours, false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.belongTo(theirs, false), m.belongTo(ours, true)); err != nil {
		t.Errorf("a late proposal, our own id: %v", err)
	}
	e, err := decodeEntry(sealMark(1, theirs, true))
	if err != nil || !e.settled || e.cluster != theirs {
		t.Fatalf("decoded %+v, %v", e, err)
	}
	if err := m.belongTo(e.cluster, e.settled); !errors.Is(err, errOtherCluster) {
		t.Errorf("another cluster's mark: %v", err)
	}
}
