package viewing

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var rewriteGolden = flag.Bool("rewrite-golden", false, "write the golden state of the newest version anew")

// goldenState has something of everything that an encoded state can hold.
func goldenState() *State {
	s := NewState(Rules{LeaseMS: 150_000, DefaultStreams: 2})
	now := serverClock
	for i := range 40 {
		n := uint32(i)
		e := Event{
			SessionID: SessionID{15: byte(1 + n%9)}, Seq: n / 9 * (1 + n%2), Type: EventTypes[n%8], At: now + Millis(n)*1000,
			AccountID: uint64(1 + n%3%2), ProfileID: uint8(1 + n%9%2), DeviceID: uint64(1 + n%9), TitleID: 1 + n%9%3,
			DeviceType: "tv", Country: "US", PositionMS: int64(n) * 60_000, PlayedMS: int64(n) * 50_000, RuntimeMS: 6_000_000,
			RebufferMS: int64(n), BitrateMS: []Bitrate{{"3000", int64(n)}, {"5800", int64(n) << 20}}, Offline: n%11 == 0,
		}
		if e.Type == Error {
			e.ErrorCode = "DRM-1004"
		}
		s.Observe(now+Millis(n)*1000, &e)
	}
	s.SetMaxStreams(1, 4)
	s.Hide(now+30_000, 1, 1, 1)
	s.Hide(now+30_000, 2, 2, 3)
	return s
}

// TestGoldenStates: what earlier versions wrote is still read, and what this one writes
// is what it wrote before.
func TestGoldenStates(t *testing.T) {
	want := goldenState()
	const newest = "testdata/state.v3"
	if *rewriteGolden {
		if err := os.WriteFile(newest, want.AppendBinary(nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"testdata/state.v1", "testdata/state.v2", newest} {
		encoded, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadState(bytes.NewReader(encoded))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		now := serverClock + 60_000
		if diff := difference(answers(sure{want}, now), answers(sure{got}, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		if got.Digest() != want.Digest() || got.Rules() != want.Rules() {
			t.Errorf("%s: another digest, or other rules: %+v", file, got.Rules())
		}
		if file == newest && !bytes.Equal(want.AppendBinary(nil), encoded) {
			t.Errorf("%s: this version writes otherwise: take the next version's number", file)
		}
		for size := range encoded {
			if _, err := ReadState(bytes.NewReader(encoded[:size])); err == nil {
				t.Fatalf("%s: %d of %d bytes were taken for a whole state", file, size, len(encoded))
			}
		}
	}
}
