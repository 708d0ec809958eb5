package archive

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// memory is a file in memory.
type memory struct {
	*bytes.Reader
	os.FileInfo
}

func (m memory) Stat() (os.FileInfo, error) { return m, nil }
func (m memory) Close() error               { return nil }
func (m memory) Size() int64                { return m.Reader.Size() }

// addSeeds adds the golden segments, sound, cut and damaged.
func addSeeds(f *testing.F) {
	paths, err := filepath.Glob(goldenDir + "/*" + suffix)
	if err != nil || len(paths) == 0 {
		f.Fatalf("golden segments: %v, %v", paths, err)
	}
	for _, path := range paths {
		whole := mustRead(f, path)
		f.Add(whole, []byte{})
		f.Add(whole[:len(whole)-5], whole)
		f.Add(flip(whole, segmentBytes+20), flip(whole, len(whole)/2))
		f.Add(whole[segmentBytes:], whole[segmentBytes+3:])
	}
	f.Add(bytes.Repeat(frameMagic, 100), []byte(magicAndVersion))
}

// FuzzSegments reads whatever bytes as two segments: it ends, panics never, keeps to
// its bounds, and tells entries in order.
func FuzzSegments(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		files := map[string][]byte{segmentName(1): first, segmentName(9): second}
		r, err := newReader([]string{segmentName(1), segmentName(9)}, func(path string) (file, error) {
			return memory{Reader: bytes.NewReader(files[path])}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		readAll(t, r, 4*(len(first)+len(second))+4)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*MaxBlockBytes {
			t.Errorf("%d bytes allocated for %d", used, len(first)+len(second))
		}
	})
}

// FuzzOpen opens whatever bytes as two segments: a node either refuses them or goes
// on after them, and what it appends is read again.
func FuzzOpen(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		appendAfter(t, map[string][]byte{segmentName(1): first, segmentName(9): second})
	})
}

// readAll reads to the end, and returns the last index told and the number of commands.
func readAll(t *testing.T, r *Reader, most int) (last uint64, commands int) {
	var rec Record
	for n := 0; ; n++ {
		err := r.Next(&rec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n > most {
			t.Fatalf("after %d records: %v", n, err)
		}
		for _, e := range rec.Entries {
			if e.Index < last {
				t.Fatalf("entry %d after %d", e.Index, last)
			}
			last = e.Index
		}
		commands += len(rec.Entries)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return max(last, r.Last()), commands
}

func appendAfter(t *testing.T, files map[string][]byte) {
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, fileMode); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := readAll(t, r, 1<<20)
	w, err := Open(dir, Options{})
	if err != nil {
		return // another version, or two clusters
	}
	next := w.Last() + 1
	if next <= before || next > 1<<60 { // segments that overlap, or beyond what an index can be
		_ = w.Close()
		return
	}
	appendErr := w.Append(next, 1, []byte("command"))
	if err := w.Close(); err != nil || appendErr != nil {
		t.Skip("a segment of this name is there") // of a hostile name
	}
	if r, err = OpenReader(dir); err != nil {
		t.Fatal(err)
	}
	if last, _ := readAll(t, r, 1<<20); last != next {
		t.Fatalf("appended entry %d, read up to %d", next, last)
	}
}
