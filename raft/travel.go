package raft

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	hraft "github.com/hashicorp/raft"
)

// A snapshot with files travels as
//
//	offset  size
//	0       8     magic and version, "phsent01"
//	8       4     bytes of JSON, big-endian
//	12            JSON, see travelList
//	              the state, as a snapshot without files travels
//	              the files, one after the other in the order of the list
const travelMagic = "phsent01"

type travelList struct {
	StateBytes int64       `json:"state_bytes"`
	Files      []fileClaim `json:"files"`
}

func (l travelList) head() ([]byte, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32([]byte(travelMagic), uint32(len(body))), body...), nil
}

// openedSnapshot is a snapshot being read.
type openedSnapshot struct {
	store  *snapshotStore
	id     string
	under  io.Closer
	state  io.Reader
	files  []fileClaim
	head   []byte       // of what travels, when there are files
	travel io.Reader    // nil: not begun
	rest   *filesReader // of travel
	linked string       // directory; "": none
	closed bool
}

// dir is where the files are.
func (o *openedSnapshot) dir() string { return filepath.Join(o.store.dir, o.id, filesDir) }

// prepareTravel makes the head of what travels, and its size that of the snapshot.
func (o *openedSnapshot) prepareTravel(meta *hraft.SnapshotMeta) (err error) {
	if o.head, err = (travelList{StateBytes: meta.Size, Files: o.files}).head(); err != nil {
		return err
	}
	meta.Size += int64(len(o.head))
	for _, file := range o.files {
		meta.Size += file.Bytes
	}
	return nil
}

// restore makes what is read the state alone, and tells where the files are; "":
// there are none.
func (o *openedSnapshot) restore() (files string) {
	o.travel = o.state
	if len(o.files) == 0 {
		return ""
	}
	return o.dir()
}

// Read implements io.Reader.
func (o *openedSnapshot) Read(p []byte) (int, error) {
	if o.travel == nil {
		if err := o.pack(); err != nil {
			return 0, err
		}
	}
	return o.travel.Read(p)
}

// pack begins the journey. The files are linked, because it may take longer than the
// snapshot is kept.
func (o *openedSnapshot) pack() (err error) {
	if len(o.files) == 0 {
		o.travel = o.state
		return nil
	}
	if err := os.MkdirAll(o.store.sending, 0o755); err != nil {
		return err
	}
	if o.linked, err = os.MkdirTemp(o.store.sending, o.id+"-"); err != nil {
		return err
	}
	if err := linkFiles(o.dir(), o.linked, o.files); err != nil {
		return err
	}
	o.rest = &filesReader{dir: o.linked, files: o.files, damaged: o.tellDamaged}
	o.travel = io.MultiReader(bytes.NewReader(o.head), o.state, o.rest)
	return nil
}

func (o *openedSnapshot) tellDamaged(file fileClaim, why error) error {
	err := unusableFile(filepath.Join(o.dir(), file.Name), why)
	if tell := o.store.damaged.Load(); tell != nil {
		(*tell)(err)
	}
	return err
}

// notRestored remembers why, for who starts the node: the library does not tell.
func (o *openedSnapshot) notRestored(why error) {
	if errors.Is(why, ErrDamaged) {
		_ = o.store.refuse(o.id, why)
		return
	}
	err := fmt.Errorf("snapshot %s was not restored: %w", filepath.Join(o.store.dir, o.id), why)
	o.store.failed.CompareAndSwap(nil, &err)
}

// Close implements io.Closer.
func (o *openedSnapshot) Close() error {
	if !o.closed {
		o.closed = true
		o.store.removal.closed(o.id)
	}
	err := o.under.Close()
	if o.rest != nil {
		err = errors.Join(err, o.rest.close())
	}
	if o.linked != "" {
		err = errors.Join(err, os.RemoveAll(o.linked))
	}
	return err
}

func linkFiles(from, to string, files []fileClaim) error {
	for _, file := range files {
		if err := os.Link(filepath.Join(from, file.Name), filepath.Join(to, file.Name)); err != nil {
			return err
		}
	}
	return nil
}

// filesReader reads files one after the other, and fails at the end of one that is
// not what it has to be.
type filesReader struct {
	dir     string
	files   []fileClaim // still to come
	damaged func(file fileClaim, why error) error
	file    *os.File // of files[0]; nil: not yet open
	left    int64
	sum     uint32
}

// Read implements io.Reader.
func (r *filesReader) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if len(r.files) == 0 {
			return 0, io.EOF
		}
		if r.file == nil {
			if r.file, err = os.Open(filepath.Join(r.dir, r.files[0].Name)); err != nil {
				return 0, err
			}
			r.left, r.sum = r.files[0].Bytes, 0
		}
		if r.left > 0 {
			n, err = r.file.Read(p[:min(int64(len(p)), r.left)])
			r.sum = crc32.Update(r.sum, castagnoli, p[:n])
			r.left -= int64(n)
			if errors.Is(err, io.EOF) {
				return n, r.damaged(r.files[0], errFileBytes)
			}
			if err != nil {
				return n, err
			}
			continue
		}
		if r.sum != r.files[0].CRC32C {
			return 0, r.damaged(r.files[0], errEntrySum)
		}
		if err := r.close(); err != nil {
			return 0, err
		}
		r.files = r.files[1:]
	}
	return n, nil
}

func (r *filesReader) close() error {
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.Close()
}
