package server

import (
	"encoding/binary"
	"errors"
)

// viewsHead stands before the encoded state in a snapshot: the index and the
// stamp of the newest command in it.
type viewsHead struct {
	Index   uint64
	StampMS int64
}

const viewsHeadBytes = 16

func (h viewsHead) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Index)
	return binary.BigEndian.AppendUint64(dst, uint64(h.StampMS))
}

func parseViewsHead(b []byte) (h viewsHead, rest []byte, err error) {
	if len(b) < viewsHeadBytes {
		return h, nil, errors.New("restore snapshot: it is cut short")
	}
	h.Index = binary.BigEndian.Uint64(b)
	h.StampMS = int64(binary.BigEndian.Uint64(b[8:]))
	return h, b[viewsHeadBytes:], nil
}
