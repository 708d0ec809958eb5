package sim

import (
	"cmp"
	"math/bits"
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
	chunkShift  = 6  // log2 of a chunk's places, of which the first holds no wait
	leastShift  = 14 // log2 of the fewest places made at a time
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
func (w wait) rank() uint64 { return uint64(w.device)<<1 | uint64(^w.ref>>31) }

func compareRanks(a, b wait) int { return cmp.Compare(a.rank(), b.rank()) }

// moment is when something is due, and its rank then.
type moment struct {
	due  int64
	rank uint64
}

// momentAt is when w is due, which waits at now.
func (w *wait) momentAt(now int64) moment { return moment{whole(now, w.due), w.rank()} }

// before compares without a branch, which nobody could predict.
func (m moment) before(other moment) bool {
	_, borrow := bits.Sub64(m.rank, other.rank, 0)
	_, borrow = bits.Sub64(uint64(m.due), uint64(other.due), borrow)
	return borrow != 0
}

// wheel orders what waits by (due, rank): a hierarchical timing wheel (Varghese and
// Lauck 1987) whose buckets are chunks of waits, and whose current window is sorted
// when it is opened. Everything is read and written in long runs, and nothing else is
// looked up. Nothing is allocated once there are chunks enough for all that ever waited.
//
// A bucket is the place of its next wait, or 0 if it is empty: what it has is known
// without a look at it. The first place of a chunk has, as its due, where the bucket
// ended before.
type wheel struct {
	shift uint // log2 of a near window's ms
	near  []uint32
	far   [1 << (farBits - nearBits)]uint32
	last  [1 << (lastBits - farBits)]uint32

	places    [][]wait // slabs of chunks
	slabShift uint
	made      uint32 // places below were in a bucket at some time
	free      uint32 // the first free chunk of those; each has the next where a bucket has the one before

	window int64  // number of the open window, time >> shift
	open   []wait // what is due in it, in order
	taken  int    // of open
	late   []lateWait
	line   line
	counts []uint32

	bound    moment // nothing but in the line is before
	fromLate bool   // what is first of open and late is late's
}

// newWheel holds nothing, and nothing before begin. perMS is how many waits will be
// due in a millisecond, least how soon most are due after they are pushed, and waits
// about how many there will be.
func newWheel(begin int64, perMS float64, least int64, waits int) *wheel {
	width := max(1, min(windowWaits/max(perMS, 1), float64(max(least/4, 1)), widestMS))
	shift := uint(bits.Len64(uint64(width)) - 1)
	return &wheel{
		slabShift: slabShift(waits, leastShift), made: 1 << chunkShift,
		shift: shift, near: make([]uint32, 1<<(nearBits-shift)), window: begin >> shift,
		counts: make([]uint32, 1<<shift), bound: moment{due: (begin>>shift + 1) << shift}, line: line{first: moment{due: nothing}},
	}
}

func (w *wheel) at(place uint32) *wait {
	return &w.places[place>>w.slabShift][place&(1<<w.slabShift-1)]
}

// chunk is the last chunk of a bucket, and how many of its places are used.
func (w *wheel) chunk(bucket uint32) (chunk []wait, count uint32) {
	first := (bucket - 1) &^ (1<<chunkShift - 1)
	slab := w.places[first>>w.slabShift]
	return slab[first&(1<<w.slabShift-1):][:1<<chunkShift], bucket - first
}

// add puts a wait into a bucket.
func (w *wheel) add(bucket *uint32, each wait) {
	if *bucket&(1<<chunkShift-1) == 0 {
		*bucket = w.begin(*bucket)
	}
	*w.at(*bucket) = each
	*bucket++
}

// begin takes a free chunk for a bucket.
func (w *wheel) begin(before uint32) (place uint32) {
	if place = w.free; place != 0 {
		w.free = w.at(place).due
	} else {
		if w.made>>w.slabShift == uint32(len(w.places)) {
			w.places = append(w.places, inHugePages(make([]wait, 1<<w.slabShift)))
		}
		place = w.made
		w.made += 1 << chunkShift
	}
	w.at(place).due = before
	return place + 1
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
	for w.used() && !w.line.first.before(w.bound) {
		if w.bound.due > until {
			return nil, 0
		}
		w.advance()
	}
	inLine := w.line.first.before(w.bound)
	if due = min(w.line.first.due, w.bound.due); due > until {
		return nil, 0
	}
	switch {
	case inLine:
		return w.line.pop(), due
	case w.fromLate:
		each = w.popLate()
	default:
		each = &w.open[w.taken]
		w.taken++
	}
	w.findFirst()
	return each, due
}

// used says whether nothing is left of the open window.
func (w *wheel) used() bool { return w.taken == len(w.open) && len(w.late) == 0 }

// findFirst finds what is due first of the open window, or else when the next one begins.
func (w *wheel) findFirst() {
	w.bound, w.fromLate = moment{due: (w.window + 1) << w.shift}, false
	if w.taken < len(w.open) {
		w.bound = w.open[w.taken].momentAt(w.window << w.shift)
	}
	if len(w.late) == 0 {
		return
	}
	if late := w.late[0].moment(); w.taken == len(w.open) || late.before(w.bound) {
		w.bound, w.fromLate = late, true
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
// without being sorted. What is not is pushed. It must be a keepalive, due before its
// turn: what is taken from the line is told as one without another look.
func (w *wheel) pushInLine(each wait, due int64) {
	each.due = uint32(due)
	if !w.line.push(each, due) {
		w.push(each, due)
	}
}

// refile files what waits in a bucket in finer ones, those of shift.
func (w *wheel) refile(bucket *uint32, finer []uint32, shift uint, now int64) {
	for *bucket != 0 {
		chunk, count := w.chunk(*bucket)
		for _, each := range chunk[1:count] {
			w.add(&finer[whole(now, each.due)>>shift&int64(len(finer)-1)], each)
		}
		w.release(bucket, chunk)
	}
}

// release frees the last chunk of a bucket.
func (w *wheel) release(bucket *uint32, chunk []wait) {
	first := (*bucket - 1) &^ (1<<chunkShift - 1)
	*bucket = chunk[0].due
	chunk[0].due, w.free = w.free, first
}

// bytes is how much memory the wheel has.
func (w *wheel) bytes() int64 {
	const waitBytes, lateBytes, numberBytes = 16, 24, 4
	return int64(w.made)*waitBytes +
		int64(len(w.near)+len(w.far)+len(w.last)+cap(w.counts))*numberBytes + int64(cap(w.open)+len(w.line.waits))*waitBytes + int64(cap(w.late))*lateBytes
}
