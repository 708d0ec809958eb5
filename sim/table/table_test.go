package table

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/sim/random"
)

// TestTable: what a table says is what a map of Go's says, whatever is put in and taken
// out. Few keys, near one another, so that they make way for one another.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[uint32]
		want := map[uint64]uint32{}
		keys := rapid.Uint64Range(1, 60)
		far := rapid.SampledFrom([]uint64{0, 1 << 32, 1 << 63})
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			key := keys.Draw(t, "key") | far.Draw(t, "far")
			_, known := want[key]
			switch found := table.Find(key); {
			case (found != nil) != known:
				t.Fatalf("key %d is found: %v, want %v", key, found != nil, known)
			case known && *found != want[key]:
				t.Fatalf("key %d is %d, want %d", key, *found, want[key])
			case known && rapid.Bool().Draw(t, "remove"):
				table.Remove(key)
				delete(want, key)
			case known:
				*found = rapid.Uint32().Draw(t, "value")
				want[key] = *found
			case rapid.Bool().Draw(t, "add"):
				value := rapid.Uint32().Draw(t, "value")
				*table.Add(key) = value
				want[key] = value
			default:
				table.Remove(key)
			}
		}
		if table.Len() != len(want) {
			t.Fatalf("%d keys, want %d", table.Len(), len(want))
		}
		for key, value := range want {
			if found := table.Find(key); found == nil || *found != value {
				t.Fatalf("key %d is lost, or not %d", key, value)
			}
		}
	})
}

// TestCrowded: in one small shard all make way for one another, round its end too.
func TestCrowded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[uint64]
		crowd := crowdOf(12)
		want := map[uint64]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			key := rapid.SampledFrom(crowd).Draw(t, "key")
			if want[key] {
				table.Remove(key)
			} else {
				*table.Add(key) = key
			}
			want[key] = !want[key]
			for _, each := range crowd {
				if found := table.Find(each); (found != nil) != want[each] || found != nil && *found != each {
					t.Fatalf("key %d is there: %v, want %v", each, found != nil, want[each])
				}
			}
		}
	})
}

// crowdOf is so many keys of the last shard.
func crowdOf(n int) (keys []uint64) {
	for key := uint64(1); len(keys) < n; key++ {
		if random.Mix(key)>>(64-shardBits) == shardCount-1 {
			keys = append(keys, key)
		}
	}
	return keys
}

const benchmarked = 7_000_000

// BenchmarkFind looks up one of seven million keys, in no order.
func BenchmarkFind(b *testing.B) {
	var table Table[uint32]
	for key := range uint64(benchmarked) {
		*table.Add(key + 1) = uint32(key)
	}
	b.ReportAllocs()
	for b.Loop() {
		if table.Find(rand.Uint64N(benchmarked)+1) == nil {
			b.Fatal("a key is lost")
		}
	}
}

// BenchmarkMap is the same with a map of Go's.
func BenchmarkMap(b *testing.B) {
	table := map[uint64]uint32{}
	for key := range uint64(benchmarked) {
		table[key+1] = uint32(key)
	}
	for b.Loop() {
		if _, found := table[rand.Uint64N(benchmarked)+1]; !found {
			b.Fatal("a key is lost")
		}
	}
}
