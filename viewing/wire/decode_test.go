package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

func TestDecodeExample(t *testing.T) {
	id, _ := viewing.ParseSessionID("01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f")
	want := viewing.Event{
		SessionID: id, Seq: 7, Type: viewing.Keepalive, At: 1795464900123, AccountID: 42, ProfileID: 1, DeviceID: 9001,
		DeviceType: "tv", TitleID: 80, Country: "US", RuntimeMS: 2940000, PositionMS: 881000, PlayedMS: 911000,
		BitrateMS: []viewing.Bitrate{{Kbps: "3000", PlayedMS: 111000}, {Kbps: "5800", PlayedMS: 800000}},
	}
	if got := exampleEvent(t); !same(&got, &want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestDecodeRefuses changes one thing of the example, and the error names it.
func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, c := range []struct{ old, new, field string }{
		{`"seq":7`, `"seq":7.0`, "seq"},
		{`"seq":7`, `"seq":7e0`, "seq"},
		{`"seq":7`, `"seq":-0`, "seq"},
		{`"seq":7`, `"seq":-1`, "seq"},
		{`"seq":7`, `"seq":07`, "seq"},
		{`"seq":7`, `"seq":"7"`, "seq"},
		{`"seq":7`, `"seq":null`, "seq"},
		{`"seq":7`, `"seq":[7]`, "seq"},
		{`"seq":7`, `"seq":2147483648`, "seq"},
		{`"seq":7`, `"seq":4294967303`, "seq"},
		{`"seq":7`, `"seq":18446744073709551623`, "seq"},
		{`"seq":7`, `"seq":7,"seq":7`, "seq"},
		{`"seq":7`, `"seq":7,"s\u0065q":7`, "seq"},
		{`"seq":7,`, ``, "seq"},
		{`"seq":7`, `"Seq":7`, "Seq"},
		{`"seq":7`, `"seq":7,"sequence":{"a":[1,2]}`, "sequence"},
		{`"seq":7`, "\"seq\":7,\"a\x01\xff\":0", "a??"},
		{`"seq":7`, `"seq":7,"` + long + `":0`, long[:64]},
		{`01935b6e-`, `01935b6e`, "session_id"},
		{`01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f`, `00000000-0000-0000-0000-000000000000`, "session_id"},
		{`keepalive`, `Keepalive`, "type"},
		{`"keepalive"`, `2`, "type"},
		{`2026-11-23T`, `2026-11-23 `, "at"},
		{`2026-11-23T`, `2101-01-01T`, "at"},
		{`00.123Z`, `00.` + long + `Z`, "at"},
		{`2026-11-23T20:15:00.123Z`, `2026-11-23T20:15:00.1\u0030` + strings.Repeat("0", 42) + `Zjunk`, "at"},
		{`"account_id":42`, `"account_id":0`, "account_id"},
		{`"account_id":42`, `"account_id":9007199254740992`, "account_id"},
		{`"account_id":42,`, ``, "account_id"},
		{`"profile_id":1`, `"profile_id":257`, "profile_id"},
		{`"profile_id":1`, `"profile_id":6`, "profile_id"},
		{`"device_id":9001`, `"device_id":0`, "device_id"},
		{`"tv"`, `""`, "device_type"},
		{`"tv"`, `"t\nv"`, "device_type"},
		{`"tv"`, `"t\qv"`, "device_type"},
		{`"tv"`, `"t\u00g0v"`, "device_type"},
		{`"tv"`, `"t\u00`, "device_type"},
		{`"tv"`, `"t\ud83d\ude00"`, "device_type"},
		{`"tv"`, `"é"`, "device_type"},
		{`"tv"`, `"` + long + `"`, "device_type"},
		{`"tv"`, `"\u0020` + long + `"`, "device_type"},
		{`"tv"`, `true`, "device_type"},
		{`"title_id":80`, `"title_id":4294967296`, "title_id"},
		{`"title_id":80,`, ``, "title_id"},
		{`"US"`, `null`, "country"},
		{`2940000`, `10000000001`, "runtime_ms"},
		{`"position_ms":881000,`, ``, "position_ms"},
		{`"played_ms":911000,`, ``, "played_ms"},
		{`911000`, `[]`, "played_ms"},
		{`{"5800":800000,"3000":111000}`, `{"5800":800000,"5800":111000}`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, `{"5800":-1}`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, `{"":1}`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, `[1]`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, `{"5800":1,}`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, `{"5800" 1}`, "bitrate_ms"},
		{`{"5800":800000,"3000":111000}`, manyBitrates(33), "bitrate_ms"},
		{`"rebuffer_ms":0`, `"rebuffer_ms":false`, "rebuffer_ms"},
		{`"error_code":""`, `"error_code":"\u0007"`, "error_code"},
		{`"error_code":""`, `"offline":1`, "offline"},
		{`"error_code":""`, `"offline":truely`, "offline"},
	} {
		text := strings.Replace(example, c.old, c.new, 1)
		if text == example {
			t.Fatalf("%s is not in the example", c.old)
		}
		var d Decoder
		var e viewing.Event
		err := d.DecodeEvent([]byte(text), &e)
		var fault *viewing.FieldError
		if !errors.As(err, &fault) || fault.Field != c.field || fault.Expected == "" {
			t.Errorf("%.80s instead of %s: %v; want a fault of %s", c.new, c.old, err, c.field)
		}
	}
}

func manyBitrates(n int) string {
	var rungs []string
	for i := range n {
		rungs = append(rungs, fmt.Sprintf(`"%d":1`, n-i))
	}
	return "{" + strings.Join(rungs, ",") + "}"
}

func TestDecodeAccepts(t *testing.T) {
	for _, c := range []struct {
		old, new string
		differs  func(*viewing.Event)
	}{
		{`"tv"`, `"\u0074\/\"\\"`, func(e *viewing.Event) { e.DeviceType = `t/"\` }},
		{`"seq":7`, " \t\r\n\"se\\u0071\" : 7 ", func(*viewing.Event) {}},
		{`"seq":7`, `"seq":0`, func(e *viewing.Event) { e.Seq = 0 }},
		{`42`, `9007199254740991`, func(e *viewing.Event) { e.AccountID = viewing.MaxAccountID }},
		{`keepalive`, `\u0073top`, func(e *viewing.Event) { e.Type = viewing.Stop }},
		{`{"5800":800000,"3000":111000}`, `{ }`, func(e *viewing.Event) { e.BitrateMS = nil }},
		{`"error_code":""`, `"error_code":"E 1","offline":true`, func(e *viewing.Event) { e.ErrorCode, e.Offline = "E 1", true }},
		{`"error_code":""`, `"offline":false`, func(*viewing.Event) {}},
		{`"country":"US",`, ``, func(e *viewing.Event) { e.Country = "" }},
		{`"keepalive"`, `"start"`, func(e *viewing.Event) { e.Type = viewing.Start }},
	} {
		want := exampleEvent(t)
		c.differs(&want)
		var d Decoder
		var got viewing.Event
		if err := d.DecodeEvent([]byte(strings.Replace(example, c.old, c.new, 1)), &got); err != nil || !same(&got, &want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", c.new, err, got, want)
		}
	}
	var d Decoder
	var e viewing.Event
	if err := d.DecodeEvent([]byte(strings.Replace(example, `{"5800":800000,"3000":111000}`, manyBitrates(32), 1)), &e); err != nil || len(e.BitrateMS) != 32 {
		t.Errorf("32 bitrates: %v, %d", err, len(e.BitrateMS))
	}
}

func TestDecodeStart(t *testing.T) {
	start := `{"session_id":"01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f","seq":0,"type":"start","at":"2026-11-23T20:15:00Z",` +
		`"account_id":42,"profile_id":1,"device_id":9001,"device_type":"tv","title_id":80}`
	var d Decoder
	var e viewing.Event
	if err := d.DecodeStart([]byte(start), &e); err != nil || !e.ResumePos || e.PositionMS != 0 {
		t.Errorf("a start without a position: %v, %+v", err, e)
	}
	positioned := strings.Replace(start, `"seq":0`, `"seq":0,"position_ms":0`, 1)
	if err := d.DecodeStart([]byte(positioned), &e); err != nil || e.ResumePos {
		t.Errorf("a start from the beginning: %v, %+v", err, e)
	}
	var fault *viewing.FieldError
	if err := d.DecodeStart([]byte(strings.Replace(start, `"start"`, `"stop"`, 1)), &e); !errors.As(err, &fault) || *fault != *errNotStart {
		t.Errorf("a stop: %v", err)
	}
	if err := d.DecodeStart([]byte(strings.Replace(start, `"type":"start",`, ``, 1)), &e); !errors.As(err, &fault) || fault.Field != "type" {
		t.Errorf("no type: %v", err)
	}
}

func TestDecodeSyntax(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
	}{
		{``, 0},
		{`  `, 2},
		{`{"seq":7`, 8},
		{`{"seq":7]`, 8},
		{`{"seq" 7}`, 7},
		{`{seq:7}`, 1},
		{`{"seq":7,}`, 9},
		{`{"s\qeq":7}`, 1},
		{example + `,`, len(example)},
		{example + example, len(example)},
	} {
		var d Decoder
		var e viewing.Event
		var fault *SyntaxError
		if err := d.DecodeEvent([]byte(c.text), &e); !errors.As(err, &fault) || fault.Offset != c.offset {
			t.Errorf("%.40s: %v; want an error at byte %d", c.text, err, c.offset)
		}
	}
	var d Decoder
	var e viewing.Event
	if err := d.DecodeEvent([]byte(`[]`), &e); !errors.Is(err, errNoObject) {
		t.Errorf("an array: %v", err)
	}
}

// TestNothingAllocated holds for every way in and out, once warm.
func TestNothingAllocated(t *testing.T) {
	e, text := exampleEvent(t), []byte(example)
	bad := []byte(strings.Replace(example, `"seq":7`, `"seq":"7"`, 1))
	binary := AppendEvent(nil, &e)
	dst := make([]byte, 0, 1024)
	var d Decoder
	bodies := map[Format][]byte{}
	for _, format := range []Format{JSON, NDJSON, Binary} {
		bodies[format] = appendBody(nil, format, []viewing.Event{clone(&e), clone(&e)})
	}
	each := func(int, *viewing.Event, error) error { return nil }
	for name, run := range map[string]func(){
		"DecodeEvent":     func() { _ = d.DecodeEvent(text, &e) },
		"a bad event":     func() { _ = d.DecodeEvent(bad, &e) },
		"DecodeBinary":    func() { _, _ = d.DecodeBinary(binary, &e) },
		"AppendEventJSON": func() { dst = AppendEventJSON(dst[:0], &e) },
		"AppendEvent":     func() { dst = AppendEvent(dst[:0], &e) },
		"JSON":            func() { _ = d.DecodeEvents(bodies[JSON], JSON, each) },
		"NDJSON":          func() { _ = d.DecodeEvents(bodies[NDJSON], NDJSON, each) },
		"Binary":          func() { _ = d.DecodeEvents(bodies[Binary], Binary, each) },
	} {
		if allocated := testing.AllocsPerRun(100, run); allocated != 0 {
			t.Errorf("%s allocates %v times", name, allocated)
		}
	}
}

func TestInternerIsBounded(t *testing.T) {
	var in interner
	for i := range 3 * maxInterned {
		want := fmt.Sprint(i)
		if got, ok := in.intern([]byte(want)); !ok || got != want {
			t.Fatalf("%s became %s, %v", want, got, ok)
		}
		if len(in.known) > maxInterned {
			t.Fatalf("%d texts are remembered", len(in.known))
		}
	}
	if _, ok := in.intern(make([]byte, viewing.MaxTextBytes+1)); ok {
		t.Error("a text over the limit is remembered")
	}
}
