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
	return random.Hash(f.sittingKey(s.account, s.number), uint32(s.view))
}

// sittingKey is the key of a sitting, from which those of its views come.
func (f *Fleet) sittingKey(account, number uint32) uint64 {
	return random.Hash(f.behaviour.Key(uint64(f.first)+uint64(account)), number)
}

// sessionID is the UUID (version 7, RFC 9562) of a view: its beginning, and 74 bits
// of its own.
func (f *Fleet) sessionID(start int64, view uint64) viewing.SessionID {
	var id viewing.SessionID
	high, low := random.Hash(view, sessionNumber), random.Hash(view, sessionNumber+1)
	binary.BigEndian.PutUint64(id[0:8], uint64(start)<<16|0x7000|high&0x0fff)
	binary.BigEndian.PutUint64(id[8:16], 1<<63|low>>2^f.salt)
	return id
}

// Event fills e with what the last step did; e.At is before Step.DueMS where it was
// played without a connection. The memory of e.BitrateMS is reused, its texts are shared
// and constant. Every event validates. Nothing is allocated once e has bitrates.
func (f *Fleet) Event(e *viewing.Event) {
	s := f.sittings.at(f.current)
	k := f.telling
	if e.Reset(); k.kind == 0 {
		k = f.happening(s)
	} else {
		e.Offline = true
	}
	share, account := &f.model.Devices[s.who.kind()], f.first+int(s.account)
	e.SessionID = f.sessionID(k.start, k.view)
	e.Seq, e.Type, e.At = k.seq, k.kind, viewing.Millis(k.at)
	e.AccountID, e.ProfileID = population.AccountID(account), s.who.profile()
	e.DeviceID = population.DeviceID(account, s.who.household(), s.who.kind())
	e.DeviceType, e.Country = share.Type, f.model.Zones[s.zone()].Country
	e.TitleID = uint32(k.title)
	e.RuntimeMS = int64(f.catalogue.Title(e.TitleID).RuntimeMS)
	e.PositionMS = int64(k.position)
	switch k.kind {
	case viewing.Start:
		if s.has(resumes) && !e.Offline && !f.namesPositions {
			e.ResumePos, e.PositionMS = true, 0
		}
		return
	case viewing.Error:
		e.ErrorCode = errorCode
	}
	e.PlayedMS = int64(k.played)
	if s.who&joined == 0 {
		e.RebufferMS = int64(f.stall(k.view))
	}
	f.tellBitrates(e, share, k.view, f.population.Network(account, s.who.household()))
}

// happening is what the last step did, as it happened.
func (f *Fleet) happening(s *sitting) kept {
	elapsed := int32(f.now - s.start)
	position, played := s.at(elapsed)
	k := kept{
		kind: f.kind, at: f.now, start: s.start, view: f.viewKey(s),
		position: position, played: played, seq: s.seq - 1, title: s.title,
	}
	if f.kind == viewing.Keepalive {
		k.seq = s.seq + uint32(f.sent(s, elapsed))
	}
	return k
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
