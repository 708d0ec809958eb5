package sim

import (
	"encoding/binary"
	"slices"

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
	f.tellBitrates(e, share, view, f.population.Network(account, s.who.household()))
}

// tellBitrates splits the time played over the rungs of the device's ladder: it
// begins on the lowest, plays on the one that the household's network is fast enough
// for, and dips below that for a while. How long is the view's own.
func (f *Fleet) tellBitrates(e *viewing.Event, share *population.DeviceShare, view uint64, slow int) {
	b := &f.habits
	stream := random.At(view, bitrateNumber)
	steady := max(0, len(share.Ladder)-1-slow)
	beginning, dip := e.PlayedMS, int64(0)
	if !stream.Chance(b.lowViews) {
		beginning = min(beginning, int64(stream.Exp()*b.lowBeginningMS))
		if stream.Chance(b.dips) {
			begins, lasts := int64(stream.Exp()*b.dipBeginsMS), int64(stream.Exp()*b.dipMS)
			dip = min(max(0, e.PlayedMS-beginning-begins), lasts)
		}
	}
	for _, rung := range []struct {
		at int
		ms int64
	}{{0, beginning}, {max(0, steady-1), dip}, {steady, e.PlayedMS - beginning - dip}} {
		f.tellRung(e, share.Ladder[rung.at], rung.ms)
	}
}

// tellRung adds time at a rung, in the order of the rates' names.
func (f *Fleet) tellRung(e *viewing.Event, kbps string, ms int64) {
	if ms == 0 {
		return
	}
	at := 0
	for ; at < len(e.BitrateMS) && e.BitrateMS[at].Kbps <= kbps; at++ {
		if e.BitrateMS[at].Kbps == kbps {
			e.BitrateMS[at].PlayedMS += ms
			return
		}
	}
	e.BitrateMS = slices.Insert(e.BitrateMS, at, viewing.Bitrate{Kbps: kbps, PlayedMS: ms})
}
