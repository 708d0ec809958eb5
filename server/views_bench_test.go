package server

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

var benchSessions = flag.Int("sessions", 100_000, "active sessions in the state that benchmarks change")

const (
	benchBatch    = 100    // events in a command
	benchCommands = 20_000 // at least
)

// benchCommand is a keepalive of each of some sessions from first on.
func benchCommand(dst []byte, first, events int, seq uint32) []byte {
	dst = appendCommand(dst[:0], commandEvents, goldenRules)
	dst = binary.AppendUvarint(dst, uint64(events))
	for n := first; n < first+events; n++ {
		e := viewing.Event{
			Seq: seq, Type: viewing.Keepalive, At: viewing.Millis(goldenStamp), AccountID: uint64(n/2 + 1), ProfileID: 1,
			DeviceID: uint64(n + 1), DeviceType: "tv", Country: "US", TitleID: uint32(n%7000 + 1), RuntimeMS: 2_940_000,
			PositionMS: int64(seq) * 60_000, PlayedMS: int64(seq) * 60_000,
			BitrateMS: []viewing.Bitrate{{Kbps: "3000", PlayedMS: int64(seq)}, {Kbps: "5800", PlayedMS: int64(seq) << 16}},
		}
		binary.BigEndian.PutUint64(e.SessionID[8:], uint64(n+1)*0x9e3779b97f4a7c15)
		dst = wire.AppendEvent(dst, &e)
	}
	return dst
}

// BenchmarkApply applies commands of 100 keepalives each, alone and while a snapshot is
// written to disk, and reports how long the slowest of them waited. Run it with
// -benchtime 1x: it counts for itself.
func BenchmarkApply(b *testing.B) {
	v := newViews()
	var command []byte
	index := uint64(0)
	apply := func(first int, seq uint32) time.Duration {
		command = benchCommand(command, first, benchBatch, seq)
		index++
		begun := time.Now()
		v.Apply(index, goldenStamp, [][]byte{command}, nil)
		return time.Since(begun)
	}
	batches := *benchSessions / benchBatch
	for batch := range batches {
		apply(batch*benchBatch, 0)
	}
	measure := func(b *testing.B, done func() bool) {
		waits := hdrhistogram.New(1, time.Minute.Nanoseconds(), 3)
		for i := 0; i < benchCommands || !done(); i++ {
			// A stride that has no factor in common with most numbers reaches them all.
			if err := waits.RecordValue(apply(i*7919%batches*benchBatch, uint32(i/batches+1)).Nanoseconds()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(waits.ValueAtQuantile(99.9))/1e6, "ms-p99.9")
		b.ReportMetric(float64(waits.Max())/1e6, "ms-max")
		b.ReportMetric(waits.Mean()/benchBatch, "ns/event")
	}
	b.Run("alone", func(b *testing.B) { measure(b, func() bool { return true }) })
	b.Run("snapshot", func(b *testing.B) {
		file, err := os.Create(filepath.Join(b.TempDir(), "snapshot"))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		snapshot, err := v.Snapshot(raft.Place{})
		if err != nil {
			b.Fatal(err)
		}
		defer snapshot.(*viewsSnapshot).Release()
		written := make(chan error, 1)
		over := false
		go func() {
			n, err := snapshot.WriteTo(file)
			if err == nil {
				err = file.Sync()
			}
			b.Logf("%d bytes", n)
			written <- err
		}()
		measure(b, func() bool {
			select {
			case err := <-written:
				if err != nil {
					b.Error(err)
				}
				over = true
			default:
			}
			return over
		})
	})
}

// BenchmarkApplySingles applies commands of one keepalive each, so many an entry, to
// sessions all over the state, with somebody who waits for each.
func BenchmarkApplySingles(b *testing.B) {
	v := newViews()
	for first := 0; first < *benchSessions; first += benchBatch {
		v.applyOne(1, goldenStamp, benchCommand(nil, first, benchBatch, 0))
	}
	index, at := uint64(1), 0
	for _, together := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(together), func(b *testing.B) {
			b.ReportAllocs()
			commands := make([][]byte, together)
			for done := 0; done < b.N; done += together {
				b.StopTimer()
				for i := range commands {
					at = (at + 7919) % *benchSessions
					commands[i] = benchCommand(commands[i], at, 1, uint32(index))
				}
				index++
				b.StartTimer()
				v.Apply(index, goldenStamp, commands, make([]any, together))
			}
		})
	}
}
