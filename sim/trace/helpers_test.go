package trace

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// beginning is the moment of the first event of every test.
const beginning = viewing.Millis(1_448_051_400_000) // 2015-11-20T20:30:00Z

// event is one of session n, on a device and an account of the same number.
func event(n byte, seq uint32, afterMS int64, kind viewing.EventType) *viewing.Event {
	e := &viewing.Event{
		SessionID: viewing.SessionID{0: 1, 15: n}, Seq: seq, Type: kind, At: beginning + viewing.Millis(afterMS),
		AccountID: uint64(n), ProfileID: 1, DeviceID: 1000 + uint64(n), DeviceType: "tv", TitleID: 80,
		PositionMS: afterMS, PlayedMS: afterMS,
	}
	if afterMS > 0 && kind != viewing.Start {
		e.BitrateMS = []viewing.Bitrate{{Kbps: "5800", PlayedMS: afterMS}}
	}
	return e
}

func text(events ...*viewing.Event) string {
	var b []byte
	for _, e := range events {
		b = append(wire.AppendEventJSON(b, e), '\n')
	}
	return string(b)
}

// file writes a file of the test's.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	encoder, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := encoder.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := encoder.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readAll is a trace as NDJSON, until its end or an error.
func readAll(r *Reader) (string, error) {
	var e viewing.Event
	var b []byte
	for {
		if err := r.Next(&e); err != nil {
			if isEnd(err) {
				err = nil
			}
			return string(b), err
		}
		b = append(wire.AppendEventJSON(b, &e), '\n')
	}
}

// noise is text that does not compress.
func noise(bytes int) string {
	var b strings.Builder
	for i := uint64(1); b.Len() < bytes; i++ {
		fmt.Fprintf(&b, "%x", i*0x9e3779b97f4a7c15)
	}
	return b.String()[:bytes]
}

func mustHave(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %q", err, want)
	}
}
