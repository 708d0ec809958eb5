package archive

import (
	"encoding/binary"
	"errors"
)

// Entry is one committed command.
type Entry struct {
	Index   uint64 // of its log entry; commands of one entry share it
	StampMS int64  // Unix milliseconds
	Command []byte
}

// block is commands on their way into a frame.
type block struct {
	raw         []byte
	commands    uint32
	first, last uint64
	stampMS     int64 // of the last command
	newestMS    int64
}

func (b *block) reset() { *b = block{raw: b.raw[:0]} }

// add appends a command whose index is not below the last one's.
func (b *block) add(index uint64, stampMS int64, command []byte) {
	if b.commands == 0 {
		b.first, b.last, b.newestMS = index, index, stampMS
	}
	b.raw = binary.AppendUvarint(b.raw, index-b.last)
	b.raw = binary.AppendVarint(b.raw, stampMS-b.stampMS)
	b.raw = binary.AppendUvarint(b.raw, uint64(len(command)))
	b.raw = append(b.raw, command...)
	b.commands++
	b.last, b.stampMS, b.newestMS = index, stampMS, max(b.newestMS, stampMS)
}

var errBlock = errors.New("the commands of a frame contradict its header")

// appendEntries takes a block apart; the commands point into raw.
func appendEntries(entries []Entry, h *frameHeader, raw []byte) ([]Entry, error) {
	index, stampMS := h.first, int64(0)
	for len(raw) > 0 {
		step, n := binary.Uvarint(raw)
		if n <= 0 || step > h.last-index {
			return nil, errBlock
		}
		later, m := binary.Varint(raw[n:])
		if m <= 0 {
			return nil, errBlock
		}
		size, k := binary.Uvarint(raw[n+m:])
		if k <= 0 || size > uint64(len(raw)-n-m-k) || len(entries) == int(h.commands) || len(entries) == 0 && step != 0 {
			return nil, errBlock
		}
		raw = raw[n+m+k:]
		index, stampMS = index+step, stampMS+later
		entries = append(entries, Entry{Index: index, StampMS: stampMS, Command: raw[:size:size]})
		raw = raw[size:]
	}
	if index != h.last || len(entries) != int(h.commands) {
		return nil, errBlock
	}
	return entries, nil
}
