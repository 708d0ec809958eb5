package audit

import (
	"math"

	"github.com/playhead-load/playhead/viewing"
)

// home is an account in a log: 40 bytes, and about as many in the map that finds it.
type home struct {
	account     uint64
	readUS      int64  // when the newest question that is judged was answered
	looseUS     int64  // when the newest event was settled whose tries may take effect late; 0: none was
	unsettledUS int64  // when the newest event was given up after which nothing was answered yet; 0: none was
	plays       uint32 // its session that was heard of last
	readings    uint32 // its newest reading
}

// heard notes what an event means for what comes after it.
func (h *home) heard(e *Entry) {
	switch {
	case e.Fate == Unanswered:
		h.unsettledUS = max(h.unsettledUS, e.DoneUS)
	case h.settles(e) && e.LastSentUS >= h.unsettledUS:
		h.looseUS, h.unsettledUS = max(h.looseUS, e.DoneUS), 0
	}
	if e.Fate == Unanswered || e.retried() {
		h.looseUS = max(h.looseUS, e.DoneUS)
	}
	if e.Resumed {
		h.readUS = max(h.readUS, e.DoneUS)
	}
}

// settles says whether an answer may be the one that settles what was given up.
func (h *home) settles(e *Entry) bool {
	return h.unsettledUS > 0 && e.Fate != Unanswered && e.Fate != Rejected
}

// play is a session in a log, with all that its events have in common: 56 bytes.
type play struct {
	id         viewing.SessionID
	device     uint64
	lastUS     int64  // when the last of its events ended
	sinceUS    int64  // when the event was sent since which it surely holds a stream
	next       uint32 // the session of the account that was heard of before it
	notes      uint32 // its newest note
	title      uint32
	deviceType uint16
	profile    uint8
}

// note is an event in a log, without what it has in common with its session: 64 bytes,
// and no pointer that the garbage collector would have to follow.
type note struct {
	bitrates    uint64
	atMS        viewing.Millis
	firstSentUS int64
	lastAddUS   uint32 // microseconds after firstSentUS
	doneAddUS   uint32 // the same
	positionMS  uint32
	playedMS    uint32
	rebufferMS  uint32
	runtimeMS   uint32
	seq         uint32
	folded      uint32 // keepalives between the note before it and this one
	before      uint32 // the session's note before it
	errorCode   uint16
	kind        viewing.EventType
	flags       uint8
}

// The flags of a note; the lowest bits are its fate.
const (
	noteResumed uint8 = 8 << iota
	noteOffline
	noteFollows // the one before it holds its stream beyond doubt until it is answered
	noteWide    // it does not fit: the log has it whole
)

const noteFate = noteResumed - 1

func flagIf(set bool, flag uint8) uint8 {
	if set {
		return flag
	}
	return 0
}

func (n *note) is(flag uint8) bool { return n.flags&flag != 0 }
func (n *note) fate() Fate         { return Fate(n.flags & noteFate) }
func (n *note) doneUS() int64      { return n.firstSentUS + int64(n.doneAddUS) }

// pack takes the event's own fields. It says whether they fit.
func (n *note) pack(e *Entry, errorCode uint16) bool {
	lastAddUS, doneAddUS := e.LastSentUS-e.FirstSentUS, e.DoneUS-e.FirstSentUS
	n.bitrates, n.atMS, n.firstSentUS = e.Bitrates, e.AtMS, e.FirstSentUS
	n.lastAddUS, n.doneAddUS = uint32(lastAddUS), uint32(doneAddUS)
	n.positionMS, n.playedMS = uint32(e.PositionMS), uint32(e.PlayedMS)
	n.rebufferMS, n.runtimeMS = uint32(e.RebufferMS), uint32(e.RuntimeMS)
	n.seq, n.errorCode, n.kind = e.Seq, errorCode, e.Type
	n.flags |= uint8(e.Fate) | flagIf(e.Resumed, noteResumed) | flagIf(e.Offline, noteOffline)
	for _, wide := range [...]int64{lastAddUS, doneAddUS, e.PositionMS, e.PlayedMS, e.RebufferMS, e.RuntimeMS} {
		if wide < 0 || wide > math.MaxUint32 {
			return false
		}
	}
	return true
}

func (n *note) unpack() Entry {
	return Entry{
		Seq: n.seq, Type: n.kind, Fate: n.fate(), Resumed: n.is(noteResumed), Offline: n.is(noteOffline), AtMS: n.atMS,
		PositionMS: int64(n.positionMS), PlayedMS: int64(n.playedMS), RebufferMS: int64(n.rebufferMS),
		RuntimeMS: int64(n.runtimeMS), Bitrates: n.bitrates,
		FirstSentUS: n.firstSentUS, LastSentUS: n.firstSentUS + int64(n.lastAddUS), DoneUS: n.doneUS(),
	}
}

// texts gives the few texts that recur in events small numbers; 0 is "".
type texts struct {
	list    []string
	numbers map[string]uint16
}

func newTexts() texts { return texts{[]string{""}, map[string]uint16{"": 0}} }

// number says too whether there was one left.
func (t *texts) number(text string) (uint16, bool) {
	n, known := t.numbers[text]
	if known || len(t.list) > math.MaxUint16 {
		return n, known
	}
	n = uint16(len(t.list))
	t.list = append(t.list, text)
	t.numbers[text] = n
	return n, true
}

// pageLength is how many values a log's memory grows by, so that it never holds a
// second copy of itself.
const pageLength = 1 << 12

// pages are values numbered from 1; 0 stands for none.
type pages[T any] struct {
	pages  [][]T
	length uint32
}

// at finds a value. It stays there, but for those of the first page while that grows.
func (p *pages[T]) at(n uint32) *T { return &p.pages[(n-1)/pageLength][(n-1)%pageLength] }

func (p *pages[T]) add() (n uint32, added *T) {
	if p.length%pageLength == 0 {
		var page []T // the first one grows: most logs are small
		if p.length > 0 {
			page = make([]T, 0, pageLength)
		}
		p.pages = append(p.pages, page)
	}
	last := &p.pages[len(p.pages)-1]
	*last = append(*last, *new(T))
	p.length++
	return p.length, &(*last)[len(*last)-1]
}
