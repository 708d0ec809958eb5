package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

const lockFile = "lock"

// ErrInUse says that another process, or another Writer of this one, has the archive.
var ErrInUse = errors.New("the archive is in use by another process")

// Open opens the archive in a directory, which it makes if there is none. A write
// that a crash left unfinished is cut off (see Notes). What is left is on the disk
// when it returns.
func Open(dir string, opts Options) (*Writer, error) {
	w := &Writer{dir: dir, opts: opts.withDefaults()}
	if err := w.open(); err != nil {
		if w.file != nil {
			err = errors.Join(err, w.file.Close())
		}
		if w.lock != nil {
			err = errors.Join(err, w.lock.Close())
		}
		return nil, fmt.Errorf("open the archive %s: %w", dir, err)
	}
	return w, nil
}

func (w *Writer) open() error {
	if err := os.MkdirAll(w.dir, dirMode); err != nil {
		return err
	}
	var err error
	if w.lock, err = os.OpenFile(filepath.Join(w.dir, lockFile), os.O_CREATE|os.O_RDWR, fileMode); err != nil {
		return err
	}
	if err := lockExclusively(w.lock); err != nil {
		return err
	}
	paths, _, err := listSegments(w.dir)
	if err != nil {
		return err
	}
	// The newest segment that has a frame tells how far the archive is.
	for found := false; len(paths) > 0 && !found; paths = paths[:len(paths)-1] {
		if found, err = w.resume(paths[len(paths)-1]); err != nil {
			return err
		}
	}
	older := make([]sealedSegment, 0, len(paths)+len(w.sealed))
	for _, path := range paths {
		s, err := w.look(path)
		if err != nil {
			return err
		}
		older = append(older, s)
		w.total += s.size
	}
	w.sealed = append(older, w.sealed...)
	// What a process wrote that was killed may be on no disk yet.
	if err := syncDir(w.dir); err != nil {
		return err
	}
	return w.expire()
}

// look takes stock of a segment that is not the newest.
func (w *Writer) look(path string) (s sealedSegment, err error) {
	file, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return s, err
	}
	s = sealedSegment{path: path, size: info.Size(), newestMS: info.ModTime().UnixMilli()}
	if h, ok := readFooter(file, s.size); ok {
		s.newestMS = h.stampMS
		w.held = max(w.held, h.last) // files put in here by hand may overlap
	}
	head := newSegment(path, file, s.size)
	if err := head.begin(); errors.Is(err, errNewer) {
		return s, err
	}
	return s, w.adopt(head.header.cluster)
}

// adopt learns from a segment's header whose archive it is.
func (w *Writer) adopt(id [ClusterBytes]byte) error {
	if err := w.SetCluster(id); err != nil {
		return errors.New("it has segments of two clusters: move them apart")
	}
	return nil
}

// resume finds how far a segment goes, and goes on in it unless it is sealed. A
// segment without a sound frame is removed: found is false then.
func (w *Writer) resume(path string) (found bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	info, err := file.Stat()
	if err != nil {
		return false, errors.Join(err, file.Close())
	}
	tail := newSegment(path, file, info.Size())
	end, err := w.scan(tail)
	switch {
	case err != nil:
		return false, errors.Join(err, file.Close())
	case end == 0:
		w.notes = append(w.notes, fmt.Sprintf("removed %s: its %d bytes hold no frame", path, tail.size))
		return false, errors.Join(file.Close(), os.Remove(path), syncDir(w.dir))
	case tail.sealed:
		w.sealed = append(w.sealed, sealedSegment{path, tail.size, w.newestMS})
		w.total += tail.size
		return true, errors.Join(file.Sync(), file.Close())
	}
	w.file, w.path, w.size = file, path, end
	w.first, _ = parseSegmentName(path)
	if tail.header.version == magicAndVersion1 {
		w.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		if err != nil {
			return false, err
		}
	}
	if w.sum, err = checksum(file, end); err != nil {
		return false, err
	}
	if end < tail.size {
		w.notes = append(w.notes, fmt.Sprintf("cut the last %d bytes off %s: a write that was not finished, or damage", tail.size-end, path))
		if err := file.Truncate(end); err != nil {
			return false, err
		}
	}
	if err := file.Sync(); err != nil {
		return false, err
	}
	_, err = file.Seek(end, io.SeekStart)
	return true, err
}

// scan counts what is in a segment and returns where its last sound frame ends; 0:
// it has none.
func (w *Writer) scan(s *segment) (end int64, err error) {
	w.commands, w.frames, w.oldestMS, w.newestMS = 0, 0, 0, 0
	for {
		h, payload, err := s.next()
		var damage *Damage
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case errors.As(err, &damage):
			if damage.cause != nil { // not to be cut off: the disk may read it another time, a newer Playhead now
				return 0, err
			}
			continue
		}
		if h.kind == kindDigest {
			var d Digest
			d.parse(&h, payload)
			if err := w.adopt(d.Cluster); err != nil {
				return 0, err
			}
		}
		if err := w.adopt(s.header.cluster); err != nil {
			return 0, err
		}
		w.held = max(w.held, h.last)
		w.saw(h.stampMS)
		w.commands += uint64(h.commands)
		if h.kind != kindFooter {
			w.frames++
		}
		end = s.offset
	}
}
