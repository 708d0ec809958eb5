package sim

const slabShift = 12 // sittings are made 4096 at a time, and never moved

// sittings are the sittings under way, by slot. Nothing is allocated once there are
// slots for as many as were ever under way at once.
type sittings struct {
	slabs [][]sitting
	used  uint32 // slots below were taken at some time
	freed uint32 // the latest that is free again, slot + 1; each has the one before in next
}

func (l *sittings) at(slot uint32) *sitting {
	return &l.slabs[slot>>slabShift][slot&(1<<slabShift-1)]
}

// take gives a slot, whose content is anything.
func (l *sittings) take() (slot uint32) {
	if l.freed != 0 {
		slot = l.freed - 1
		l.freed = l.at(slot).next
		return slot
	}
	if l.used == uint32(len(l.slabs))<<slabShift {
		l.slabs = append(l.slabs, inHugePages(make([]sitting, 1<<slabShift)))
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
	return int64(len(l.slabs)) << slabShift * sittingBytes
}
