// Package table is a hash table for millions of small values that are looked up in no
// order: each look waits for memory once, where a map of Go's waits about three times.
package table

import (
	"math/bits"

	"github.com/playhead-load/playhead/sim/random"
)

// shards grow one by one, so that no insertion waits for the whole table to grow.
const (
	shardBits  = 10
	shardCount = 1 << shardBits
	leastSlots = 8
)

// Table is a map from numbers above 0. V has no pointers. One goroutine at a time may use
// it. The zero value is empty.
type Table[V any] struct {
	shards [shardCount]shard[V]
}

type shard[V any] struct {
	slots []slot[V] // a power of two, three quarters of them taken at most; nil: none
	taken int
}

type slot[V any] struct {
	key   uint64 // 0: free
	value V
}

// place is where a key's slot, or the free one that it would have, is looked for first.
func (s *shard[V]) place(h uint64) int {
	return int(h >> (64 - shardBits - uint(bits.Len(uint(len(s.slots)-1)))) & uint64(len(s.slots)-1))
}

func (t *Table[V]) shard(h uint64) *shard[V] { return &t.shards[h>>(64-shardBits)] }

// Len is how many keys there are.
func (t *Table[V]) Len() (n int) {
	for i := range t.shards {
		n += t.shards[i].taken
	}
	return n
}

// Find is where a key's value is, until the next change of the table; nil: it is not there.
func (t *Table[V]) Find(key uint64) *V {
	h := random.Mix(key)
	s := t.shard(h)
	if s.slots == nil {
		return nil
	}
	for i := s.place(h); ; i = (i + 1) & (len(s.slots) - 1) {
		switch s.slots[i].key {
		case key:
			return &s.slots[i].value
		case 0:
			return nil
		}
	}
}

// Add is where the value of a key is that was not there, until the next change of the
// table. It is zero at first. The key must be above 0.
func (t *Table[V]) Add(key uint64) *V {
	h := random.Mix(key)
	s := t.shard(h)
	if s.taken >= len(s.slots)/4*3 {
		s.grow()
	}
	s.taken++
	free := s.free(h)
	free.key = key
	return &free.value
}

func (s *shard[V]) free(h uint64) *slot[V] {
	i := s.place(h)
	for s.slots[i].key != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	return &s.slots[i]
}

func (s *shard[V]) grow() {
	before := s.slots
	s.slots = make([]slot[V], max(leastSlots, 2*len(before)))
	for i := range before {
		if before[i].key != 0 {
			*s.free(random.Mix(before[i].key)) = before[i]
		}
	}
}

// Remove takes a key out, if it is there. What had to make way for it moves up (Knuth,
// volume 3, algorithm 6.4R), so that there are no gaps to look through.
func (t *Table[V]) Remove(key uint64) {
	h := random.Mix(key)
	s := t.shard(h)
	if s.slots == nil {
		return
	}
	mask := len(s.slots) - 1
	gap := s.place(h)
	for s.slots[gap].key != key {
		if s.slots[gap].key == 0 {
			return
		}
		gap = (gap + 1) & mask
	}
	s.taken--
	for i := (gap + 1) & mask; s.slots[i].key != 0; i = (i + 1) & mask {
		if home := s.place(random.Mix(s.slots[i].key)); (i-home)&mask >= (i-gap)&mask {
			s.slots[gap] = s.slots[i]
			gap = i
		}
	}
	s.slots[gap] = slot[V]{}
}
