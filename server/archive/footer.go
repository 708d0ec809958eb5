package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// footer is the payload of a footer.
type footer struct {
	commands, frames uint64 // before it
	sum              uint32 // CRC-32C of the file before it
}

func (f *footer) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, f.commands)
	dst = binary.BigEndian.AppendUint64(dst, f.frames)
	return binary.BigEndian.AppendUint32(dst, f.sum)
}

// parseFooter reads footerBytes.
func parseFooter(b []byte) footer {
	return footer{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}
}

// readFooter is the header of the footer that a file ends with; false: there is none.
func readFooter(in io.ReaderAt, size int64) (h frameHeader, ok bool) {
	var b [frameBytes + footerBytes]byte
	if size < segmentBytes+int64(len(b)) {
		return h, false
	}
	if _, err := in.ReadAt(b[:], size-int64(len(b))); err != nil {
		return h, false
	}
	h, err := parseFrameHeader(b[:frameBytes])
	return h, err == nil && h.kind == kindFooter && crc32.Checksum(b[frameBytes:], castagnoli) == h.sum
}

// checksum is the CRC-32C of the first size bytes.
func checksum(in io.ReaderAt, size int64) (uint32, error) {
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(in, 0, size)); err != nil {
		return 0, fmt.Errorf("read the segment again: %w", err)
	}
	return sum.Sum32(), nil
}
