//go:build soak

package target

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

const (
	steadySamples = 60      // over the whole test
	steadySlack   = 1.15    // the last third may hold so many times what the middle third held
	steadyGrain   = 16e6    // bytes: of less no ratio is taken
	steadyArchive = "8MiB"  // reached within minutes
	archiveLimit  = 8 << 20 // the same
)

// TestSteady plays the scenario of the soak, in which sessions begin and end at a steady
// rate, and breaks nothing. After a third of the time nothing grows any more that is
// bounded: a node's memory, its log, its snapshots but for the store in them, and its
// archive. What grows is the store of sessions that left memory; the test tells by how much.
func TestSteady(t *testing.T) {
	opts := options(t, 3)
	opts.Keepalive, opts.Lease = time.Second, 2500*time.Millisecond // the scenario's, by its time_scale
	opts.Env = []string{"PLAYHEAD_SESSION_MEMORY=30s", "PLAYHEAD_HISTORY_MEMORY=2", "PLAYHEAD_ARCHIVE_SIZE=" + steadyArchive}
	cluster := bootWith(t, opts)
	run, said := startSoakRun(t, cluster)
	samples := make([]sizes, 0, steadySamples)
	for range steadySamples {
		time.Sleep(*soakFor / steadySamples)
		samples = append(samples, sizesOf(t, cluster.Nodes()[0], filepath.Join(opts.DataDir, "n1")))
	}
	if err := run.Wait(); err != nil {
		t.Errorf("the run ended with %v", err)
	}
	t.Logf("the run:\n%s", said.String())
	for _, s := range samples {
		t.Log(s)
	}
	middle, last := most(samples[steadySamples/3:2*steadySamples/3]), most(samples[2*steadySamples/3:])
	for i, name := range sizeNames[:bounded] {
		if before, after := middle[i], last[i]; after > steadyGrain && float64(after) > float64(before)*steadySlack {
			t.Errorf("%s: at most %.1f MB in the last third, %.1f MB in the middle one", name, float64(after)/1e6, float64(before)/1e6)
		}
	}
	if archived := last[archiveSize]; archived > archiveLimit*5/4 {
		t.Errorf("the archive holds %d bytes, %d were asked for", archived, archiveLimit)
	}
}

// sizes is what a node holds, in bytes.
type sizes [len(sizeNames)]int64

const (
	memorySize = iota
	logSize
	snapshotSize
	archiveSize
	bounded  // what comes before
	coldSize = bounded
)

var sizeNames = [...]string{"memory", "log", "snapshots", "archive", "ended sessions"}

func (s sizes) String() string {
	var line strings.Builder
	for i, name := range sizeNames {
		fmt.Fprintf(&line, "%s %.1f MB  ", name, float64(s[i])/1e6)
	}
	return line.String()
}

func most(samples []sizes) (most sizes) {
	for _, s := range samples {
		for i := range s {
			most[i] = max(most[i], s[i])
		}
	}
	return most
}

func sizesOf(t *testing.T, node *Node, dir string) (s sizes) {
	t.Helper()
	process, err := procfs.NewProc(node.pid())
	if err != nil {
		t.Fatal(err)
	}
	stat, err := process.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s[memorySize] = int64(stat.ResidentMemory())
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it went meanwhile
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		within, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch parts := strings.Split(within, string(filepath.Separator)); {
		case parts[0] == "cold":
			s[coldSize] += info.Size()
		case parts[0] == "archive":
			s[archiveSize] += info.Size()
		case parts[0] == "snapshots" && slices.Contains(parts, "files"): // links to what is in the store
		case parts[0] == "snapshots":
			s[snapshotSize] += info.Size()
		default:
			s[logSize] += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
