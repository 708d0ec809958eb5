package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A promise is on disk in this form:
//
//	offset  size
//	0       8     magic and version, "phprom01"
//	8       8     index of the last entry, big-endian
//	16      8     number of the last change of the stable values, big-endian
//	24      4     CRC-32C of all before, big-endian
const (
	promiseFile  = "promise"
	promiseMagic = "phprom01"
	promiseBytes = len(promiseMagic) + 8 + 8 + crc32.Size
)

// promise is the least that this disk has to hold, kept beside the log so that
// a log that was cut short is told from one that never was longer: to the
// libraries a damaged end looks like an append that a crash interrupted, and a
// node that forgets what it has acknowledged can vote it away for all.
//
// It is written after the fact and reaches the disk when the system likes: after
// SIGKILL it is exact, after a power cut it may promise less than there is. Only
// a promise taken back is synced, before it is broken.
type promise struct {
	path string
	mu   sync.Mutex
	file *os.File
	last uint64 // entry
	seq  uint64 // change of the stable values
}

// openPromise reads the promise of a directory; nil when it has made none.
func openPromise(dir string) (*promise, error) {
	p := &promise{path: filepath.Join(dir, promiseFile)}
	file, err := os.OpenFile(p.path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unusableFile(p.path, err)
	}
	p.file = file
	data := make([]byte, promiseBytes+1)
	n, err := file.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(unusableFile(p.path, err), file.Close())
	}
	sum := promiseBytes - crc32.Size
	if n != promiseBytes || string(data[:len(promiseMagic)]) != promiseMagic ||
		crc32.Checksum(data[:sum], castagnoli) != binary.BigEndian.Uint32(data[sum:]) {
		return nil, errors.Join(unusableFile(p.path, errEntrySum), file.Close())
	}
	p.last, p.seq = binary.BigEndian.Uint64(data[8:]), binary.BigEndian.Uint64(data[16:])
	return p, nil
}

// makePromise begins one for a directory that has none.
func makePromise(dir string, last, seq uint64) (*promise, error) {
	p := &promise{path: filepath.Join(dir, promiseFile), last: last, seq: seq}
	file, err := os.OpenFile(p.path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("begin what the log promises: %w", err)
	}
	p.file = file
	err = p.write(true)
	if err == nil {
		err = os.Rename(p.path+".tmp", p.path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// get is the last entry and the last change of the stable values promised.
func (p *promise) get() (last, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.seq
}

// setLast promises the entries up to last, and no others any more.
func (p *promise) setLast(last uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	less := last < p.last
	p.last = last
	return p.write(less)
}

// raiseLast promises the entries up to last, if it has not.
func (p *promise) raiseLast(last uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last <= p.last {
		return nil
	}
	p.last = last
	return p.write(false)
}

// setSeq promises one more change of the stable values.
func (p *promise) setSeq(seq uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq = seq
	return p.write(false)
}

// write needs the lock.
func (p *promise) write(sync bool) error {
	data := append(make([]byte, 0, promiseBytes), promiseMagic...)
	data = binary.BigEndian.AppendUint64(data, p.last)
	data = binary.BigEndian.AppendUint64(data, p.seq)
	data = binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	if _, err := p.file.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write what the log has promised: %w", err)
	}
	if !sync {
		return nil
	}
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("write what the log has promised: %w", err)
	}
	return nil
}

func (p *promise) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.file.Sync(), p.file.Close())
}
