package raft

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// slowWriter takes a second for each write.
type slowWriter struct{}

func (slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return len(p), nil
}

// TestBackgroundWriter: two thirds of the time of a long snapshot are rests, a short one
// has none, and a node that closes does not wait for the end of one.
func TestBackgroundWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		b := &backgroundWriter{stoppableWriter: stoppableWriter{w: slowWriter{}, stop: stop}, restedAt: time.Now()}
		begun, part := time.Now(), make([]byte, restEvery/4)
		write := func(parts int) error {
			for range parts {
				if _, err := b.Write(part); err != nil {
					return err
				}
			}
			return nil
		}
		if err := write(3); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("a short snapshot took %v (%v), want its three writes' time", time.Since(begun), err)
		}
		if err := write(9); err != nil || time.Since(begun) != 36*time.Second {
			t.Errorf("12 writes took %v (%v), want three times as long", time.Since(begun), err)
		}
		time.AfterFunc(5*time.Second, func() { close(stop) })
		if err := write(4); !errors.Is(err, errStopped) || time.Since(begun) != 41*time.Second {
			t.Errorf("a node that closed after 5 s waited until %v (%v)", time.Since(begun), err)
		}
		if err := write(1); !errors.Is(err, errStopped) {
			t.Errorf("written after the end: %v", err)
		}
	})
}
