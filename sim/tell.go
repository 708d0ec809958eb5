package sim

import (
	"encoding/binary"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// errorCode is what a device that meets an error reports (mark A).
const errorCode = "DRM-1004"

// The numbers of a view's key beside those that its turns draw, which are fewer.
const (
	stallNumber   = 1 << 20
	sessionNumber = 1 << 21
	bitrateNumber = 1 << 22
)

// viewKey is the key of a sitting's current view, and of all its random numbers.
func (f *Fleet) viewKey(s *sitting) uint64 {
	sitting := random.Hash(f.behaviour.Key(uint64(f.first)+uint64(s.account)), s.number)
	return random.Hash(sitting, uint32(s.view))
}

// sessionID is the UUID (version 7, RFC 9562) of a view: its beginning, and 74 bits
// of its own.
func (f *Fleet) sessionID(s *sitting, view uint64) viewing.SessionID {
	var id viewing.SessionID
	high, low := random.Hash(view, sessionNumber), random.Hash(view, sessionNumber+1)
	binary.BigEndian.PutUint64(id[0:8], uint64(s.start)<<16|0x7000|high&0x0fff)
	binary.BigEndian.PutUint64(id[8:16], 1<<63|low>>2^f.salt)
	return id
}

// Event fills e with what the last step did. The memory of e.BitrateMS is reused,
// its texts are shared and constant. Every event validates. Nothing is allocated once
// e has bitrates.
func (f *Fleet) Event(e *viewing.Event) {
	s := f.sittings.at(f.current)
	share, zone := &f.model.Devices[s.who.kind()], &f.model.Zones[s.zone()]
	view := f.viewKey(s)
	account := f.first + int(s.account)
	position, played := s.at(int32(f.now - s.start))
	e.Reset()
	e.SessionID = f.sessionID(s, view)
	e.Seq = s.seq - 1
	if f.kind == viewing.Keepalive {
		e.Seq = s.seq + uint32(f.sent(s, int32(f.now-s.start)))
	}
	e.Type = f.kind
	e.ProfileID = s.who.profile()
	e.TitleID = uint32(s.title)
	e.At = viewing.Millis(f.now)
	e.AccountID = population.AccountID(account)
	e.DeviceID = population.DeviceID(account, s.who.household(), s.who.kind())
	e.DeviceType = share.Type
	e.Country = zone.Country
	e.RuntimeMS = int64(f.catalogue.Title(uint32(s.title)).RuntimeMS)
	e.PositionMS = int64(position)
	switch f.kind {
	case viewing.Start:
		if s.has(resumes) {
			e.ResumePos, e.PositionMS = true, 0
		}
		return
	case viewing.Error:
		e.ErrorCode = errorCode
	}
	e.PlayedMS = int64(played)
	if s.who&joined == 0 {
		e.RebufferMS = int64(f.stall(view))
	}
	f.tellBitrates(e, share, view)
}

// tellBitrates splits the time played over the two rungs: low first, then high.
// How long the low one lasts is the view's own.
func (f *Fleet) tellBitrates(e *viewing.Event, share *population.DeviceShare, view uint64) {
	b := &f.habits
	stream := random.At(view, bitrateNumber)
	low := e.PlayedMS
	if !stream.Chance(b.lowViews) {
		low = min(low, int64(stream.Exp()*b.lowBeginningMS))
	}
	rungs := [2]viewing.Bitrate{{Kbps: share.LowRung, PlayedMS: low}, {Kbps: share.HighRung, PlayedMS: e.PlayedMS - low}}
	if rungs[0].Kbps > rungs[1].Kbps {
		rungs[0], rungs[1] = rungs[1], rungs[0]
	}
	for _, rung := range rungs {
		if rung.PlayedMS > 0 {
			e.BitrateMS = append(e.BitrateMS, rung)
		}
	}
}
