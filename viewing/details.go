package viewing

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// details is what a session has beside its record: its rungs, and what few sessions
// have at all. In cells, and in snapshots, it is
//
//	the device's type and the country, where they are not in the dictionary
//	how many bitrates, and each: its rung, the time played
//	if it has errors: how many, and each: its seq, at, code
//	if it has gaps: how many runs of seqs, and each: the first, the last
//
// Numbers are uvarints. A text is its number in the dictionary plus 1, or 0, its
// length and its bytes. What follows is zeros, and nothing at all is as many of them.
type details struct {
	deviceType string
	country    string
	bitrates   []Bitrate
	errors     []PlaybackError // by seq, the newest 32
	heard      seqSet
}

// addError puts an error in its place among the newest.
func (d *details) addError(e PlaybackError) {
	at, _ := slices.BinarySearchFunc(d.errors, e, func(a, b PlaybackError) int { return cmp.Compare(a.Seq, b.Seq) })
	d.errors = slices.Insert(d.errors, at, e)
	if len(d.errors) > maxErrorsKept {
		d.errors = slices.Delete(d.errors, 0, 1)
	}
}

// appendDetails encodes the details of a session whose record is up to date but for
// the flags of errors and gaps, which it sets.
func (s *State) appendDetails(dst []byte, r *sessionRecord, d *details) []byte {
	r.set(hasErrors, len(d.errors) > 0)
	r.set(hasGaps, len(d.heard) > 1)
	if r.kind == plainText {
		dst = appendPlain(dst, d.deviceType)
	}
	if r.country == plainText {
		dst = appendPlain(dst, d.country)
	}
	dst = binary.AppendUvarint(dst, uint64(len(d.bitrates)))
	for i := range d.bitrates {
		dst = s.appendText(dst, d.bitrates[i].Kbps)
		dst = binary.AppendUvarint(dst, uint64(d.bitrates[i].PlayedMS))
	}
	if r.has(hasErrors) {
		dst = binary.AppendUvarint(dst, uint64(len(d.errors)))
		for _, e := range d.errors {
			dst = binary.AppendUvarint(dst, uint64(e.Seq))
			dst = binary.AppendUvarint(dst, uint64(e.At))
			dst = s.appendText(dst, e.Code)
		}
	}
	if r.has(hasGaps) {
		dst = binary.AppendUvarint(dst, uint64(len(d.heard)))
		for _, run := range d.heard {
			dst = binary.AppendUvarint(dst, uint64(run.First))
			dst = binary.AppendUvarint(dst, uint64(run.Last))
		}
	}
	return dst
}

func (s *State) appendText(dst []byte, text string) []byte {
	if n := s.texts.number(text); n != plainText {
		return binary.AppendUvarint(dst, uint64(n)+1)
	}
	return appendPlain(append(dst, 0), text)
}

func appendPlain(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// details reads what appendDetails wrote for r, and tells its size. Others may follow it.
func (s *State) details(r *sessionRecord, b []byte) (d details, size int, ok bool) {
	in := reader{b: b}
	if r.kind == plainText {
		d.deviceType = in.text()
	} else {
		d.deviceType = s.texts.all[r.kind]
	}
	if r.country == plainText {
		d.country = in.text()
	} else {
		d.country = s.texts.all[r.country]
	}
	for range in.count() {
		d.bitrates = append(d.bitrates, Bitrate{Kbps: s.readText(&in), PlayedMS: int64(in.uint())})
	}
	if r.has(hasErrors) {
		for range in.count() {
			d.errors = append(d.errors, PlaybackError{Seq: uint32(in.uint()), At: Millis(in.uint()), Code: s.readText(&in)})
		}
	}
	if r.has(hasGaps) {
		for range in.count() {
			d.heard = append(d.heard, span{uint32(in.uint()), uint32(in.uint())})
		}
	}
	return d, len(b) - len(in.b), !in.failed
}

func (s *State) readText(in *reader) string {
	n := in.uint()
	switch {
	case n == 0:
		return in.text()
	case n > uint64(len(s.texts.all)):
		in.fail()
		return ""
	}
	return s.texts.all[n-1]
}

// encodedDetails are a session's details, followed by zeros, in room or beyond it.
func (s *State) encodedDetails(room []byte, r *sessionRecord) []byte {
	if r.has(inCells) {
		return s.cells.appendTo(room[:0], r.cells())
	}
	return append(room[:0], r.inline[:]...)
}

func (r *sessionRecord) cells() uint32 { return binary.LittleEndian.Uint32(r.inline[:]) }

// putDetails keeps encoded details in the record, or in cells.
func (s *State) putDetails(r *sessionRecord, encoded []byte) {
	old := uint32(0)
	if r.has(inCells) {
		old = r.cells()
	}
	clear(r.inline[:])
	if len(encoded) <= inlineBytes {
		s.cells.release(old)
		copy(r.inline[:], encoded)
		r.set(inCells, false)
		return
	}
	binary.LittleEndian.PutUint32(r.inline[:], s.cells.write(old, encoded))
	r.set(inCells, true)
}

// detailsOf reads a session's details into memory of their own.
func (s *State) detailsOf(r *sessionRecord) details {
	var room [4 * cellBytes]byte
	d, _, _ := s.details(r, s.encodedDetails(room[:], r))
	if !r.has(hasGaps) && r.events > 0 {
		d.heard = seqSet{{r.firstSeq(), r.lastSeq}}
	}
	return d
}

// deviceType is that of detailsOf, without the rest where it is in the dictionary.
func (s *State) deviceType(r *sessionRecord) string {
	if r.kind != plainText {
		return s.texts.all[r.kind]
	}
	return s.detailsOf(r).deviceType
}

// setDetails encodes a session's details, and puts its texts in its record.
func (s *State) setDetails(r *sessionRecord, d *details) {
	r.kind, r.country = s.number(r.kind, d.deviceType), s.number(r.country, d.country)
	s.scratch = s.appendDetails(s.scratch[:0], r, d)
	s.putDetails(r, s.scratch)
}

// number finds a text that is most often the one of number before.
func (s *State) number(before uint16, text string) uint16 {
	if before != plainText && s.texts.all[before] == text {
		return before
	}
	return s.texts.number(text)
}
