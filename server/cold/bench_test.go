package cold

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

const benchSessions = 200_000

// BenchmarkStore measures each use over a store of benchSessions, on disk but for
// what fits in the cache.
func BenchmarkStore(b *testing.B) {
	s := open(b)
	chance := rand.New(rand.NewPCG(1, 1))
	sessions := fill(b, s, chance, benchSessions)
	mustDo(b, s.Reset(checkpoint(b, s), benchSessions))
	b.Logf("%d sessions of %d bytes take %d bytes on disk each", benchSessions, len(sessions[0].Encoded), s.Size().Bytes/benchSessions)
	b.Run("Session/hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			want := &sessions[i*7919%len(sessions)]
			if got, err := s.Session(want.AccountID, want.SessionID); err != nil || got == nil {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("Session/miss", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			id := sessions[i*7919%len(sessions)].SessionID
			id[15]++
			if got, err := s.Session(uint64(i%accountsOf), id); err != nil || got != nil {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("History/page of 50", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			left := 50
			err := s.History(uint64(i*31%accountsOf), uint8(i%4), nil, func(viewing.ColdKey, []byte) bool { left--; return left > 0 })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, at := range []int{1, 256} {
		b.Run(fmt.Sprintf("Put/%d", at), func(b *testing.B) {
			batch := make([]viewing.ColdSession, at)
			for i := 0; b.Loop(); i += at {
				for k := range batch {
					batch[k] = realistic(chance, benchSessions+i+k)
				}
				mustDo(b, s.Put(batch))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*at), "ns/session")
		})
	}
	b.Run("Capture and WriteFiles", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			mustDo(b, s.Put([]viewing.ColdSession{realistic(chance, i)}))
			c, err := s.Capture()
			mustDo(b, err)
			mustDo(b, c.WriteFiles(filepath.Join(b.TempDir(), fmt.Sprint(i))))
		}
	})
}
