package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// TestKeepaliveIsSmall holds the size that the capacity of the log is planned with.
func TestKeepaliveIsSmall(t *testing.T) {
	e := exampleEvent(t)
	e.BitrateMS = e.BitrateMS[:1]
	if size := len(AppendEvent(nil, &e)); size != 55 {
		t.Errorf("a keepalive with one bitrate takes %d bytes; want 55", size)
	}
}

// TestBinaryFaults damages one field at a time: the rest of the body stays good.
func TestBinaryFaults(t *testing.T) {
	const head, present, session, seq = 1, 2, 3, 19
	good := exampleEvent(t)
	next := AppendEvent(nil, &good)
	for _, c := range []struct {
		name, field string
		damage      func(e *viewing.Event, b func() []byte) []byte
	}{
		{"an unknown flag", "type", func(_ *viewing.Event, b func() []byte) []byte { x := b(); x[head] |= 0x40; return x }},
		{"no such type", "type", func(e *viewing.Event, b func() []byte) []byte { e.Type = 15; return b() }},
		{"no profile", "profile_id", func(e *viewing.Event, b func() []byte) []byte { e.ProfileID = 0; return b() }},
		{"profile 7", "profile_id", func(e *viewing.Event, b func() []byte) []byte { e.ProfileID = 7; return b() }},
		{"no session", "session_id", func(e *viewing.Event, b func() []byte) []byte { e.SessionID = viewing.SessionID{}; return b() }},
		{"seq too great", "seq", func(e *viewing.Event, b func() []byte) []byte { e.Seq = 1 << 31; return b() }},
		{"seq without an end", "seq", func(_ *viewing.Event, b func() []byte) []byte {
			x := b()
			for i := seq; i < len(x); i++ {
				x[i] = 0xff
			}
			return x
		}},
		{"at before 2000", "at", func(e *viewing.Event, b func() []byte) []byte { e.At = -1; return b() }},
		{"account too great", "account_id", func(e *viewing.Event, b func() []byte) []byte { e.AccountID = 1 << 63; return b() }},
		{"no title", "title_id", func(e *viewing.Event, b func() []byte) []byte { e.TitleID = 0; return b() }},
		{"a negative position", "position_ms", func(e *viewing.Event, b func() []byte) []byte { e.PositionMS = -1; return b() }},
		{"a device type of 65 bytes", "device_type", func(e *viewing.Event, b func() []byte) []byte { e.DeviceType = string(make([]byte, 65)); return b() }},
		{"33 bitrates", "bitrate_ms", func(e *viewing.Event, b func() []byte) []byte { e.BitrateMS = make([]viewing.Bitrate, 33); return b() }},
		{"bitrates out of order", "bitrate_ms", func(e *viewing.Event, b func() []byte) []byte {
			e.BitrateMS[0], e.BitrateMS[1] = e.BitrateMS[1], e.BitrateMS[0]
			return b()
		}},
		{"a keepalive that resumes", "position_ms", func(e *viewing.Event, b func() []byte) []byte { e.ResumePos = true; return b() }},
		{"a byte too many", "event", func(_ *viewing.Event, b func() []byte) []byte { x := append(b(), 0); x[0]++; return x }},
		{"two bytes", "session_id", func(_ *viewing.Event, _ func() []byte) []byte { return []byte{2, 1, 1} }},
		{"no bytes", "type", func(_ *viewing.Event, _ func() []byte) []byte { return []byte{0} }},
		{"a missing field", "bitrate_ms", func(e *viewing.Event, b func() []byte) []byte {
			e.BitrateMS = nil
			x := b()
			x[present] |= presentBitrates
			return x
		}},
	} {
		e := clone(&good)
		bad := c.damage(&e, func() []byte { return AppendEvent(nil, &e) })
		outcomes, err := decodeAll(t, append(append(AppendBatchHeader(nil), bad...), next...), Binary)
		if err != nil || len(outcomes) != 2 || outcomes[1].err != nil || !same(&outcomes[1].event, &good) {
			t.Errorf("%s costs its neighbour: %v, %+v", c.name, err, outcomes)
			continue
		}
		var fault *viewing.FieldError
		if !errors.As(outcomes[0].err, &fault) || fault.Field != c.field {
			t.Errorf("%s: %v; want a fault of %s", c.name, outcomes[0].err, c.field)
		}
	}
}

// TestBinaryCutShort cuts a body at every byte: it is the whole body's fault
// unless the cut is between events.
func TestBinaryCutShort(t *testing.T) {
	e := exampleEvent(t)
	one := AppendEvent(nil, &e)
	body := append(append(AppendBatchHeader(nil), one...), one...)
	for n := range body {
		outcomes, err := decodeAll(t, body[:n:n], Binary)
		switch {
		case n == 1:
			if !errors.Is(err, ErrNoEvents) {
				t.Errorf("the version alone: %v", err)
			}
		case n == 1+len(one):
			if err != nil || len(outcomes) != 1 {
				t.Errorf("one event of two: %v", err)
			}
		default:
			var fault *SyntaxError
			if !errors.As(err, &fault) || len(outcomes) != 0 {
				t.Errorf("%d bytes: %v, %d taken", n, err, len(outcomes))
			}
		}
	}
	huge := binary.AppendUvarint(AppendBatchHeader(nil), 1<<63)
	var fault *SyntaxError
	if _, err := decodeAll(t, append(huge, one...), Binary); !errors.As(err, &fault) || fault.Offset != 1 {
		t.Errorf("a size of 2^63: %v", err)
	}
	if _, err := decodeAll(t, append([]byte{2}, one...), Binary); !errors.As(err, &fault) || fault.Offset != 0 {
		t.Errorf("version 2: %v", err)
	}
}

// TestTrustedTakesWhatValidateRefuses shows the difference of the two entries.
func TestTrustedTakesWhatValidateRefuses(t *testing.T) {
	e := exampleEvent(t)
	e.At, e.PositionMS, e.ResumePos = -5, -1, true
	b := AppendEvent(nil, &e)
	var d Decoder
	var got viewing.Event
	rest, err := d.DecodeTrusted(append(b, 9), &got)
	if err != nil || !bytes.Equal(rest, []byte{9}) || !same(&got, &e) {
		t.Errorf("%v, rest %v\ngot  %+v\nwant %+v", err, rest, got, e)
	}
	if _, err := d.DecodeBinary(b, &got); err == nil {
		t.Error("DecodeBinary accepts a time before 2000")
	}
}

// TestOverlongVarint: a uvarint may be longer than it need be.
func TestOverlongVarint(t *testing.T) {
	e := exampleEvent(t)
	b := AppendEvent(nil, &e)
	long := append([]byte{b[0] + 1}, b[1:19]...)
	long = append(append(long, b[19]|0x80, 0), b[20:]...)
	var d Decoder
	var got viewing.Event
	if _, err := d.DecodeBinary(long, &got); err != nil || !same(&got, &e) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, e)
	}
}
