package raft

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A leader that is frozen while it sends a snapshot is waited for no longer than the limit,
// one that sends a little now and then for as long as it takes.
func TestASnapshotThatStopsComingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader, follower := net.Pipe()
		defer leader.Close()
		m := &mux{conns: map[net.Conn]struct{}{}, done: make(chan struct{})}
		held, err := m.hold(follower)
		if err != nil {
			t.Fatal(err)
		}
		const pieces, pause = 5, sentWithin - time.Second
		go func() {
			for range pieces {
				time.Sleep(pause)
				_, _ = leader.Write([]byte("state"))
			}
		}()
		begun := time.Now()
		n, err := io.Copy(io.Discard, impatientReader{held, m.cut})
		if n != pieces*5 || err == nil {
			t.Errorf("read %d bytes and %v, expected %d and an error", n, err, pieces*5)
		}
		if took := time.Since(begun); took != pieces*pause+sentWithin {
			t.Errorf("cut after %s, expected %s", took, pieces*pause+sentWithin)
		}
	})
}
