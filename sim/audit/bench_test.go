//go:build unix

package audit

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// processorTime is what this process has taken until now. On a machine that is shared,
// it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkAdd adds keepalives of 1,000,000 sessions, each the only one of its account,
// by themselves and in batches.
func BenchmarkAdd(b *testing.B) {
	const accounts = 1_000_000
	log := NewLog()
	log.Fold(minuteLease, testLate)
	playAndAdd(log, accounts, 1, false)
	entries := make([]Entry, 0, accounts)
	for number := range uint32(accounts) {
		_, _, told := log.tell(number+1, 0)
		entries = append(entries, told[1].Entry)
	}
	rand.New(rand.NewPCG(1, 0)).Shuffle(accounts, func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	next := 0
	measure := func(b *testing.B, atOnce int) {
		b.ReportAllocs()
		began := processorTime(b)
		for range b.N {
			if next+atOnce > accounts {
				next = 0
			}
			batch := entries[next : next+atOnce]
			next += atOnce
			for i := range batch {
				e := &batch[i]
				e.Seq++
				e.AtMS += 60_000
				e.FirstSentUS, e.LastSentUS, e.DoneUS = e.FirstSentUS+60e6, e.LastSentUS+60e6, e.DoneUS+60e6
			}
			if atOnce == 1 {
				log.Add(batch[0])
			} else {
				log.AddAll(batch)
			}
		}
		perEvent := float64((processorTime(b) - began).Nanoseconds()) / float64(b.N*atOnce)
		b.ReportMetric(perEvent, "cpu-ns/event")
		b.ReportMetric(perEvent*100_000/1e9*100, "%core@100k/s")
	}
	b.Run("alone", func(b *testing.B) { measure(b, 1) })
	b.Run("batch", func(b *testing.B) { measure(b, 500) })
	if log.notes.length != 2*accounts {
		b.Errorf("%d notes of %d sessions: they were not folded", log.notes.length, accounts)
	}
}

// BenchmarkJudgeMany judges a million sessions that play, each the only one of its
// account, without asking a target.
func BenchmarkJudgeMany(b *testing.B) {
	const accounts = 1_000_000
	log := NewLog()
	log.Fold(minuteLease, testLate)
	playAndAdd(log, accounts, 3, false)
	options := testOptions()
	options.Lease = minuteLease
	b.ResetTimer()
	began := processorTime(b)
	for range b.N {
		if report := judge(log, options); report.Sessions != accounts || len(report.Violations) > 0 {
			b.Fatalf("%+v", report)
		}
	}
	b.ReportMetric(float64((processorTime(b)-began).Microseconds())/float64(b.N*accounts), "cpu-µs/session")
}
