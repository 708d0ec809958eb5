package raft_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

type nothing struct{}

func (nothing) Apply(uint64, int64, []byte) any          { return nil }
func (nothing) Snapshot(raft.Place) (io.WriterTo, error) { return strings.NewReader(""), nil }
func (nothing) Restore(raft.Place, io.Reader) error      { return nil }

// BenchmarkPropose: 256 proposers of 200-byte commands on a cluster of one,
// fsync on.
func BenchmarkPropose(b *testing.B) {
	c := rafttest.NewCluster(b, 1, func(int) raft.StateMachine { return nothing{} })
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
	entries, commands := node.BatchCounts()
	b.ReportMetric(float64(commands)/float64(max(entries, 1)), "commands/entry")
}
