package raft

import (
	"bytes"
	"errors"
	"net"
	"time"
)

// PretendAppending makes the log look as if an append had begun then; the zero
// time ends that.
func (n *Node) PretendAppending(since time.Time) {
	if since.IsZero() {
		n.store.appendingSince.Store(0)
		return
	}
	n.store.appendingSince.Store(since.UnixNano())
}

// LastLogIndexes tells the first and last index of the log on disk.
func (n *Node) LastLogIndexes() (first, last uint64) {
	first, _ = n.store.FirstIndex()
	last, _ = n.store.LastIndex()
	return first, last
}

// MayVote reports whether the node takes part in elections.
func (n *Node) MayVote() bool { return n.guard.mayVote() }

// RefusedStrangers reports whether another cluster's node was refused.
func (n *Node) RefusedStrangers() bool { return n.trans.founder.told.Load() != 0 }

// StopObserving makes the node miss every change of leadership from now on.
func (n *Node) StopObserving() { n.raft.DeregisterObserver(n.observer) }

// SetSegmentBytes makes the segments of a WAL small enough to fill a few.
func (c *Config) SetSegmentBytes(n int) { c.segmentBytes = n }

// SetDial makes a node reach its peers otherwise.
func (c *Config) SetDial(dial func(network, address string, timeout time.Duration) (net.Conn, error)) {
	c.dial = dial
}

// ForgetPromise makes a stopped node forget what its log has to hold, as if
// Playhead kept no such record.
func ForgetPromise(dir string) error {
	p, err := openPromise(dir)
	if err != nil || p == nil {
		return err
	}
	return errors.Join(p.setLast(0), p.setSeq(0), p.close())
}

// BreakNewestMeta damages the meta page that counts of a B+tree file's content.
func BreakNewestMeta(data []byte) {
	if meta, err := readTreeMeta(bytes.NewReader(data)); err == nil {
		data[meta.txid%2*meta.pageSize+treePageHeader+50] ^= 4
	}
}
