package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// scanBytes is how much is read at once to find the next sound frame.
const scanBytes = 64 << 10

// Damage is a stretch of a segment that cannot be read.
type Damage struct {
	Segment string // the file
	Offset  int64  // where the stretch begins, in bytes from the file's beginning
	Bytes   int64  // how long it is
	Why     string
	// Torn: it is the end of the newest segment, and may be a write that the
	// process did not live to finish. The entries are in the node's log then.
	Torn bool

	cause error
}

// Unwrap is what the disk said, or what is wrong with the format.
func (d *Damage) Unwrap() error { return d.cause }

func (d *Damage) Error() string {
	return fmt.Sprintf("%s: at byte %d: %s (%d bytes)", d.Segment, d.Offset, d.Why, d.Bytes)
}

// segment walks the frames of one file. Not for two goroutines.
type segment struct {
	name    string
	in      io.ReaderAt
	size    int64
	offset  int64 // of the next frame
	header  segmentHeader
	begun   bool // the header was looked at
	sealed  bool // a footer was read
	payload []byte
	window  []byte
}

func newSegment(name string, in io.ReaderAt, size int64) *segment {
	return &segment{name: name, in: in, size: size}
}

// next returns the next sound frame; its payload is valid until the next call. A
// *Damage says what was in the way: ask again for what follows it. io.EOF: the end.
func (s *segment) next() (frameHeader, []byte, error) {
	if !s.begun {
		s.begun = true
		if err := s.begin(); err != nil {
			return frameHeader{}, nil, err
		}
	}
	if s.offset >= s.size {
		return frameHeader{}, nil, io.EOF
	}
	if s.sealed {
		return frameHeader{}, nil, s.skipTo(s.size, "bytes after the footer", false)
	}
	var head [frameBytes]byte
	left := s.size - s.offset
	if left < frameBytes {
		return frameHeader{}, nil, s.skipTo(s.size, "the last write is cut short", true)
	}
	if _, err := s.in.ReadAt(head[:], s.offset); err != nil {
		return frameHeader{}, nil, s.unreadable(err)
	}
	h, err := parseFrameHeader(head[:])
	if err != nil {
		torn := s.zeros()
		to := s.findFrame(s.offset + 1)
		return frameHeader{}, nil, s.skipTo(to, err.Error(), torn && to == s.size)
	}
	if left-frameBytes < int64(h.size) {
		to := s.findFrame(s.offset + 1)
		return frameHeader{}, nil, s.skipTo(to, "the last write is cut short", to == s.size)
	}
	if err := s.read(&h); err != nil {
		return frameHeader{}, nil, err
	}
	s.offset += frameBytes + int64(h.size)
	s.sealed = h.kind == kindFooter
	return h, s.payload, nil
}

// begin reads the segment's header. A damaged one costs nothing but itself.
func (s *segment) begin() error {
	head := make([]byte, segmentBytes)
	if s.size < segmentBytes {
		return s.skipTo(s.size, "the header of the segment is cut short", true)
	}
	if _, err := s.in.ReadAt(head, 0); err != nil {
		return s.unreadable(err)
	}
	var err error
	s.header, err = parseSegmentHeader(head)
	switch {
	case errors.Is(err, errNewer):
		damage := s.skipTo(s.size, err.Error(), false)
		damage.cause = err
		return damage
	case err != nil:
		return s.skipTo(s.findFrame(0), err.Error(), false)
	}
	s.offset = segmentBytes
	if first, ok := parseSegmentName(s.name); ok && first != s.header.first {
		return &Damage{Segment: s.name, Bytes: segmentBytes, Why: fmt.Sprintf("the segment begins at entry %d, and its name says another", s.header.first)}
	}
	return nil
}

// read reads the payload behind a header that fits into the file.
func (s *segment) read(h *frameHeader) error {
	if cap(s.payload) < int(h.size) {
		s.payload = make([]byte, h.size)
	}
	s.payload = s.payload[:h.size]
	if h.size > 0 {
		if _, err := s.in.ReadAt(s.payload, s.offset+frameBytes); err != nil {
			return s.unreadable(err)
		}
	}
	if crc32.Checksum(s.payload, castagnoli) != h.sum {
		return s.skipTo(s.offset+frameBytes+int64(h.size), fmt.Sprintf("the payload of the frame of entries %d to %d does not match its checksum", h.first, h.last), false)
	}
	return nil
}

// unreadable gives up the rest of a file that the disk cannot read.
func (s *segment) unreadable(err error) error {
	damage := s.skipTo(s.size, err.Error(), false)
	damage.cause = err
	return damage
}

func (s *segment) skipTo(to int64, why string, torn bool) *Damage {
	d := &Damage{Segment: s.name, Offset: s.offset, Bytes: to - s.offset, Why: why, Torn: torn}
	s.offset = to
	return d
}

// zeros reports whether the rest of the file is zeros, as far as a window shows: a
// write of which only the length reached the disk.
func (s *segment) zeros() bool {
	window := s.windowAt(s.offset)
	return len(bytes.Trim(window, "\x00")) == 0
}

// windowAt reads up to scanBytes from an offset on.
func (s *segment) windowAt(offset int64) []byte {
	if s.window == nil {
		s.window = make([]byte, scanBytes)
	}
	n, _ := s.in.ReadAt(s.window, offset) // what cannot be read is not there
	return s.window[:n]
}

// findFrame is the offset of the next sound header from an offset on, or the end.
func (s *segment) findFrame(from int64) int64 {
	var head [frameBytes]byte
	for at := from; at < s.size; {
		window := s.windowAt(at)
		for i := 0; ; i++ {
			found := bytes.Index(window[i:], frameMagic)
			if found < 0 {
				break
			}
			i += found
			if n, _ := s.in.ReadAt(head[:], at+int64(i)); n < frameBytes {
				return s.size
			}
			if _, err := parseFrameHeader(head[:]); err == nil {
				return at + int64(i)
			}
		}
		if len(window) < scanBytes {
			break
		}
		at += int64(len(window) - len(frameMagic) + 1)
	}
	return s.size
}
