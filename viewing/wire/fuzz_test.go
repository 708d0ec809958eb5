package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// FuzzDecodeEvent: what is accepted, encoding/json accepts with the same values,
// and writing it and reading it again changes nothing. What encoding/json accepts
// is accepted too once encoding/json has written it anew, which takes away the
// documented differences.
func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(strings.Replace(example, "keepalive", "start", 1)))
	f.Add([]byte(strings.Replace(example, `"tv"`, `"\u0074\/\"\\"`, 1)))
	f.Add([]byte(strings.Replace(example, `"error_code":""`, `"offline":true,"error_code":"E\u0031"`, 1)))
	f.Add([]byte(strings.Replace(example, `"seq":7`, `"seq":7e0,"Seq":null,"x":[{}]`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var d Decoder
		var got viewing.Event
		err := d.DecodeEvent(text, &got)
		p, plainErr := parsePlain(text)
		if err == nil {
			if plainErr != nil {
				t.Fatalf("encoding/json refuses %s: %v", text, plainErr)
			}
			want, err := p.event()
			if err != nil || !same(&got, &want) {
				t.Fatalf("%s: %v\ngot  %+v\nwant %+v", text, err, got, want)
			}
			var again viewing.Event
			if err := d.DecodeEvent(AppendEventJSON(nil, &got), &again); err != nil || !same(&again, &got) {
				t.Fatalf("%s read again: %v\ngot  %+v\nwant %+v", text, err, again, got)
			}
			return
		}
		if plainErr != nil {
			return
		}
		if _, ok := ParseTime([]byte(p.At)); !ok || len(p.At) > viewing.MaxTextBytes {
			return // package time is laxer than RFC 3339
		}
		want, plainErr := p.event()
		if plainErr != nil {
			return
		}
		anew, _ := json.Marshal(&p)
		if err := d.DecodeEvent(anew, &got); err != nil || !same(&got, &want) {
			t.Fatalf("%s: %v\ngot  %+v\nwant %+v", anew, err, got, want)
		}
	})
}

// FuzzDecodeEvents: an array that encoding/json can split is split alike, and each
// element is judged as it would be alone; of a body refused nothing is handed out.
func FuzzDecodeEvents(f *testing.F) {
	f.Add([]byte("["+example+","+example+"]"), uint8(JSON))
	f.Add([]byte("[ "+example+`,{"a":[1,{"b":"}]"}]} , null,"\u00e9",-1.5e3 ]`), uint8(JSON))
	f.Add([]byte("["+example+`,{"seq":007,"x":"\q"},]`), uint8(JSON))
	f.Add([]byte(strings.ReplaceAll(example, "\n", "")+"\n\n{\n[]\n"), uint8(NDJSON))
	f.Add([]byte("\x01\x02\x03\x04"), uint8(Binary))
	f.Fuzz(func(t *testing.T, body []byte, format uint8) {
		outcomes, err := decodeAll(t, body, Format(format%3))
		if err != nil && len(outcomes) > 0 {
			t.Fatalf("%v, but %d were handed out", err, len(outcomes))
		}
		if err == nil && (len(outcomes) == 0 || len(outcomes) > MaxEvents) {
			t.Fatalf("%d events were handed out", len(outcomes))
		}
		if Format(format%3) != JSON {
			return
		}
		var elements []json.RawMessage
		if json.Unmarshal(body, &elements) != nil || len(elements) == 0 || len(elements) > MaxEvents {
			return
		}
		if err != nil {
			var fault *SyntaxError
			if errors.As(err, &fault) && fault.Expected == "no deeper nesting" || elements == nil {
				return
			}
			t.Fatalf("%s is an array: %v", body, err)
		}
		if len(outcomes) != len(elements) {
			t.Fatalf("%d elements, %d events", len(elements), len(outcomes))
		}
		var d Decoder
		for i, element := range elements {
			var alone viewing.Event
			if err := d.DecodeEvent(element, &alone); (err == nil) != (outcomes[i].err == nil) {
				t.Fatalf("%s: %v alone, %v among others", element, err, outcomes[i].err)
			} else if err == nil && !same(&alone, &outcomes[i].event) {
				t.Fatalf("%s differs alone: %+v, %+v", element, alone, outcomes[i].event)
			}
		}
	})
}

// FuzzDecodeBinary: what is accepted is valid, and writing it and reading it again
// changes nothing; the trusted entry reads the same.
func FuzzDecodeBinary(f *testing.F) {
	e := exampleEvent(f)
	one := AppendEvent(nil, &e)
	f.Add(one)
	f.Add(append(bytes.Clone(one), one...))
	e.Type, e.ResumePos, e.PositionMS, e.Offline, e.ErrorCode = viewing.Start, true, 0, true, strings.Repeat("e", 64)
	f.Add(AppendEvent(nil, &e))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Decoder
		var got, again viewing.Event
		rest, err := d.DecodeBinary(b, &got)
		if len(rest) > len(b) || !bytes.HasSuffix(b, rest) {
			t.Fatal("rest is not the end of what was read")
		}
		if err != nil {
			return
		}
		if fault := got.Validate(); fault != nil {
			t.Fatalf("%x is accepted: %v", b, fault)
		}
		if _, err := d.DecodeTrusted(b, &again); err != nil || !same(&again, &got) {
			t.Fatalf("%x trusted: %v, %+v; want %+v", b, err, again, got)
		}
		rest, err = d.DecodeBinary(AppendEvent(nil, &got), &again)
		if err != nil || len(rest) != 0 || !same(&again, &got) {
			t.Fatalf("%x read again: %v, %+v; want %+v", b, err, again, got)
		}
		if err := d.DecodeEvent(AppendEventJSON(nil, &got), &again); err != nil || !same(&again, &got) {
			t.Fatalf("%x as JSON: %v, %+v; want %+v", b, err, again, got)
		}
	})
}
