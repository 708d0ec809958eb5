package viewing

import "hash/maphash"

const (
	indexShards = 256
	shardBegin  = 8 // slots of a shard that gets its first entry, and up to as many more
	// A shard that is four fifths full grows by a quarter: 10 to 12.5 bytes an entry.
	fullNumerator, fullDenominator = 4, 5
	growthDivisor                  = 4
)

// index finds records by their keys' hashes. It is an open-addressing table in
// shards that grow one at a time, none for longer than a millisecond, and holds no
// pointers, so that the garbage collector has nothing to do. What it finds first
// the caller has to compare with the key.
//
// The seed is the process's own, so that nobody can choose keys that collide. What
// follows from the state does not depend on it.
type index struct {
	seed   maphash.Seed
	shards [indexShards]shard
}

// shard holds slots of the hash's low half and, in its own low half, a record's ref.
// An empty slot is 0. An entry stands at its home or after it, with no gap between.
type shard struct {
	slots []uint64
	used  int
}

func newIndex() index { return index{seed: maphash.MakeSeed()} }

// probe walks the refs whose hash may be the one sought:
//
//	for p := x.probe(hash); p.next(); { … p.ref … }
type probe struct {
	slots []uint64
	at    int
	tag   uint32
	ref   uint32
}

func (x *index) probe(hash uint64) probe {
	s := &x.shards[hash>>56]
	if len(s.slots) == 0 {
		return probe{}
	}
	tag := uint32(hash)
	return probe{slots: s.slots, at: home(tag, len(s.slots)), tag: tag}
}

func (p *probe) next() bool {
	for len(p.slots) > 0 {
		slot := p.slots[p.at]
		if slot == 0 {
			return false
		}
		if p.at++; p.at == len(p.slots) {
			p.at = 0
		}
		if uint32(slot>>32) == p.tag {
			p.ref = uint32(slot)
			return true
		}
	}
	return false
}

// home is the slot at which an entry with this tag stands, or after it.
func home(tag uint32, slots int) int { return int(uint64(tag) * uint64(slots) >> 32) }

// insert adds a ref that is not in the index yet.
func (x *index) insert(hash uint64, ref uint32) {
	number := hash >> 56
	s := &x.shards[number]
	if s.used*fullDenominator >= len(s.slots)*fullNumerator {
		s.grow(int(number))
	}
	s.put(uint64(uint32(hash))<<32 | uint64(ref))
	s.used++
}

// grow gives a shard more slots. Shards begin at different sizes, so that not all of
// them grow at the same time.
func (s *shard) grow(number int) {
	old := s.slots
	s.slots = make([]uint64, max(len(old)+len(old)/growthDivisor, shardBegin+number%shardBegin))
	for _, slot := range old {
		if slot != 0 {
			s.put(slot)
		}
	}
}

func (s *shard) put(slot uint64) {
	at := home(uint32(slot>>32), len(s.slots))
	for s.slots[at] != 0 {
		if at++; at == len(s.slots) {
			at = 0
		}
	}
	s.slots[at] = slot
}

// remove takes out a ref that is in the index.
func (x *index) remove(hash uint64, ref uint32) {
	s := &x.shards[hash>>56]
	size := len(s.slots)
	wanted := uint64(uint32(hash))<<32 | uint64(ref)
	hole := home(uint32(hash), size)
	for s.slots[hole] != wanted {
		if s.slots[hole] == 0 {
			panic("viewing: a record is not in its index")
		}
		hole = (hole + 1) % size
	}
	// Entries after the hole move into it, unless their home lies behind it.
	for at := (hole + 1) % size; s.slots[at] != 0; at = (at + 1) % size {
		from := home(uint32(s.slots[at]>>32), size)
		if (at-from+size)%size >= (at-hole+size)%size {
			s.slots[hole], hole = s.slots[at], at
		}
	}
	s.slots[hole] = 0
	s.used--
}
