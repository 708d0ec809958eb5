package sim

import (
	"encoding/binary"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// errorCode is what a device that meets an error reports (mark A).
const errorCode = "DRM-1004"

// sessionID is the UUID (version 7, RFC 9562) of the device's playback: its
// beginning, and 74 bits of its own.
func (f *Fleet) sessionID(i int32, d *device) viewing.SessionID {
	var id viewing.SessionID
	key := random.Key(f.seed, sessionDomain, uint64(i))
	high, low := random.Hash(key, 2*d.sessions), random.Hash(key, 2*d.sessions+1)
	binary.BigEndian.PutUint64(id[0:8], uint64(d.start)<<16|0x7000|high&0x0fff)
	binary.BigEndian.PutUint64(id[8:16], 1<<63|low>>2^f.salt)
	return id
}

// tell fills e with what device i did at now.
func (f *Fleet) tell(i int32, d *device, kind viewing.EventType, now int64, e *viewing.Event) {
	model := f.population.Model()
	share := &model.Devices[d.kind]
	position, played := d.at(int32(now - d.start))
	e.Reset()
	e.SessionID = f.sessionID(i, d)
	e.Seq = d.seq
	d.seq++
	e.Type = kind
	e.ProfileID = d.profile
	e.TitleID = d.title
	e.At = viewing.Millis(now)
	e.AccountID = population.AccountID(int(d.account))
	e.DeviceID = population.DeviceID(int(d.account), d.household, d.kind)
	e.DeviceType = share.Type
	e.Country = model.Country
	e.RuntimeMS = int64(f.catalogue.Title(d.title).RuntimeMS)
	e.PositionMS = int64(position)
	switch kind {
	case viewing.Start:
		if d.has(fromMemory) && !d.has(explicit) {
			e.ResumePos, e.PositionMS = true, 0
		}
		return
	case viewing.Error:
		e.ErrorCode = errorCode
	}
	e.PlayedMS = int64(played)
	e.RebufferMS = int64(d.stall)
	f.tellBitrates(e, share)
}

// tellBitrates splits the time played over the two rungs: low first, then high.
// How long the low one lasts is the session's own, drawn from its id without the salt.
func (f *Fleet) tellBitrates(e *viewing.Event, share *population.DeviceShare) {
	b := &f.habits
	stream := random.At(binary.BigEndian.Uint64(e.SessionID[8:16])^f.salt, 0)
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
