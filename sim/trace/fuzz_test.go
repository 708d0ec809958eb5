package trace

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// FuzzImport: whatever a log is, import ends without a panic, every line is kept or
// counted as bad, and what is kept is a trace that a player takes.
func FuzzImport(f *testing.F) {
	f.Add([]byte(header + csvLine))
	f.Add([]byte(jsonOut + jsonOut))
	f.Add([]byte(header + "\"\n\"\"\n\"a\"b\n,,,,,,,,,,,,\n"))
	f.Add([]byte("{\"at\":1e999,\"seq\":-0,\"x\":{}}\n\n[]\nnull\n"))
	f.Add([]byte("\xef\xbb\xbf" + header + csvLine))
	f.Add([]byte("\xff\xfe{\x00"))
	f.Add([]byte(compressed(f, header+csvLine)))
	f.Add([]byte(compressed(f, jsonOut))[:20])
	f.Fuzz(func(t *testing.T, log []byte) {
		lines, err := newLines("log", io.NopCloser(bytes.NewReader(log)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		m := &importing{lines: lines, names: names(Fields), sorter: sorter{memory: 1 << 10}}
		report, err := m.all(t.Context(), func() (*Writer, error) { return NewWriter(&out, "memory"), nil }, ImportOptions{})
		if err != nil {
			if out.Len() > 0 && report.Kept == 0 {
				t.Fatalf("%v, and a trace of %d bytes", err, out.Len())
			}
			return
		}
		if report.Lines != report.Kept+report.Bad || len(report.Problems) > MaxProblems {
			t.Fatalf("report %+v", report)
		}
		mustBeTrace(t, out.Bytes(), report.Kept)
	})
}

func mustBeTrace(t *testing.T, content []byte, events int64) {
	t.Helper()
	lines, err := newLines("trace", io.NopCloser(bytes.NewReader(content)))
	if err != nil {
		t.Fatal(err)
	}
	r := &Reader{lines: lines}
	seen := sessions{}
	var e viewing.Event
	for {
		err := r.Next(&e)
		if isEnd(err) {
			break
		}
		if err != nil {
			t.Fatalf("the trace cannot be read: %v\n%s", err, content)
		}
		if fault, err := seen.check(&e); fault != nil || err != nil || playable(&e) != nil {
			t.Fatalf("the trace cannot be played: %v %v %v\n%s", fault, err, playable(&e), content)
		}
		events--
	}
	if events != 0 {
		t.Fatalf("%d events kept are not in the trace", events)
	}
}

// TestCorpus: the committed corpus is there, so that every run of the tests plays it.
func TestCorpus(t *testing.T) {
	if found, err := filepath.Glob("testdata/fuzz/FuzzImport/*"); err != nil || len(found) < 4 {
		t.Errorf("%v, %v", found, err)
	}
}
