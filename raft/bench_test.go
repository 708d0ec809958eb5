package raft_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

type nothing struct{}

func (nothing) Apply(uint64, int64, [][]byte, []any)        {}
func (nothing) Snapshot(raft.Place) (io.WriterTo, error)    { return strings.NewReader(""), nil }
func (nothing) Restore(raft.Place, io.Reader, string) error { return nil }

// BenchmarkPropose: 256 proposers of 200-byte commands, fsync on, over each log
// store. Compare within one run.
func BenchmarkPropose(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, store := range []string{raft.LogStoreBoltDB, raft.LogStoreWAL} {
			b.Run(fmt.Sprintf("nodes=%d/store=%s", nodes, store), func(b *testing.B) { benchmarkPropose(b, nodes, store) })
		}
	}
}

func benchmarkPropose(b *testing.B, nodes int, store string) {
	c := rafttest.NewClusterWith(b, nodes, func(int) raft.StateMachine { return nothing{} }, func(_ int, cfg *raft.Config) { cfg.LogStore = store })
	node := c.Leader(b)
	command := make([]byte, 200)
	b.SetParallelism(128)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := node.Propose(context.Background(), command); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	entries, commands := node.BatchCounts()
	b.ReportMetric(float64(commands)/float64(max(entries, 1)), "commands/entry")
}
