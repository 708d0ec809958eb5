package raft

import (
	"bufio"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// A snapshot is this header, then what the state machine writes:
//
//	offset  size
//	0       8     magic and version, "phsnap01"
//	8       8     applied index, big-endian
//	16      8     greatest stamp applied, Unix milliseconds, big-endian
//	24      16    the cluster's id
const (
	snapshotMagic       = "phsnap01"
	snapshotHeaderBytes = len(snapshotMagic) + 8 + 8 + clusterIDBytes
)

// machine stands between the log and the state machine: it unpacks entries,
// knows how far the state is, and wakes who waits for it.
type machine struct {
	sm           StateMachine
	wantsAnswers func() bool // whether the entry being applied may have a proposer here
	newTerm      *signal     // told when the first entry of a term was applied
	closing      <-chan struct{}

	applied     atomic.Uint64             // index of the last entry whose effects show
	appliedTerm atomic.Uint64             // term of the last entry of commands (or mark) applied
	stampMS     atomic.Int64              // greatest stamp applied
	cluster     atomic.Pointer[clusterID] // nil: not known yet

	commands [][]byte // for use by Apply

	mu      sync.Mutex
	waiters waiterHeap
}

var _ hraft.ConfigurationStore = (*machine)(nil)

// Apply implements hraft.FSM. An entry that cannot be read stops the process:
// to skip it would let the replicas part in silence.
func (m *machine) Apply(l *hraft.Log) any {
	e, err := decodeEntry(l.Data)
	if err != nil {
		panic(fmt.Sprintf("raft: apply entry %d: %v; remove this node's data directory and let it rejoin from its peers", l.Index, err))
	}
	if err := m.belongTo(e.cluster, e.settled); err != nil {
		panic(fmt.Sprintf("raft: apply entry %d: %v; remove this node's data directory and start it with --bootstrap-expect 0", l.Index, err))
	}
	stampMS := max(e.stampMS, m.stampMS.Load())
	var answers []any
	if e.count > 0 {
		if m.wantsAnswers() {
			answers = make([]any, e.count)
		}
		for range e.count {
			m.commands = append(m.commands, e.next())
		}
		m.sm.Apply(l.Index, stampMS, m.commands, answers)
		clear(m.commands) // or they would keep the entry in memory
		m.commands = m.commands[:0]
	}
	m.stampMS.Store(stampMS)
	m.advance(l.Index)
	if m.appliedTerm.Swap(l.Term) != l.Term {
		m.newTerm.broadcast()
	}
	return answers
}

// errOtherCluster: the log or snapshot at hand continues another cluster's state.
var errOtherCluster = errors.New("it belongs to another cluster")

// belongTo adopts the first cluster id in the log; a proposal that came second
// is void, a settled id has to be ours.
func (m *machine) belongTo(id clusterID, settled bool) error {
	if id == (clusterID{}) || m.cluster.CompareAndSwap(nil, &id) {
		return nil
	}
	if ours := m.clusterID(); settled && id != ours {
		return fmt.Errorf("%w: %s, and this node's state is of %s", errOtherCluster, id, ours)
	}
	return nil
}

// clusterID is the cluster's id; zero while it is not known.
func (m *machine) clusterID() clusterID {
	if id := m.cluster.Load(); id != nil {
		return *id
	}
	return clusterID{}
}

// StoreConfiguration implements hraft.ConfigurationStore: with it every index
// from a leader's mark on is seen here, so that a read index is always reached.
func (m *machine) StoreConfiguration(index uint64, _ hraft.Configuration) { m.advance(index) }

func (m *machine) advance(index uint64) {
	m.mu.Lock()
	m.applied.Store(index)
	for len(m.waiters) > 0 && m.waiters[0].index <= index {
		close(heap.Pop(&m.waiters).(*waiter).reached)
	}
	m.mu.Unlock()
}

// wait blocks until the effects of index show.
func (m *machine) wait(ctx context.Context, index uint64) error {
	if m.applied.Load() >= index {
		return nil
	}
	m.mu.Lock()
	if m.applied.Load() >= index {
		m.mu.Unlock()
		return nil
	}
	w := &waiter{index: index, reached: make(chan struct{})}
	heap.Push(&m.waiters, w)
	m.mu.Unlock()
	var err error
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-m.closing:
		err = ErrClosed
	}
	m.mu.Lock()
	if w.at >= 0 {
		heap.Remove(&m.waiters, w.at)
	}
	m.mu.Unlock()
	return err
}

// Snapshot implements hraft.FSM.
func (m *machine) Snapshot() (hraft.FSMSnapshot, error) {
	at := Place{Index: m.applied.Load(), Cluster: m.clusterID()}
	state, err := m.sm.Snapshot(at)
	if err != nil {
		return nil, fmt.Errorf("capture the state: %w", err)
	}
	return &snapshot{state: state, at: at, stampMS: m.stampMS.Load(), closing: m.closing}, nil
}

// Restore implements hraft.FSM. The index is adopted only after the state was.
func (m *machine) Restore(r io.ReadCloser) error {
	from := r
	if counted, ok := r.(hraft.ReadCloserWrapper); ok {
		from = counted.WrappedReadCloser()
	}
	opened, ok := from.(*openedSnapshot)
	if !ok {
		return m.restore(r, "")
	}
	err := m.restore(r, opened.restore())
	if err != nil {
		opened.notRestored(err)
	}
	return err
}

func (m *machine) restore(r io.Reader, files string) error {
	in := bufio.NewReaderSize(r, 64<<10)
	header := make([]byte, snapshotHeaderBytes)
	if _, err := io.ReadFull(in, header); err != nil {
		return fmt.Errorf("read the snapshot's header: %w", err)
	}
	if magic := string(header[:len(snapshotMagic)]); magic != snapshotMagic {
		return fmt.Errorf("snapshot begins with %q, expected %q", magic, snapshotMagic)
	}
	id := clusterID(header[24:])
	if ours := m.clusterID(); ours != (clusterID{}) && id != (clusterID{}) && id != ours {
		return fmt.Errorf("%w: the snapshot is of %s, this node's state of %s", errOtherCluster, id, ours)
	}
	at := Place{Index: binary.BigEndian.Uint64(header[8:]), Cluster: id}
	if err := m.sm.Restore(at, in, files); err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	m.stampMS.Store(int64(binary.BigEndian.Uint64(header[16:])))
	_ = m.belongTo(id, false) // compared above
	m.advance(at.Index)
	return nil
}

type snapshot struct {
	state   io.WriterTo
	at      Place
	stampMS int64
	closing <-chan struct{}
	alone   bool // the node does nothing else
}

// Persist implements hraft.FSMSnapshot.
func (s *snapshot) Persist(sink hraft.SnapshotSink) error {
	if files, ok := s.state.(FileWriter); ok {
		if err := sink.(*snapshotSink).attach(files, s.closing); err != nil {
			return fmt.Errorf("write the state's files: %w", err)
		}
	}
	header := append(make([]byte, 0, snapshotHeaderBytes), snapshotMagic...)
	header = binary.BigEndian.AppendUint64(header, s.at.Index)
	header = binary.BigEndian.AppendUint64(header, uint64(s.stampMS))
	header = append(header, s.at.Cluster[:]...)
	var out io.Writer = &backgroundWriter{stoppableWriter: stoppableWriter{w: sink, stop: s.closing}, restedAt: time.Now()}
	if s.alone {
		out = sink
	}
	if _, err := out.Write(header); err != nil {
		return fmt.Errorf("write the snapshot's header: %w", err)
	}
	if _, err := s.state.WriteTo(out); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	if ours, ok := sink.(*snapshotSink); ok && ours.store.lastIndex() > s.at.Index {
		return errOvertaken // the library would take the older one for its newest
	}
	return nil // closed by the caller
}

var errOvertaken = errors.New("the leader has sent a newer one meanwhile")

// Release implements hraft.FSMSnapshot.
func (s *snapshot) Release() {
	if r, ok := s.state.(interface{ Release() }); ok {
		r.Release()
	}
}

var errStopped = errors.New("the node is closing")

const (
	restEvery   = 4 << 20 // bytes of a state that are written at once,
	restTimes   = 4       // and then not for so many times as long as they took,
	longestRest = 2 * time.Second
)

// stoppableWriter lets a closing node give up a long snapshot.
type stoppableWriter struct {
	w    io.Writer
	stop <-chan struct{}
}

func (s *stoppableWriter) Write(p []byte) (int, error) {
	select {
	case <-s.stop:
		return 0, errStopped
	default:
		return s.w.Write(p)
	}
}

// backgroundWriter writes a long snapshot beside a node's work: with rests, so that the
// state takes a fifth of a processor and of the disk at most, unless the disk takes more
// than half a second for restEvery.
type backgroundWriter struct {
	stoppableWriter
	written  int // since the last rest,
	restedAt time.Time
}

func (b *backgroundWriter) Write(p []byte) (int, error) {
	n, err := b.stoppableWriter.Write(p)
	if b.written += n; err == nil && b.written >= restEvery {
		err = b.rest()
	}
	return n, err
}

func (b *backgroundWriter) rest() error {
	if pause(min(restTimes*time.Since(b.restedAt), longestRest), b.stop) {
		return errStopped
	}
	b.written, b.restedAt = 0, time.Now()
	return nil
}

type waiter struct {
	index   uint64
	at      int // place in the heap; -1 when out of it
	reached chan struct{}
}

type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.at = len(*h)
	*h = append(*h, w)
}
func (h *waiterHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.at = -1
	return w
}
