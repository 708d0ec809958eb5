package archive

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The golden archives, as each version wrote them. What stands there must be read for
// ever: a new version gets a directory of its own.
const (
	goldenDir1 = "testdata/v1"
	goldenDir  = "testdata/v2"
)

// TestGoldenArchive: two segments, the first sealed. Their bytes depend on the
// compressor too, so that writing is not held against them, reading is.
func TestGoldenArchive(t *testing.T) {
	t.Parallel()
	if *update {
		mustDo(t, os.RemoveAll(goldenDir))
		smallArchive(t, goldenDir)
		w := mustOpen(t, goldenDir, Options{SegmentBytes: 1})
		appendRange(t, w, 11, 12)
		mustDo(t, w.Close())
		w = mustOpen(t, goldenDir, Options{})
		appendRange(t, w, 15, 16)
		mustDo(t, w.Digest(digestAt(17)), w.Close(), os.Remove(filepath.Join(goldenDir, lockFile)))
	}
	for _, dir := range []string{goldenDir1, goldenDir} {
		wantGolden(t, dir)
	}
}

func wantGolden(t *testing.T, dir string) {
	t.Helper()
	c := readDir(t, dir)
	c.wantIndexes(t, span(1, 6), span(9, 12), span(15, 16))
	if !slices.Equal(c.digests, []Digest{digestAt(6), digestAt(17)}) || !slices.Equal(c.gaps, []Gap{{From: 7, To: 8, Recorded: true}}) ||
		len(c.damages) != 0 || c.last != 17 || c.segments != 2 {
		t.Errorf("%s: %+v", dir, c)
	}
}

// A writer that finds a segment of version 1 goes on in it, as that version has it, and
// begins the next in its own.
func TestOldSegmentIsGoneOnIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustDo(t, os.CopyFS(dir, os.DirFS(goldenDir1)))
	w := mustOpen(t, dir, Options{SegmentBytes: 1 << 20})
	appendRange(t, w, 18, 19)
	mustDo(t, w.Close())
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	mustDo(t, err)
	if len(paths) != 2 {
		t.Errorf("segments %q, want the two of before", paths)
	}
	w = mustOpen(t, dir, Options{SegmentBytes: 1})
	appendRange(t, w, 20, 21)
	mustDo(t, w.Sync())
	appendRange(t, w, 22, 23)
	mustDo(t, w.Close())
	c := readDir(t, dir)
	c.wantIndexes(t, span(1, 6), span(9, 12), span(15, 16), span(18, 23))
	if len(c.damages) != 0 || c.segments != 3 {
		t.Errorf("%+v", c)
	}
	for i, want := range []string{magicAndVersion1, magicAndVersion1, magicAndVersion} {
		paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		mustDo(t, err)
		data, err := os.ReadFile(paths[i])
		mustDo(t, err)
		if got := string(data[:len(want)]); got != want || (want == magicAndVersion) != bytes.Contains(data, []byte{'p', 'h', 'f', 'r', kindEntriesS2}) {
			t.Errorf("segment %d has version %q, want %q and entries as it has them", i+1, got, want)
		}
	}
}

// TestGoldenHeaders: the bytes that do not depend on a compressor.
func TestGoldenHeaders(t *testing.T) {
	t.Parallel()
	frame := frameHeader{kind: kindEntries, prev: 6, first: 9, last: 10, stampMS: stampOf(10), commands: 4, raw: 120, size: 64, sum: 0xdeadbeef}
	segment := segmentHeader{version: magicAndVersion, first: 7, cluster: testCluster}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"segment": {segment.append(nil), "7068617263683032000000000000000701020300000000000000000000000000ad784b6d"},
		"frame":   {frame.append(nil), "706866720100000000000000000000060000000000000009000000000000000a000001a20a0c2e04000000040000007800000040deadbeefb3531d4f"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s is written %s, was %s: a change of the format needs a new version", name, got, c.want)
		}
	}
	if h, err := parseFrameHeader(frame.append(nil)); err != nil || h != frame {
		t.Errorf("read %+v, %v", h, err)
	}
	if h, err := parseSegmentHeader(segment.append(nil)); err != nil || h != segment {
		t.Errorf("read %+v, %v", h, err)
	}
}
