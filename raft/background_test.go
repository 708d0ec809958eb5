package raft

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowWriter takes a tenth of a second for each write.
type slowWriter struct{}

func (slowWriter) Write(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return len(p), nil
}

// TestBackgroundWriter: four fifths of the time of a long snapshot are rests, a short one
// has none, and a node that closes does not wait for the end of one.
func TestBackgroundWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		b := &backgroundWriter{stoppableWriter: stoppableWriter{w: slowWriter{}, stop: stop}, restedAt: time.Now()}
		begun, part := time.Now(), make([]byte, restEvery/4)
		write := func(parts int) error {
			for range parts {
				if _, err := b.Write(part); err != nil {
					return err
				}
			}
			return nil
		}
		if err := write(3); err != nil || time.Since(begun) != 300*time.Millisecond {
			t.Errorf("a short snapshot took %v (%v), want its three writes' time", time.Since(begun), err)
		}
		if err := write(9); err != nil || time.Since(begun) != 6000*time.Millisecond {
			t.Errorf("12 writes took %v (%v), want five times as long", time.Since(begun), err)
		}
		time.AfterFunc(500*time.Millisecond, func() { close(stop) })
		if err := write(4); !errors.Is(err, errStopped) || time.Since(begun) != 6500*time.Millisecond {
			t.Errorf("a node that closed after 500 ms waited until %v (%v)", time.Since(begun), err)
		}
		if err := write(1); !errors.Is(err, errStopped) {
			t.Errorf("written after the end: %v", err)
		}
	})
}

// What an operator wants to see beside the latency is told; the texts are the library's.
func TestSnapshotsAreTold(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	closing := make(chan struct{})
	newLibraryLogger(slog.New(slog.NewTextHandler(&told, nil)), closing).Info("starting snapshot up to", "index", 7)
	if !strings.Contains(told.String(), `level=INFO msg="raft: starting snapshot up to" index=7`) {
		t.Errorf("told: %q", told.String())
	}
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/raft").Output()
	if err != nil {
		t.Skipf("no source of the library to look into: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "snapshot.go"))
	if err != nil {
		t.Fatal(err)
	}
	for text := range telling {
		if !strings.Contains(string(source), strconv.Quote(text)) {
			t.Errorf("the library does not say %q any more", text)
		}
	}
}
