package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenEvents is one event of each kind, between them with every field at its
// least and at its greatest. What stands in testdata of them must decode for ever:
// a new version gets files of its own.
func goldenEvents(t *testing.T) []viewing.Event {
	example := exampleEvent(t)
	events := []viewing.Event{example}
	for _, kind := range viewing.EventTypes {
		e := clone(&example)
		e.Type, e.Seq = kind, uint32(kind)
		events = append(events, e)
	}
	resume := clone(&example)
	resume.Type, resume.ResumePos, resume.PositionMS, resume.PlayedMS, resume.BitrateMS = viewing.Start, true, 0, 0, nil
	least := viewing.Event{
		SessionID: viewing.SessionID{15: 1}, Type: viewing.Keepalive, At: viewing.MinAt,
		AccountID: 1, ProfileID: 1, DeviceID: 1, DeviceType: " ", TitleID: 1,
	}
	greatest := viewing.Event{
		SessionID: viewing.SessionID(bytes.Repeat([]byte{0xff}, 16)), Seq: viewing.MaxSeq, Type: viewing.Error, At: viewing.MaxAt,
		AccountID: viewing.MaxAccountID, ProfileID: viewing.MaxProfileID, DeviceID: viewing.MaxDeviceID, TitleID: viewing.MaxTitleID,
		RuntimeMS: viewing.MaxMediaMS, PositionMS: viewing.MaxMediaMS, PlayedMS: viewing.MaxMediaMS, RebufferMS: viewing.MaxMediaMS,
		DeviceType: strings.Repeat("~", viewing.MaxTextBytes), Country: `"\/`, ErrorCode: "<&> E-1", Offline: true,
	}
	for i := range viewing.MaxBitrates {
		greatest.BitrateMS = append(greatest.BitrateMS, viewing.Bitrate{Kbps: string(rune('A' + i)), PlayedMS: viewing.MaxMediaMS - int64(i)})
	}
	return append(events, resume, least, greatest)
}

func TestGolden(t *testing.T) {
	events := goldenEvents(t)
	hexLines := func(events []viewing.Event) []byte { // the version, then an event a line
		text := append(hex.AppendEncode(nil, AppendBatchHeader(nil)), '\n')
		for i := range events {
			text = append(hex.AppendEncode(text, AppendEvent(nil, &events[i])), '\n')
		}
		return text
	}
	for _, c := range []struct {
		file   string
		format Format
		text   []byte
		body   func(text []byte) ([]byte, error)
	}{
		{"testdata/events.ndjson", NDJSON, appendBody(nil, NDJSON, events), func(text []byte) ([]byte, error) { return text, nil }},
		{"testdata/events.v1.hex", Binary, hexLines(events), func(text []byte) ([]byte, error) {
			return hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
		}},
	} {
		if *update {
			if err := os.WriteFile(c.file, c.text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatalf("%v (write it with -update)", err)
		}
		if !bytes.Equal(text, c.text) {
			t.Errorf("%s is not what is written now:\n%s", c.file, c.text)
		}
		body, err := c.body(text)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := decodeAll(t, body, c.format)
		if err != nil || len(outcomes) != len(events) {
			t.Fatalf("%s: %v, %d events of %d", c.file, err, len(outcomes), len(events))
		}
		for i := range events {
			if outcomes[i].err != nil || !same(&outcomes[i].event, &events[i]) {
				t.Errorf("%s: event %d: %v\ngot  %+v\nwant %+v", c.file, i, outcomes[i].err, outcomes[i].event, events[i])
			}
		}
	}
}
