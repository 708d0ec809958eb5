package archive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var testCluster = [ClusterBytes]byte{1, 2, 3}

// command is one of a size that differs from entry to entry.
func command(index uint64, i int) []byte {
	return fmt.Appendf(nil, "command %d of entry %d %s", i, index, strings.Repeat("x", int(index%7)))
}

func stampOf(index uint64) int64 { return 1_795_464_900_000 + int64(index)*10 }

func mustOpen(t testing.TB, dir string, opts Options) *Writer {
	t.Helper()
	w, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// appendRange appends two commands an entry, from one index to another.
func appendRange(t testing.TB, w *Writer, from, to uint64) {
	t.Helper()
	for index := from; index <= to; index++ {
		for i := range 2 {
			if err := w.Append(index, stampOf(index), command(index, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func mustDo(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func digestAt(index uint64) Digest {
	return Digest{Index: index, StampMS: stampOf(index), Version: 1, Cluster: testCluster, Sum: [SumBytes]byte{0: byte(index), 31: 0xff}}
}

// content is what a reader tells.
type content struct {
	entries  []Entry
	gaps     []Gap
	digests  []Digest
	damages  []Damage
	last     uint64
	segments int
}

func readContent(t testing.TB, r *Reader) (c content) {
	t.Helper()
	var rec Record
	for {
		err := r.Next(&rec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch rec.Kind {
		case Entries:
			for _, e := range rec.Entries {
				c.entries = append(c.entries, Entry{e.Index, e.StampMS, bytes.Clone(e.Command)})
			}
		case Gaps:
			c.gaps = append(c.gaps, rec.Gap)
		case Digests:
			c.digests = append(c.digests, rec.Digest)
		case Damages:
			c.damages = append(c.damages, rec.Damage)
		default:
			t.Fatalf("a record of kind %d", rec.Kind)
		}
	}
	c.last, c.segments = r.Last(), r.Segments()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

func readDir(t testing.TB, dir string) content {
	t.Helper()
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	return readContent(t, r)
}

// indexes are those of entries, each once.
func (c *content) indexes(t testing.TB) (indexes []uint64) {
	t.Helper()
	count := map[uint64]int{}
	for _, e := range c.entries {
		if want := command(e.Index, count[e.Index]); !bytes.Equal(e.Command, want) || e.StampMS != stampOf(e.Index) {
			t.Fatalf("entry %d: %q at %d, want %q", e.Index, e.Command, e.StampMS, want)
		}
		if count[e.Index]++; count[e.Index] == 2 {
			indexes = append(indexes, e.Index)
		}
	}
	if len(c.entries) != 2*len(indexes) {
		t.Fatalf("%d commands of %d entries", len(c.entries), len(indexes))
	}
	return indexes
}

func span(from, to uint64) (indexes []uint64) {
	for i := from; i <= to; i++ {
		indexes = append(indexes, i)
	}
	return indexes
}

// wantIndexes checks that the entries are those, whole and in order.
func (c *content) wantIndexes(t testing.TB, want ...[]uint64) {
	t.Helper()
	if got := c.indexes(t); !slices.Equal(got, slices.Concat(want...)) {
		t.Fatalf("entries %v, want %v", got, slices.Concat(want...))
	}
}

func segmentsOf(t testing.TB, dir string) []string {
	t.Helper()
	paths, _, err := listSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	w := mustOpen(t, dir, Options{})
	mustDo(t, w.SetCluster(testCluster))
	appendRange(t, w, 3, 9) // 1 and 2 had no commands
	mustDo(t, w.Digest(digestAt(11)), w.Sync())
	appendRange(t, w, 12, 13)
	mustDo(t, w.Gap(20), w.Gap(15))
	appendRange(t, w, 21, 21)
	mustDo(t, w.Close())

	w = mustOpen(t, dir, Options{})
	if w.Last() != 21 || len(w.Notes()) != 0 {
		t.Errorf("opened at %d: %v", w.Last(), w.Notes())
	}
	appendRange(t, w, 10, 25)         // to 21 it has them
	mustDo(t, w.Digest(digestAt(24))) // one of the past
	mustDo(t, w.Digest(digestAt(25)), w.Close())

	c := readDir(t, dir)
	c.wantIndexes(t, span(3, 9), span(12, 13), span(21, 25))
	if want := []Gap{{From: 14, To: 20, Recorded: true}}; !slices.Equal(c.gaps, want) {
		t.Errorf("gaps %v, want %v", c.gaps, want)
	}
	if want := []Digest{digestAt(11), digestAt(25)}; !slices.Equal(c.digests, want) {
		t.Errorf("digests %v, want %v", c.digests, want)
	}
	if len(c.damages) != 0 || c.last != 25 || c.segments != 1 {
		t.Errorf("damages %v, last %d, %d segments", c.damages, c.last, c.segments)
	}
}

func TestSegmentsAreSealed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Options{SegmentBytes: 600, blockBytes: 100}
	w := mustOpen(t, dir, opts)
	appendRange(t, w, 1, 100)
	mustDo(t, w.Close())
	paths := segmentsOf(t, dir)
	if len(paths) < 5 || filepath.Base(paths[0]) != "00000000000000000001.seg" {
		t.Fatalf("segments %v", paths)
	}
	c := readDir(t, dir)
	c.wantIndexes(t, span(1, 100))
	if len(c.damages)+len(c.gaps) > 0 {
		t.Errorf("damages %v, gaps %v", c.damages, c.gaps)
	}
	// All but the newest must have their footer.
	cut := mustRead(t, paths[1])
	mustDo(t, os.WriteFile(paths[1], cut[:len(cut)-frameBytes-footerBytes], fileMode))
	c = readDir(t, dir)
	c.wantIndexes(t, span(1, 100))
	if len(c.damages) != 1 || c.damages[0].Segment != paths[1] || c.damages[0].Torn {
		t.Errorf("damages %v", c.damages)
	}
	// A segment that is gone is a gap.
	first, _ := parseSegmentName(paths[2])
	next, _ := parseSegmentName(paths[3])
	mustDo(t, os.Remove(paths[2]), os.WriteFile(paths[1], cut, fileMode))
	c = readDir(t, dir)
	c.wantIndexes(t, span(1, first-1), span(next, 100))
	if want := []Gap{{From: first, To: next - 1}}; !slices.Equal(c.gaps, want) || len(c.damages) != 0 {
		t.Errorf("gaps %v, want %v; damages %v", c.gaps, want, c.damages)
	}
	// So is the oldest.
	mustDo(t, os.Remove(paths[0]))
	if c = readDir(t, dir); c.gaps[0].From != 1 || c.gaps[0].Recorded {
		t.Errorf("gaps %v", c.gaps)
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallArchive is one segment of frames of every kind, and the last index and the
// end of each.
func smallArchive(t testing.TB, dir string) (path string, ends map[int64]uint64) {
	t.Helper()
	ends = map[int64]uint64{segmentBytes: 0}
	w := mustOpen(t, dir, Options{})
	note := func() { ends[w.size] = w.held }
	mustDo(t, w.SetCluster(testCluster))
	for index := uint64(1); index <= 6; index += 2 {
		appendRange(t, w, index, index+1)
		mustDo(t, w.Sync())
		note()
	}
	mustDo(t, w.Digest(digestAt(6)))
	note()
	mustDo(t, w.Gap(8))
	note()
	appendRange(t, w, 9, 10)
	mustDo(t, w.Sync())
	note()
	mustDo(t, w.Close())
	return segmentsOf(t, dir)[0], ends
}

func TestTornTailAtEveryByte(t *testing.T) {
	t.Parallel()
	source, ends := smallArchive(t, t.TempDir())
	whole := mustRead(t, source)
	for cut := range len(whole) {
		for _, filler := range []int{0, 100} { // a file's length may reach the disk before its bytes
			dir := t.TempDir()
			torn := append(bytes.Clone(whole[:cut]), make([]byte, filler)...)
			mustDo(t, os.WriteFile(filepath.Join(dir, filepath.Base(source)), torn, fileMode))
			held := uint64(0)
			for end, last := range ends {
				if end <= int64(cut) {
					held = max(held, last)
				}
			}
			c := readDir(t, dir) // also before it is mended
			if c.last != held {
				t.Fatalf("cut at %d: read to %d, want %d", cut, c.last, held)
			}
			for _, d := range c.damages {
				if filler == 0 && !d.Torn && cut >= segmentBytes {
					t.Fatalf("cut at %d: %v is called damage", cut, &d)
				}
			}
			w := mustOpen(t, dir, Options{})
			if w.Last() != held {
				t.Fatalf("cut at %d: opened at %d, want %d", cut, w.Last(), held)
			}
			if _, sound := ends[int64(cut)]; len(w.Notes()) == 0 && (!sound || filler > 0) {
				t.Fatalf("cut at %d: it mended something and said nothing", cut)
			}
			// The log tells again what is missing.
			appendRange(t, w, 1, 6)
			mustDo(t, w.Gap(8))
			appendRange(t, w, 9, 12)
			mustDo(t, w.Close())
			c = readDir(t, dir)
			c.wantIndexes(t, span(1, 6), span(9, 12))
			if len(c.damages) != 0 || !slices.Equal(c.gaps, []Gap{{From: 7, To: 8, Recorded: true}}) {
				t.Fatalf("cut at %d: damages %v, gaps %v", cut, c.damages, c.gaps)
			}
		}
	}
}

// TestFlippedBitInEveryByte: of a sealed segment and of the newest. The damage is
// named, everything but the frame it is in is kept, and what is lost is a gap.
func TestFlippedBitInEveryByte(t *testing.T) {
	t.Parallel()
	source, ends := smallArchive(t, t.TempDir())
	w := mustOpen(t, filepath.Dir(source), Options{SegmentBytes: 1})
	appendRange(t, w, 11, 12) // seals when it is written
	mustDo(t, w.Close())
	w = mustOpen(t, filepath.Dir(source), Options{})
	appendRange(t, w, 13, 14)
	mustDo(t, w.Close())
	paths := segmentsOf(t, filepath.Dir(source))
	if len(paths) != 2 {
		t.Fatalf("segments %v", paths)
	}
	sealed, newest := mustRead(t, paths[0]), mustRead(t, paths[1])
	bounds := []int64{int64(len(sealed)) - frameBytes - footerBytes, int64(len(sealed))}
	for end := range ends {
		bounds = append(bounds, end)
	}
	slices.Sort(bounds)
	// By frame, the segment's header first: what its loss costs.
	lost := [][]uint64{nil, {1, 2}, {3, 4}, {5, 6}, nil, {7, 8}, {9, 10}, {11, 12}, nil}
	try := func(at int, first, second []byte) (dir string, c content) {
		dir = t.TempDir()
		mustDo(t, os.WriteFile(filepath.Join(dir, filepath.Base(paths[0])), first, fileMode),
			os.WriteFile(filepath.Join(dir, filepath.Base(paths[1])), second, fileMode))
		c = readDir(t, dir)
		if len(c.damages) != 1 {
			t.Fatalf("flipped at %d: damages %v", at, c.damages)
		}
		if d := c.damages[0]; d.Offset > int64(at) || d.Offset+d.Bytes <= int64(at) {
			t.Fatalf("flipped at %d: named is %v", at, &d)
		}
		return dir, c
	}
	mends := func(at int, dir string, want ...[]uint64) {
		w := mustOpen(t, dir, Options{}) // the node starts in spite of it
		appendRange(t, w, 13, 16)
		mustDo(t, w.Close())
		c := readDir(t, dir)
		if got := c.indexes(t); !slices.Equal(got, slices.Concat(want...)) {
			t.Fatalf("flipped at %d, then appended: entries %v", at, got)
		}
	}
	for at := range sealed {
		dir, c := try(at, flip(sealed, at), newest)
		frame, _ := slices.BinarySearch(bounds, int64(at)+1)
		gone := func(i uint64) bool { return slices.Contains(lost[frame], i) }
		want := slices.DeleteFunc(slices.Concat(span(1, 6), span(9, 14)), gone)
		c.wantIndexes(t, want)
		for _, index := range lost[frame] {
			if !slices.ContainsFunc(c.gaps, func(g Gap) bool { return g.From <= index && index <= g.To }) {
				t.Fatalf("flipped at %d: entry %d is in no gap of %v", at, index, c.gaps)
			}
		}
		if filepath.Base(c.damages[0].Segment) != filepath.Base(paths[0]) {
			t.Fatalf("flipped at %d: %s is named", at, c.damages[0].Segment)
		}
		mends(at, dir, want, span(15, 16))
	}
	for at := range newest {
		dir, c := try(at, sealed, flip(newest, at))
		want := slices.Concat(span(1, 6), span(9, 12))
		if at < segmentBytes {
			want = append(want, 13, 14)
		}
		c.wantIndexes(t, want)
		mends(at, dir, span(1, 6), span(9, 16)) // 13 and 14 came again from the log
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1 << (at % 8)
	return b
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(stampOf(100))
	for _, c := range []struct {
		name string
		opts Options
		keep func(kept []uint64, bytes int64) string // what is wrong
	}{
		{"everything", Options{}, func(kept []uint64, _ int64) string {
			return unless(kept[0] == 1, "entries were deleted")
		}},
		{"by size", Options{KeepBytes: 3000}, func(kept []uint64, bytes int64) string {
			return unless(bytes <= 3000 && bytes > 2000 && kept[0] > 1, fmt.Sprintf("%d bytes from entry %d", bytes, kept[0]))
		}},
		{"less than a segment", Options{KeepBytes: 1}, func(kept []uint64, _ int64) string {
			return unless(kept[0] > 80, fmt.Sprintf("from entry %d", kept[0]))
		}},
		{"by age", Options{KeepFor: 500 * time.Millisecond}, func(kept []uint64, _ int64) string {
			return unless(kept[0] > 40 && kept[0] <= 50, fmt.Sprintf("from entry %d, want what is younger than entry 50", kept[0]))
		}},
		{"by age, in segments that are never full", Options{KeepFor: 400 * time.Millisecond, SegmentBytes: 1 << 20}, func(kept []uint64, _ int64) string {
			return unless(kept[0] > 50 && kept[0] <= 60, fmt.Sprintf("from entry %d, want what is younger than entry 60, and an eighth", kept[0]))
		}},
		{"by size, in segments of an eighth", Options{KeepBytes: 3200, SegmentBytes: -1}, func(kept []uint64, bytes int64) string {
			return unless(bytes <= 3200 && bytes > 2200 && kept[0] > 1, fmt.Sprintf("%d bytes from entry %d", bytes, kept[0]))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := c.opts
			opts.SegmentBytes, opts.blockBytes, opts.Now = cmp.Or(opts.SegmentBytes, 500), 100, func() time.Time { return now }
			w := mustOpen(t, dir, opts)
			appendRange(t, w, 1, 100)
			mustDo(t, w.Sync())
			check := func() {
				t.Helper()
				got := readDir(t, dir)
				kept := got.indexes(t)
				var total int64
				for _, path := range segmentsOf(t, dir) {
					total += int64(len(mustRead(t, path)))
				}
				if total != w.Bytes() {
					t.Errorf("%d bytes, the writer says %d", total, w.Bytes())
				}
				if wrong := c.keep(kept, total); wrong != "" {
					t.Error(wrong)
				}
				if kept[len(kept)-1] != 100 || len(got.damages) > 0 {
					t.Errorf("kept to %d, damages %v", kept[len(kept)-1], got.damages)
				}
				if want := kept[0] > 1; (len(got.gaps) == 1) != want || want && (got.gaps[0] != Gap{From: 1, To: kept[0] - 1}) {
					t.Errorf("gaps %v, kept from %d", got.gaps, kept[0])
				}
			}
			check()
			mustDo(t, w.Close())
			w = mustOpen(t, dir, opts) // it knows their ages again
			check()
			mustDo(t, w.Close())
		})
	}
}

func unless(ok bool, wrong string) string {
	if ok {
		return ""
	}
	return wrong
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := mustOpen(t, dir, Options{})
	mustDo(t, w.SetCluster(testCluster), w.SetCluster([ClusterBytes]byte{}))
	if err := w.SetCluster([ClusterBytes]byte{9}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("another cluster: %v", err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	appendRange(t, w, 5, 5)
	if err := w.Append(4, 0, nil); err == nil {
		t.Error("an index went down")
	}
	mustDo(t, w.Close())

	w = mustOpen(t, dir, Options{})
	if err := w.SetCluster([ClusterBytes]byte{9}); err == nil {
		t.Error("the cluster is forgotten")
	}
	if err := w.Append(6, 0, make([]byte, MaxBlockBytes)); err == nil || !strings.Contains(err.Error(), "entry 6") {
		t.Errorf("too large: %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("closed without saying that an entry is missing")
	}

	// A disk that fails: nothing is taken after it, whatever it says later.
	w = mustOpen(t, dir, Options{})
	mustDo(t, w.file.Close())
	appendRange(t, w, 6, 6)
	if err := w.Sync(); err == nil || !strings.Contains(err.Error(), ".seg") {
		t.Errorf("synced to a closed file: %v", err)
	}
	for name, err := range map[string]error{
		"append": w.Append(7, 0, nil), "gap": w.Gap(9), "digest": w.Digest(digestAt(9)), "sync": w.Sync(), "close": w.Close(),
	} {
		if err == nil {
			t.Errorf("%s after a failure", name)
		}
	}

	if _, err := OpenReader(t.TempDir()); !errors.Is(err, ErrNoArchive) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := OpenReader(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// TestNewerVersion: what a newer Playhead wrote is left alone.
func TestNewerVersion(t *testing.T) {
	t.Parallel()
	source, _ := smallArchive(t, t.TempDir())
	b := mustRead(t, source)
	newer := (&segmentHeader{version: magicAndVersion, first: 1}).append(nil)
	newer[7]++
	newer = sealHeader(newer)
	mustDo(t, os.WriteFile(source, append(newer, b[segmentBytes:]...), fileMode))
	if _, err := Open(filepath.Dir(source), Options{}); err == nil || !strings.Contains(err.Error(), "newer Playhead") {
		t.Errorf("opened: %v", err)
	}
	if c := readDir(t, filepath.Dir(source)); len(c.damages) != 1 || !strings.Contains(c.damages[0].Why, "newer Playhead") || c.damages[0].Torn {
		t.Errorf("damages %v", c.damages)
	}
	if got := mustRead(t, source); len(got) != len(b) {
		t.Errorf("%d bytes of %d are left", len(got), len(b))
	}
}

// TestTwoClusters: segments that were put together are told apart.
func TestTwoClusters(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	smallArchive(t, dir)
	w := mustOpen(t, other, Options{})
	mustDo(t, w.SetCluster([ClusterBytes]byte{9}), w.Gap(10))
	appendRange(t, w, 11, 12)
	mustDo(t, w.Close())
	alien := filepath.Join(dir, segmentName(11))
	header := (&segmentHeader{version: magicAndVersion, first: 11, cluster: [ClusterBytes]byte{9}}).append(nil)
	mustDo(t, os.WriteFile(alien, append(header, mustRead(t, segmentsOf(t, other)[0])[segmentBytes:]...), fileMode))
	c := readDir(t, dir)
	c.wantIndexes(t, span(1, 6), span(9, 10))
	if i := len(c.damages) - 1; i < 0 || c.damages[i].Segment != alien || !strings.Contains(c.damages[i].Why, "another cluster") {
		t.Errorf("damages %v", c.damages)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "two clusters") {
		t.Errorf("opened: %v", err)
	}
}
