package sim

import "math"

const leastLine = 1 << 10 // waits

// nothing is when nothing is due.
const nothing = math.MaxInt64

// line is waits in the order in which they came, which is that of (due, rank): what is
// pushed one and the same time ahead, as keepalives are. Nothing is allocated once it
// has room for all that ever waited in it.
type line struct {
	waits []wait // a ring, its length a power of two
	taken uint32 // ever
	filed uint32 // ever
	first moment // due at nothing: it is empty
	last  moment // if it is not
}

func (l *line) at(number uint32) *wait { return &l.waits[number&uint32(len(l.waits)-1)] }

// push puts a wait at the end, if it is due there.
func (l *line) push(each wait, due int64) bool {
	when := moment{due, each.rank()}
	if l.taken == l.filed {
		l.first = when
	} else if !l.last.before(when) {
		return false
	}
	if l.filed-l.taken == uint32(len(l.waits)) {
		l.grow()
	}
	*l.at(l.filed) = each
	l.filed++
	l.last = when
	return true
}

// pop takes the first, of which there is one.
func (l *line) pop() *wait {
	taken := l.at(l.taken)
	l.taken++
	if l.taken == l.filed {
		l.first = moment{due: nothing}
	} else {
		l.findFirst()
	}
	return taken
}

func (l *line) findFirst() {
	l.first = l.at(l.taken).momentAt(l.first.due)
}

// again takes the first and puts it at the end, where it is next.
func (l *line) again(next moment) {
	each := *l.at(l.taken)
	each.due = uint32(next.due)
	*l.at(l.filed) = each
	l.taken++
	l.filed++
	l.last = next
	l.findFirst()
}

func (l *line) grow() {
	waits := inHugePages(make([]wait, max(leastLine, 2*len(l.waits))))
	for n := l.taken; n != l.filed; n++ {
		waits[n&uint32(len(waits)-1)] = l.waits[n&uint32(len(l.waits)-1)]
	}
	l.waits = waits
}
