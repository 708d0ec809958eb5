package raft

import (
	"sync"
	"time"
)

// signal wakes everyone who waits for "something changed". The zero value is ready.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// changed returns a channel that the next broadcast closes. Take it before
// looking at the condition, so that no change is missed.
func (s *signal) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// pause waits for a while, or until stop is closed, and says whether it is. A nil stop never is.
func pause(d time.Duration, stop <-chan struct{}) (stopped bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-stop:
		return true
	}
}
