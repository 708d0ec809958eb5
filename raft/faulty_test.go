package raft

import (
	"sync"
	"syscall"
)

// FaultyLog comes between a node and its log store: a write of the log or of the
// stable values hangs or fails. It needs no file system that does.
type FaultyLog struct {
	mu       sync.Mutex
	full     bool
	refusing bool
	hung     chan struct{} // closed when writes go on; nil: they do not hang
	waiting  int
	refused  int
}

// SetFaultyLog puts f under a node's log.
func (c *Config) SetFaultyLog(f *FaultyLog) {
	c.under = func(kept keptLog) keptLog { return &brokenLog{kept, f.pass} }
}

// Hang makes writes wait until Release.
func (f *FaultyLog) Hang() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung = make(chan struct{})
}

// Release lets writes go on.
func (f *FaultyLog) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hung != nil {
		close(f.hung)
		f.hung = nil
	}
}

// Waiting is how many writes hang.
func (f *FaultyLog) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting
}

// Refused is how many writes failed so far.
func (f *FaultyLog) Refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// Fill makes writes fail as those to a full disk do.
func (f *FaultyLog) Fill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = true
}

// RefuseAppends makes appends to the log fail so, and nothing else.
func (f *FaultyLog) RefuseAppends() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusing = true
}

// Free ends what Fill and RefuseAppends began.
func (f *FaultyLog) Free() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.refusing = false, false
}

func (f *FaultyLog) pass(appends bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if hung := f.hung; hung != nil {
		f.waiting++
		f.mu.Unlock()
		<-hung
		f.mu.Lock()
		f.waiting--
	}
	if f.full || appends && f.refusing {
		f.refused++
		return syscall.ENOSPC
	}
	return nil
}
