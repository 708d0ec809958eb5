package main

import (
	"encoding/binary"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// sessionsEach is how many sessions a connection keeps alive, one account each, so
// that no limit is met.
const sessionsEach = 1000

// devices are the sessions of one connection.
type devices struct {
	firstAccount uint64
	at           int // whose turn it is
	seqs         [sessionsEach]uint32
	event        viewing.Event
}

func newDevices(connection int) *devices {
	return &devices{firstAccount: uint64(1 + connection*sessionsEach)}
}

// next is the next keepalive, valid until the one after it: of the sessions in turn.
// It takes about 200 bytes in JSON.
func (d *devices) next(now time.Time) *viewing.Event {
	seq, account := d.seqs[d.at], d.firstAccount+uint64(d.at)
	d.event = viewing.Event{
		Seq: seq, Type: viewing.Keepalive, At: viewing.Millis(now.UnixMilli()), AccountID: account,
		ProfileID: 1, DeviceID: account, DeviceType: "tv", TitleID: uint32(1 + d.at),
		Country: "US", RuntimeMS: 5_400_000, PositionMS: int64(seq) * 60_000, PlayedMS: int64(seq) * 60_000,
	}
	binary.BigEndian.PutUint64(d.event.SessionID[8:], account)
	d.seqs[d.at]++
	d.at = (d.at + 1) % sessionsEach
	return &d.event
}
