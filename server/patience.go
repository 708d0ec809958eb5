package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patienceStep is for how long requests share a deadline: one gets up to so much
// more time than is promised.
const patienceStep = time.Second

// patience bounds how long requests wait, with one context for all that came within
// a patienceStep: to make a context and its timer for each costs more than to wait.
//
// It does not end when a client goes away. What such a request waits for is decided
// within the timeout all the same; that of a write is committed even so.
type patience struct {
	least  time.Duration
	parent context.Context
	cut    context.CancelFunc // ends all waiting

	current atomic.Pointer[sharedWait]
	mu      sync.Mutex
}

type sharedWait struct {
	ctx    context.Context
	cancel context.CancelFunc // ctx ends by its own timer; this is for patience.cut
	until  time.Time          // for requests that come before
}

func newPatience(least time.Duration) *patience {
	parent, cut := context.WithCancel(context.Background())
	return &patience{least: least, parent: parent, cut: cut}
}

// context returns one that ends after the least time, and a patienceStep later at
// the latest.
func (p *patience) context() context.Context {
	now := time.Now()
	if w := p.current.Load(); w != nil && now.Before(w.until) {
		return w.ctx
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.current.Load(); w != nil && now.Before(w.until) {
		return w.ctx
	}
	w := &sharedWait{until: now.Add(patienceStep)}
	w.ctx, w.cancel = context.WithDeadline(p.parent, now.Add(p.least+patienceStep))
	p.current.Store(w)
	return w.ctx
}
