package trace

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// TestRoundTrip: what is written is read, compressed or not, and by its bytes, not by
// its name.
func TestRoundTrip(t *testing.T) {
	want := text(event(1, 0, 0, viewing.Start), event(2, 0, 10, viewing.Start), event(1, 1, 10, viewing.Keepalive), event(1, 2, 60_000, viewing.Stop))
	for _, name := range []string{"a.ndjson", "a.ndjson.zst"} {
		path := filepath.Join(t.TempDir(), name)
		writeTrace(t, path, want)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if Compressed(name) == (string(raw) == want) {
			t.Errorf("%s holds %q", name, raw)
		}
		renamed := file(t, "renamed", string(raw))
		r, err := Open(renamed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(r)
		if err != nil || got != want {
			t.Errorf("%s: %v, read\n%s\nwant\n%s", name, err, got, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func writeTrace(t *testing.T, path, ndjson string) {
	t.Helper()
	r, err := Open(file(t, "source", ndjson))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var e viewing.Event
	for r.Next(&e) == nil {
		if err := w.Write(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAbortedTraceIsNotWhole: a compressed trace that was given up is told from a
// whole one.
func TestAbortedTraceIsNotWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zst")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint32(20_000) {
		if err := w.Write(event(1, seq, int64(seq), viewing.Keepalive)); err != nil {
			t.Fatal(err)
		}
	}
	w.Abort()
	r, err := Open(path)
	if err == nil {
		_, err = readAll(r)
	}
	if err == nil {
		t.Error("it was read to its end as if it were whole")
	}
}

// TestHostileFiles: one clear error each, and what is before it is read.
func TestHostileFiles(t *testing.T) {
	good := text(event(1, 0, 5, viewing.Start))
	many := strings.Repeat("\n", 1000) + good
	codes := noise(64 * 3000)
	for seq := range uint32(3000) {
		e := event(2, seq, 10, viewing.Error)
		e.ErrorCode = codes[64*seq:][:64]
		many += text(e)
	}
	whole := compressed(t, many)
	damaged := []byte(whole)
	damaged[len(damaged)/2] ^= 0x55
	for name, test := range map[string]struct{ file, content, want string }{
		"gzip":               {"x", "\x1f\x8b\x08\x00", "gzip: decompress it first"},
		"UTF-16":             {"x", "\xff\xfe{\x00", "is UTF-16: expected UTF-8"},
		"UTF-16, big end":    {"x", "\xfe\xff\x00{", "is UTF-16: expected UTF-8"},
		"UTF-16 within zstd": {"x", compressed(t, "\xff\xfe{\x00"), "is UTF-16: expected UTF-8"},
		"zstd by name alone": {"x.zst", good, "is not zstd, though it is named so"},
		"empty .zst":         {"x.zst", "", "is not zstd"},
		"cut":                {"x.zst", whole[:len(whole)/2], "is cut short: its compressed data ends in the midst after line "},
		"cut in its head":    {"x.zst", whole[:6], "is cut short"},
		"damaged":            {"x.zst", string(damaged), "is damaged: its compressed data is wrong after line "},
		"too large a window": {"x.zst", "\x28\xb5\x2f\xfd\x00\xb8\x00\x00\x00", "is damaged"},
		"over-long":          {"x", good + strings.Repeat("x", 3*MaxLineBytes) + "\n" + good, "line 2: expected an event, got a line of more than 65536 bytes"},
		"no UTF-8":           {"x", good + strings.Replace(good, `"tv"`, "\"\xc3\x28\"", 1), "line 2: device_type: expected 1 to 64 bytes of printable ASCII"},
		"NaN":                {"x", strings.Replace(good, `"seq":0`, `"seq":NaN`, 1), "line 1: seq: expected an integer"},
		"huge":               {"x", strings.Replace(good, `"account_id":1`, `"account_id":1`+strings.Repeat("0", 400), 1), "line 1: account_id: expected an integer"},
		"an array":           {"x", "[" + good + "]", "line 1: event: expected a JSON object"},
		"unsorted":           {"x", good + text(event(2, 0, 4, viewing.Start)), "line 2: at: expected no time before"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, test.file, test.content)
			r, err := Open(path)
			if err == nil {
				_, err = readAll(r)
				_ = r.Close()
			}
			mustHave(t, err, test.want)
			mustHave(t, err, path)
		})
	}
}

// TestMarksAndEmptyLines are no events and no mistakes.
func TestMarksAndEmptyLines(t *testing.T) {
	one := strings.TrimSpace(text(event(1, 0, 0, viewing.Start)))
	for _, content := range []string{"\xef\xbb\xbf" + one, "\n \r\n" + one + "\r\n\n", compressed(t, "\xef\xbb\xbf"+one), "\x50\x2a\x4d\x18\x01\x00\x00\x00x" + compressed(t, one)} {
		r, err := Open(file(t, "x", content))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(r); err != nil || strings.TrimSpace(got) != one {
			t.Errorf("%q: read %q, %v", content, got, err)
		}
		_ = r.Close()
	}
}

// TestFullDisk: a disk that is full is told, if not by Write then by Close.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	w, err := Create("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	mustHave(t, errors.Join(w.Write(event(1, 0, 0, viewing.Start)), w.Close()), "write the trace to /dev/full: ")
	var b bytes.Buffer
	w = NewWriter(&b, "memory")
	if err := errors.Join(w.Write(event(1, 0, 0, viewing.Start)), w.Close()); err != nil || b.String() != text(event(1, 0, 0, viewing.Start)) {
		t.Errorf("%v, %q", err, b.String())
	}
}
