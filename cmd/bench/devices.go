package main

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// sessionsEach is how many sessions a connection keeps alive where its row does not
// say; one account each, so that no limit is met.
const sessionsEach = 1000

// devices are the sessions of one connection.
type devices struct {
	firstAccount uint64
	at           int // whose turn it is
	seqs         []uint32
	event        viewing.Event
}

func newDevices(r row, connection int) *devices {
	sessions := cmp.Or(r.sessions, sessionsEach)
	return &devices{firstAccount: uint64(1 + connection*sessions), seqs: make([]uint32, sessions)}
}

// next is the next keepalive, valid until the one after it: of the sessions in turn.
// It takes about 200 bytes in JSON.
func (d *devices) next(now time.Time) *viewing.Event {
	seq := d.seqs[d.at]
	d.fill(d.at, 0, now)
	d.event.Seq, d.event.PositionMS, d.event.PlayedMS = seq, int64(seq)*60_000, int64(seq)*60_000
	d.seqs[d.at]++
	d.at = (d.at + 1) % len(d.seqs)
	return &d.event
}

// past is all that is told of a session that the account played before, of the n-th
// title from 1 on: it leaves a position.
func (d *devices) past(account, n int, now time.Time) *viewing.Event {
	d.fill(account, n, now.Add(-time.Duration(n)*time.Hour))
	d.event.Type, d.event.Offline = viewing.Stop, true
	d.event.PositionMS, d.event.PlayedMS = 600_000, 600_000
	return &d.event
}

// fill makes a keepalive of the account's n-th session.
func (d *devices) fill(account, n int, at time.Time) {
	id := d.firstAccount + uint64(account)
	d.event = viewing.Event{
		Type: viewing.Keepalive, At: viewing.Millis(at.UnixMilli()), AccountID: id, ProfileID: 1, DeviceID: id, DeviceType: "tv",
		TitleID: uint32(1 + account + n*len(d.seqs)), Country: "US", RuntimeMS: 5_400_000,
	}
	binary.BigEndian.PutUint64(d.event.SessionID[:], uint64(n))
	binary.BigEndian.PutUint64(d.event.SessionID[8:], id)
}
