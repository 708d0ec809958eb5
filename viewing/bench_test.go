package viewing

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// The size of the state that is measured: -sessions 7000000 is Netflix in 2015.
var (
	benchSessions  = flag.Int("sessions", 200_000, "active sessions in the state that benchmarks change")
	benchBatch     = flag.Int("batch", 100, "events that arrive together")
	benchPositions = flag.Float64("positions", 3, "positions for each session")
)

// benchEvent fills e with what session n tells at seq.
func benchEvent(e *Event, n int, seq uint32) {
	rungs := e.BitrateMS[:0]
	*e = Event{
		Seq: seq, Type: Keepalive, At: serverClock + Millis(seq)*60_000, AccountID: uint64(n/2 + 1), ProfileID: uint8(1 + n%2),
		DeviceID: uint64(n + 1), DeviceType: "tv", Country: "US", TitleID: uint32(n%7000 + 1), RuntimeMS: 2_940_000,
		PositionMS: int64(seq) * 60_000, PlayedMS: int64(seq) * 60_000,
		BitrateMS: append(rungs, Bitrate{"3000", int64(seq) * 10_000}, Bitrate{"5800", int64(seq) * 50_000}),
	}
	binary.BigEndian.PutUint64(e.SessionID[0:], 0x01935b6e_2c1a_7c3e+uint64(n))
	binary.BigEndian.PutUint64(e.SessionID[8:], uint64(n)*0x9e3779b97f4a7c15)
}

// benchState has sessions under way, and the positions of titles watched before.
func benchState(tb testing.TB, sessions int) *State {
	tb.Helper()
	s := NewState(Rules{LeaseMS: 150_000, DefaultStreams: 2})
	var e Event
	for n := range sessions {
		for title := range uint32(max(0, *benchPositions-1)) {
			account := s.account(uint64(n/2 + 1))
			s.setPosition(0, account, uint8(1+n%2), Position{TitleID: 10_000 + title, At: serverClock, SessionID: SessionID{1}, PositionMS: 1})
		}
		benchEvent(&e, n, 0)
		if got := s.Observe(serverClock, &e); got.Status != Accepted {
			tb.Fatal(got)
		}
	}
	return s
}

// BenchmarkKeepalives is a batch of events of sessions under way, of any in no order.
func BenchmarkKeepalives(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := benchState(b, *benchSessions)
	runtime.GC()
	runtime.ReadMemStats(&after)
	random := rand.New(rand.NewPCG(1, 2))
	order := random.Perm(*benchSessions)
	seqs := make([]uint32, *benchSessions)
	events := make([]Event, *benchBatch)
	var outcomes []Outcome
	b.ReportAllocs()
	i, begunCPU := 0, cpuTime(b)
	for b.Loop() {
		for k := range events {
			n := order[i%len(order)]
			i++
			seqs[n]++
			benchEvent(&events[k], n, seqs[n])
		}
		outcomes = s.ObserveAll(serverClock+Millis(i/100_000), events, outcomes[:0])
		for _, got := range outcomes {
			if got.Status != Accepted {
				b.Fatal(got)
			}
		}
	}
	b.ReportMetric(float64((cpuTime(b)-begunCPU).Nanoseconds())/float64(i), "cpu-ns/event")
	size := s.Size()
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(size.Sessions), "B/session-with-its-positions")
	begun := time.Now()
	runtime.GC()
	b.ReportMetric(time.Since(begun).Seconds()*1000, "ms/GC")
	runtime.KeepAlive(s)
}

// cpuTime is what the process has used, on a machine that has other things to do.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkSnapshot encodes a state and reads it again.
func BenchmarkSnapshot(b *testing.B) {
	s := benchState(b, *benchSessions)
	var encoded []byte
	b.Run("write", func(b *testing.B) {
		longest := time.Duration(0)
		for b.Loop() {
			snapshot := s.Capture()
			encoded = encoded[:0]
			for more := true; more; {
				begun := time.Now()
				encoded, more = snapshot.Append(encoded)
				longest = max(longest, time.Since(begun))
			}
			snapshot.Release()
		}
		b.SetBytes(int64(len(encoded)))
		b.ReportMetric(float64(longest.Microseconds()), "µs/longest-piece")
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(encoded)))
		for b.Loop() {
			if _, err := ReadState(bytes.NewReader(encoded)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
