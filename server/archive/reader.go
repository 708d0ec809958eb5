package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Kind says what a Record tells.
type Kind uint8

// The kinds of a Record, and the field that holds what it tells.
const (
	Entries Kind = 1 + iota // Entries: the commands of one frame, in log order
	Gaps                    // Gap: entries that are not here
	Digests                 // Digest: what the state was
	Damages                 // Damage: a stretch that cannot be read
)

// Gap is entries that an archive does not hold.
type Gap struct {
	From, To uint64 // the first and the last index
	// Recorded: the node wrote the gap down when it began from a snapshot. Else
	// entries were lost to damage, a missing segment or retention.
	Recorded bool
}

// Record is one thing that a Reader tells. Its memory is its own, and is used
// again when it is handed to Next again.
type Record struct {
	Kind    Kind
	Segment string // the file
	Entries []Entry
	Gap     Gap
	Digest  Digest
	Damage  Damage

	raw []byte
}

// Reader walks the segments of an archive in order. Hostile input costs no more
// than MaxBlockBytes twice, and never a panic. One goroutine may use it at a time;
// the archive may be written meanwhile by its node.
type Reader struct {
	paths   []string
	bytes   int64
	open    func(path string) (file, error)
	decoder *zstd.Decoder

	at      *segment // nil between two segments
	file    file
	read    int    // segments opened
	last    uint64 // everything up to it was told
	cluster [ClusterBytes]byte
	newest  bool // at is the last segment

	// what is checked against a footer
	commands, frames uint64
	sound            bool

	ready *Record // to be told after a gap before it
	held  Record
}

type file interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// ErrNoArchive says that a directory holds no segment.
var ErrNoArchive = errors.New("no segments (*" + suffix + ") in it")

// OpenReader opens the archive in a directory. The segments are those that are
// there now.
func OpenReader(dir string) (*Reader, error) {
	paths, total, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("read the archive %s: %w", dir, ErrNoArchive)
	}
	r, err := newReader(paths, func(path string) (file, error) { return os.Open(path) })
	if err != nil {
		return nil, err
	}
	r.bytes = total
	return r, nil
}

func newReader(paths []string, open func(string) (file, error)) (*Reader, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxBlockBytes))
	if err != nil {
		return nil, fmt.Errorf("start the decompressor: %w", err)
	}
	return &Reader{paths: paths, open: open, decoder: decoder}, nil
}

// listSegments are the paths of an archive's segments, oldest first, and their bytes.
func listSegments(dir string) (paths []string, total int64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("read the archive: %w", err)
	}
	for _, f := range files {
		if _, ok := parseSegmentName(f.Name()); !ok || !f.Type().IsRegular() {
			continue
		}
		paths = append(paths, filepath.Join(dir, f.Name()))
		if info, err := f.Info(); err == nil { // else it was deleted meanwhile
			total += info.Size()
		}
	}
	slices.Sort(paths)
	return paths, total, nil
}

// Segments is how many segments the archive has, and Bytes how large they are.
func (r *Reader) Segments() int { return len(r.paths) }

// Bytes is how large all segments were when the archive was opened.
func (r *Reader) Bytes() int64 { return r.bytes }

// Last is the index up to which everything was told: as entries, as having no
// commands, or as missing.
func (r *Reader) Last() uint64 { return r.last }

// Close lets go of the files.
func (r *Reader) Close() error {
	r.decoder.Close()
	return r.closeSegment()
}

func (r *Reader) closeSegment() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file, r.at = nil, nil
	return err
}

// Next fills rec with what comes next. It returns io.EOF after the last, and no
// other error: what cannot be read is told as Damages.
func (r *Reader) Next(rec *Record) error {
	if r.ready != nil {
		take(rec, r.ready)
		r.ready = nil
		return nil
	}
	for {
		if r.at == nil {
			if r.read == len(r.paths) {
				return io.EOF
			}
			if !r.openNext(rec) {
				return nil
			}
		}
		h, payload, err := r.at.next()
		var damage *Damage
		switch {
		case errors.Is(err, io.EOF):
			if r.endSegment(rec) {
				return nil
			}
			continue
		case errors.As(err, &damage):
			damage.Torn = damage.Torn && r.newest
			r.damaged(rec, damage)
			return nil
		}
		if r.frame(rec, &h, payload) {
			return nil
		}
	}
}

// take moves what from tells to rec, and rec's memory to from.
func take(rec, from *Record) {
	rec.raw, from.raw = from.raw, rec.raw
	rec.Entries, from.Entries = from.Entries, rec.Entries[:0]
	rec.Kind, rec.Segment, rec.Gap, rec.Digest, rec.Damage = from.Kind, from.Segment, from.Gap, from.Digest, from.Damage
}

// openNext opens the next segment; false: rec tells why it cannot be.
func (r *Reader) openNext(rec *Record) bool {
	path := r.paths[r.read]
	r.read++
	r.newest = r.read == len(r.paths)
	r.commands, r.frames, r.sound = 0, 0, true
	opened, err := r.open(path)
	if err == nil {
		var info os.FileInfo
		if info, err = opened.Stat(); err == nil {
			r.file, r.at = opened, newSegment(path, opened, info.Size())
			return true
		}
		err = errors.Join(err, opened.Close())
	}
	r.damaged(rec, &Damage{Segment: path, Why: err.Error()})
	return false
}

// endSegment closes a segment; true: rec tells that it ends too early.
func (r *Reader) endSegment(rec *Record) (told bool) {
	if at := r.at; !at.sealed && !r.newest && r.sound {
		r.damaged(rec, &Damage{Segment: at.name, Offset: at.size, Why: "the segment ends without its footer"})
		told = true
	}
	_ = r.closeSegment() // it was only read
	return told
}

func (r *Reader) damaged(rec *Record, d *Damage) {
	r.sound = false
	rec.Kind, rec.Segment, rec.Damage, rec.Entries = Damages, d.Segment, *d, rec.Entries[:0]
}

// frame turns a sound frame into a record; false: it tells nothing.
func (r *Reader) frame(rec *Record, h *frameHeader, payload []byte) (told bool) {
	bytes := frameBytes + int64(h.size)
	offset := r.at.offset - bytes
	here := func(why string) bool {
		r.damaged(rec, &Damage{Segment: r.at.name, Offset: offset, Bytes: bytes, Why: why})
		return true
	}
	if !r.joins(r.at.header.cluster) {
		r.at.offset, bytes = r.at.size, r.at.size-offset
		return here("the segment is of another cluster than those before it")
	}
	r.frames++
	if h.kind != kindFooter && (h.prev < r.last || h.kind == kindDigest && h.first < r.last) {
		return here(fmt.Sprintf("the frame of entries %d to %d repeats what was read up to %d", h.first, h.last, r.last))
	}
	into := &r.held
	into.Segment, into.Entries = r.at.name, into.Entries[:0]
	switch h.kind {
	case kindEntries, kindEntriesS2:
		if err := r.entries(into, h, payload); err != nil {
			return here(err.Error())
		}
		r.commands += uint64(h.commands)
	case kindGap:
		into.Kind, into.Gap = Gaps, Gap{From: h.first, To: h.last, Recorded: true}
	case kindDigest:
		into.Kind = Digests
		into.Digest.parse(h, payload)
		if !r.joins(into.Digest.Cluster) {
			return here("the digest is of another cluster than what is before it")
		}
	case kindFooter:
		if why := r.checkFooter(h, payload); why != "" {
			return here(why)
		}
		return false
	}
	before := r.last
	r.last = max(r.last, h.last)
	if h.prev > before {
		r.ready = into
		rec.Kind, rec.Segment, rec.Gap, rec.Entries = Gaps, r.at.name, Gap{From: before + 1, To: h.prev}, rec.Entries[:0]
		return true
	}
	take(rec, into)
	return true
}

// joins reports whether something of a cluster belongs to what was read.
func (r *Reader) joins(cluster [ClusterBytes]byte) bool {
	var unknown [ClusterBytes]byte
	if r.cluster == unknown {
		r.cluster = cluster
	}
	return cluster == unknown || cluster == r.cluster
}

func (r *Reader) entries(into *Record, h *frameHeader, payload []byte) (err error) {
	if cap(into.raw) < int(h.raw) {
		into.raw = make([]byte, 0, h.raw)
	}
	if h.kind == kindEntriesS2 {
		into.raw, err = decodeS2(into.raw[:h.raw], payload)
	} else {
		into.raw, err = r.decoder.DecodeAll(payload, into.raw[:0])
	}
	if err != nil {
		return fmt.Errorf("the commands of entries %d to %d cannot be decompressed: %w", h.first, h.last, err)
	}
	if len(into.raw) != int(h.raw) {
		return errBlock
	}
	into.Kind = Entries
	into.Entries, err = appendEntries(into.Entries, h, into.raw)
	return err
}

// decodeS2 fills raw, which has the length that it must come to.
func decodeS2(raw, payload []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(payload); err != nil || n != len(raw) {
		return raw[:0], cmp.Or(err, errBlock)
	}
	return s2.Decode(raw, payload)
}

// checkFooter says what is wrong with a footer, if it can tell. A segment with
// damage was reported already.
func (r *Reader) checkFooter(h *frameHeader, payload []byte) string {
	f := parseFooter(payload)
	if !r.sound {
		return ""
	}
	if f.commands != r.commands || f.frames != r.frames-1 || h.last < r.last {
		return fmt.Sprintf("the footer tells of %d commands in %d frames up to entry %d: the segment has %d in %d up to %d",
			f.commands, f.frames, h.last, r.commands, r.frames-1, r.last)
	}
	sum, err := checksum(r.file, r.at.offset-frameBytes-footerBytes)
	if err != nil {
		return err.Error()
	}
	if sum != f.sum {
		return "the segment does not match the checksum in its footer"
	}
	return ""
}
