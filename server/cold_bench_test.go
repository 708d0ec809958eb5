package server

import (
	"encoding/binary"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/playhead-load/playhead/server/cold"
	"github.com/playhead-load/playhead/viewing"
)

// Of the sessions in BenchmarkColdSize.
const (
	coldViews   = 30     // of an account, over a month, of one of four profiles each
	coldEvery   = 60_000 // ms between the events of a session that plays
	coldEvents  = 20     // of a session at most: its beginning and end, and keepalives
	coldTitles  = 20_000
	monthMillis = 30 * 24 * 3_600_000
)

// BenchmarkColdSize tells how many bytes a session takes on the disk that left memory:
// -sessions of them, told of one event after another, in the order in which they were
// played. Run it with -benchtime 1x.
func BenchmarkColdSize(b *testing.B) {
	for b.Loop() {
		state := viewing.NewState(viewing.Rules{LeaseMS: 150_000, DefaultStreams: 4})
		store, err := cold.Open(b.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		state.SetCold(store)
		chance := rand.New(rand.NewPCG(1, 1))
		now := viewing.Millis(goldenStamp)
		for n := range *benchSessions {
			now += viewing.Millis(monthMillis / *benchSessions)
			observeView(b, state, chance, now, n)
			if n%10_000 == 0 {
				evictAll(b, state, now)
			}
		}
		evictAll(b, state, now+monthMillis)
		capture, err := store.Capture()
		if err != nil {
			b.Fatal(err)
		}
		files := filepath.Join(b.TempDir(), "files")
		if err := capture.WriteFiles(files); err != nil {
			b.Fatal(err)
		}
		capture.Release()
		held := state.Size().Cold
		b.ReportMetric(float64(held), "sessions")
		b.ReportMetric(float64(bytesIn(b, files))/float64(held), "B-snapshot/session")
		b.ReportMetric(float64(store.Size().Bytes)/float64(held), "B-store/session")
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// observeView tells all of one session, which ends before now. Its id is a UUID of
// version 7: a clock, and 74 bits of chance.
func observeView(b *testing.B, state *viewing.State, chance *rand.Rand, now viewing.Millis, n int) {
	b.Helper()
	account := chance.IntN(max(1, *benchSessions/coldViews)) + 1
	events := 2 + chance.IntN(coldEvents-1)
	began := now - viewing.Millis(events*coldEvery+chance.IntN(coldEvery))
	e := viewing.Event{
		AccountID: uint64(account), ProfileID: uint8(1 + chance.IntN(4)), DeviceID: uint64(account)<<2 + chance.Uint64N(4),
		DeviceType: [...]string{"tv", "phone", "web", "tablet"}[chance.IntN(4)], Country: "US", Type: viewing.Start,
		TitleID: uint32(chance.ExpFloat64()*coldTitles/8) + 1, RuntimeMS: 1_200_000 + 60_000*chance.Int64N(100), Offline: true,
	}
	binary.BigEndian.PutUint64(e.SessionID[:], uint64(began)<<16|0x7000|chance.Uint64N(1<<12))
	binary.BigEndian.PutUint64(e.SessionID[8:], 1<<63|chance.Uint64()>>2)
	for seq := range events {
		e.Seq, e.At = uint32(seq), began+viewing.Millis(seq*coldEvery+chance.IntN(1000))
		e.PositionMS, e.PlayedMS = int64(seq*coldEvery)+chance.Int64N(1000), int64(seq*coldEvery)
		e.RebufferMS = chance.Int64N(3000)
		e.BitrateMS = []viewing.Bitrate{{Kbps: "3000", PlayedMS: chance.Int64N(20_000)}, {Kbps: "5800", PlayedMS: int64(seq * coldEvery)}}
		if seq == events-1 {
			e.Type = viewing.Stop
		}
		told := e
		if got := state.Observe(e.At, &told); got.Status != viewing.Accepted {
			b.Fatalf("session %d: %+v", n, got)
		}
		e.Type = viewing.Keepalive
	}
}

func evictAll(b *testing.B, state *viewing.State, now viewing.Millis) {
	b.Helper()
	for done := false; !done; {
		var err error
		if _, done, err = state.Evict(now, viewing.Keep{}, mostSteps); err != nil {
			b.Fatal(err)
		}
	}
}

func bytesIn(b *testing.B, dir string) (sum int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}
