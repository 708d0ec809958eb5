package wire

import (
	"encoding/binary"

	"github.com/playhead-load/playhead/viewing"
)

// Version is the first byte of a binary body.
const Version = 0x01

const (
	headType    = 0x0f
	headOffline = 0x10
	headResume  = 0x20
	headUnknown = 0xc0

	presentProfile  = 0x07
	presentCountry  = 0x08
	presentRuntime  = 0x10
	presentRebuffer = 0x20
	presentError    = 0x40
	presentBitrates = 0x80
)

// AppendBatchHeader begins a binary body; events follow it by AppendEvent.
func AppendBatchHeader(dst []byte) []byte { return append(dst, Version) }

// AppendEvent appends the binary form of e, without a version byte. e must be one
// that Validate accepts; of another, fields may come out cut, though what follows
// in dst can still be read.
func AppendEvent(dst []byte, e *viewing.Event) []byte {
	start := len(dst)
	dst = append(dst, 0, head(e), present(e)) // the size of nearly every event is one byte
	dst = append(dst, e.SessionID[:]...)
	dst = binary.AppendUvarint(dst, uint64(e.Seq))
	dst = binary.AppendUvarint(dst, uint64(e.At))
	dst = binary.AppendUvarint(dst, e.AccountID)
	dst = binary.AppendUvarint(dst, e.DeviceID)
	dst = binary.AppendUvarint(dst, uint64(e.TitleID))
	dst = appendText(dst, e.DeviceType)
	dst = binary.AppendUvarint(dst, uint64(e.PositionMS))
	dst = binary.AppendUvarint(dst, uint64(e.PlayedMS))
	if e.Country != "" {
		dst = appendText(dst, e.Country)
	}
	if e.RuntimeMS != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.RuntimeMS))
	}
	if e.RebufferMS != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.RebufferMS))
	}
	if e.ErrorCode != "" {
		dst = appendText(dst, e.ErrorCode)
	}
	if len(e.BitrateMS) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.BitrateMS)))
		for i := range e.BitrateMS {
			dst = appendText(dst, e.BitrateMS[i].Kbps)
			dst = binary.AppendUvarint(dst, uint64(e.BitrateMS[i].PlayedMS))
		}
	}
	return putSize(dst, start)
}

// putSize writes the size of what follows dst[start] there, moving it if the size
// takes more than the one byte kept for it.
func putSize(dst []byte, start int) []byte {
	size := len(dst) - start - 1
	if size < 0x80 {
		dst[start] = byte(size)
		return dst
	}
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(size))
	dst = append(dst, prefix[:n-1]...)
	copy(dst[start+n:], dst[start+1:start+1+size])
	copy(dst[start:], prefix[:n])
	return dst
}

func head(e *viewing.Event) byte {
	b := byte(e.Type) & headType
	if e.Offline {
		b |= headOffline
	}
	if e.ResumePos {
		b |= headResume
	}
	return b
}

func present(e *viewing.Event) byte {
	b := e.ProfileID & presentProfile
	if e.Country != "" {
		b |= presentCountry
	}
	if e.RuntimeMS != 0 {
		b |= presentRuntime
	}
	if e.RebufferMS != 0 {
		b |= presentRebuffer
	}
	if e.ErrorCode != "" {
		b |= presentError
	}
	if len(e.BitrateMS) > 0 {
		b |= presentBitrates
	}
	return b
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// DecodeBinary reads the first event of b, as AppendEvent wrote it, into e, whose
// former content is lost but for the memory of its bitrates. rest is what follows.
// A *viewing.FieldError is this event's alone: rest is good. A *SyntaxError, its
// offset counted from b, means that where the event ends cannot be known.
func (d *Decoder) DecodeBinary(b []byte, e *viewing.Event) (rest []byte, err error) {
	rest, err = d.DecodeTrusted(b, e)
	if err != nil {
		return rest, err
	}
	if e.ResumePos && (e.Type != viewing.Start || e.PositionMS != 0) {
		return rest, errResume
	}
	if fault := e.Validate(); fault != nil {
		return rest, fault
	}
	return rest, nil
}

// DecodeTrusted is DecodeBinary for bytes that were valid when they were written
// and are guarded by a checksum since, as in the log: it is as safe with memory,
// but does not call Validate.
func (d *Decoder) DecodeTrusted(b []byte, e *viewing.Event) (rest []byte, err error) {
	start, end := frame(b, 0)
	if end < 0 {
		return nil, &SyntaxError{0, "the size of an event and as many bytes"}
	}
	if fault := d.fields(b[start:end], e); fault != nil {
		return b[end:], fault
	}
	return b[end:], nil
}

// frame finds the content of the event at b[i]; end is -1 if it does not fit.
func frame(b []byte, i int) (start, end int) {
	if i < len(b) && b[i] < 0x80 { // nearly always
		if end = i + 1 + int(b[i]); end <= len(b) {
			return i + 1, end
		}
		return 0, -1
	}
	size, n := binary.Uvarint(b[i:])
	if n <= 0 || size > uint64(len(b)-i-n) {
		return 0, -1
	}
	return i + n, i + n + int(size)
}

func (d *Decoder) fields(b []byte, e *viewing.Event) *viewing.FieldError {
	e.Reset()
	if len(b) < 1 || b[0]&headUnknown != 0 {
		return errHead
	}
	if len(b) < 18 {
		return wrong[fieldSessionID]
	}
	e.Type = viewing.EventType(b[0] & headType)
	e.Offline, e.ResumePos = b[0]&headOffline != 0, b[0]&headResume != 0
	e.ProfileID = b[1] & presentProfile
	has := b[1]
	copy(e.SessionID[:], b[2:18])
	r := reader{b: b[18:]}
	e.Seq = uint32(r.uvarint(fieldSeq, viewing.MaxSeq))
	e.At = viewing.Millis(r.uvarint(fieldAt, maxUint64))
	e.AccountID = r.uvarint(fieldAccountID, maxUint64)
	e.DeviceID = r.uvarint(fieldDeviceID, maxUint64)
	e.TitleID = uint32(r.uvarint(fieldTitleID, viewing.MaxTitleID))
	e.DeviceType = r.text(fieldDeviceType, &d.texts)
	e.PositionMS = int64(r.uvarint(fieldPositionMS, maxUint64))
	e.PlayedMS = int64(r.uvarint(fieldPlayedMS, maxUint64))
	if has&presentCountry != 0 {
		e.Country = r.text(fieldCountry, &d.texts)
	}
	if has&presentRuntime != 0 {
		e.RuntimeMS = int64(r.uvarint(fieldRuntimeMS, maxUint64))
	}
	if has&presentRebuffer != 0 {
		e.RebufferMS = int64(r.uvarint(fieldRebufferMS, maxUint64))
	}
	if has&presentError != 0 {
		e.ErrorCode = r.text(fieldErrorCode, &d.texts)
	}
	if has&presentBitrates != 0 {
		for n := r.uvarint(fieldBitrateMS, viewing.MaxBitrates); n > 0 && r.fault == nil; n-- {
			kbps := r.text(fieldBitrateMS, &d.texts)
			e.BitrateMS = append(e.BitrateMS, viewing.Bitrate{Kbps: kbps, PlayedMS: int64(r.uvarint(fieldBitrateMS, maxUint64))})
		}
	}
	if r.fault == nil && len(r.b) > 0 {
		return errOverlong
	}
	return r.fault
}

const maxUint64 = 1<<64 - 1

// reader takes values from the front of b. After its first fault it gives zeros.
type reader struct {
	b     []byte
	fault *viewing.FieldError
}

func (r *reader) uvarint(f field, most uint64) uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 && uint64(r.b[0]) <= most {
		n := uint64(r.b[0])
		r.b = r.b[1:]
		return n
	}
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > most {
		r.fail(f)
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) text(f field, texts *interner) string {
	size := r.uvarint(f, viewing.MaxTextBytes)
	if size > uint64(len(r.b)) {
		r.fail(f)
		return ""
	}
	s, _ := texts.intern(r.b[:size])
	r.b = r.b[size:]
	return s
}

func (r *reader) fail(f field) {
	if r.fault == nil {
		r.fault = wrong[f]
	}
	r.b = nil
}

func (d *Decoder) decodeBatch(b []byte, each func(int, *viewing.Event, error) error) error {
	if len(b) == 0 || b[0] != Version {
		return &SyntaxError{0, "version 1"}
	}
	count := 0
	for i := 1; i < len(b); count++ {
		_, end := frame(b, i)
		if end < 0 {
			return &SyntaxError{i, "the size of an event and as many bytes"}
		}
		i = end
	}
	switch {
	case count == 0:
		return ErrNoEvents
	case count > MaxEvents:
		return ErrTooMany
	}
	rest := b[1:]
	for n := range count {
		var err error
		rest, err = d.DecodeBinary(rest, &d.event)
		if err := d.hand(n, err, each); err != nil {
			return err
		}
	}
	return nil
}
