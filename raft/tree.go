package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The file format of bbolt, version 2, in the machine's byte order: pages of one
// size, each with a header; two meta pages at the start, of which the one with
// the greater transaction and a right checksum counts; below it a B+tree of
// branch and leaf pages. But for the meta pages nothing has a checksum.
const (
	treePageHeader = 16
	treeElement    = 16 // of a branch or a leaf page
	treeMetaBytes  = 64
	treeMagic      = 0xED0CDAED
	treeVersion    = 2
	treeNoFreelist = ^uint64(0)

	treeBranch   = 0x01
	treeLeaf     = 0x02
	treeFreelist = 0x10
	treeBucket   = 0x01 // flag of a leaf's element
)

// treeFileReader is what checkTree needs of a file.
type treeFileReader interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// treeCheck walks every page that is in use.
type treeCheck struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64 // below this number lies everything in use
	seen     []bool
}

type treeMeta struct{ pageSize, root, freelist, pages, txid uint64 }

// checkTree verifies the structure of a bbolt file: that every page is whole,
// what it says it is, referred to once, and that keys are in order. bbolt's own
// check cannot be used: to begin it opens the freelist, for which bbolt walks
// the tree in a goroutine whose panics and faults end the process. It reads the
// tree's pages once: 0.4 to 0.7 s were measured for 560 MiB in the page cache.
func checkTree(file treeFileReader) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, err := readTreeMeta(file)
	if err != nil {
		return err
	}
	if size := uint64(info.Size()); meta.pages > size/meta.pageSize {
		return fmt.Errorf("%d bytes long, expected at least %d", size, meta.pages*meta.pageSize)
	}
	c := &treeCheck{file: file, pageSize: meta.pageSize, pages: meta.pages, seen: make([]bool, meta.pages)}
	if err := c.walk(meta.root, nil, nil); err != nil {
		return err
	}
	return c.freelist(meta.freelist)
}

// readTreeMeta is the newest of the two that is whole.
func readTreeMeta(file io.ReaderAt) (treeMeta, error) {
	var newest treeMeta
	found := false
	size := uint64(os.Getpagesize())
	for i := range uint64(2) {
		buf := make([]byte, treeMetaBytes)
		if _, err := file.ReadAt(buf, int64(i*size+treePageHeader)); err != nil && !errors.Is(err, io.EOF) {
			return newest, err
		}
		sum := fnv.New64a()
		_, _ = sum.Write(buf[:56])
		word := binary.NativeEndian
		if word.Uint32(buf) != treeMagic || word.Uint32(buf[4:]) != treeVersion || word.Uint64(buf[56:]) != sum.Sum64() {
			continue
		}
		m := treeMeta{
			pageSize: uint64(word.Uint32(buf[8:])), root: word.Uint64(buf[16:]),
			freelist: word.Uint64(buf[32:]), pages: word.Uint64(buf[40:]), txid: word.Uint64(buf[48:]),
		}
		size = m.pageSize
		if !found || m.txid > newest.txid {
			newest, found = m, true
		}
	}
	if !found || newest.pageSize < treePageHeader {
		return newest, errors.New("neither of its two meta pages is whole")
	}
	return newest, nil
}

// page reads a page that is referred to, once.
func (c *treeCheck) page(id uint64) (flags uint16, data []byte, err error) {
	if id < 2 || id >= c.pages {
		return 0, nil, fmt.Errorf("page %d: out of bounds", id)
	}
	data = make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(data, int64(id*c.pageSize)); err != nil {
		return 0, nil, fmt.Errorf("page %d: %w", id, err)
	}
	word := binary.NativeEndian
	if got := word.Uint64(data); got != id {
		return 0, nil, fmt.Errorf("page %d: it says that it is page %d", id, got)
	}
	run := 1 + uint64(word.Uint32(data[12:]))
	if run > c.pages-id {
		return 0, nil, fmt.Errorf("page %d: %d pages long, which is out of bounds", id, run)
	}
	for i := id; i < id+run; i++ {
		if c.seen[i] {
			return 0, nil, fmt.Errorf("page %d: referred to twice", i)
		}
		c.seen[i] = true
	}
	if run > 1 {
		data = append(data, make([]byte, (run-1)*c.pageSize)...)
		if _, err := c.file.ReadAt(data[c.pageSize:], int64((id+1)*c.pageSize)); err != nil {
			return 0, nil, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return word.Uint16(data[8:]), data, nil
}

// walk checks a page and all below it; its keys have to lie in [from, to).
func (c *treeCheck) walk(id uint64, from, to []byte) error {
	flags, data, err := c.page(id)
	if err != nil {
		return err
	}
	return c.walkPage(id, flags, data, from, to)
}

func (c *treeCheck) walkPage(id uint64, flags uint16, data, from, to []byte) error {
	if flags != treeBranch && flags != treeLeaf {
		return fmt.Errorf("page %d: type %#x, expected a branch or a leaf", id, flags)
	}
	elements, err := treeElements(data, flags)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, e := range elements {
		end := to
		if i+1 < len(elements) {
			end = elements[i+1].key
		}
		// In order with its neighbours, and within what the branch above says.
		if from != nil && bytes.Compare(e.key, from) < 0 || end != nil && bytes.Compare(e.key, end) >= 0 {
			return fmt.Errorf("page %d: key %d is out of order", id, i)
		}
		switch {
		case flags == treeBranch:
			err = c.walk(e.child, e.key, end)
		case e.bucket:
			err = c.walkBucket(id, e.value)
		}
		if err != nil {
			return err
		}
	}
	if flags == treeBranch && len(elements) == 0 {
		return fmt.Errorf("page %d: a branch without children", id)
	}
	return nil
}

// walkBucket checks a bucket: a page of its own, or within its value.
func (c *treeCheck) walkBucket(id uint64, value []byte) error {
	if len(value) < treePageHeader {
		return fmt.Errorf("page %d: a bucket is cut short", id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.walk(root, nil, nil)
	}
	within := value[treePageHeader:]
	if len(within) < treePageHeader {
		return fmt.Errorf("page %d: a bucket is cut short", id)
	}
	if flags := binary.NativeEndian.Uint16(within[8:]); flags != treeLeaf {
		return fmt.Errorf("page %d: a bucket of type %#x, expected a leaf", id, flags)
	}
	return c.walkPage(id, treeLeaf, within, nil, nil)
}

type treeEntry struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// treeElements are what a branch or leaf page lists, cut from its bytes.
func treeElements(data []byte, flags uint16) ([]treeEntry, error) {
	word := binary.NativeEndian
	size := uint64(len(data))
	count := uint64(word.Uint16(data[10:]))
	if treePageHeader+count*treeElement > size {
		return nil, fmt.Errorf("%d elements, more than fit", count)
	}
	entries := make([]treeEntry, count)
	for i := range count {
		at := treePageHeader + i*treeElement
		var pos, key, value uint64
		if flags == treeBranch {
			pos, key = uint64(word.Uint32(data[at:])), uint64(word.Uint32(data[at+4:]))
			entries[i].child = word.Uint64(data[at+8:])
		} else {
			entries[i].bucket = word.Uint32(data[at:])&treeBucket != 0
			pos, key, value = uint64(word.Uint32(data[at+4:])), uint64(word.Uint32(data[at+8:])), uint64(word.Uint32(data[at+12:]))
		}
		begin := at + pos
		if begin+key+value > size {
			return nil, fmt.Errorf("element %d ends outside", i)
		}
		entries[i].key, entries[i].value = data[begin:begin+key], data[begin+key:begin+key+value]
	}
	return entries, nil
}

// freelist checks that no page that is in use is listed as free.
func (c *treeCheck) freelist(id uint64) error {
	if id == treeNoFreelist {
		return nil
	}
	flags, data, err := c.page(id)
	if err != nil {
		return err
	}
	if flags != treeFreelist {
		return fmt.Errorf("page %d: type %#x, expected the free pages", id, flags)
	}
	word := binary.NativeEndian
	free, count := data[treePageHeader:], uint64(word.Uint16(data[10:]))
	if count == 0xFFFF { // too many for the header
		count, free = word.Uint64(free), free[8:]
	}
	if count > uint64(len(free))/8 {
		return fmt.Errorf("page %d: %d free pages, more than fit", id, count)
	}
	for i := range count {
		page := word.Uint64(free[i*8:])
		if page < 2 || page >= c.pages || c.seen[page] {
			return fmt.Errorf("page %d: lists page %d as free, which is in use or out of bounds", id, page)
		}
		c.seen[page] = true
	}
	return nil
}
