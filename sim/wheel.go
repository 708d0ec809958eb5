package sim

import (
	"cmp"
	"math/bits"
	"slices"
)

// A wheel's reach. Near windows are as wide as keeps one of them small; far ones are
// as wide as all near ones together, and the last as wide as all far ones.
const (
	nearBits = 17           // two minutes: a keepalive is near
	farBits  = nearBits + 9 // 18 hours
	lastBits = farBits + 6
	maxAhead = 1<<31 - 1 // ms from a push to its due: the low half of a due tells it

	windowWaits = 4096 // in a near window, about
	widestMS    = 1024
	chunkWaits  = 15
	chunkShift  = 10 // chunks are made 1024 at a time, and never moved
)

// wait is what waits in a wheel: 16 bytes, with all that a keepalive needs.
type wait struct {
	due    uint32 // ms, the low half
	turn   uint32 // when something else than a keepalive is due; the low half
	device uint32 // the fleet's; of an account its first
	ref    ref
}

// ref is a sitting by its slot, or an account with a tag.
type ref uint32

const (
	arrivalTag ref = 1 << 31 // the account's next sitting is due
	laterTag   ref = 1 << 30 // with it: no sitting, look again when the next one is
	indexMask      = laterTag - 1
)

// rank orders what is due in the same millisecond: by account, and there by device.
func (w wait) rank() uint64 {
	if w.ref&arrivalTag != 0 {
		return uint64(w.device) << 1
	}
	return uint64(w.device)<<1 | 1
}

func compareRanks(a, b wait) int { return cmp.Compare(a.rank(), b.rank()) }

// chunk is a piece of a bucket.
type chunk struct {
	next  uint32 // of the bucket; number + 1, 0 for none
	count uint32
	waits [chunkWaits]wait
}

// wheel orders what waits by (due, rank): a hierarchical timing wheel (Varghese and
// Lauck 1987) whose buckets are chunks of waits, and whose current window is sorted
// when it is opened. Everything is read and written in long runs, and nothing else is
// looked up. Nothing is allocated once there are chunks enough for all that ever waited.
type wheel struct {
	shift uint // log2 of a near window's ms
	near  []uint32
	far   [1 << (farBits - nearBits)]uint32
	last  [1 << (lastBits - farBits)]uint32

	chunks [][]chunk
	free   uint32 // first of the free chunks, number + 1

	window int64  // number of the open window, time >> shift
	open   []wait // what is due in it, in order
	taken  int    // of open
	late   []lateWait
	line   line
	counts []uint32
	spare  []wait

	bound    int64 // nothing but in the line is due before
	fromLate bool  // what is first of open and late is late's
}

// newWheel holds nothing, and nothing before begin. perMS is how many waits will be
// due in a millisecond, least how soon most are due after they are pushed.
func newWheel(begin int64, perMS float64, least int64) *wheel {
	width := max(1, min(windowWaits/max(perMS, 1), float64(max(least/4, 1)), widestMS))
	shift := uint(bits.Len64(uint64(width)) - 1)
	return &wheel{
		shift: shift, near: make([]uint32, 1<<(nearBits-shift)), window: begin >> shift,
		counts: make([]uint32, 1<<shift), bound: (begin>>shift + 1) << shift, line: line{firstDue: nothing, lastDue: nothing},
	}
}

func (w *wheel) chunk(number uint32) *chunk {
	return &w.chunks[(number-1)>>chunkShift][(number-1)&(1<<chunkShift-1)]
}

// add puts a wait into a bucket.
func (w *wheel) add(bucket *uint32, each wait) {
	var c *chunk
	if *bucket != 0 {
		c = w.chunk(*bucket)
	}
	if c == nil || c.count == chunkWaits {
		*bucket, c = w.begin(*bucket)
	}
	c.waits[c.count] = each
	c.count++
}

// begin takes a free chunk for a bucket.
func (w *wheel) begin(next uint32) (number uint32, c *chunk) {
	if w.free == 0 {
		w.grow()
	}
	number = w.free
	c = w.chunk(number)
	w.free = c.next
	c.next, c.count = next, 0
	return number, c
}

func (w *wheel) grow() {
	made := inHugePages(make([]chunk, 1<<chunkShift))
	w.chunks = append(w.chunks, made)
	number := uint32(len(w.chunks)) << chunkShift
	for i := range slices.Backward(made) {
		made[i].next = w.free
		w.free = number - uint32(len(made)-1-i)
	}
}

// push files what does not wait yet, due before maxAhead from the open window. What
// is due before that is due at once. each has its due filled in.
func (w *wheel) push(each wait, due int64) {
	each.due = uint32(due)
	at := due >> w.shift
	switch {
	case at <= w.window:
		w.pushLate(lateWait{due, each})
		w.findFirst()
	case at-w.window < int64(len(w.near)):
		w.add(&w.near[at&int64(len(w.near)-1)], each)
	default:
		w.pushFar(each, due)
	}
}

func (w *wheel) pushFar(each wait, due int64) {
	now := w.window << w.shift
	if ahead := due>>nearBits - now>>nearBits; ahead < int64(len(w.far)) {
		w.add(&w.far[due>>nearBits&int64(len(w.far)-1)], each)
		return
	}
	w.add(&w.last[due>>farBits&int64(len(w.last)-1)], each)
}

// pop takes the first that is due at or before until. What it points to is the
// caller's until the next call of the wheel.
func (w *wheel) pop(until int64) (each *wait, due int64) {
	for w.used() && w.line.firstDue >= w.bound {
		if w.bound > until {
			return nil, 0
		}
		w.advance()
	}
	if due = min(w.bound, w.line.firstDue); due > until {
		return nil, 0
	}
	if w.line.firstDue < w.bound || w.line.firstDue == w.bound && w.line.first().rank() < w.first().rank() {
		return w.line.pop(), due
	}
	if w.fromLate {
		each = w.popLate()
	} else {
		each = &w.open[w.taken]
		w.taken++
	}
	w.findFirst()
	return each, due
}

// used says whether nothing is left of the open window.
func (w *wheel) used() bool { return w.taken == len(w.open) && len(w.late) == 0 }

// first is what is due first of the open window.
func (w *wheel) first() *wait {
	if w.fromLate {
		return &w.late[0].wait
	}
	return &w.open[w.taken]
}

// findFirst finds what is due first of the open window, or else when the next one begins.
func (w *wheel) findFirst() {
	w.bound, w.fromLate = (w.window+1)<<w.shift, false
	if w.taken < len(w.open) {
		w.bound = whole(w.window<<w.shift, w.open[w.taken].due)
	}
	if len(w.late) == 0 {
		return
	}
	late := &w.late[0]
	if w.taken == len(w.open) || late.due < w.bound || late.due == w.bound && late.rank() < w.open[w.taken].rank() {
		w.bound, w.fromLate = late.due, true
	}
}

// whole is the due whose low half is given, for what waits at now.
func whole(now int64, due uint32) int64 { return now + int64(int32(due-uint32(now))) }

// advance opens the next window.
func (w *wheel) advance() {
	w.window++
	now := w.window << w.shift
	if now&(1<<nearBits-1) == 0 {
		if now&(1<<farBits-1) == 0 {
			w.refile(&w.last[now>>farBits&int64(len(w.last)-1)], w.far[:], nearBits, now)
		}
		w.refile(&w.far[now>>nearBits&int64(len(w.far)-1)], w.near, w.shift, now)
	}
	w.sort(&w.near[w.window&int64(len(w.near)-1)], uint32(now))
	w.findFirst()
}

// pushInLine files what is due after all that was filed so: such waits are in order
// without being sorted. What is not is pushed.
func (w *wheel) pushInLine(each wait, due int64) {
	each.due = uint32(due)
	if !w.line.push(each, due) {
		w.push(each, due)
	}
}

// refile files what waits in a bucket in finer ones, those of shift.
func (w *wheel) refile(bucket *uint32, finer []uint32, shift uint, now int64) {
	w.spare = w.drain(bucket, w.spare[:0])
	for _, each := range w.spare {
		w.add(&finer[whole(now, each.due)>>shift&int64(len(finer)-1)], each)
	}
}

// drain empties a bucket onto the end of to.
func (w *wheel) drain(bucket *uint32, to []wait) []wait {
	for number := *bucket; number != 0; {
		c := w.chunk(number)
		to = append(to, c.waits[:c.count]...)
		number = w.release(number, c)
	}
	*bucket = 0
	return to
}

// release frees a chunk and gives the next of its bucket.
func (w *wheel) release(number uint32, c *chunk) (next uint32) {
	next = c.next
	c.next, w.free = w.free, number
	return next
}

// bytes is how much memory the wheel has.
func (w *wheel) bytes() int64 {
	const waitBytes, lateBytes, numberBytes = 16, 24, 4
	return int64(len(w.chunks))<<chunkShift*(chunkWaits*waitBytes+2*numberBytes) +
		int64(len(w.near)+len(w.far)+len(w.last)+cap(w.counts))*numberBytes + int64(cap(w.open)+cap(w.spare)+len(w.line.waits))*waitBytes + int64(cap(w.late))*lateBytes
}
