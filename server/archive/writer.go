package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// DefaultSegmentBytes is the size at which a segment is sealed.
const DefaultSegmentBytes = 64 << 20

const (
	segmentsKept = 8 // at least, of what KeepBytes and KeepFor keep: so exactly are they kept to

	dirMode  = 0o755
	fileMode = 0o644
)

// syncedAtOnce is how many bytes wait for an fsync at most: the log's own would wait behind
// a whole segment, and the nodes of a cluster seal theirs at the same moment.
const syncedAtOnce = 4 << 20

// Options say how an archive is kept. The zero value of a field is its default.
type Options struct {
	SegmentBytes int64            // a segment is sealed at this size; DefaultSegmentBytes, or an eighth of KeepBytes if that is less
	KeepBytes    int64            // sealed segments beyond this size of the whole are deleted, oldest first; 0 keeps all
	KeepFor      time.Duration    // sealed segments whose newest stamp is older are deleted, with what spans an eighth of it in a segment; 0 keeps all
	Now          func() time.Time // the clock that KeepFor means; time.Now

	blockBytes int // commands before compression in a frame; blockBytes
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
		if o.KeepBytes > 0 {
			o.SegmentBytes = min(o.SegmentBytes, max(o.KeepBytes/segmentsKept, 1))
		}
	}
	if o.blockBytes <= 0 {
		o.blockBytes = blockBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Writer appends to an archive, which it has for itself. After an error of the disk
// it refuses everything: what reached the disk is known only to who opens it again.
// One goroutine may use it at a time.
type Writer struct {
	dir     string
	opts    Options
	lock    *os.File
	encoder *zstd.Encoder // of a segment of version 1 that this Writer goes on in; else nil
	cluster [ClusterBytes]byte
	failed  error
	notes   []string

	held    uint64 // everything up to it is in the files
	pending block
	scratch []byte

	file     *os.File // the newest segment; nil: the next frame begins one
	path     string
	first    uint64
	size     int64
	sum      uint32 // of all that is in it
	commands uint64
	frames   uint64
	oldestMS int64 // of its first frame
	newestMS int64
	unsynced int64 // bytes that are written and not fsynced

	sealed []sealedSegment // oldest first
	total  int64           // bytes of them
}

type sealedSegment struct {
	path     string
	size     int64
	newestMS int64
}

// Last is the index up to which everything is in the files, though not before Sync
// on the disk.
func (w *Writer) Last() uint64 { return w.held }

// Bytes is how large all segments are.
func (w *Writer) Bytes() int64 { return w.total + w.size }

// Notes are what Open had to mend, a sentence each.
func (w *Writer) Notes() []string { return w.notes }

// SetCluster says whose entries follow. It refuses a cluster that is not the one
// that the archive is of.
func (w *Writer) SetCluster(id [ClusterBytes]byte) error {
	var unknown [ClusterBytes]byte
	if id == unknown || id == w.cluster {
		return nil
	}
	if w.cluster != unknown {
		return fmt.Errorf("the archive %s is of cluster %x, this log of %x: move the archive away", w.dir, w.cluster, id)
	}
	w.cluster = id
	return nil
}

// Append takes a command, which it copies. Indexes may repeat and never go down.
// Entries that the archive holds already are passed over. It writes a block now and
// then, and never one that ends between two commands of the same index.
func (w *Writer) Append(index uint64, stampMS int64, command []byte) error {
	switch {
	case w.failed != nil:
		return w.failed
	case index <= w.held:
		return nil
	case w.pending.commands > 0 && index < w.pending.last:
		return fmt.Errorf("archive entry %d: it comes after entry %d", index, w.pending.last)
	}
	if w.pending.commands > 0 && index != w.pending.last && len(w.pending.raw) >= w.opts.blockBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	const most = 30 // bytes of three varints
	if len(w.pending.raw)+len(command)+most > MaxBlockBytes {
		return w.fail(fmt.Errorf("archive entry %d: its commands have more than %d bytes", index, MaxBlockBytes))
	}
	w.pending.add(index, stampMS, command)
	return nil
}

// Gap says that the archive will not hold what is between its last entry and to,
// which is left out if there is nothing between.
func (w *Writer) Gap(to uint64) error {
	if err := w.flush(); err != nil || to <= w.held {
		return err
	}
	return w.write(frameHeader{kind: kindGap, first: w.held + 1, last: to, stampMS: w.newestMS}, nil)
}

// Digest says what the state is after all that was appended, and that it is complete
// up to d.Index. It is left out when the archive is further: then the state is one of
// the past.
func (w *Writer) Digest(d Digest) error {
	if err := w.flush(); err != nil || d.Index < w.held {
		return err
	}
	d.Cluster = w.cluster
	return w.write(frameHeader{kind: kindDigest, first: d.Index, last: d.Index, stampMS: d.StampMS, raw: digestBytes}, d.append(nil))
}

// Sync returns after all that was appended is on the disk. It must not be called
// between two commands of the same index.
func (w *Writer) Sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.syncFile(); err != nil {
		return w.fail(err)
	}
	return w.expire()
}

func (w *Writer) syncFile() error {
	if w.unsynced == 0 {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("fsync the archive's segment %s: %w", w.path, err)
	}
	w.unsynced = 0
	return nil
}

// Close syncs and lets go of the files. It must be called, also after an error.
func (w *Writer) Close() error {
	err := w.failed
	if err == nil {
		err = w.Sync()
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
		w.file = nil
	}
	return errors.Join(err, w.lock.Close())
}

func (w *Writer) fail(err error) error {
	if w.failed == nil {
		w.failed = err
	}
	return w.failed
}

// flush writes what is pending as a frame.
func (w *Writer) flush() error {
	b := &w.pending
	if w.failed != nil || b.commands == 0 {
		return w.failed
	}
	h := frameHeader{kind: kindEntriesS2, first: b.first, last: b.last, stampMS: b.newestMS, commands: b.commands, raw: uint32(len(b.raw))}
	if err := w.write(h, b.raw); err != nil {
		return err
	}
	b.reset()
	return nil
}

// write appends a frame, and seals the segment when it has its size. h lacks what
// is the same for all frames; entries are compressed as the segment has them.
func (w *Writer) write(h frameHeader, payload []byte) error {
	if w.failed != nil {
		return w.failed
	}
	if w.file != nil && w.old(h.stampMS) && w.held >= w.first {
		if err := errors.Join(w.seal(), w.expire()); err != nil {
			return w.fail(err)
		}
	}
	if w.file == nil {
		if err := w.begin(); err != nil {
			return w.fail(err)
		}
	}
	h.prev = w.held
	if h.kind == kindEntriesS2 {
		h.kind, payload = w.compress(payload)
	}
	if err := w.put(h, payload); err != nil {
		return w.fail(err)
	}
	w.held, w.commands = h.last, w.commands+uint64(h.commands)
	w.saw(h.stampMS)
	if w.size < w.opts.SegmentBytes || w.held < w.first { // without an entry the next would have the same name
		return nil
	}
	if err := w.seal(); err != nil {
		return w.fail(err)
	}
	return w.expire()
}

func (w *Writer) compress(entries []byte) (kind uint8, payload []byte) {
	if w.encoder != nil {
		w.scratch = w.encoder.EncodeAll(entries, w.scratch[:0])
		return kindEntries, w.scratch
	}
	w.scratch = s2.Encode(w.scratch[:cap(w.scratch)], entries)
	return kindEntriesS2, w.scratch
}

// saw takes note of a frame's stamp.
func (w *Writer) saw(stampMS int64) {
	if w.oldestMS == 0 {
		w.oldestMS = stampMS
	}
	w.newestMS = max(w.newestMS, stampMS)
}

// old says whether the newest segment began too long before that stamp to take it: what
// is young would keep what is old.
func (w *Writer) old(stampMS int64) bool {
	span := max(w.opts.KeepFor.Milliseconds()/segmentsKept, 1)
	return w.opts.KeepFor > 0 && w.frames > 0 && stampMS-w.oldestMS > span
}

func (w *Writer) put(h frameHeader, payload []byte) error {
	h.size, h.sum = uint32(len(payload)), crc32.Checksum(payload, castagnoli)
	if err := w.append(append(h.append(make([]byte, 0, frameBytes+len(payload))), payload...)); err != nil {
		return err
	}
	w.frames++
	return nil
}

func (w *Writer) append(b []byte) error {
	if _, err := w.file.Write(b); err != nil {
		return fmt.Errorf("write the archive's segment %s: %w", w.path, err)
	}
	w.size += int64(len(b))
	w.sum = crc32.Update(w.sum, castagnoli, b)
	if w.unsynced += int64(len(b)); w.unsynced < syncedAtOnce {
		return nil
	}
	return w.syncFile()
}

// begin makes the next segment.
func (w *Writer) begin() error {
	h := segmentHeader{version: magicAndVersion, first: w.held + 1, cluster: w.cluster}
	path := filepath.Join(w.dir, segmentName(h.first))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return fmt.Errorf("begin a segment of the archive: %w", err)
	}
	w.file, w.path, w.first = file, path, h.first
	w.size, w.sum, w.commands, w.frames, w.oldestMS, w.newestMS = 0, 0, 0, 0, 0, 0
	if err := w.append(h.append(nil)); err != nil {
		return err
	}
	return syncDir(w.dir)
}

// seal ends the newest segment with its footer, on the disk.
func (w *Writer) seal() error {
	f := footer{commands: w.commands, frames: w.frames, sum: w.sum}
	h := frameHeader{kind: kindFooter, prev: w.held, first: w.first, last: w.held, stampMS: w.newestMS, raw: footerBytes}
	if err := w.put(h, f.append(nil)); err != nil {
		return err
	}
	if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
		return fmt.Errorf("seal the archive's segment %s: %w", w.path, err)
	}
	w.sealed = append(w.sealed, sealedSegment{w.path, w.size, w.newestMS})
	w.total += w.size
	w.file, w.encoder, w.size, w.unsynced = nil, nil, 0, 0
	return nil
}

// expire deletes sealed segments that are not to be kept, oldest first.
func (w *Writer) expire() error {
	now := w.opts.Now().UnixMilli()
	deleted := 0
	for _, s := range w.sealed {
		tooMuch := w.opts.KeepBytes > 0 && w.Bytes() > w.opts.KeepBytes
		tooOld := w.opts.KeepFor > 0 && now-s.newestMS > w.opts.KeepFor.Milliseconds()
		if !tooMuch && !tooOld {
			break
		}
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return w.fail(fmt.Errorf("delete an archived segment that is no longer kept: %w", err))
		}
		w.total -= s.size
		deleted++
	}
	w.sealed = w.sealed[deleted:]
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("fsync the archive's directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("fsync the archive's directory %s: %w", dir, err)
	}
	return nil
}
