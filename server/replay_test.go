package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/server/archive"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// replayed replays the archive of a data directory.
func replayed(t testing.TB, dir string) *Replay {
	t.Helper()
	r, err := ReplayArchive(t.Context(), filepath.Join(dir, ArchiveDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantProven checks that the archive in a data directory rebuilds a state, by so
// many digests at least.
func wantProven(t testing.TB, dir string, state [32]byte, digests int) {
	t.Helper()
	r := replayed(t, dir)
	if verdict, why := r.Verdict(); verdict != Proven || r.Equal < digests || r.Sum != state || r.EqualUpTo != r.Applied {
		t.Fatalf("verdict %d, %s: %+v, want %d digests and state %x", verdict, why, r, digests, state)
	}
}

func TestArchiveRebuildsTheState(t *testing.T) {
	t.Parallel()
	n := startSingle(t, func(c *Config) { c.Raft.TrailingLogs = 1 })
	dir := n.cfg.Raft.DataDir
	n.tellAStory(t)
	snapshotNow(t)(n)
	if at := n.node.Place().Index; n.archiver.synced.Load() < at {
		t.Fatalf("the log was cut at %d, the archive is on the disk up to %d", at, n.archiver.synced.Load())
	}
	wantProven(t, dir, n.digest(), 1) // of a running node
	for i := range 3 {
		n.tell(t, newEvent(1, 10+i, "keepalive"))
		n.shutDown(t)
		state := n.digest()
		wantProven(t, dir, state, 2+i)
		n = startNode(t, n.cfg)
		n.waitReady(t)
		if n.digest() != state {
			t.Fatal("the state is another after a restart")
		}
	}
	n.crash(t)
}

// TestArchiveAfterACrash: what was in memory when the process died, behind a log that
// was cut, is archived by the next from what the log still has, and nothing twice.
func TestArchiveAfterACrash(t *testing.T) {
	t.Parallel()
	n := startSingle(t, func(c *Config) { c.Raft.TrailingLogs = 1 })
	n.tellAStory(t)
	snapshotNow(t)(n)
	n.tell(t, newEvent(1, 7, "keepalive"))
	n.tell(t, newEvent(1, 8, "keepalive"))
	if at, synced := n.node.Place().Index, n.archiver.synced.Load(); synced >= at {
		t.Fatalf("all %d entries are archived: the test shows nothing", at)
	}
	dead := n.cfg // as a SIGKILL leaves it: nothing of this process's memory
	dead.Raft.DataDir = filepath.Join(t.TempDir(), "dead")
	if err := os.CopyFS(dead.Raft.DataDir, os.DirFS(n.cfg.Raft.DataDir)); err != nil {
		t.Fatal(err)
	}
	again := startNode(t, dead)
	again.waitReady(t)
	if again.digest() != n.digest() {
		t.Fatal("the state is another")
	}
	again.shutDown(t)
	wantProven(t, dead.Raft.DataDir, n.digest(), 2)
	n.shutDown(t)
	if a, b := replayed(t, dead.Raft.DataDir), replayed(t, n.cfg.Raft.DataDir); a.Commands != b.Commands || a.Events != b.Events {
		t.Errorf("%d commands and %d events after the crash, %d and %d without it", a.Commands, a.Events, b.Commands, b.Events)
	}
}

// TestArchiveOfAFollowerThatMissedEntries: the gap is written down, and replay says
// that this archive proves nothing beyond it. Its peers' prove everything.
func TestArchiveOfAFollowerThatMissedEntries(t *testing.T) {
	t.Parallel()
	c := startCluster(t, func(c *Config) { c.Raft.TrailingLogs = 1 })
	leader := c.leader(t)
	before := leader.tell(t, newEvent(6, 1, "start").with("offline", true)).index(t)
	away := c.followers(t)[0]
	rafttest.Eventually(t, "the follower has it", func() bool { return away.node.AppliedIndex() >= before })
	away.crash(t)
	leader = c.leader(t)
	leader.tellAStory(t)
	snapshotNow(t)(leader)
	index := leader.tell(t, newEvent(1, 7, "keepalive")).index(t)
	back := startNode(t, away.cfg)
	c.nodes[slices.Index(c.nodes, away)] = back
	back.waitReady(t)
	rafttest.Eventually(t, "it caught up", func() bool { return back.node.AppliedIndex() >= index })
	state := leader.digest()
	for _, n := range c.nodes {
		n.shutDown(t)
	}
	r := replayed(t, back.cfg.Raft.DataDir)
	if verdict, why := r.Verdict(); verdict != Unproven || !strings.Contains(why, "does not hold entries") || len(r.Gaps) != 1 || !r.Gaps[0].Recorded || r.Applied < before || r.Gaps[0].From <= before {
		t.Errorf("verdict %d, %s: %+v", verdict, why, r)
	}
	wantProven(t, leader.cfg.Raft.DataDir, state, 2)
}

// TestArchiveThatCannotBeWritten: the node says so once and serves on, but cuts
// nothing off its log; what the archive lacks is archived at the next start.
func TestArchiveThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	n := startSingle(t, func(c *Config) {
		c.Raft.TrailingLogs = 1
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	dir := filepath.Join(n.cfg.Raft.DataDir, ArchiveDir)
	if err := os.RemoveAll(dir); err != nil { // the first segment cannot be made there
		t.Fatal(err)
	}
	n.tellAStory(t)
	for i := range 2 {
		if a := n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil); a.status != http.StatusInternalServerError {
			t.Fatalf("snapshot: %d %s", a.status, a.body)
		}
		n.tell(t, newEvent(1, 20+i, "keepalive"))
	}
	if text := string(n.get(t, "/metrics").body); !strings.Contains(text, "\nplayhead_archive_failed 1\n") {
		t.Errorf("the metrics do not tell:\n%s", text)
	}
	state := n.digest()
	n.crash(t)
	if said := strings.Count(log.String(), "the archive cannot be written"); said != 1 || !strings.Contains(log.String(), dir) {
		t.Errorf("said %d times:\n%s", said, log.String())
	}
	n = startNode(t, n.cfg)
	n.waitReady(t)
	snapshotNow(t)(n)
	n.shutDown(t)
	wantProven(t, n.cfg.Raft.DataDir, state, 1)
}

// TestArchiveInUse: a second process must not mend the archive of a living one.
func TestArchiveInUse(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	if s, err := Open(n.cfg); !errors.Is(err, archive.ErrInUse) {
		t.Errorf("opened %v: %v", s, err)
	}
}

// TestArchiveOfAnotherCluster: a directory that was put there by hand is not mixed in.
func TestArchiveOfAnotherCluster(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 1, "start"))
	n.shutDown(t)
	cfg := testConfig(t.TempDir())
	if err := os.CopyFS(filepath.Join(cfg.Raft.DataDir, ArchiveDir), os.DirFS(filepath.Join(n.cfg.Raft.DataDir, ArchiveDir))); err != nil {
		t.Fatal(err)
	}
	other := startNode(t, cfg)
	other.waitReady(t)
	other.tell(t, newEvent(1, 1, "start"))
	if a := other.send(t, http.MethodPost, "/v1/cluster/snapshot", nil); a.status != http.StatusInternalServerError {
		t.Errorf("snapshot: %d %s", a.status, a.body)
	}
	if err := other.archiver.failure(); err == nil || !strings.Contains(err.Error(), "of cluster") {
		t.Errorf("failure: %v", err)
	}
}

// TestApplyingWaitsForTheArchive: a hand-over that is full holds applying up, and
// loses nothing.
func TestApplyingWaitsForTheArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := newArchiver(dir, archive.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const commands = handOverCommands * (handOverBatches + 3)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		for i := range commands {
			a.record(uint64(i+1), int64(i), []byte{byte(i)})
		}
	}()
	rafttest.Eventually(t, "the queue is full", func() bool { return len(a.queue) == handOverBatches })
	select {
	case <-recorded:
		t.Fatal("more was recorded than there is room for")
	default:
	}
	go a.run()
	<-recorded
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	r, err := archive.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := 0
	for rec := (archive.Record{}); !errors.Is(r.Next(&rec), io.EOF); {
		for _, e := range rec.Entries {
			if read++; e.Index != uint64(read) {
				t.Fatalf("entry %d, want %d", e.Index, read)
			}
		}
	}
	if read != commands {
		t.Errorf("%d of %d commands", read, commands)
	}
	a.record(commands+1, 0, nil) // after its end it takes nothing and does not hang
	if err := <-a.submit(archiveTask{}); !errors.Is(err, errArchiveClosed) {
		t.Errorf("after its end: %v", err)
	}
}

// goldenArchive is a node's archive as version 1 wrote it, with a digest. What stands
// there must be replayed for ever.
const goldenArchive = "testdata/archive.v1"

func TestGoldenArchive(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.RemoveAll(goldenArchive); err != nil {
			t.Fatal(err)
		}
		writeArchive(t, goldenArchive, readGolden(t))
	}
	r, err := ReplayArchive(t.Context(), goldenArchive, nil)
	if err != nil {
		t.Fatal(err)
	}
	if verdict, why := r.Verdict(); r.Unknown == 0 && verdict != Proven {
		t.Errorf("%s; if viewing.State.Digest was changed on purpose, raise digestVersion and add an archive of this version", why)
	}
	if r.Commands != uint64(len(readGolden(t))) || r.Events != 3 || len(r.Damages)+len(r.Gaps) > 0 {
		t.Errorf("%+v", r)
	}
}

// writeArchive archives commands as a node does, one an entry, and ends with the
// digest of their state.
func writeArchive(t testing.TB, dir string, commands []goldenCommand) {
	t.Helper()
	a, err := openArchiver(dir, archive.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v := newViews()
	v.archiver = a
	for i, c := range commands {
		v.applyOne(uint64(i+1), goldenStamp+int64(i), c.bytes)
	}
	s, err := v.Snapshot(raft.Place{Index: uint64(len(commands)), Cluster: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteTo(io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.close(), os.Remove(filepath.Join(dir, "lock"))); err != nil {
		t.Fatal(err)
	}
}

// TestReplayFindsOneChangedEvent is the canary: in a sound archive one event says
// that it was a millisecond further. It is one that no later event overrules.
func TestReplayFindsOneChangedEvent(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "source")
	commands := manyCommands(200, 20, 500)
	writeArchive(t, source, commands)
	for name, c := range map[string]struct {
		change func(e *archive.Entry)
		want   Verdict
	}{
		"copied":  {func(*archive.Entry) {}, Proven},
		"changed": {func(e *archive.Entry) { changeEvent(t, e, 200) }, Differs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyArchive(t, dir, source, c.change)
			r, err := ReplayArchive(t.Context(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if verdict, why := r.Verdict(); verdict != c.want || len(r.Damages)+len(r.Gaps) > 0 || r.Events != 4000 {
				t.Errorf("verdict %d, %s: %+v", verdict, why, r)
			}
		})
	}
}

// changeEvent moves the position of the last event of an entry by a millisecond.
func changeEvent(t testing.TB, e *archive.Entry, index uint64) {
	if e.Index != index {
		return
	}
	c, err := parseCommand(e.Command)
	if err != nil {
		t.Fatal(err)
	}
	count, _ := c.uint()
	changed := appendEvents(nil, int(count))
	var decoder wire.Decoder
	for i := range count {
		var event viewing.Event
		if err := c.event(&decoder, &event); err != nil {
			t.Fatal(err)
		}
		if i == count-1 {
			event.PositionMS++
		}
		changed = wire.AppendEvent(changed, &event)
	}
	e.Command = changed
}

func copyArchive(t testing.TB, to, from string, change func(*archive.Entry)) {
	t.Helper()
	r, err := archive.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := archive.Open(to, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for rec := (archive.Record{}); !errors.Is(r.Next(&rec), io.EOF); {
		switch rec.Kind {
		case archive.Entries:
			for _, e := range rec.Entries {
				change(&e)
				err = errors.Join(err, w.Append(e.Index, e.StampMS, e.Command))
			}
		case archive.Digests:
			err = errors.Join(err, w.SetCluster(rec.Digest.Cluster), w.Digest(rec.Digest))
		default:
			t.Fatalf("%+v", rec)
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

func appendEvents(b []byte, count int) []byte {
	b = appendCommand(b, commandEvents, goldenRules)
	return append(b, byte(count)|0x80, byte(count>>7))
}

// manyCommands are commands of so many events each, of sessions that play on: the
// events of a command are of neighbours, the next goes on where all have been told.
func manyCommands(commands, events, sessions int) []goldenCommand {
	all := make([]goldenCommand, commands)
	for i := range all {
		b := appendEvents(nil, events)
		for j := range events {
			n := i*events + j
			session, seq := n%sessions, n/sessions
			e := goldenEvent(uint32(seq), viewing.Keepalive)
			if seq == 0 {
				e.Type = viewing.Start
			}
			copy(e.SessionID[:], fmt.Sprintf("%016d", session))
			e.AccountID, e.DeviceID, e.TitleID = uint64(session/2+1), uint64(session+1), uint32(session%7000+1)
			e.At += viewing.Millis(60_000 * seq)
			e.PositionMS, e.PlayedMS = int64(60_000*seq), int64(60_000*seq)
			b = wire.AppendEvent(b, &e)
		}
		all[i] = goldenCommand{bytes: b}
	}
	return all
}

// TestReplayEnds: it can be interrupted, and says what is no archive.
func TestReplayEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReplayArchive(ctx, goldenArchive, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := ReplayArchive(t.Context(), t.TempDir(), nil); !errors.Is(err, archive.ErrNoArchive) {
		t.Errorf("an empty directory: %v", err)
	}
	if dir, err := FindArchive("testdata"); err != nil || dir != "testdata" {
		t.Errorf("a directory without one: %s, %v", dir, err)
	}
	for _, path := range []string{"replay_test.go", "nothing"} {
		if _, err := FindArchive(path); err == nil || !strings.Contains(err.Error(), "expected an archive") {
			t.Errorf("%s: %v", path, err)
		}
	}
	dir := t.TempDir()
	w, err := archive.Open(dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append(1, 0, []byte{commandVersion + 1, 1}), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReplayArchive(t.Context(), dir, nil); err == nil || !strings.Contains(err.Error(), "newer server") || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("a command of a newer version: %v", err)
	}
}

// BenchmarkReplay: two million events, 100 a command, of 100,000 sessions, with one
// digest at the end.
func BenchmarkReplay(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "archive")
	const events = 2_000_000
	writeArchive(b, dir, manyCommands(events/100, 100, 100_000))
	b.ResetTimer()
	for b.Loop() {
		r, err := ReplayArchive(b.Context(), dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		if verdict, why := r.Verdict(); verdict != Proven || r.Events != events {
			b.Fatalf("%s: %+v", why, r)
		}
	}
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
