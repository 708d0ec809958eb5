package sim

import "math/bits"

const leastSittings = 12 // log2 of those made at a time

// slabShift is, as its logarithm, how many of what is needed are made at a time, and never
// moved: a quarter to a half, so that most of them are in large pages.
func slabShift(needed int, least uint) uint { return max(least, uint(bits.Len(uint(needed/4)))) }

// sittings are the sittings under way, by slot. Nothing is allocated once there are
// slots for as many as were ever under way at once.
type sittings struct {
	slabs [][]sitting
	shift uint   // log2 of a slab's
	used  uint32 // slots below were taken at some time
	freed uint32 // the latest that is free again, slot + 1; each has the one before in next
}

func (l *sittings) at(slot uint32) *sitting {
	return &l.slabs[slot>>l.shift][slot&(1<<l.shift-1)]
}

// take gives a slot, whose content is anything.
func (l *sittings) take() (slot uint32) {
	if l.freed != 0 {
		slot = l.freed - 1
		l.freed = l.at(slot).next
		return slot
	}
	if l.used>>l.shift == uint32(len(l.slabs)) {
		l.slabs = append(l.slabs, inHugePages(make([]sitting, 1<<l.shift)))
	}
	l.used++
	return l.used - 1
}

func (l *sittings) free(slot uint32) {
	l.at(slot).next = l.freed
	l.freed = slot + 1
}

func (l *sittings) bytes() int64 {
	const sittingBytes = 64
	return int64(l.used) * sittingBytes
}
