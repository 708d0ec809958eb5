package sim

import "math"

const leastLine = 1 << 10 // waits

// nothing is when nothing is due.
const nothing = math.MaxInt64

// line is waits in the order in which they came, which is that of (due, rank): what is
// pushed one and the same time ahead, as keepalives are. Nothing is allocated once it
// has room for all that ever waited in it.
type line struct {
	waits    []wait // a ring, its length a power of two
	taken    uint32 // ever
	filed    uint32 // ever
	firstDue int64  // nothing: it is empty
	lastDue  int64  // nothing: it is empty
}

func (l *line) first() *wait { return &l.waits[l.taken&uint32(len(l.waits)-1)] }

// push puts a wait at the end, if it is due there.
func (l *line) push(each wait, due int64) bool {
	if due <= l.lastDue && !l.follows(each, due) {
		return false
	}
	if l.filed-l.taken == uint32(len(l.waits)) {
		l.grow()
	}
	l.waits[l.filed&uint32(len(l.waits)-1)] = each
	l.filed++
	l.lastDue = due
	return true
}

// follows says whether a wait that is due no later than the last is due after it.
func (l *line) follows(each wait, due int64) bool {
	if l.taken == l.filed {
		l.firstDue = due
		return true
	}
	return due == l.lastDue && each.rank() > l.waits[(l.filed-1)&uint32(len(l.waits)-1)].rank()
}

// pop takes the first, of which there is one.
func (l *line) pop() *wait {
	taken := l.first()
	l.taken++
	if l.taken == l.filed {
		l.firstDue, l.lastDue = nothing, nothing
	} else {
		l.firstDue = whole(l.firstDue, l.first().due)
	}
	return taken
}

func (l *line) grow() {
	waits := inHugePages(make([]wait, max(leastLine, 2*len(l.waits))))
	for n := l.taken; n != l.filed; n++ {
		waits[n&uint32(len(waits)-1)] = l.waits[n&uint32(len(l.waits)-1)]
	}
	l.waits = waits
}
