package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// outcome is what DecodeEvents said of one event.
type outcome struct {
	event viewing.Event
	err   error
}

func decodeAll(t *testing.T, body []byte, format Format) (outcomes []outcome, err error) {
	t.Helper()
	var d Decoder
	err = d.DecodeEvents(body, format, func(i int, e *viewing.Event, err error) error {
		if i != len(outcomes) {
			t.Fatalf("event %d came as number %d", len(outcomes), i)
		}
		if (e == nil) != (err != nil) {
			t.Fatalf("event %d: both or neither of an event and an error", i)
		}
		o := outcome{err: err}
		if e != nil {
			o.event = clone(e)
		}
		outcomes = append(outcomes, o)
		return nil
	})
	return outcomes, err
}

func TestNeighboursOfABadEvent(t *testing.T) {
	bad := []struct{ text, field string }{
		{`{"nonsense":{"a":[1,{"b":"}]"}]}}`, "nonsense"},
		{strings.Replace(example, `"seq":7`, `"seq":"]}"`, 1), "seq"},
		{strings.Replace(example, `"seq":7`, `"seq":007`, 1), "seq"},
		{strings.Replace(example, `"seq":7`, `"seq":tru`, 1), "seq"},
		{strings.Replace(example, `"tv"`, `"\q\"]"`, 1), "device_type"},
		{strings.Replace(example, `"tv"`, `"\u12"`, 1), "device_type"},
		{strings.Replace(example, `"seq":7`, `"seq":7,"seq":8`, 1), "seq"},
		{`{}`, "session_id"},
		{`[[{"seq":1}]]`, "event"},
		{`7`, "event"},
		{`"text"`, "event"},
		{`null`, "event"},
	}
	for _, c := range bad {
		for _, format := range []Format{JSON, NDJSON} {
			flat := strings.ReplaceAll(example, "\n", "")
			text := strings.ReplaceAll(c.text, "\n", "")
			body := flat + "\n" + text + "\r\n\n" + flat
			if format == JSON {
				body = " [" + flat + ", " + text + " ," + flat + "]\n"
			}
			outcomes, err := decodeAll(t, []byte(body), format)
			if err != nil || len(outcomes) != 3 || outcomes[0].err != nil || outcomes[2].err != nil {
				t.Errorf("%s in %s costs its neighbours: %v, %v", text, format.ContentType(), err, outcomes)
				continue
			}
			var fault *viewing.FieldError
			if !errors.As(outcomes[1].err, &fault) || fault.Field != c.field {
				t.Errorf("%s: %v; want a fault of %s", text, outcomes[1].err, c.field)
			}
		}
	}
}

func TestBrokenArrayIsNotTaken(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	for _, c := range []struct {
		body   string
		offset int
	}{
		{``, 0},
		{`{}`, 0},
		{`[`, 1},
		{`[` + example, 1 + len(example)},
		{`[` + example + `,]`, 2 + len(example)},
		{`[` + example + ` ` + example + `]`, 2 + len(example)},
		{`[` + example + `]]`, 2 + len(example)},
		{`[` + example + `,{"seq":7,}]`, 2 + len(example) + 9},
		{`[` + example + `,{"seq" 7}]`, 2 + len(example) + 7},
		{`[` + example + `,{"seq":}]`, 2 + len(example) + 7},
		{`[` + example + `,{"seq":[1}]`, 2 + len(example) + 9},
		{`[` + example + `,{"seq":"]`, 2 + len(example) + 9},
		{`[` + example + `,"\"]`, 2 + len(example) + 4},
		{`[` + example + `,"\`, 2 + len(example) + 2},
		{`[` + example + `,` + deep + `]`, 2 + len(example) + maxDepth},
		{`[] 1`, 3},
	} {
		outcomes, err := decodeAll(t, []byte(c.body), JSON)
		var fault *SyntaxError
		if !errors.As(err, &fault) || fault.Offset != c.offset || len(outcomes) != 0 {
			t.Errorf("%.20s…%s: %v, %d taken; want an error at byte %d", c.body, c.body[max(0, len(c.body)-10):], err, len(outcomes), c.offset)
		}
	}
}

func TestBrokenLineIsItsOwn(t *testing.T) {
	flat := strings.ReplaceAll(example, "\n", "")
	for _, line := range []string{`{"seq":7`, `{"seq":7,}`, flat + flat, flat + ` ]`, `}`} {
		body := flat + "\n" + line + "\n" + flat + "\n"
		outcomes, err := decodeAll(t, []byte(body), NDJSON)
		if err != nil || len(outcomes) != 3 || outcomes[0].err != nil || outcomes[1].err == nil || outcomes[2].err != nil {
			t.Errorf("%.30s: %v, %v", line, err, outcomes)
			continue
		}
		var fault *SyntaxError
		if errors.As(outcomes[1].err, &fault) && (fault.Offset <= len(flat) || fault.Offset > len(flat)+1+len(line)) {
			t.Errorf("%.30s: offset %d is not in the line", line, fault.Offset)
		}
	}
}

func TestHowManyEvents(t *testing.T) {
	events := make([]viewing.Event, MaxEvents+1)
	for i := range events {
		events[i] = exampleEvent(t)
		events[i].Seq = uint32(i)
	}
	for _, format := range []Format{JSON, NDJSON, Binary} {
		for _, c := range []struct {
			count int
			want  error
		}{{0, ErrNoEvents}, {1, nil}, {MaxEvents, nil}, {MaxEvents + 1, ErrTooMany}} {
			outcomes, err := decodeAll(t, appendBody(nil, format, events[:c.count]), format)
			if !errors.Is(err, c.want) {
				t.Errorf("%d events of %s: %v", c.count, format.ContentType(), err)
			}
			if taken := len(outcomes); c.want == nil && taken != c.count || c.want != nil && taken != 0 {
				t.Errorf("%d events of %s: %d taken", c.count, format.ContentType(), taken)
			}
			for i := range outcomes {
				if outcomes[i].err != nil || outcomes[i].event.Seq != uint32(i) {
					t.Fatalf("event %d of %s: %+v", i, format.ContentType(), outcomes[i])
				}
			}
		}
	}
	if _, err := decodeAll(t, []byte("\n \r\n\n"), NDJSON); !errors.Is(err, ErrNoEvents) {
		t.Errorf("blank lines: %v", err)
	}
}

func TestEachCanStop(t *testing.T) {
	events := []viewing.Event{exampleEvent(t), exampleEvent(t), exampleEvent(t)}
	enough := fmt.Errorf("enough")
	for _, format := range []Format{JSON, NDJSON, Binary} {
		var d Decoder
		calls := 0
		err := d.DecodeEvents(appendBody(nil, format, events), format, func(int, *viewing.Event, error) error {
			if calls++; calls == 2 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || calls != 2 {
			t.Errorf("%s: %v after %d calls", format.ContentType(), err, calls)
		}
	}
}

// TestKeptBitrates is the promise that a caller may take over e.BitrateMS.
func TestKeptBitrates(t *testing.T) {
	events := []viewing.Event{exampleEvent(t), exampleEvent(t)}
	events[1].BitrateMS[0].Kbps = "1"
	var kept []viewing.Event
	var d Decoder
	err := d.DecodeEvents(appendBody(nil, JSON, events), JSON, func(_ int, e *viewing.Event, err error) error {
		kept = append(kept, *e)
		e.BitrateMS = nil
		return err
	})
	if err != nil || len(kept) != 2 || !same(&kept[0], &events[0]) || !same(&kept[1], &events[1]) {
		t.Errorf("%v: kept %+v", err, kept)
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		text string
		want Format
		ok   bool
	}{
		{"", JSON, true},
		{"application/json", JSON, true},
		{"Application/JSON; charset=utf-8", JSON, true},
		{"application/x-ndjson", NDJSON, true},
		{"application/vnd.playhead.events.v1", Binary, true},
		{"application/vnd.playhead.events.v2", 0, false},
		{"text/plain", 0, false},
	} {
		if got, ok := ParseFormat(c.text); got != c.want || ok != c.ok {
			t.Errorf("%q is %d, %v", c.text, got, ok)
		}
	}
	var d Decoder
	if err := d.DecodeEvents([]byte("[]"), Format(9), nil); err == nil {
		t.Error("format 9 is accepted")
	}
}
