package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
)

// Sizes in bytes.
const (
	// MaxBlockBytes bounds the commands of one frame before compression, and so
	// what is allocated to read it.
	MaxBlockBytes = 32 << 20

	blockBytes      = 1 << 20                  // a block is compressed and written when it has reached this size
	maxPayloadBytes = MaxBlockBytes + 64<<10   // what does not compress grows a little
	minCommandBytes = 3                        // two differences and a length
	frameBytes      = 60                       // of a frame's header
	frameSumAt      = frameBytes - 4           // its checksum
	segmentBytes    = 8 + 8 + ClusterBytes + 4 // of a segment's header
	digestBytes     = 1 + ClusterBytes + SumBytes
	footerBytes     = 8 + 8 + 4
	nameDigits      = 20
	suffix          = ".seg"

	// ClusterBytes and SumBytes are the sizes of a cluster's id and of a digest.
	ClusterBytes = 16
	SumBytes     = 32
)

// The versions of a segment. A writer goes on in a segment as its version has it.
const (
	magicAndVersion1 = "pharch01" // entries are compressed with zstd,
	magicAndVersion  = "pharch02" // and with S2, at a fifth of the processor time
	magicBytes       = 6          // of it; two digits of the version follow
)

var (
	frameMagic = []byte("phfr")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

const (
	kindEntries uint8 = 1 + iota
	kindGap
	kindDigest
	kindFooter
	kindEntriesS2
)

// frameHeader is what stands before a payload.
type frameHeader struct {
	kind              uint8
	prev, first, last uint64
	stampMS           int64
	commands          uint32
	raw               uint32 // bytes of the payload before compression
	size              uint32 // bytes of the payload
	sum               uint32 // of the payload
}

func (h *frameHeader) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = append(dst, h.kind, 0, 0, 0)
	for _, v := range [...]uint64{h.prev, h.first, h.last, uint64(h.stampMS)} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	for _, v := range [...]uint32{h.commands, h.raw, h.size, h.sum} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

var (
	errFrameSum = errors.New("the header of a frame does not match its checksum")
	errFrame    = errors.New("the header of a frame contradicts itself")
)

// parseFrameHeader reads the first frameBytes of b.
func parseFrameHeader(b []byte) (h frameHeader, err error) {
	if !bytes.HasPrefix(b, frameMagic) || crc32.Checksum(b[:frameSumAt], castagnoli) != binary.BigEndian.Uint32(b[frameSumAt:]) {
		return h, errFrameSum
	}
	h = frameHeader{
		kind: b[4],
		prev: binary.BigEndian.Uint64(b[8:]), first: binary.BigEndian.Uint64(b[16:]), last: binary.BigEndian.Uint64(b[24:]),
		stampMS:  int64(binary.BigEndian.Uint64(b[32:])),
		commands: binary.BigEndian.Uint32(b[40:]), raw: binary.BigEndian.Uint32(b[44:]),
		size: binary.BigEndian.Uint32(b[48:]), sum: binary.BigEndian.Uint32(b[52:]),
	}
	if !h.makesSense() {
		return h, errFrame
	}
	return h, nil
}

func (h *frameHeader) makesSense() bool {
	if h.size > maxPayloadBytes || h.raw > MaxBlockBytes || h.first > h.last {
		return false
	}
	switch h.kind {
	case kindEntries, kindEntriesS2:
		return h.prev < h.first && h.commands > 0 && h.commands <= h.raw/minCommandBytes
	case kindGap:
		return h.prev < h.first && h.size == 0
	case kindDigest:
		return h.prev <= h.first && h.first == h.last && h.size == digestBytes
	case kindFooter:
		return h.prev == h.last && h.size == footerBytes
	}
	return false
}

// segmentHeader is what a segment begins with.
type segmentHeader struct {
	version string // magicAndVersion or magicAndVersion1
	first   uint64
	cluster [ClusterBytes]byte
}

func (h *segmentHeader) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, h.version...)
	dst = binary.BigEndian.AppendUint64(dst, h.first)
	dst = append(dst, h.cluster[:]...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

var errNewer = errors.New("it was written by a newer Playhead: use that one")

// parseSegmentHeader reads the first segmentBytes of b.
func parseSegmentHeader(b []byte) (h segmentHeader, err error) {
	body := segmentBytes - 4
	switch {
	case len(b) < segmentBytes:
		return h, errors.New("the header of the segment is cut short")
	case crc32.Checksum(b[:body], castagnoli) != binary.BigEndian.Uint32(b[body:]):
		return h, errors.New("the header of the segment does not match its checksum")
	case string(b[:magicBytes]) != magicAndVersion[:magicBytes]:
		return h, fmt.Errorf("the segment begins with %q, expected %q", b[:magicBytes], magicAndVersion)
	}
	h.version = string(b[:len(magicAndVersion)])
	if h.version != magicAndVersion && h.version != magicAndVersion1 {
		return h, fmt.Errorf("the segment has version %q: %w", b[magicBytes:len(magicAndVersion)], errNewer)
	}
	h.first = binary.BigEndian.Uint64(b[8:])
	copy(h.cluster[:], b[16:])
	return h, nil
}

// segmentName is the name of the segment that may begin with an index.
func segmentName(first uint64) string { return fmt.Sprintf("%0*d%s", nameDigits, first, suffix) }

// parseSegmentName reports the index in a segment's name; false: it is none.
func parseSegmentName(path string) (first uint64, ok bool) {
	name := filepath.Base(path)
	if len(name) != nameDigits+len(suffix) || name[nameDigits:] != suffix {
		return 0, false
	}
	first, err := strconv.ParseUint(name[:nameDigits], 10, 64)
	return first, err == nil && segmentName(first) == name
}

// Digest is what a state was after the entry at Index.
type Digest struct {
	Index   uint64
	StampMS int64              // Unix milliseconds; the stamp of the newest command
	Version uint8              // of the way in which Sum is computed; digests of two versions cannot be compared
	Cluster [ClusterBytes]byte // zero: not known
	Sum     [SumBytes]byte
}

func (d *Digest) append(dst []byte) []byte {
	dst = append(dst, d.Version)
	dst = append(dst, d.Cluster[:]...)
	return append(dst, d.Sum[:]...)
}

// parse reads a payload of digestBytes.
func (d *Digest) parse(h *frameHeader, b []byte) {
	*d = Digest{Index: h.last, StampMS: h.stampMS, Version: b[0]}
	copy(d.Cluster[:], b[1:])
	copy(d.Sum[:], b[1+ClusterBytes:])
}
