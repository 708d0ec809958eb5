package raft

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	hraft "github.com/hashicorp/raft"
)

// snapshotSink is a snapshot being written, by this node's machine or by a leader
// that sends it. Once complete it promises the entries that it stands for. Until
// then all of it is in a directory that nobody takes for a snapshot.
type snapshotSink struct {
	hraft.SnapshotSink
	store  *snapshotStore
	dir    string // while it is written
	claim  snapshotClaim
	first  []byte    // what was written, until that tells which of the two it is
	begun  bool      // the claim is written
	pace   pacer     // of the state
	unpack *unpacker // nil: it carries no files, or they are there already
	over   bool      // it is complete, or was cancelled
}

// filesDir is in a snapshot's directory.
const filesDir = "files"

// attach takes the files of this node's machine, before the state is written.
func (s *snapshotSink) attach(files FileWriter, stop <-chan struct{}) error {
	dir := filepath.Join(s.dir, filesDir)
	if err := files.WriteFiles(dir); err != nil {
		return err
	}
	before, claimBefore := s.store.before()
	list, err := listFiles(dir, filepath.Join(before, filesDir), claimBefore.Files, stop)
	if err != nil {
		return err
	}
	s.claim.Files = list
	return nil
}

// Write implements hraft.SnapshotSink.
func (s *snapshotSink) Write(p []byte) (int, error) {
	rest := p
	if !s.begun && s.unpack == nil {
		taken := min(len(p), len(travelMagic)-len(s.first))
		s.first, rest = append(s.first, p[:taken]...), p[taken:]
		if len(s.first) < len(travelMagic) {
			return len(p), nil
		}
		if string(s.first) == travelMagic && len(s.claim.Files) == 0 {
			s.unpack = &unpacker{sink: s}
		} else if err := s.begin(); err != nil {
			return 0, err
		}
	}
	var err error
	if s.unpack != nil {
		err = s.unpack.write(rest)
	} else {
		_, err = s.writeState(rest)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// begin writes the claim, and what waited for it.
func (s *snapshotSink) begin() error {
	s.begun = true
	claim, err := json.Marshal(s.claim)
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32([]byte(s.claim.magic()), uint32(len(claim)))
	head = append(head, claim...)
	if s.unpack == nil {
		head = append(head, s.first...)
	}
	_, err = s.writeState(head)
	return err
}

// writeState writes what is to be in state.bin.
func (s *snapshotSink) writeState(p []byte) (int, error) {
	if err := s.store.disk.pass(true); err != nil {
		return 0, err
	}
	n, err := s.SnapshotSink.Write(p)
	if err == nil {
		err = s.pace.wrote(filepath.Join(s.dir, "state.bin"), n)
	}
	return n, err
}

// Close implements hraft.SnapshotSink: the snapshot is complete.
func (s *snapshotSink) Close() error {
	if err := s.complete(); err != nil {
		return errors.Join(err, s.Cancel())
	}
	defer s.end()
	if err := s.SnapshotSink.Close(); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	s.store.removeOld()
	s.store.tell(s.store.infoOf(s.ID(), s.claim.Index))
	return s.store.promise.raiseLast(s.claim.Index)
}

// end counts this one off: it is written no more.
func (s *snapshotSink) end() {
	if !s.over {
		s.over = true
		s.store.writing.Add(-1)
	}
}

// complete sees that everything is there, and will be after a power cut.
func (s *snapshotSink) complete() error {
	if s.unpack != nil {
		if err := s.unpack.complete(); err != nil {
			return err
		}
	}
	if !s.begun {
		if err := s.begin(); err != nil {
			return err
		}
	}
	return errors.Join(s.pace.close(), syncDir(s.dir))
}

// Cancel implements hraft.SnapshotSink: what was written is removed.
func (s *snapshotSink) Cancel() error {
	defer s.end()
	var err error
	if s.unpack != nil {
		err = s.unpack.close()
	}
	return errors.Join(err, s.pace.close(), s.SnapshotSink.Cancel(), os.RemoveAll(s.dir))
}

// syncEvery is how much of a snapshot's state is written before it is synced: the log's
// own syncs would wait for all that the system has put off writing.
const syncEvery = 4 << 20

// pacer syncs a file now and then while another writes it.
type pacer struct {
	dirty int
	file  *os.File
}

func (p *pacer) wrote(path string, n int) (err error) {
	if p.dirty += n; p.dirty < syncEvery {
		return nil
	}
	p.dirty = 0
	if p.file == nil {
		if p.file, err = os.Open(path); err != nil {
			return err
		}
	}
	return p.file.Sync()
}

func (p *pacer) close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

// unpacker takes apart what travelled. Every number in it is a peer's.
type unpacker struct {
	sink      *snapshotSink
	head      []byte // after the magic, until it is whole
	stateLeft int64
	files     []fileClaim // still to come
	file      *os.File    // of files[0]; nil: not yet open
	fileLeft  int64
	sum       uint32
}

var errCutShort = errors.New("the snapshot ends too soon")

func (u *unpacker) write(p []byte) (err error) {
	for len(p) > 0 && err == nil {
		var n int
		switch {
		case !u.sink.begun:
			n, err = u.readHead(p)
		case u.stateLeft > 0:
			n = int(min(u.stateLeft, int64(len(p))))
			u.stateLeft -= int64(n)
			_, err = u.sink.writeState(p[:n])
		case len(u.files) == 0:
			err = errors.New("the snapshot goes on after its last file")
		default:
			n, err = u.writeFile(p)
		}
		p = p[n:]
	}
	return err
}

func (u *unpacker) readHead(p []byte) (n int, err error) {
	want := 4
	if len(u.head) >= 4 {
		size := binary.BigEndian.Uint32(u.head)
		if size == 0 || size > maxListBytes {
			return 0, fmt.Errorf("the snapshot has a list of %d bytes of files, expected 1 to %d", size, maxListBytes)
		}
		want += int(size)
	}
	n = min(want-len(u.head), len(p))
	u.head = append(u.head, p[:n]...)
	if len(u.head) < want || want == 4 {
		return n, nil
	}
	var list travelList
	if err := json.Unmarshal(u.head[4:], &list); err != nil {
		return n, fmt.Errorf("read the list of files: %w", err)
	}
	if _, err := checkList(list.Files); err != nil {
		return n, fmt.Errorf("read the list of files: %w", err)
	}
	if list.StateBytes < 0 {
		return n, fmt.Errorf("read the list of files: state_bytes: %w: %d", errFilesSize, list.StateBytes)
	}
	u.head, u.stateLeft, u.files = nil, list.StateBytes, list.Files
	u.sink.claim.Files = list.Files
	if err := os.Mkdir(filepath.Join(u.sink.dir, filesDir), 0o755); err != nil {
		return n, err
	}
	return n, u.sink.begin()
}

func (u *unpacker) writeFile(p []byte) (n int, err error) {
	if err := u.openNext(); err != nil {
		return 0, err
	}
	n = int(min(u.fileLeft, int64(len(p))))
	if _, err := u.file.Write(p[:n]); err != nil {
		return 0, err
	}
	u.sum = crc32.Update(u.sum, castagnoli, p[:n])
	u.fileLeft -= int64(n)
	if u.fileLeft == 0 {
		err = u.finishFile()
	}
	return n, err
}

func (u *unpacker) openNext() (err error) {
	if u.file != nil {
		return nil
	}
	u.file, err = os.OpenFile(filepath.Join(u.sink.dir, filesDir, u.files[0].Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	u.fileLeft, u.sum = u.files[0].Bytes, 0
	return err
}

func (u *unpacker) finishFile() error {
	if u.sum != u.files[0].CRC32C {
		return fmt.Errorf("%s: %w", u.files[0].Name, errEntrySum)
	}
	if err := errors.Join(u.file.Sync(), u.close()); err != nil {
		return err
	}
	u.files = u.files[1:]
	return nil
}

// complete fails unless everything came.
func (u *unpacker) complete() error {
	for u.sink.begun && u.stateLeft == 0 && len(u.files) > 0 && u.files[0].Bytes == 0 { // nothing follows an empty one
		if err := u.openNext(); err != nil {
			return err
		}
		if err := u.finishFile(); err != nil {
			return err
		}
	}
	if !u.sink.begun || u.stateLeft > 0 || len(u.files) > 0 {
		return errCutShort
	}
	return syncDir(filepath.Join(u.sink.dir, filesDir))
}

func (u *unpacker) close() error {
	if u.file == nil {
		return nil
	}
	file := u.file
	u.file = nil
	return file.Close()
}
