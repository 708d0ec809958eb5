package raft

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// future is the port to the log: the fate of one submitted entry.
type future interface {
	Error() error  // blocks until decided; nil when committed and applied here
	Index() uint64 // after Error
	Response() any // after Error: []any, an answer per command
}

// batch is one entry in the making and, later, the answers of its commands.
// buf, count and full belong to the batcher's lock; the results are written
// once, before done is closed.
type batch struct {
	buf   []byte
	count int
	bytes int       // of its commands
	first time.Time // when its first command came
	full  bool

	done    chan struct{}
	answers []any
	index   uint64
	err     error
}

// EntryFate is what became of one entry that was submitted here.
type EntryFate struct {
	Commands int
	Bytes    int           // of the entry
	Took     time.Duration // from its submission until it was on a quorum's disks and applied here
	Err      error         // nil: committed
}

// batcher is the group commit: commands that come while earlier entries are on
// their way to disk share the next entry. One goroutine (run) submits; propose
// may be called by many.
type batcher struct {
	limits BatchLimits
	submit func(entry []byte) future
	stamp  func() int64
	fate   func(error) error // what the log's verdict means to a proposer; nil for nil

	decided func(EntryFate) // told of each entry; nil: nobody asks

	mu      sync.Mutex
	waiting []*batch // oldest first; only the last may be open for more
	queued  int      // commands in waiting
	bytes   int      // their bytes
	hint    int      // size of the last entry, a first guess for the next
	closed  bool

	wake  chan struct{} // a batch began or became full
	slots chan struct{} // one token per entry in flight
	stop  chan struct{} // closed by close
	dead  chan struct{} // closed by abandon: answers will no longer come

	inFlight atomic.Int64
	finished sync.WaitGroup // run and the entries in flight
	abandonO sync.Once

	entries, commands atomic.Uint64 // submitted so far
}

func newBatcher(limits BatchLimits, submit func([]byte) future, stamp func() int64, fate func(error) error) *batcher {
	return &batcher{
		limits: limits, submit: submit, stamp: stamp, fate: fate,
		wake:  make(chan struct{}, 1),
		slots: make(chan struct{}, limits.InFlight),
		stop:  make(chan struct{}),
		dead:  make(chan struct{}),
	}
}

// start runs the submitting goroutine until close.
func (b *batcher) start() { b.finished.Go(b.run) }

// propose copies the command into a batch and waits for its answer. When ctx
// ends first its error is returned and the command may still be committed.
func (b *batcher) propose(ctx context.Context, command []byte) (any, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	ride, seat, err := b.join(command)
	if err != nil {
		return nil, 0, err
	}
	select {
	case <-ride.done:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-b.dead:
		select {
		case <-ride.done:
		default:
			return nil, 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ErrClosed)
		}
	}
	if ride.err != nil {
		return nil, 0, ride.err
	}
	return ride.answers[seat], ride.index, nil
}

// join puts the command in the open batch, or in a new one.
func (b *batcher) join(command []byte) (*batch, int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, 0, ErrClosed
	}
	if b.queued >= b.limits.Queue || b.queued > 0 && b.bytes+len(command) > b.limits.QueueBytes {
		return nil, 0, ErrOverloaded
	}
	var open *batch
	if n := len(b.waiting); n > 0 && !b.waiting[n-1].full {
		open = b.waiting[n-1]
		if len(open.buf)+len(command) > b.limits.Bytes {
			open.full, open = true, nil
		}
	}
	if open == nil {
		size := max(min(b.hint, b.limits.Bytes), entryHeaderBytes+len(command)+16)
		open = &batch{
			buf:   appendEntryHeader(make([]byte, 0, size+entryTrailBytes)),
			first: time.Now(),
			done:  make(chan struct{}),
		}
		b.waiting = append(b.waiting, open)
		b.signal()
	}
	seat := open.count
	open.buf = appendCommand(open.buf, command)
	open.count++
	open.bytes += len(command)
	b.queued++
	b.bytes += len(command)
	if open.count >= b.limits.Commands || len(open.buf) >= b.limits.Bytes {
		open.full = true
		b.signal()
	}
	return open, seat, nil
}

func (b *batcher) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *batcher) run() {
	for {
		select {
		case b.slots <- struct{}{}:
		case <-b.stop:
			return
		}
		next := b.next()
		if next == nil {
			return
		}
		sealed := sealEntry(next.buf, b.stamp(), next.count)
		// The log's cache keeps the entry after it is answered: its bytes are
		// never used again here.
		next.buf = nil
		b.entries.Add(1)
		b.commands.Add(uint64(next.count))
		b.inFlight.Add(1)
		fate := EntryFate{Commands: next.count, Bytes: len(sealed)}
		submitted := time.Now()
		committed := b.submit(sealed)
		b.finished.Go(func() {
			b.await(next, committed)
			fate.Took, fate.Err = time.Since(submitted), next.err
			b.finish(next, fate)
		})
	}
}

// next blocks until the oldest batch is full or has lingered; nil after close.
func (b *batcher) next() *batch {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		b.mu.Lock()
		var lingered <-chan time.Time
		if len(b.waiting) > 0 {
			head := b.waiting[0]
			wait := b.limits.Linger - time.Since(head.first)
			if head.full || wait <= 0 {
				b.take()
				b.mu.Unlock()
				return head
			}
			timer.Reset(wait)
			lingered = timer.C
		}
		b.mu.Unlock()
		select {
		case <-lingered:
		case <-b.wake:
		case <-b.stop:
			return nil
		}
	}
}

// take removes the oldest batch; the lock is held.
func (b *batcher) take() {
	head := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	b.hint = len(head.buf) + len(head.buf)/8
	b.queued -= head.count
	b.bytes -= head.bytes
}

// await waits for the verdict on an entry.
func (b *batcher) await(t *batch, committed future) {
	if t.err = b.fate(committed.Error()); t.err == nil {
		t.index = committed.Index()
		t.answers, _ = committed.Response().([]any)
		if len(t.answers) != t.count {
			t.err = fmt.Errorf("%w: %d answers for %d commands", ErrOutcomeUnknown, len(t.answers), t.count)
		}
	}
}

// finish tells what became of an entry.
func (b *batcher) finish(t *batch, fate EntryFate) {
	if b.decided != nil {
		b.decided(fate)
	}
	b.inFlight.Add(-1)
	close(t.done)
	<-b.slots
}

// wantsAnswers reports whether an entry submitted here may be applied now.
func (b *batcher) wantsAnswers() bool { return b.inFlight.Load() > 0 }

// failWaiting answers every command that was not submitted yet.
func (b *batcher) failWaiting(err error) {
	b.mu.Lock()
	failed := b.waiting
	b.waiting, b.queued, b.bytes = nil, 0, 0
	b.mu.Unlock()
	for _, t := range failed {
		t.err = err
		close(t.done)
	}
}

// close refuses new commands and answers the waiting ones with ErrClosed.
// Entries in flight go on.
func (b *batcher) close() {
	b.mu.Lock()
	already := b.closed
	b.closed = true
	b.mu.Unlock()
	if !already {
		close(b.stop)
	}
	b.failWaiting(ErrClosed)
}

// drain waits until nothing is in flight; only after close.
func (b *batcher) drain(ctx context.Context) error {
	drained := make(chan struct{})
	go func() { b.finished.Wait(); close(drained) }()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// abandon answers whoever still waits with ErrOutcomeUnknown.
func (b *batcher) abandon() { b.abandonO.Do(func() { close(b.dead) }) }
