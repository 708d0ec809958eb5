package archive

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenDir holds an archive as version 1 wrote it. What stands there must be read
// for ever: a new version gets a directory of its own.
const goldenDir = "testdata/v1"

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
	c := readDir(t, goldenDir)
	c.wantIndexes(t, span(1, 6), span(9, 12), span(15, 16))
	if !slices.Equal(c.digests, []Digest{digestAt(6), digestAt(17)}) || !slices.Equal(c.gaps, []Gap{{From: 7, To: 8, Recorded: true}}) ||
		len(c.damages) != 0 || c.last != 17 || c.segments != 2 {
		t.Errorf("%+v", c)
	}
}

// TestGoldenHeaders: the bytes that do not depend on a compressor.
func TestGoldenHeaders(t *testing.T) {
	t.Parallel()
	frame := frameHeader{kind: kindEntries, prev: 6, first: 9, last: 10, stampMS: stampOf(10), commands: 4, raw: 120, size: 64, sum: 0xdeadbeef}
	segment := segmentHeader{first: 7, cluster: testCluster}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"segment": {segment.append(nil), "7068617263683031000000000000000701020300000000000000000000000000df2517ca"},
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
