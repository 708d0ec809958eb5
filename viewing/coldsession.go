package viewing

import (
	"encoding/binary"
	"errors"
)

// A cold session is
//
//	its version, one byte
//	the profile, the title, the device, the device's type, the country
//	the moments: the beginning, and from there the last update, when it was first heard
//	of, and from there when it was last heard from
//	the last seq, the type of its event, how many events
//	the lengths of media, the flags
//	how many bitrates, and each: its rung, the time played
//	if it has errors: how many, and each: its seq, at, code
//	if it has gaps: how many runs of seqs, and each: the first, the last
//
// Numbers are uvarints, and varints for what is told from elsewhere. Texts are whole:
// there is no dictionary. The account and the id are not in it: it is found by them.
const coldVersion = 1

var (
	errColdSession = errors.New("the encoded session is cut short or damaged")
	errColdPlace   = errors.New("the encoded session is of another profile or time than it is kept under")
)

// coldSession is a session that is read from the cold store. Its record tells nothing of
// texts and details, and stands in no chain.
type coldSession struct {
	sessionRecord
	details
}

func appendCold(dst []byte, r *sessionRecord, d *details) []byte {
	w := writer{append(dst, coldVersion)}
	w.uint(uint64(r.profile))
	w.uint(uint64(r.title))
	w.uint(r.device())
	w.text(d.deviceType)
	w.text(d.country)
	w.uint(uint64(r.moment(startedAt)))
	w.int(int64(r.moment(updatedAt) - r.moment(startedAt)))
	w.int(int64(r.moment(firstSeen) - r.moment(startedAt)))
	w.int(int64(r.moment(lastSeen) - r.moment(firstSeen)))
	w.uint(uint64(r.lastSeq))
	w.uint(uint64(r.lastType))
	w.uint(uint64(r.events))
	for which := range medias {
		w.uint(uint64(r.media(which)))
	}
	w.uint(uint64(r.flags &^ inCells))
	w.uint(uint64(len(d.bitrates)))
	for _, b := range d.bitrates {
		w.text(b.Kbps)
		w.uint(uint64(b.PlayedMS))
	}
	if r.has(hasErrors) {
		w.uint(uint64(len(d.errors)))
		for _, e := range d.errors {
			w.uint(uint64(e.Seq))
			w.int(int64(e.At))
			w.text(e.Code)
		}
	}
	if r.has(hasGaps) {
		w.uint(uint64(len(d.heard)))
		for _, run := range d.heard {
			w.b = binary.AppendUvarint(binary.AppendUvarint(w.b, uint64(run.First)), uint64(run.Last))
		}
	}
	return w.b
}

// decode reads a session of an account. It shares no memory with encoded.
func (c *coldSession) decode(account uint32, id SessionID, encoded []byte) error {
	if len(encoded) == 0 || encoded[0] != coldVersion {
		return errColdSession
	}
	in := reader{b: encoded[1:]}
	*c = coldSession{sessionRecord: sessionRecord{account: account, id: id}}
	r, d := &c.sessionRecord, &c.details
	r.profile, r.title = uint8(in.uint()), uint32(in.uint())
	r.setDevice(in.uint())
	d.deviceType, d.country = in.text(), in.text()
	began := Millis(in.uint())
	r.setMoment(startedAt, began)
	r.setMoment(updatedAt, began+Millis(in.int()))
	first := began + Millis(in.int())
	r.setMoment(firstSeen, first)
	r.setMoment(lastSeen, first+Millis(in.int()))
	r.lastSeq, r.lastType, r.events = uint32(in.uint()), EventType(in.uint()), uint32(in.uint())
	for which := range medias {
		r.setMedia(which, int64(in.uint()))
	}
	r.flags = uint8(in.uint())
	for range in.count() {
		d.bitrates = append(d.bitrates, Bitrate{Kbps: in.text(), PlayedMS: int64(in.uint())})
	}
	if r.has(hasErrors) {
		for range in.count() {
			d.errors = append(d.errors, PlaybackError{Seq: uint32(in.uint()), At: Millis(in.int()), Code: in.text()})
		}
	}
	if r.has(hasGaps) {
		for range in.count() {
			d.heard = append(d.heard, span{uint32(in.uint()), uint32(in.uint())})
		}
	} else {
		d.heard = seqSet{{r.firstSeq(), r.lastSeq}}
	}
	if in.failed || len(in.b) > 0 || r.has(inCells|holdsStream) {
		return errColdSession
	}
	return nil
}
