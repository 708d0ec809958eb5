package server

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// FuzzCollect takes any body of POST /v1/events through validation, the command,
// and the state machine: it never panics, it refuses the body whole or gives an
// outcome for each event, and the command holds the valid ones and no other.
func FuzzCollect(f *testing.F) {
	types := []string{"", "application/json", ndjson, binaryType, "text/plain; charset=x"}
	e := goldenEvent(7, viewing.Keepalive)
	one := string(wire.AppendEventJSON(nil, &e))
	binary := wire.AppendEvent(wire.AppendBatchHeader(nil), &e)
	f.Add([]byte("["+one+","+one+"]"), uint8(0))
	f.Add([]byte(`[{},`+one+`,7,null,{"seq":1,"colour":"red"}]`), uint8(1))
	f.Add([]byte(one+"\n\n{\nx\n"+one), uint8(2))
	f.Add(append(binary, binary[1:]...), uint8(3))
	f.Add([]byte("[]"), uint8(4))
	f.Add([]byte("\x01\x30"), uint8(3))
	f.Add([]byte(nil), uint8(0))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		s, taken := &Server{rules: goldenRules}, &scratch{body: body}
		valid, err := s.collect(taken, types[int(kind)%len(types)], 0)
		if err != nil {
			if p := problemOf(err); p.Status != http.StatusBadRequest || valid != 0 {
				t.Fatalf("%v is told as %+v, %d are valid", err, p, valid)
			}
			return
		}
		var counted wire.Decoder
		events := 0
		format, known := wire.ParseFormat(types[int(kind)%len(types)])
		if !known {
			format = wire.JSON
		}
		if err := counted.DecodeEvents(body, format, func(int, *viewing.Event, error) error { events++; return nil }); err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, o := range taken.outcomes {
			if o.Status == 0 {
				open++
			} else if o.Status != viewing.Rejected || o.Reason == "" {
				t.Fatalf("an outcome before the log: %+v", o)
			}
		}
		if len(taken.outcomes) != events || open != valid || events == 0 {
			t.Fatalf("%d outcomes, %d of them open, for %d events, %d of them valid", len(taken.outcomes), open, events, valid)
		}
		decided, ok := newViews().applyOne(1, goldenStamp, taken.command).([]viewing.Outcome)
		if !ok || len(decided) != valid {
			t.Fatalf("%d decided (%v), %d valid", len(decided), ok, valid)
		}
		fillOutcomes(taken.outcomes, decided)
		var told struct {
			Outcomes []struct{ Status, Reason string }
		}
		if err := json.Unmarshal(appendOutcomes(nil, taken.outcomes), &told); err != nil || len(told.Outcomes) != events {
			t.Fatalf("%v: %d outcomes told", err, len(told.Outcomes))
		}
		for i, o := range told.Outcomes {
			if o.Status == "" || o.Status != taken.outcomes[i].Status.String() || o.Reason != taken.outcomes[i].Reason {
				t.Fatalf("outcome %d is told as %+v", i, o)
			}
		}
	})
}

// FuzzCursor: a cursor is refused, or is the one that would be written.
func FuzzCursor(f *testing.F) {
	f.Add(cursorText(&viewing.Cursor{StartedAt: viewing.Millis(goldenStamp), SessionID: viewing.SessionID{1}}))
	f.Add("x")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseCursor(text)
		if err != nil {
			if p := problemOf(err); p.Status != http.StatusBadRequest || p.Field != "cursor" {
				t.Fatalf("%v is told as %+v", err, p)
			}
			return
		}
		if again, err := parseCursor(cursorText(at)); err != nil || (again == nil) != (at == nil) || again != nil && *again != *at {
			t.Fatalf("%q is %v, written and read again %v (%v)", text, at, again, err)
		}
	})
}
