package wire

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

func TestParseTime(t *testing.T) {
	for _, c := range []struct {
		text string
		want viewing.Millis
		ok   bool
	}{
		{"2026-11-23T20:15:00.123Z", 1795464900123, true},
		{"2026-11-23T20:15:00Z", 1795464900000, true},
		{"2026-11-23T21:15:00.1239999999999+01:00", 1795464900123, true},
		{"2026-11-23T19:45:00.1-00:30", 1795464900100, true},
		{"2026-11-23T20:15:00.12-00:00", 1795464900120, true},
		{"1970-01-01T00:00:00Z", 0, true},
		{"1969-12-31T23:59:59.9999Z", -1, true},
		{"2000-02-29T00:00:00Z", 951782400000, true},
		{"2024-02-29T23:59:59+23:59", 1709164859000, true},
		{"2023-02-29T00:00:00Z", 0, false},
		{"1900-02-29T00:00:00Z", 0, false},
		{"2026-04-31T00:00:00Z", 0, false},
		{"2026-00-01T00:00:00Z", 0, false},
		{"2026-13-01T00:00:00Z", 0, false},
		{"2026-01-00T00:00:00Z", 0, false},
		{"2026-01-01T24:00:00Z", 0, false},
		{"2026-01-01T00:60:00Z", 0, false},
		{"2016-12-31T23:59:60Z", 0, false},
		{"2026-01-01T00:00:00", 0, false},
		{"2026-01-01T00:00:00.Z", 0, false},
		{"2026-01-01T00:00:00,5Z", 0, false},
		{"2026-01-01t00:00:00Z", 0, false},
		{"2026-01-01T00:00:00z", 0, false},
		{"2026-01-01 00:00:00Z", 0, false},
		{"2026-01-01T00:00:00+0100", 0, false},
		{"2026-01-01T00:00:00+24:00", 0, false},
		{"2026-01-01T00:00:00+01:60", 0, false},
		{"2026-01-01T00:00:00 01:00", 0, false},
		{"2026-01-01T00:00:00ZZ", 0, false},
		{"202:-01-01T00:00:00Z", 0, false},
		{"", 0, false},
	} {
		got, ok := ParseTime([]byte(c.text))
		if got != c.want || ok != c.ok {
			t.Errorf("ParseTime(%q) = %d, %v; want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

// TestTimeOfEveryDay writes and reads moments from year 0 to 9999, a week apart: in 28
// years each day of the four that a leap year is one of.
func TestTimeOfEveryDay(t *testing.T) {
	const step = 7*msPerDay + 1
	var text []byte
	for at := int64(-62_167_219_200_000); at < int64(lastFastMillis); at += step {
		text = AppendTime(text[:0], viewing.Millis(at))
		if want := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"); string(text) != want {
			t.Fatalf("%d is written %s; want %s", at, text, want)
		}
		if got, ok := ParseTime(text); !ok || int64(got) != at {
			t.Fatalf("%s reads %d, %v; want %d", text, got, ok, at)
		}
	}
}

func TestAppendTimeEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "at")
		want := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(AppendTime(nil, viewing.Millis(at))); got != want {
			t.Fatalf("%d is written %s; want %s", at, got, want)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2026-11-23T20:15:00.123Z", "2024-02-29T23:59:59.9+23:59", "0000-01-01T00:00:00+00:01", "2026-01-01T00:00:60Z"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := ParseTime(text)
		if !ok {
			return
		}
		want, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			t.Fatalf("%q reads %d, but package time says %v", text, got, err)
		}
		if int64(got) != want.UnixMilli() {
			t.Fatalf("%q reads %d; want %d", text, got, want.UnixMilli())
		}
	})
}
