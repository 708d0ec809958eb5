package raft

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
)

// The data of one log entry, version 1. Integers are big-endian but for the
// lengths, which are unsigned varints:
//
//	offset  size
//	0       1     version, 1
//	1       8     leader's stamp, Unix milliseconds
//	9       4     number of commands
//	13      …     each command: its length (uvarint), its bytes
//	end-4   4     CRC-32C of everything before it
//
// An entry without commands is the mark a leader writes at the start of its
// term; in place of commands it holds the cluster's id, 16 random bytes. A
// leader that does not know the id yet proposes one: the first in the log
// counts. One that knows it adds the byte 1: a log with another id belongs to
// another cluster. Entries live in logs and travel between nodes of different
// versions: a change is a new version byte.
const (
	entryVersion     = 1
	entryHeaderBytes = 1 + 8 + 4
	entryTrailBytes  = 4
	clusterIDBytes   = 16
	settledByte      = 1 // after an id that the leader knew
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamagedEntry: the bytes of an entry are not what a leader wrote.
var errDamagedEntry = errors.New("damaged log entry")

// appendEntryHeader starts an entry in an empty buffer; the header is filled by sealEntry.
func appendEntryHeader(buf []byte) []byte {
	return append(buf, make([]byte, entryHeaderBytes)...)
}

// appendCommand adds one command to an unsealed entry.
func appendCommand(buf, command []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(command)))
	return append(buf, command...)
}

// sealMark is a whole mark; settled: the id is known and not a proposal.
func sealMark(stampMS int64, id clusterID, settled bool) []byte {
	buf := append(appendEntryHeader(nil), id[:]...)
	if settled {
		buf = append(buf, settledByte)
	}
	return sealEntry(buf, stampMS, 0)
}

// clusterID tells clusters apart, whatever their nodes are called; zero: not known yet.
type clusterID [clusterIDBytes]byte

func (id clusterID) String() string {
	if id == (clusterID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// sealEntry fills the header and adds the checksum.
func sealEntry(buf []byte, stampMS int64, count int) []byte {
	buf[0] = entryVersion
	binary.BigEndian.PutUint64(buf[1:], uint64(stampMS))
	binary.BigEndian.PutUint32(buf[9:], uint32(count))
	return binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
}

// entry is a decoded view of an entry's bytes; it owns nothing.
type entry struct {
	stampMS int64
	count   int
	cluster clusterID // of a mark
	settled bool      // cluster is known, not proposed
	body    []byte
}

// checkEntry verifies version and checksum, not the commands.
func checkEntry(data []byte) error {
	if len(data) < entryHeaderBytes+entryTrailBytes {
		return fmt.Errorf("%w: %d bytes, expected at least %d", errDamagedEntry, len(data), entryHeaderBytes+entryTrailBytes)
	}
	end := len(data) - entryTrailBytes
	if crc32.Checksum(data[:end], castagnoli) != binary.BigEndian.Uint32(data[end:]) {
		return fmt.Errorf("%w: the checksum does not match", errDamagedEntry)
	}
	if data[0] != entryVersion {
		return fmt.Errorf("%w: version %d, expected %d", errDamagedEntry, data[0], entryVersion)
	}
	return nil
}

// decodeEntry checks the whole entry before the first command is handed out,
// so that none is ever applied in part.
func decodeEntry(data []byte) (entry, error) {
	if err := checkEntry(data); err != nil {
		return entry{}, err
	}
	e := entry{
		stampMS: int64(binary.BigEndian.Uint64(data[1:])),
		count:   int(binary.BigEndian.Uint32(data[9:])),
		body:    data[entryHeaderBytes : len(data)-entryTrailBytes],
	}
	if e.count == 0 {
		e.takeMark()
	}
	rest := e.body
	for i := range e.count {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return entry{}, fmt.Errorf("%w: command %d of %d is cut short", errDamagedEntry, i+1, e.count)
		}
		rest = rest[n+int(size):]
	}
	if len(rest) != 0 {
		return entry{}, fmt.Errorf("%w: %d bytes after the last command", errDamagedEntry, len(rest))
	}
	return e, nil
}

// takeMark reads the body as a mark's, if it is one.
func (e *entry) takeMark() {
	switch {
	case len(e.body) == clusterIDBytes:
	case len(e.body) == clusterIDBytes+1 && e.body[clusterIDBytes] == settledByte:
		e.settled = true
	default:
		return
	}
	e.cluster, e.body = clusterID(e.body[:clusterIDBytes]), nil
}

// next cuts the first command off the body; only after decodeEntry and at most count times.
func (e *entry) next() []byte {
	size, n := binary.Uvarint(e.body)
	command := e.body[n : n+int(size) : n+int(size)]
	e.body = e.body[n+int(size):]
	return command
}
