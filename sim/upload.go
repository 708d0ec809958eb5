package sim

import (
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// uploadLimit is how many events a device keeps while it has no connection; what comes
// then is lost (calibration: the queue of the open-source Netflix client for Kodi).
const uploadLimit = 10

// kept is what is to be told of an event, kept or not.
type kept struct {
	kind     viewing.EventType
	at       int64 // Unix ms
	start    int64
	view     uint64 // key
	position int32
	played   int32
	seq      uint32
	title    uint16
}

// upload is what a device tells when it has a connection again, the oldest first.
type upload struct {
	events [uploadLimit]kept
	count  int
	told   int
}

// keep has the device of the current sitting keep the event of its turn.
func (f *Fleet) keep(s *sitting) {
	u := f.uploads[f.current]
	if u == nil {
		u = new(upload)
		if last := len(f.spareUploads) - 1; last >= 0 {
			u, f.spareUploads = f.spareUploads[last], f.spareUploads[:last]
		}
		f.uploads[f.current] = u
	}
	if u.count == uploadLimit {
		return
	}
	s.seq++
	u.events[u.count] = f.happening(s)
	u.count++
}

// planUpload says when the sitting that is over is told of.
func (f *Fleet) planUpload(s *sitting, stream *random.Stream) {
	s.become(uploading)
	after := int32(min(stream.Exp()*f.habits.offlineMS, dayMS))
	s.end, s.interrupt, s.keepalive = int32(f.now-s.start)+after, never, never
}

// tellKept tells the next event that the device of the current sitting kept, and frees
// what kept them after the last.
func (f *Fleet) tellKept(s *sitting) {
	u := f.uploads[f.current]
	f.telling = u.events[u.told]
	f.kind = f.telling.kind
	if u.told++; u.told < u.count {
		return
	}
	s.become(over)
	delete(f.uploads, f.current)
	*u = upload{}
	f.spareUploads = append(f.spareUploads, u)
}
