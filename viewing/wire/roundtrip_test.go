package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

var anyText = rapid.StringOfN(rapid.Int32Range(' ', '~'), 1, 64, 64)

// drawEvent draws an event that Validate accepts.
func drawEvent(t *rapid.T) viewing.Event {
	media := rapid.Int64Range(0, viewing.MaxMediaMS)
	optional := rapid.OneOf(rapid.Just(""), anyText)
	e := viewing.Event{
		SessionID:  viewing.SessionID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session_id")),
		Seq:        rapid.Uint32Range(0, viewing.MaxSeq).Draw(t, "seq"),
		Type:       rapid.SampledFrom(viewing.EventTypes[:]).Draw(t, "type"),
		At:         viewing.Millis(rapid.Int64Range(int64(viewing.MinAt), int64(viewing.MaxAt)).Draw(t, "at")),
		AccountID:  rapid.Uint64Range(1, viewing.MaxAccountID).Draw(t, "account_id"),
		ProfileID:  rapid.Uint8Range(1, viewing.MaxProfileID).Draw(t, "profile_id"),
		DeviceID:   rapid.Uint64Range(1, viewing.MaxDeviceID).Draw(t, "device_id"),
		DeviceType: anyText.Draw(t, "device_type"),
		TitleID:    rapid.Uint32Range(1, viewing.MaxTitleID).Draw(t, "title_id"),
		Country:    optional.Draw(t, "country"),
		RuntimeMS:  media.Draw(t, "runtime_ms"),
		PositionMS: media.Draw(t, "position_ms"),
		PlayedMS:   media.Draw(t, "played_ms"),
		RebufferMS: media.Draw(t, "rebuffer_ms"),
		ErrorCode:  optional.Draw(t, "error_code"),
		Offline:    rapid.Bool().Draw(t, "offline"),
	}
	e.SessionID[15] |= 1
	if e.Type == viewing.Start && rapid.Bool().Draw(t, "resume") {
		e.ResumePos, e.PositionMS = true, 0
	}
	for kbps, ms := range rapid.MapOfN(anyText, media, 0, viewing.MaxBitrates).Draw(t, "bitrate_ms") {
		e.BitrateMS = append(e.BitrateMS, viewing.Bitrate{Kbps: kbps, PlayedMS: ms})
	}
	slices.SortFunc(e.BitrateMS, func(a, b viewing.Bitrate) int { return strings.Compare(a.Kbps, b.Kbps) })
	return e
}

func TestRoundTrip(t *testing.T) {
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		var got viewing.Event
		text := AppendEventJSON(nil, &e)
		if err := d.DecodeEvent(text, &got); err != nil || !same(&got, &e) {
			t.Fatalf("%s: %v\ngot  %+v\nwant %+v", text, err, got, e)
		}
		p, err := parsePlain(text)
		if err != nil {
			t.Fatalf("encoding/json refuses %s: %v", text, err)
		}
		if plain, err := p.event(); err != nil || !same(&plain, &e) {
			t.Fatalf("encoding/json reads %s as %+v, %v", text, plain, err)
		}
		b := AppendEvent([]byte("before"), &e)
		for name, decode := range map[string]func([]byte, *viewing.Event) ([]byte, error){"wire": d.DecodeBinary, "trusted": d.DecodeTrusted} {
			rest, err := decode(append(b[len("before"):], "after"...), &got)
			if err != nil || string(rest) != "after" || !same(&got, &e) {
				t.Fatalf("%s %x: %v, rest %q\ngot  %+v\nwant %+v", name, b, err, rest, got, e)
			}
		}
	})
}

func TestRoundTripOfBatches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 5).Draw(rt, "events")
		for _, format := range []Format{JSON, NDJSON, Binary} {
			outcomes, err := decodeAll(t, appendBody(nil, format, events), format)
			if err != nil || len(outcomes) != len(events) {
				rt.Fatalf("%s: %v, %d events of %d", format.ContentType(), err, len(outcomes), len(events))
			}
			for i := range events {
				if outcomes[i].err != nil || !same(&outcomes[i].event, &events[i]) {
					rt.Fatalf("%s: event %d: %v", format.ContentType(), i, outcomes[i])
				}
			}
		}
	})
}

// TestInvalidEventIsStillJSON: whatever stands in an event, what is written parses.
func TestInvalidEventIsStillJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "code")
		e := viewing.Event{ErrorCode: code, Type: viewing.EventType(rapid.Byte().Draw(t, "type")), PositionMS: rapid.Int64().Draw(t, "position_ms")}
		p, err := parsePlain(AppendEventJSON(nil, &viewing.Event{SessionID: viewing.SessionID{1}, ErrorCode: e.ErrorCode, Type: e.Type, PositionMS: e.PositionMS}))
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(fmt.Sprint(code), ""); strings.ReplaceAll(p.ErrorCode, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q became %q", code, p.ErrorCode)
		}
	})
}
