package cold

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustDo(t, s.Close()) })
	return s
}

func mustDo(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// plain is the store as one would write it down on paper.
type plain map[viewing.ColdKey][]byte

type name struct {
	account uint64
	id      viewing.SessionID
}

// put keeps a session, once.
func (p plain) put(session viewing.ColdSession) {
	p.remove(name{session.AccountID, session.SessionID})
	p[session.ColdKey] = session.Encoded
}

func (p plain) remove(n name) {
	maps.DeleteFunc(p, func(key viewing.ColdKey, _ []byte) bool { return n == name{key.AccountID, key.SessionID} })
}

func (p plain) session(n name) []byte {
	for key, encoded := range p {
		if n == (name{key.AccountID, key.SessionID}) {
			return encoded
		}
	}
	return nil
}

func newestFirst(a, b viewing.Cursor) int {
	return cmp.Or(cmp.Compare(b.StartedAt, a.StartedAt), b.SessionID.Compare(a.SessionID))
}

func (p plain) history(account uint64, profile uint8, after *viewing.Cursor) []viewing.ColdKey {
	var keys []viewing.ColdKey
	for key := range p {
		if key.AccountID == account && key.ProfileID == profile && (after == nil || newestFirst(*after, key.Cursor) < 0) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b viewing.ColdKey) int { return newestFirst(a.Cursor, b.Cursor) })
	return keys
}

// Few of each, so that they meet; the ends of what the types hold among them.
var (
	accounts = []uint64{0, 1, 256, 1<<64 - 1}
	profiles = []uint8{0, 1, 255}
	times    = []viewing.Millis{-1 << 63, -1, 0, 1, 1_795_464_900_000, 1<<63 - 1}
)

func drawKey(t *rapid.T) viewing.ColdKey {
	key := viewing.ColdKey{
		AccountID: rapid.SampledFrom(accounts).Draw(t, "account"), ProfileID: rapid.SampledFrom(profiles).Draw(t, "profile"),
		Cursor: viewing.Cursor{StartedAt: rapid.SampledFrom(times).Draw(t, "began")},
	}
	key.SessionID = viewing.SessionID{0: rapid.SampledFrom([]byte{0, 7, 255}).Draw(t, "id"), 15: rapid.Byte().Draw(t, "id's end") % 4}
	return key
}

func drawSessions(t *rapid.T) []viewing.ColdSession {
	sessions := make([]viewing.ColdSession, rapid.IntRange(0, 4).Draw(t, "sessions"))
	for i := range sessions {
		sessions[i] = viewing.ColdSession{ColdKey: drawKey(t), Encoded: rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "encoded")}
	}
	return sessions
}

// kept is a checkpoint, or a capture that becomes one, and what it has to hold.
type kept struct {
	dir     string
	content plain
}

// Whatever is put, removed, captured and reset to: the store answers as a map.
func TestStoreIsAMap(t *testing.T) {
	// A check opens a dozen stores and flushes their files. -rapid.checks asks for another number.
	if checks := flag.Lookup("rapid.checks").Value; checks.String() == "100" {
		mustDo(t, checks.Set("25"))
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		mustDo(t, err)
		s, err := Open(filepath.Join(dir, "live"), slog.New(slog.DiscardHandler))
		mustDo(t, err)
		defer func() { mustDo(t, s.Close(), os.RemoveAll(dir)) }()
		model := plain{}
		checkpoints := []kept{{}}
		var capture *Capture
		var captured plain
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				sessions := drawSessions(rt)
				mustDo(t, s.Put(sessions))
				for _, session := range sessions {
					model.put(session)
				}
			},
			"remove": func(rt *rapid.T) {
				key := drawKey(rt)
				if held := slices.SortedFunc(maps.Keys(model), func(a, b viewing.ColdKey) int {
					return bytes.Compare(historyKey(a.AccountID, a.ProfileID, a.Cursor), historyKey(b.AccountID, b.ProfileID, b.Cursor))
				}); len(held) > 0 && rapid.Bool().Draw(rt, "of one that is there") {
					key = rapid.SampledFrom(held).Draw(rt, "which")
				}
				mustDo(t, s.Remove(key))
				model.remove(name{key.AccountID, key.SessionID})
			},
			"capture": func(rt *rapid.T) {
				if capture != nil {
					rt.Skip()
				}
				capture, err = s.Capture()
				mustDo(t, err)
				captured = maps.Clone(model)
			},
			"write": func(rt *rapid.T) {
				if capture == nil {
					rt.Skip()
				}
				files := filepath.Join(dir, fmt.Sprint(len(checkpoints)))
				mustDo(t, capture.WriteFiles(files))
				if len(captured) == 0 {
					files = ""
				}
				checkpoints = append(checkpoints, kept{files, captured})
				capture.Release()
				capture = nil
			},
			"drop": func(rt *rapid.T) {
				if capture == nil {
					rt.Skip()
				}
				capture.Release()
				capture = nil
			},
			"reset": func(rt *rapid.T) {
				to := rapid.SampledFrom(checkpoints).Draw(rt, "to")
				mustDo(t, s.Reset(to.dir, int64(len(to.content))))
				model = maps.Clone(to.content)
				if model == nil {
					model = plain{}
				}
				if capture != nil {
					if err := capture.WriteFiles(filepath.Join(dir, "void")); !errors.Is(err, errReset) {
						rt.Errorf("a capture from before the reset was written: %v", err)
					}
					capture = nil
				}
			},
			"": func(rt *rapid.T) { check(rt, s, model) },
		})
		if capture != nil {
			capture.Release()
		}
	})
}

// check draws a few questions and holds the answers against the model.
func check(t *rapid.T, s *Store, model plain) {
	if got := s.Size().Sessions; got != int64(len(model)) {
		t.Errorf("%d sessions, want %d", got, len(model))
	}
	key := drawKey(t)
	got, err := s.Session(key.AccountID, key.SessionID)
	want := model.session(name{key.AccountID, key.SessionID})
	if err != nil || (got == nil) != (want == nil) || !bytes.Equal(got, want) {
		t.Errorf("session %v reads as %q, %v, want %q", key.SessionID, got, err, want)
	}
	after := &key.Cursor
	if rapid.Bool().Draw(t, "from the newest") {
		after = nil
	}
	limit := rapid.IntRange(1, 5).Draw(t, "page")
	expected := model.history(key.AccountID, key.ProfileID, after)
	expected = expected[:min(limit, len(expected))]
	var page []viewing.ColdKey
	err = s.History(key.AccountID, key.ProfileID, after, func(key viewing.ColdKey, encoded []byte) bool {
		page = append(page, key)
		if !bytes.Equal(encoded, model[key]) {
			t.Errorf("%+v reads as %q, want %q", key, encoded, model[key])
		}
		return len(page) < limit
	})
	if err != nil || !slices.Equal(page, expected) {
		t.Errorf("history from %v: %v, %v, want %v", after, page, err, expected)
	}
}

// realistic is a session as it leaves memory: about a hundred bytes, most of them
// like its neighbours'.
func realistic(chance *rand.Rand, i int) viewing.ColdSession {
	key := viewing.ColdKey{AccountID: uint64(i % max(1, accountsOf)), ProfileID: uint8(chance.IntN(4))}
	key.StartedAt = viewing.Millis(1_795_000_000_000 + int64(i)*31 + chance.Int64N(1000))
	for at := range key.SessionID {
		key.SessionID[at] = byte(chance.Uint32())
	}
	encoded := make([]byte, 0, 110)
	encoded = append(encoded, 1, key.ProfileID)
	encoded = append(encoded, key.SessionID[:]...)
	for range 2 { // title and device
		encoded = append(encoded, byte(chance.Uint32()), byte(chance.Uint32()), byte(chance.Uint32()), 0)
	}
	for _, span := range []int64{0, 7_200_000, 7_200_000, 7_200_000} { // began, ended, position, played
		at := uint64(key.StartedAt)
		if span > 0 {
			at = uint64(chance.Int64N(span))
		}
		for shift := 56; shift >= 0; shift -= 8 {
			encoded = append(encoded, byte(at>>shift))
		}
	}
	encoded = append(encoded, "tv\x00\x00\x00\x6c\xdd\x80"...)
	return viewing.ColdSession{ColdKey: key, Encoded: append(encoded, make([]byte, 34)...)}
}

const accountsOf = 2000

// fill puts n sessions, a few hundred at a time, and returns them.
func fill(t testing.TB, s *Store, chance *rand.Rand, n int) []viewing.ColdSession {
	t.Helper()
	sessions := make([]viewing.ColdSession, n)
	for i := range sessions {
		sessions[i] = realistic(chance, i)
	}
	for batch := range slices.Chunk(sessions, 256) {
		mustDo(t, s.Put(batch))
	}
	return sessions
}

func checkpoint(t testing.TB, s *Store) string {
	t.Helper()
	c, err := s.Capture()
	mustDo(t, err)
	defer c.Release()
	dir := filepath.Join(t.TempDir(), "files")
	mustDo(t, c.WriteFiles(dir))
	return dir
}

// Readers at work while the store changes and is captured see what was put.
func TestReadsGoOnDuringACheckpoint(t *testing.T) {
	s := open(t)
	chance := rand.New(rand.NewPCG(1, 2))
	sessions := fill(t, s, chance, 4000)
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for reader := range 4 {
		reading.Go(func() {
			for i := reader; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				want := sessions[i%len(sessions)]
				if got, err := s.Session(want.AccountID, want.SessionID); err != nil || !bytes.Equal(got, want.Encoded) {
					t.Errorf("session %v reads as %x, %v", want.SessionID, got, err)
					return
				}
				found := 0
				if err := s.History(want.AccountID, want.ProfileID, nil, func(viewing.ColdKey, []byte) bool { found++; return true }); err != nil || found == 0 {
					t.Errorf("history of account %d: %d, %v", want.AccountID, found, err)
					return
				}
			}
		})
	}
	for range 3 {
		c, err := s.Capture()
		mustDo(t, err)
		if _, err := s.Capture(); !errors.Is(err, errCaptured) {
			t.Errorf("two captures at a time: %v", err)
		}
		held := s.Size().Sessions
		fill(t, s, chance, 500) // more at the accounts that are read
		dir := filepath.Join(t.TempDir(), "files")
		writing := make(chan error)
		go func() { writing <- c.WriteFiles(dir) }()
		fill(t, s, chance, 500)
		mustDo(t, <-writing)
		c.Release()
		other := open(t)
		mustDo(t, other.Reset(dir, held))
		if got := other.Size().Sessions; got != held {
			t.Errorf("the checkpoint holds %d sessions, at its moment there were %d", got, held)
		}
	}
	close(stop)
	reading.Wait()
	if got := s.Size(); got.Sessions != 4000+3*1000 || got.Bytes == 0 {
		t.Errorf("size %+v", got)
	}
}

// A capture that is not written in time is given up; the changes are kept.
func TestCaptureHasALimit(t *testing.T) {
	s := open(t)
	s.maxSinceBytes = 1 << 20
	c, err := s.Capture()
	mustDo(t, err)
	session := realistic(rand.New(rand.NewPCG(3, 4)), 0)
	session.Encoded = make([]byte, s.maxSinceBytes/2)
	for i := range byte(3) {
		session.SessionID[0] = i
		mustDo(t, s.Put([]viewing.ColdSession{session}))
	}
	if err := c.WriteFiles(filepath.Join(t.TempDir(), "files")); !errors.Is(err, errSinceFull) {
		t.Errorf("written: %v", err)
	}
	if got := s.Size().Sessions; got != 3 {
		t.Errorf("%d sessions, want 3", got)
	}
	mustDo(t, s.Put([]viewing.ColdSession{realistic(rand.New(rand.NewPCG(5, 6)), 1)}))
	if err := s.Reset(checkpoint(t, s), 4); err != nil || s.Size().Sessions != 4 {
		t.Errorf("after the capture was given up: %+v, %v", s.Size(), err)
	}
}

// What the store had survives neither its end nor a Reset to nothing, and a Reset that fails
// changes nothing.
func TestReset(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	mustDo(t, err)
	sessions := fill(t, s, rand.New(rand.NewPCG(7, 8)), 300)
	files := checkpoint(t, s)
	table, err := filepath.Glob(filepath.Join(files, "*"+tableFileSuffix))
	mustDo(t, err)
	broken := filepath.Join(t.TempDir(), "broken")
	mustDo(t, os.CopyFS(broken, os.DirFS(files)), os.Remove(filepath.Join(broken, filepath.Base(table[0]))))
	if err := s.Reset(broken, 300); err == nil || s.Size().Sessions != 300 {
		t.Errorf("reset to a checkpoint that lacks a file: %v, holds %+v", err, s.Size())
	}
	for dir, sessions := range map[string]int64{files: 299, "": 300} {
		if err := s.Reset(dir, sessions); err == nil || s.Size().Sessions != 300 {
			t.Errorf("reset to another number of sessions: %v, holds %+v", err, s.Size())
		}
	}
	if err := s.Reset(filepath.Join(files, "nowhere"), 300); err == nil || s.Size().Sessions != 300 {
		t.Errorf("reset to no directory: %v, holds %+v", err, s.Size())
	}
	mustDo(t, s.Close())
	if _, err := s.Session(1, sessions[0].SessionID); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	if err := s.Put(sessions); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	s, err = Open(dir, slog.New(slog.DiscardHandler))
	mustDo(t, err)
	if got := s.Size().Sessions; got != 0 {
		t.Errorf("an opened store holds %d sessions", got)
	}
	for range 2 { // the checkpoint stays as it is
		mustDo(t, s.Reset(files, 300))
		for _, want := range sessions {
			if got, err := s.Session(want.AccountID, want.SessionID); err != nil || !bytes.Equal(got, want.Encoded) {
				t.Fatalf("session %v reads as %x, %v", want.SessionID, got, err)
			}
			mustDo(t, s.Remove(want.ColdKey))
		}
		if got := s.Size().Sessions; got != 0 {
			t.Errorf("%d sessions are left", got)
		}
	}
	mustDo(t, s.Reset(files, 300), s.Reset("", 0))
	if got, err := s.Session(sessions[0].AccountID, sessions[0].SessionID); got != nil || err != nil || s.Size().Sessions != 0 {
		t.Errorf("an emptied store: %x, %v, %+v", got, err, s.Size())
	}
	mustDo(t, s.Close())
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d generations are left on disk, %v, want one", len(left), err)
	}
}

// A flipped bit in a table is an error that names it, or does no harm; never
// another answer.
func TestFlippedBit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := open(t)
	sessions := fill(t, s, chance, 3000)
	files := checkpoint(t, s)
	tables, err := filepath.Glob(filepath.Join(files, "*"+tableFileSuffix))
	mustDo(t, err)
	refused := 0
	const flips = 8
	for range flips {
		table := tables[chance.IntN(len(tables))]
		damaged := filepath.Join(t.TempDir(), "files")
		mustDo(t, os.CopyFS(damaged, os.DirFS(files)))
		table = filepath.Join(damaged, filepath.Base(table))
		data, err := os.ReadFile(table)
		mustDo(t, err)
		at := chance.IntN(len(data))
		data[at] ^= 1 << chance.IntN(8)
		mustDo(t, os.WriteFile(table, data, 0o644))
		other := open(t)
		if err := readAll(other, damaged, sessions); err != nil {
			refused++
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(table)) || strings.Contains(err.Error(), "\n") {
				t.Errorf("byte %d of %s: %q, want one line with the file", at, filepath.Base(table), err)
			} else if refused == 1 {
				t.Log(err)
			}
		}
	}
	t.Logf("%d of %d flipped bits were refused, the others did no harm", refused, flips)
	if refused < flips/2 {
		t.Errorf("only %d of %d flipped bits were refused", refused, flips)
	}
}

var errOther = errors.New("another answer")

func readAll(s *Store, files string, sessions []viewing.ColdSession) error {
	if err := s.Reset(files, int64(len(sessions))); err != nil {
		return err
	}
	for _, want := range sessions {
		got, err := s.Session(want.AccountID, want.SessionID)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want.Encoded) {
			return errOther
		}
	}
	found := 0
	for account := range uint64(accountsOf) {
		for profile := range uint8(4) {
			if err := s.History(account, profile, nil, func(viewing.ColdKey, []byte) bool { found++; return true }); err != nil {
				return err
			}
		}
	}
	if found != len(sessions) {
		return errOther
	}
	return nil
}

// What the engine calls fatal, or fails at behind our back, is an error from then on.
func TestFailureStays(t *testing.T) {
	s := open(t)
	engineLogger{s.live}.Fatalf("MANIFEST flush failed: %w", errOther)
	if _, err := s.Session(1, viewing.SessionID{1}); !errors.Is(err, errOther) {
		t.Errorf("a failed store answers: %v", err)
	}
	if err := s.Put(nil); !errors.Is(err, errOther) {
		t.Errorf("a failed store is changed: %v", err)
	}
	if _, err := s.Capture(); !errors.Is(err, errOther) {
		t.Errorf("a failed store is captured: %v", err)
	}
	mustDo(t, s.Reset("", 0))
	if got, err := s.Session(1, viewing.SessionID{1}); got != nil || err != nil {
		t.Errorf("after a reset: %x, %v", got, err)
	}
}
