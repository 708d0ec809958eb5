package wire

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// example is the contract's event.
const example = `{"session_id":"01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f","seq":7,"type":"keepalive","at":"2026-11-23T20:15:00.123Z",
 "account_id":42,"profile_id":1,"device_id":9001,"device_type":"tv","title_id":80,"country":"US",
 "runtime_ms":2940000,"position_ms":881000,"played_ms":911000,
 "bitrate_ms":{"5800":800000,"3000":111000},"rebuffer_ms":0,"error_code":""}`

func exampleEvent(t testing.TB) viewing.Event {
	t.Helper()
	var d Decoder
	var e viewing.Event
	if err := d.DecodeEvent([]byte(example), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func BenchmarkDecodeEvent(b *testing.B) {
	var d Decoder
	var e viewing.Event
	text := []byte(example)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.DecodeEvent(text, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEventEncodingJSON(b *testing.B) {
	text := []byte(example)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var e plainEvent
		if err := json.Unmarshal(text, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEventJSON(b *testing.B) {
	e, dst := exampleEvent(b), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEventJSON(dst[:0], &e)
	}
}

func BenchmarkAppendEventEncodingJSON(b *testing.B) {
	var e plainEvent
	if err := json.Unmarshal([]byte(example), &e); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(&e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e, dst := exampleEvent(b), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEvent(dst[:0], &e)
	}
	b.ReportMetric(float64(len(dst)), "bytes/event")
}

func BenchmarkDecodeBinary(b *testing.B) {
	e := exampleEvent(b)
	bytes := AppendEvent(nil, &e)
	var d Decoder
	b.Run("wire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.DecodeBinary(bytes, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("trusted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.DecodeTrusted(bytes, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// variedEvents is a body as a server sees it: no two events of the same shape, so
// that the processor cannot learn one by heart.
func variedEvents(b *testing.B, size int) []viewing.Event {
	random := rand.New(rand.NewPCG(1, 2))
	rungs := [...]string{"1050", "16000", "235", "3000", "4300", "5800"}
	devices := [...]string{"tv", "phone", "tablet", "web", "console"}
	events := make([]viewing.Event, size)
	for i := range events {
		e := exampleEvent(b)
		binary.BigEndian.PutUint64(e.SessionID[:], random.Uint64())
		binary.BigEndian.PutUint64(e.SessionID[8:], random.Uint64())
		e.Seq = random.Uint32N(200)
		e.Type = viewing.EventTypes[random.IntN(len(viewing.EventTypes))]
		e.At += viewing.Millis(random.IntN(msPerDay))
		e.AccountID, e.DeviceID = 1+random.Uint64N(80_000_000), 1+random.Uint64N(1<<31)
		e.ProfileID, e.TitleID = uint8(1+random.IntN(5)), 1+random.Uint32N(1<<20)
		e.DeviceType = devices[random.IntN(len(devices))]
		e.PositionMS, e.PlayedMS = random.Int64N(7_200_000), random.Int64N(7_200_000)
		e.BitrateMS = nil
		for _, kbps := range rungs {
			if random.IntN(3) == 0 {
				e.BitrateMS = append(e.BitrateMS, viewing.Bitrate{Kbps: kbps, PlayedMS: random.Int64N(7_200_000)})
			}
		}
		events[i] = e
	}
	return events
}

// BenchmarkDecodeEvents is of bodies of 1000 events; ns/event is the figure.
func BenchmarkDecodeEvents(b *testing.B) {
	const size = 1000
	events := variedEvents(b, size)
	for _, format := range []Format{JSON, NDJSON, Binary} {
		body := appendBody(nil, format, events)
		b.Run(format.ContentType(), func(b *testing.B) {
			var d Decoder
			each := func(_ int, _ *viewing.Event, err error) error { return err }
			b.ReportAllocs()
			for b.Loop() {
				if err := d.DecodeEvents(body, format, each); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/event")
		})
	}
}

func BenchmarkTime(b *testing.B) {
	text := []byte("2026-11-23T20:15:00.123Z")
	at, _ := ParseTime(text)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			text = AppendTime(text[:0], at)
		}
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, ok := ParseTime(text); !ok {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkAppendEvents is the same events on their way out.
func BenchmarkAppendEvents(b *testing.B) {
	const size = 1000
	events := variedEvents(b, size)
	for _, format := range []Format{NDJSON, Binary} {
		b.Run(format.ContentType(), func(b *testing.B) {
			var body []byte
			b.ReportAllocs()
			for b.Loop() {
				body = appendBody(body[:0], format, events)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/event")
			b.ReportMetric(float64(len(body))/size, "bytes/event")
		})
	}
}
