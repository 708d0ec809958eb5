package server

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server/archive"
	"github.com/playhead-load/playhead/viewing"
)

// The hand-over from applying to the archive. When it is full, applying waits.
const (
	handOverBytes    = 256 << 10 // commands are handed over by so much
	handOverCommands = 4096      // or by so many
	handOverBatches  = 16        // that wait, at most
)

// archiver carries applied commands to the archive on the disk, by one goroutine
// that applying waits for only when it is far behind.
//
// When the archive cannot be written the node goes on serving: it says so once in
// its log and in a metric, hands nothing over any more and takes no snapshot, so that
// its log keeps, and grows by, what the archive lacks. A restart archives that.
type archiver struct {
	dir     string
	log     *slog.Logger
	writer  *archive.Writer // of the goroutine
	held    uint64          // what the archive held when it was opened: not handed over again
	queue   chan archiveTask
	free    chan *archiveBatch
	done    chan struct{} // closed when the goroutine has ended
	trouble atomic.Pointer[error]
	synced  atomic.Uint64 // index up to which everything is on the disk
	bytes   atomic.Int64  // of all segments

	mu     sync.Mutex
	batch  *archiveBatch
	closed bool
}

// archiveBatch is commands on their way.
type archiveBatch struct {
	entries []archive.Entry // without their bytes
	ends    []int           // where in bytes each command ends
	bytes   []byte
}

// archiveTask is done after all tasks before it: entries, then what else is set.
type archiveTask struct {
	batch   *archiveBatch
	at      raft.Place
	restore bool // the state was replaced by that at this place
	digest  *archive.Digest
	reply   chan error // told when all that was handed over is on the disk; nil: nobody waits
}

// openArchiver opens the archive in a directory and starts the goroutine that writes it.
func openArchiver(dir string, opts archive.Options, log *slog.Logger) (*archiver, error) {
	a, err := newArchiver(dir, opts, log)
	if err == nil {
		go a.run()
	}
	return a, err
}

func newArchiver(dir string, opts archive.Options, log *slog.Logger) (*archiver, error) {
	writer, err := archive.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	for _, note := range writer.Notes() {
		log.Warn("the archive was mended", "note", note)
	}
	a := &archiver{
		dir: dir, log: log, writer: writer, held: writer.Last(),
		queue: make(chan archiveTask, handOverBatches),
		free:  make(chan *archiveBatch, handOverBatches),
		done:  make(chan struct{}),
		batch: &archiveBatch{},
	}
	a.synced.Store(a.held)
	a.bytes.Store(writer.Bytes())
	return a, nil
}

// record takes an applied command, which it copies. Only from the goroutine that
// applies.
func (a *archiver) record(index uint64, stampMS int64, command []byte) {
	if index <= a.held || a.failure() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	b := a.batch
	b.bytes = append(b.bytes, command...)
	b.ends = append(b.ends, len(b.bytes))
	b.entries = append(b.entries, archive.Entry{Index: index, StampMS: stampMS})
	if len(b.bytes) >= handOverBytes || len(b.entries) >= handOverCommands {
		a.hand(archiveTask{})
	}
}

// hand queues a task behind what was recorded. The lock is held.
func (a *archiver) hand(task archiveTask) {
	task.batch = a.batch
	a.queue <- task
	select {
	case a.batch = <-a.free:
	default:
		a.batch = &archiveBatch{}
	}
}

var errArchiveClosed = errors.New("the archive is closed")

// capture notes the digest of the state at a place. The function it returns waits
// until the archive has everything up to there on the disk.
func (a *archiver) capture(at raft.Place, stamp viewing.Millis, sum [archive.SumBytes]byte) (onDisk func() error) {
	d := &archive.Digest{Index: at.Index, StampMS: int64(stamp), Version: digestVersion, Sum: sum}
	reply := a.submit(archiveTask{at: at, digest: d})
	return func() error {
		if err := <-reply; err != nil {
			return a.refusal(err)
		}
		return nil
	}
}

// refusal says why there is no snapshot.
func (a *archiver) refusal(err error) error {
	return fmt.Errorf("no snapshot, because the archive %s lacks what it would cut off the log: %w", a.dir, err)
}

// restored notes that the state came from a snapshot, and waits until that is on
// the disk. What the archive lacks of it becomes a gap; that it cannot be written
// down stops nothing, since the next start finds the same gap.
func (a *archiver) restored(at raft.Place) {
	a.fail(<-a.submit(archiveTask{at: at, restore: true}))
}

func (a *archiver) submit(task archiveTask) (reply chan error) {
	task.reply = make(chan error, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		task.reply <- errArchiveClosed
	} else {
		a.hand(task)
	}
	return task.reply
}

// close writes what was recorded and lets go of the files.
func (a *archiver) close() error {
	a.mu.Lock()
	if !a.closed {
		a.hand(archiveTask{})
		a.closed = true
		close(a.queue)
	}
	a.mu.Unlock()
	<-a.done
	return a.failure()
}

// failure is why the archive cannot be written; nil: it can.
func (a *archiver) failure() error {
	if err := a.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *archiver) fail(err error) {
	if err != nil && a.trouble.CompareAndSwap(nil, &err) {
		a.log.Error("the archive cannot be written: the node goes on, takes no snapshot and keeps its whole log; mend the disk, then restart it",
			"archive", a.dir, "error", err)
	}
}

func (a *archiver) run() {
	defer close(a.done)
	for task := range a.queue {
		if a.failure() == nil {
			a.fail(a.do(task))
		}
		a.bytes.Store(a.writer.Bytes())
		if task.reply != nil {
			task.reply <- a.failure()
		}
		*task.batch = archiveBatch{entries: task.batch.entries[:0], ends: task.batch.ends[:0], bytes: task.batch.bytes[:0]}
		select {
		case a.free <- task.batch:
		default:
		}
	}
	if err := a.writer.Close(); a.failure() == nil {
		a.fail(err)
	}
}

func (a *archiver) do(task archiveTask) error {
	from := 0
	for i, e := range task.batch.entries {
		end := task.batch.ends[i]
		if err := a.writer.Append(e.Index, e.StampMS, task.batch.bytes[from:end]); err != nil {
			return err
		}
		from = end
	}
	if task.reply == nil {
		return nil
	}
	if err := a.writer.SetCluster(task.at.Cluster); err != nil {
		return err
	}
	if task.restore {
		if from, to := a.writer.Last()+1, task.at.Index; from <= to {
			a.log.Warn("the archive of this node does not hold what came with a snapshot", "archive", a.dir, "from_index", from, "to_index", to)
		}
		if err := a.writer.Gap(task.at.Index); err != nil {
			return err
		}
	}
	if task.digest != nil {
		if err := a.writer.Digest(*task.digest); err != nil {
			return err
		}
	}
	if err := a.writer.Sync(); err != nil {
		return err
	}
	a.synced.Store(a.writer.Last())
	return nil
}
