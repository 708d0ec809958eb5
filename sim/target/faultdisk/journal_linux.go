package faultdisk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// pageBytes is what a disk writes at once.
const pageBytes = 4096

// change is something that was done and is not on the disk yet.
type change struct {
	in   uint64 // inode of the directory whose names it changed; 0: it changed a content
	of   uint64 // inode that it made, or whose content it changed; 0: neither
	undo func() error

	file *os.File // of a write; nil: it is none
	at   int64
	data []byte
}

func inode(path string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// All below need the lock.

// open is the file that journals a path's content. It stays open, so that its
// inode's number is not given to another.
func (d *Disk) open(path string) (*os.File, uint64, error) {
	ino, err := inode(path)
	if err != nil {
		return nil, 0, err
	}
	if file := d.files[ino]; file != nil {
		return file, ino, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	d.files[ino] = file
	return file, ino, nil
}

// write journals what a write changes, then does it.
func (d *Disk) write(file *os.File, ino uint64, data []byte, at int64) (int, error) {
	if last := d.lastOf(ino); last != nil && last.file != nil && last.at == at && len(last.data) == len(data) {
		copy(last.data, data) // undone, it is as before the first of the two
		return file.WriteAt(data, at)
	}
	size, err := sizeOf(file)
	if err != nil {
		return 0, err
	}
	old := make([]byte, max(0, min(int64(len(data)), size-at)))
	if _, err := file.ReadAt(old, at); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	d.journal = append(d.journal, &change{of: ino, file: file, at: at, data: append([]byte(nil), data...), undo: func() error {
		_, err := file.WriteAt(old, at)
		return errors.Join(err, file.Truncate(size))
	}})
	return file.WriteAt(data, at)
}

// resize journals what a truncation, or what resizes otherwise, takes away.
func (d *Disk) resize(file *os.File, ino uint64, to int64, do func() error) error {
	size, err := sizeOf(file)
	if err != nil {
		return err
	}
	tail := make([]byte, max(0, size-to))
	if _, err := file.ReadAt(tail, to); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	d.journal = append(d.journal, &change{of: ino, undo: func() error {
		if err := file.Truncate(size); err != nil || len(tail) == 0 {
			return err
		}
		_, err := file.WriteAt(tail, to)
		return err
	}})
	return do()
}

func sizeOf(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d *Disk) lastOf(ino uint64) *change {
	for i := len(d.journal) - 1; i >= 0; i-- {
		if c := d.journal[i]; c.in == 0 && c.of == ino {
			return c
		}
	}
	return nil
}

// made journals that a file or a directory was made.
func (d *Disk) made(path string) error {
	ino, err := inode(path)
	if err != nil {
		return err
	}
	in, err := inode(filepath.Dir(path))
	if err != nil {
		return err
	}
	d.journal = append(d.journal, &change{in: in, of: ino, undo: func() error { return os.RemoveAll(path) }})
	return nil
}

// takeAway removes a file or an empty directory, such that it can be put back.
func (d *Disk) takeAway(path string, directory bool) error {
	in, err := inode(filepath.Dir(path))
	if err != nil {
		return err
	}
	if directory {
		if err := syscall.Rmdir(path); err != nil {
			return err
		}
		d.journal = append(d.journal, &change{in: in, undo: func() error { return os.Mkdir(path, 0o755) }})
		return nil
	}
	d.graves++
	grave := filepath.Join(d.removed, fmt.Sprint(d.graves))
	if err := os.Rename(path, grave); err != nil {
		return err
	}
	d.journal = append(d.journal, &change{in: in, undo: func() error { return os.Rename(grave, path) }})
	return nil
}

// rename gives a file or a directory another name.
func (d *Disk) rename(from, to string) error {
	in, err := inode(filepath.Dir(to))
	if err != nil {
		return err
	}
	if info, err := os.Lstat(to); err == nil {
		if err := d.takeAway(to, info.IsDir()); err != nil {
			return err
		}
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.journal = append(d.journal, &change{in: in, undo: func() error { return os.Rename(to, from) }})
	return nil
}

// lasting forgets the changes that are on the disk from now on.
func (d *Disk) lasting(is func(*change) bool) {
	kept := d.journal[:0]
	for _, c := range d.journal {
		if !is(c) {
			kept = append(kept, c)
		}
	}
	clear(d.journal[len(kept):])
	d.journal = kept
}

// syncFile is fsync of a file, or of the directories that lead to one.
func (d *Disk) syncFile(ino uint64, path string) {
	d.lasting(func(c *change) bool { return c.of == ino })
	for dir := filepath.Dir(path); len(dir) > len(d.content); dir = filepath.Dir(dir) {
		if above, err := inode(dir); err == nil {
			d.lasting(func(c *change) bool { return c.of == above })
		}
	}
}

func (d *Disk) syncDir(ino uint64) { d.lasting(func(c *change) bool { return c.in == ino }) }

// undo takes back what is not on the disk, and does again the pages that keep says.
// What was done in a directory that is gone for good is gone with it.
func (d *Disk) undo(keep func(at int64) bool) error {
	for i := len(d.journal) - 1; i >= 0; i-- {
		if err := d.journal[i].undo(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("lose power: %w", err)
		}
	}
	for _, c := range d.journal {
		if c.file == nil || keep == nil {
			continue
		}
		for from := int64(0); from < int64(len(c.data)); {
			to := min(int64(len(c.data)), from+pageBytes-(c.at+from)%pageBytes)
			if keep(c.at + from) {
				if _, err := c.file.WriteAt(c.data[from:to], c.at+from); err != nil {
					return fmt.Errorf("lose power: %w", err)
				}
			}
			from = to
		}
	}
	d.journal = nil
	return nil
}
