package raft

import (
	"sync"
	"syscall"
	"time"

	hraft "github.com/hashicorp/raft"
)

// Disk comes between a node and its disk, and makes it slow, full or hang: the log,
// the few values beside it, and the snapshots. It is there for tests of whole clusters;
// the zero value lets everything pass. Its methods may be called from any goroutine.
type Disk struct {
	mu      sync.Mutex
	slow    time.Duration
	full    bool
	hung    bool
	changed chan struct{} // closed by the next change; nil: nothing waits
}

// Slow makes every write take longer by so much.
func (d *Disk) Slow(by time.Duration) { d.set(by, false, false) }

// Fill makes appends to the log and snapshots fail as those to a full disk do. What is
// written over in place, a term and a vote, is written.
func (d *Disk) Fill() { d.set(0, true, false) }

// Hang makes every write wait until Heal.
func (d *Disk) Hang() { d.set(0, false, true) }

// Heal lets everything pass again.
func (d *Disk) Heal() { d.set(0, false, false) }

func (d *Disk) set(slow time.Duration, full, hung bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow, d.full, d.hung = slow, full, hung
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// pass returns when a write may go on; grows says that it needs space. A nil Disk lets
// everything pass.
func (d *Disk) pass(grows bool) error {
	if d == nil {
		return nil
	}
	slow, full := d.await()
	if full && grows {
		return syscall.ENOSPC
	}
	time.Sleep(slow)
	return nil
}

// await waits while the disk hangs.
func (d *Disk) await() (slow time.Duration, full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.hung {
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()
		<-changed
		d.mu.Lock()
	}
	return d.slow, d.full
}

// brokenLog is a log store on a disk that may be broken: pass returns when a write may go
// on, as that of a Disk does.
type brokenLog struct {
	keptLog
	pass func(grows bool) error
}

// StoreLog implements hraft.LogStore.
func (l *brokenLog) StoreLog(entry *hraft.Log) error { return l.StoreLogs([]*hraft.Log{entry}) }

// StoreLogs implements hraft.LogStore.
func (l *brokenLog) StoreLogs(entries []*hraft.Log) error {
	if err := l.pass(true); err != nil {
		return err
	}
	return l.keptLog.StoreLogs(entries)
}

// DeleteRange implements hraft.LogStore.
func (l *brokenLog) DeleteRange(from, to uint64) error {
	if err := l.pass(false); err != nil {
		return err
	}
	return l.keptLog.DeleteRange(from, to)
}

// Set implements hraft.StableStore.
func (l *brokenLog) Set(key, value []byte) error {
	if err := l.pass(false); err != nil {
		return err
	}
	return l.keptLog.Set(key, value)
}
