package faultdisk

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a directory of the disk.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

var (
	_ fs.NodeWrapChilder = (*node)(nil)
	_ fs.NodeCreater     = (*node)(nil)
	_ fs.NodeOpener      = (*node)(nil)
	_ fs.NodeMkdirer     = (*node)(nil)
	_ fs.NodeUnlinker    = (*node)(nil)
	_ fs.NodeRmdirer     = (*node)(nil)
	_ fs.NodeRenamer     = (*node)(nil)
	_ fs.NodeSetattrer   = (*node)(nil)
	_ fs.NodeLinker      = (*node)(nil)
	_ fs.NodeSymlinker   = (*node)(nil)
)

// WrapChild implements fs.NodeWrapChilder.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.disk}
}

// at is where the content of a name in this directory is, or with none its own.
func (n *node) at(name string) string {
	return filepath.Join(n.disk.content, n.Path(n.Root()), name)
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	path := n.at(name)
	made, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, os.FileMode(mode))
	switch {
	case err == nil:
		if err := made.Close(); err != nil {
			return nil, nil, 0, fs.ToErrno(err)
		}
		if err := n.disk.made(path); err != nil {
			return nil, nil, 0, fs.ToErrno(err)
		}
	case !os.IsExist(err) || flags&syscall.O_EXCL != 0:
		return nil, nil, 0, fs.ToErrno(err)
	}
	child, errno := n.Lookup(ctx, name, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	h, errno := child.Operations().(*node).open(path, flags) // the child does not know its name yet
	return child, h, 0, errno
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	h, errno := n.open(n.at(""), flags)
	return h, 0, errno
}

func (n *node) open(path string, flags uint32) (fs.FileHandle, syscall.Errno) {
	file, ino, err := n.disk.open(path)
	if err == nil && flags&syscall.O_TRUNC != 0 {
		err = n.disk.resize(file, ino, 0, func() error { return file.Truncate(0) })
	}
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return &handle{n, file, ino}, 0
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	child, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	if errno == 0 {
		errno = fs.ToErrno(n.disk.made(n.at(name)))
	}
	return child, errno
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return fs.ToErrno(n.disk.takeAway(n.at(name), false))
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return fs.ToErrno(n.disk.takeAway(n.at(name), true))
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	target, ok := to.(*node)
	if !ok || flags != 0 {
		return syscall.EINVAL
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return fs.ToErrno(n.disk.rename(n.at(name), target.at(newName)))
}

// Link implements fs.NodeLinker: nobody needs it here, and it is not journaled.
func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Symlink implements fs.NodeSymlinker: see Link.
func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Setattr implements fs.NodeSetattrer; modes and times are not journaled.
func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	set := func() syscall.Errno { return n.LoopbackNode.Setattr(ctx, nil, in, out) }
	size, resized := in.GetSize()
	if !resized {
		return set()
	}
	file, ino, err := n.disk.open(n.at(""))
	if err != nil {
		return fs.ToErrno(err)
	}
	return fs.ToErrno(n.disk.resize(file, ino, int64(size), func() error {
		if errno := set(); errno != 0 {
			return errno
		}
		return nil
	}))
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	under, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &directory{under.(entries), n}, fuseFlags, 0
}

// entries are what an open directory of go-fuse's loopback can do.
type entries interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

type directory struct {
	entries
	node *node
}

// Fsyncdir implements fs.FileFsyncdirer.
func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno {
	ino, err := inode(d.node.at(""))
	if err != nil {
		return fs.ToErrno(err)
	}
	d.node.disk.fsync(func() { d.node.disk.syncDir(ino) })
	return 0
}

// handle is an open file. The descriptor is the disk's.
type handle struct {
	node *node
	file *os.File
	ino  uint64
}

var (
	_ fs.FileReader    = (*handle)(nil)
	_ fs.FileWriter    = (*handle)(nil)
	_ fs.FileFsyncer   = (*handle)(nil)
	_ fs.FileGetattrer = (*handle)(nil)
	_ fs.FileAllocater = (*handle)(nil)
	_ fs.FileFlusher   = (*handle)(nil)
)

// Read implements fs.FileReader.
func (h *handle) Read(_ context.Context, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultFd(h.file.Fd(), at, len(into)), 0
}

// Write implements fs.FileWriter.
func (h *handle) Write(_ context.Context, data []byte, at int64) (uint32, syscall.Errno) {
	h.node.disk.mu.Lock()
	defer h.node.disk.mu.Unlock()
	n, err := h.node.disk.write(h.file, h.ino, data, at)
	return uint32(n), fs.ToErrno(err)
}

// Allocate implements fs.FileAllocater.
func (h *handle) Allocate(_ context.Context, at, size uint64, mode uint32) syscall.Errno {
	h.node.disk.mu.Lock()
	defer h.node.disk.mu.Unlock()
	if mode != 0 {
		return syscall.ENOTSUP // a hole punched could not be undone
	}
	now, err := sizeOf(h.file)
	if err != nil {
		return fs.ToErrno(err)
	}
	to := max(now, int64(at+size))
	return fs.ToErrno(h.node.disk.resize(h.file, h.ino, to, func() error { return h.file.Truncate(to) }))
}

// Getattr implements fs.FileGetattrer.
func (h *handle) Getattr(_ context.Context, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h.file.Fd()), &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStat(&st)
	return 0
}

// Flush implements fs.FileFlusher: closing a file writes nothing to the disk.
func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

// Fsync implements fs.FileFsyncer.
func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	h.node.disk.fsync(func() { h.node.disk.syncFile(h.ino, h.node.at("")) })
	return 0
}

// fsync waits while the disk hangs, then makes lasting what was done before.
func (d *Disk) fsync(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if hung := d.hung; hung != nil {
		d.waiting++
		d.mu.Unlock()
		<-hung
		d.mu.Lock()
		d.waiting--
	}
	if !d.lies {
		do()
	}
}
