package raft

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"
)

const keptSnapshots = 2

// On disk a snapshot's state begins with what its meta.json says of the log, so
// that the checksum of the state covers that too: a flipped bit there would
// change the members, or let an old snapshot pass for a new one.
//
//	offset  size
//	0       8     magic and version, "phmeta01"; with files "phmeta02"
//	8       4     bytes of JSON, big-endian
//	12            JSON, see snapshotClaim
//
// Snapshots from before have none. It does not travel. Beside the state, in files/,
// are the files that it tells of, if there are any.
const (
	claimMagic      = "phmeta01"
	claimMagicFiles = "phmeta02"
	maxClaimBytes   = 1<<20 + maxListBytes
)

type snapshotClaim struct {
	Index              uint64              `json:"index"`
	Term               uint64              `json:"term"`
	Configuration      hraft.Configuration `json:"configuration"`
	ConfigurationIndex uint64              `json:"configuration_index"`
	Files              []fileClaim         `json:"files,omitempty"`
}

func (c snapshotClaim) magic() string {
	if len(c.Files) > 0 {
		return claimMagicFiles
	}
	return claimMagic
}

// snapshotStore is the library's. It verifies what it hands out, and promises
// what it took.
type snapshotStore struct {
	*hraft.FileSnapshotStore
	dir     string
	promise *promise
	disk    *Disk                        // that they are written to; nil: as it is
	sending string                       // directory of the files that are being sent
	removal removal                      // of those that are old
	damaged atomic.Pointer[func(error)]  // told of damage found by sending; nil while the node starts
	refused atomic.Pointer[error]        // the first that was found damaged
	failed  atomic.Pointer[error]        // the first that could not be read, or was not restored for another reason
	newest  atomic.Pointer[SnapshotInfo] // nil: none
	writing atomic.Int32                 // sinks that are neither complete nor cancelled
}

// SnapshotInfo is what a node knows of the newest snapshot on its disk.
type SnapshotInfo struct {
	Index uint64 // of the last entry in it
	At    time.Time
	Bytes int64 // with its files, also those that it shares with others

	id string
}

// LastSnapshot is the newest snapshot on this node's disk, its own or one that it
// was sent; false while there is none. It does not ask the disk.
func (n *Node) LastSnapshot() (SnapshotInfo, bool) {
	if info := n.snapshots.newest.Load(); info != nil {
		return *info, true
	}
	return SnapshotInfo{}, false
}

// WritesSnapshot reports whether a snapshot is being written to this node's disk, its own
// or one that it is sent.
func (n *Node) WritesSnapshot() bool { return n.snapshots.writing.Load() > 0 }

// tell makes a complete snapshot the newest, unless a leader has sent a newer one while
// this node's own was written.
func (s *snapshotStore) tell(info *SnapshotInfo) {
	for {
		known := s.newest.Load()
		if known != nil && known.Index > info.Index || s.newest.CompareAndSwap(known, info) {
			return
		}
	}
}

// lastIndex is the index of the newest snapshot; 0: there is none.
func (s *snapshotStore) lastIndex() uint64 {
	if newest := s.newest.Load(); newest != nil {
		return newest.Index
	}
	return 0
}

// has reports whether a snapshot is complete.
func (s *snapshotStore) has(id string) bool {
	_, err := os.Stat(filepath.Join(s.dir, id))
	return id != "" && err == nil
}

// takenAt reads when a snapshot was begun from its id; the zero time if it is none.
func takenAt(id string) time.Time {
	parts := parseID(id)
	if parts == nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(parts[2]))
}

func openSnapshots(dataDir string, promise *promise, logger hclog.Logger) (*snapshotStore, error) {
	under, err := hraft.NewFileSnapshotStoreWithLogger(dataDir, keptSnapshots+1, logger) // see removeOld
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	s := &snapshotStore{FileSnapshotStore: under, dir: filepath.Join(dataDir, "snapshots"), promise: promise, sending: filepath.Join(dataDir, "sending")}
	known, err := under.List()
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	if err := s.removeLeft(known); err != nil {
		return nil, fmt.Errorf("remove what a snapshot that broke off has left: %w", err)
	}
	if len(known) > 0 {
		s.newest.Store(s.infoOf(known[0].ID, known[0].Index))
	}
	return s, s.findUnreadable()
}

// removeLeft removes what the library leaves for ever: with links to files that are
// gone otherwise it would take more and more of the disk. That is what was being made
// when the node was killed, and what was being removed: it is older than the newest that
// is known, and its meta.json is missing or not whole. known begins with the newest; of it
// goes what is more than is kept.
func (s *snapshotStore) removeLeft(known []*hraft.SnapshotMeta) error {
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, entry := range found {
		id := entry.Name()
		if strings.HasSuffix(id, tmpSuffix) || entry.IsDir() && len(known) > 0 && olderID(id, known[0].ID) && metaIsGone(s.readMeta(id)) {
			if err := os.RemoveAll(filepath.Join(s.dir, id)); err != nil {
				return err
			}
		}
	}
	for _, old := range known[min(keptSnapshots, len(known)):] {
		if err := os.RemoveAll(filepath.Join(s.dir, old.ID)); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.sending)
}

// olderID compares ids; false for what is none.
func olderID(id, than string) bool {
	a, b := parseID(id), parseID(than)
	return a != nil && b != nil && slices.Compare(a, b) < 0
}

// parseID splits an id, term-index-milliseconds; nil for what is none.
func parseID(id string) (parts []uint64) {
	for text := range strings.SplitSeq(id, "-") {
		part, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil
		}
		parts = append(parts, part)
	}
	if len(parts) != 3 {
		return nil
	}
	return parts
}

// readMeta tries to read what the library needs to know a snapshot.
func (s *snapshotStore) readMeta(id string) error {
	data, err := os.ReadFile(filepath.Join(s.dir, id, "meta.json"))
	if err == nil {
		err = json.Unmarshal(data, new(hraft.SnapshotMeta))
	}
	return err
}

// metaIsGone: not for the disk's refusal to read it now.
func metaIsGone(err error) bool {
	return err != nil && refusalIn(err) == nil
}

const tmpSuffix = ".tmp" // the library's

func (s *snapshotStore) infoOf(id string, index uint64) *SnapshotInfo {
	info := &SnapshotInfo{Index: index, At: takenAt(id), id: id}
	dir := filepath.Join(s.dir, id)
	paths := []string{filepath.Join(dir, "state.bin")}
	attached, _ := os.ReadDir(filepath.Join(dir, filesDir)) // none, or found damaged elsewhere
	for _, entry := range attached {
		paths = append(paths, filepath.Join(dir, filesDir, entry.Name()))
	}
	for _, path := range paths {
		if file, err := os.Lstat(path); err == nil {
			info.Bytes += file.Size()
		}
	}
	return info
}

// findUnreadable looks for snapshots that the library passes over in silence.
func (s *snapshotStore) findUnreadable() error {
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	for _, entry := range found {
		if !entry.IsDir() || strings.HasSuffix(entry.Name(), tmpSuffix) {
			continue
		}
		if err := s.readMeta(entry.Name()); err != nil {
			_ = s.refuse(entry.Name(), fmt.Errorf("meta.json: %w", err))
		}
	}
	return nil
}

// refuse remembers the first snapshot that was found damaged, or could not be read.
func (s *snapshotStore) refuse(id string, why error) error {
	if refusalIn(why) != nil {
		err := unusableFile(filepath.Join(s.dir, id), why)
		s.failed.CompareAndSwap(nil, &err)
		return err
	}
	err := fmt.Errorf("snapshot %s is %w: %w", filepath.Join(s.dir, id), ErrDamaged, why)
	s.refused.CompareAndSwap(nil, &err)
	return err
}

// unusable is why a snapshot cannot be used, and what to do; nil if nothing is known.
func (s *snapshotStore) unusable() error {
	if failed := s.failed.Load(); failed != nil { // it may be whole
		return *failed
	}
	if refused := s.refused.Load(); refused != nil {
		return fmt.Errorf("%w: %s", *refused, rejoin)
	}
	return nil
}

// Create implements hraft.SnapshotStore.
func (s *snapshotStore) Create(version hraft.SnapshotVersion, index, term uint64, configuration hraft.Configuration, configurationIndex uint64, trans hraft.Transport) (hraft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
	if err != nil {
		return nil, err
	}
	s.writing.Add(1)
	return &snapshotSink{
		SnapshotSink: sink, store: s, dir: filepath.Join(s.dir, sink.ID()+tmpSuffix),
		claim: snapshotClaim{index, term, configuration, configurationIndex, nil},
	}, nil
}

// before is the newest snapshot's directory and claim, as far as it can be read.
func (s *snapshotStore) before() (dir string, claim snapshotClaim) {
	newest := s.newest.Load()
	if newest == nil {
		return "", claim
	}
	dir = filepath.Join(s.dir, newest.id)
	state, err := os.Open(filepath.Join(dir, "state.bin"))
	if err != nil {
		return dir, claim
	}
	claim, _, err = readClaim(state)
	if errors.Join(err, state.Close()) != nil {
		return dir, snapshotClaim{}
	}
	return dir, claim
}

// Open implements hraft.SnapshotStore. What it hands out is read as it travels, by
// whoever sends it to a peer, or by this node's machine, that says so (see
// openedSnapshot.restore).
func (s *snapshotStore) Open(id string) (*hraft.SnapshotMeta, io.ReadCloser, error) {
	s.removal.opened(id)
	meta, state, err := s.FileSnapshotStore.Open(id)
	if err != nil {
		s.removal.closed(id)
		return nil, nil, s.refuse(id, err)
	}
	opened, err := s.verify(id, meta, state)
	if err != nil {
		s.removal.closed(id)
		_ = state.Close() // what is wrong with it is known
		return nil, nil, s.refuse(id, err)
	}
	return meta, opened, nil
}

var errNoClaim = errors.New("it begins with no claim")

// readClaim reads what a state begins with, and how long that is. What it read of a
// state that has no claim is in begun.
func readClaim(state io.Reader) (claim snapshotClaim, begun []byte, err error) {
	begun = make([]byte, len(claimMagic)+4)
	n, err := io.ReadFull(state, begun)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return claim, nil, err
	}
	magic := string(begun[:len(claimMagic)])
	if err != nil || magic != claimMagic && magic != claimMagicFiles {
		return claim, begun[:n], errNoClaim
	}
	size := binary.BigEndian.Uint32(begun[len(claimMagic):])
	if size > maxClaimBytes {
		return claim, nil, fmt.Errorf("a head of %d bytes", size)
	}
	begun = append(begun, make([]byte, size)...)
	body := begun[len(claimMagic)+4:]
	if _, err := io.ReadFull(state, body); err != nil {
		return claim, nil, err
	}
	err = json.Unmarshal(body, &claim)
	return claim, begun, err
}

// verify holds meta.json against what the state begins with, and takes that off; and
// the files against what is told of them.
func (s *snapshotStore) verify(id string, meta *hraft.SnapshotMeta, state io.ReadCloser) (*openedSnapshot, error) {
	info, err := os.Stat(filepath.Join(s.dir, id, "state.bin"))
	if err != nil {
		return nil, err
	}
	if info.Size() != meta.Size {
		return nil, fmt.Errorf("meta.json: it tells of %d bytes, there are %d", meta.Size, info.Size())
	}
	opened := &openedSnapshot{store: s, id: id, under: state, state: state}
	claim, begun, err := readClaim(state)
	switch {
	case errors.Is(err, errNoClaim): // from before
		opened.state = io.MultiReader(bytes.NewReader(begun), state)
		return opened, nil
	case err != nil:
		return nil, fmt.Errorf("state.bin: %w", err)
	}
	opened.files, claim.Files = claim.Files, nil
	if told := (snapshotClaim{meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil}); !reflect.DeepEqual(told, claim) {
		return nil, errors.New("meta.json: it does not match the state")
	}
	meta.Size -= int64(len(begun))
	if len(opened.files) == 0 {
		return opened, nil
	}
	if err := checkFiles(opened.dir(), opened.files); err != nil {
		return nil, err
	}
	return opened, opened.prepareTravel(meta)
}
