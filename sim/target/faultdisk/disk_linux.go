package faultdisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// unmountWithin bounds the wait for processes that were killed to let go of a disk.
const unmountWithin = 10 * time.Second

// Disk is a mounted disk. Its methods may be called from any goroutine; LosePower
// and Close when no process uses it any more.
type Disk struct {
	dir     string // where it is mounted
	content string // what processes see
	removed string // what they removed and could be there again after a loss of power
	server  *fuse.Server

	mu      sync.Mutex
	journal []*change // what is not on the disk yet, oldest first
	files   map[uint64]*os.File
	graves  int
	lies    bool
	hung    chan struct{} // closed when fsync goes on; nil: it does not hang
	waiting int           // calls of fsync that hang
}

// Mount mounts a disk at dir, an empty directory that has to exist, and keeps its
// content in scratch, another. It fails where FUSE cannot be had.
func Mount(dir, scratch string) (*Disk, error) {
	d := &Disk{dir: dir, content: filepath.Join(scratch, "content"), removed: filepath.Join(scratch, "removed"), files: map[uint64]*os.File{}}
	if err := errors.Join(os.Mkdir(d.content, 0o755), os.Mkdir(d.removed, 0o755)); err != nil {
		return nil, err
	}
	if err := d.mount(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Disk) mount() error {
	root, err := fs.NewLoopbackRoot(d.content)
	if err != nil {
		return fmt.Errorf("mount %s: %w", d.dir, err)
	}
	// The library opens a file of the disk and closes it again. A process that began in
	// between would have it open too, and the disk would be busy for as long as it runs.
	syscall.ForkLock.RLock()
	d.server, err = fs.Mount(d.dir, &node{root.(*fs.LoopbackNode), d}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faultdisk", Name: "faultdisk"}, // begins no process
	})
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fmt.Errorf("mount %s: %w", d.dir, err)
	}
	return nil
}

func (d *Disk) unmount() error {
	for deadline := time.Now().Add(unmountWithin); ; time.Sleep(10 * time.Millisecond) {
		err := d.server.Unmount()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			users := usersOf(d.dir)
			return errors.Join(fmt.Errorf("unmount %s, in use by %v: %w", d.dir, users, err), syscall.Unmount(d.dir, syscall.MNT_DETACH))
		}
	}
}

// usersOf is the links in /proc that lead below dir: of processes that have a file of it
// open or mapped, or that work in it.
func usersOf(dir string) (links []string) {
	for _, kind := range []string{"cwd", "root", "exe", "fd/*", "map_files/*"} {
		found, _ := filepath.Glob("/proc/[0-9]*/" + kind) // processes end meanwhile
		for _, link := range found {
			if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to+"/", dir+"/") {
				links = append(links, link+" -> "+to)
			}
		}
	}
	return links
}

// Hang makes every fsync wait, until Release.
func (d *Disk) Hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung == nil {
		d.hung = make(chan struct{})
	}
}

// Release lets what hangs go on.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung != nil {
		close(d.hung)
		d.hung = nil
	}
}

// Hanging is how many calls of fsync wait.
func (d *Disk) Hanging() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting
}

// Lie makes fsync answer without doing anything from now on, as a drive does whose
// cache is switched on without a battery.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = true
}

// LosePower takes away what was not on the disk yet, then mounts it again, honest.
// keep decides for each page that was written since, by where it is in its file,
// whether it had reached the disk all the same; nil keeps none.
func (d *Disk) LosePower(keep func(at int64) bool) (lost int, err error) {
	d.Release()
	if err := d.unmount(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	lost, d.lies = len(d.journal), false
	err = errors.Join(d.undo(keep), d.closeFiles())
	d.mu.Unlock()
	return lost, errors.Join(err, d.mount())
}

// Close unmounts the disk.
func (d *Disk) Close() error {
	d.Release()
	err := d.unmount()
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(err, d.closeFiles())
}

func (d *Disk) closeFiles() error {
	var errs []error
	for ino, file := range d.files {
		errs = append(errs, file.Close())
		delete(d.files, ino)
	}
	return errors.Join(errs...)
}
