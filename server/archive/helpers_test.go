package archive

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// sealHeader puts the checksum right under a header that a test changed.
func sealHeader(b []byte) []byte {
	body := b[:segmentBytes-4]
	return binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

// crash lets go of the files as a process that is killed does: what is pending is lost.
func (w *Writer) crash() error {
	err := w.lock.Close()
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	return err
}
