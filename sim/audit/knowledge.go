package audit

import (
	"cmp"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// forever is the end of what is not known to have ended.
const forever = int64(1) << 60

// entry is an event and what follows from what its device was told, in
// microseconds on the driver's clock.
type entry struct {
	Entry
	playback *playback
	// folded is how many keepalives of the session there were between the entry before
	// and this one, all like it, and each sent while the one before it held the stream.
	folded int
	// fromUS is the earliest moment of what was answered: an event told as new, or
	// denied, was decided by its last try; one that was known, by any of them.
	fromUS int64
	// untilUS is the latest moment at which a try of it may still take effect.
	untilUS int64
	// overtaken says that its session may have known something newer when the event
	// arrived, so that it told nothing of whether the session plays.
	overtaken bool
	// stopSentUS is when the session first said that it stops, after this event;
	// stoppedUS is by when that was answered. Both are forever if it never was.
	stopSentUS, stoppedUS int64
}

// retried says whether more than one try was made: those before the last may have
// been heard and not answered.
func (e *Entry) retried() bool { return e.LastSentUS != e.FirstSentUS }

// there says whether the target must hold the event.
func (e *Entry) there() bool {
	switch e.Fate {
	case Accepted, Known:
		return true
	case Denied:
		return e.Type != viewing.Start
	}
	return false
}

// maybeThere says whether the target may hold the event, or may not. A start that
// was denied may have been admitted by a try before.
func (e *Entry) maybeThere() bool {
	return !e.there() && (e.Fate == Unanswered || e.retried())
}

// placed says whether the device knows where the event is in its title.
func (e *entry) placed() bool {
	return !e.Resumed || e.Fate == Accepted || e.Fate == Known && !e.overtaken
}

// mayHold says whether some try of the event may have given its session a stream,
// or renewed it.
func (e *entry) mayHold() bool {
	return e.Type != viewing.Stop && !e.Offline && (e.Fate != Denied && e.Fate != Rejected || e.retried())
}

// admits says whether the answer promises that the session holds a stream: an
// event told as new, or a start whose session was admitted by a try before.
func (e *entry) admits() bool {
	if e.Type == viewing.Stop || e.Offline || e.overtaken {
		return false
	}
	return e.Fate == Accepted || e.Fate == Known && e.Type == viewing.Start
}

// playback is a session as its device knows it, its entries by seq.
type playback struct {
	id      viewing.SessionID
	account uint64
	device  uint64
	title   uint32
	profile uint8
	entries []entry
	must    int // entries that must be there
	may     int // entries that may be there
}

// household is an account as its devices know it.
type household struct {
	id        uint64
	limit     int
	playbacks []*playback
	devices   map[uint64]*screen
	readings  []Reading // by profile, title and when they were asked for
}

// household is what the devices of the account with that number know, worked out of the
// log anew each time so that no more of them are in memory than are being judged.
func (l *Log) household(number uint32, options Options) *household {
	home := &household{readings: l.readingsOf(number)}
	var told []entry
	home.id, home.limit, told = l.tell(number, options.DefaultStreams)
	var play *playback
	first := 0
	for i := range told {
		e := &told[i]
		if play == nil || play.id != e.Session {
			play = &playback{id: e.Session, account: e.Account, device: e.Device, title: e.Title, profile: e.Profile}
			home.playbacks = append(home.playbacks, play)
			first = i
		}
		e.playback = play
		play.entries = told[first : i+1 : i+1]
	}
	home.conclude(options.Late.Microseconds())
	return home
}

// conclude works out what follows from each answer.
func (h *household) conclude(lateUS int64) {
	settled := h.settled()
	for _, p := range h.playbacks {
		newerSentUS := forever // when something newer of the session was first sent
		stopSentUS, stoppedUS := forever, forever
		for i := len(p.entries) - 1; i >= 0; i-- {
			e := &p.entries[i]
			e.fromUS, e.untilUS = e.LastSentUS, e.DoneUS
			if e.Fate == Known || e.Fate == Unanswered {
				e.fromUS = e.FirstSentUS
			}
			switch {
			case e.Fate == Unanswered:
				e.untilUS = settled.after(e.DoneUS) + lateUS
			case e.retried():
				e.untilUS = e.DoneUS + lateUS // its own answer settles the tries before
			}
			e.overtaken = newerSentUS < e.DoneUS
			e.stopSentUS, e.stoppedUS = stopSentUS, stoppedUS
			if e.there() || e.maybeThere() {
				newerSentUS = min(newerSentUS, e.FirstSentUS)
				if e.Type == viewing.Stop {
					stopSentUS = min(stopSentUS, e.FirstSentUS)
				}
			}
			if e.there() && e.Type == viewing.Stop && !e.Offline { // what was played offline frees no stream
				stoppedUS = min(stoppedUS, e.DoneUS)
			}
			switch {
			case e.there():
				p.must += 1 + e.folded
			case e.maybeThere():
				p.may++
			}
		}
	}
	h.index()
}

// settled finds when a request that was given up at a moment is settled: as soon as
// one of the same account that was sent afterwards is answered. Until then it may
// be on its way for as long as the account has no leader.
func (h *household) settled() *earliest {
	var answers []moment
	for _, p := range h.playbacks {
		for i := range p.entries {
			if e := &p.entries[i]; e.Fate != Unanswered && e.Fate != Rejected {
				answers = append(answers, moment{e.LastSentUS, e.DoneUS, nil})
			}
		}
	}
	return newEarliest(answers)
}

// bySeq finds the entry that told seq.
func (p *playback) bySeq(seq uint32) *entry {
	i, ok := slices.BinarySearchFunc(p.entries, seq, func(e entry, seq uint32) int { return cmp.Compare(e.Seq, seq) })
	if !ok {
		return nil
	}
	return &p.entries[i]
}

// newest is the entry with the greatest seq that must be there, nil if none must.
func (p *playback) newest() *entry {
	for i := len(p.entries) - 1; i >= 0; i-- {
		if p.entries[i].there() {
			return &p.entries[i]
		}
	}
	return nil
}

// moment is a value, a time, that counts for all keys up to its own.
type moment struct {
	keyUS, valueUS int64
	of             *playback
}

// earliest answers in O(log n): of the moments whose key is at least so great and
// that are of any playback but one, which value is the least?
type earliest struct {
	moments []moment // by key
	least   []least  // of the moments from the same index on
}

// least is the least value, and the least of another playback than that one's.
type least struct{ first, second moment }

func newEarliest(moments []moment) *earliest {
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(a.keyUS, b.keyUS) })
	x := &earliest{moments, make([]least, len(moments)+1)}
	none := moment{valueUS: forever}
	x.least[len(moments)] = least{none, none}
	for i := len(moments) - 1; i >= 0; i-- {
		m, now := moments[i], x.least[i+1]
		switch {
		case m.valueUS < now.first.valueUS:
			if m.of != now.first.of {
				now.second = now.first
			}
			now.first = m
		case m.of != now.first.of && m.valueUS < now.second.valueUS:
			now.second = m
		}
		x.least[i] = now
	}
	return x
}

// after is the least value among the keys from keyUS on, forever if there is none.
func (x *earliest) after(keyUS int64) int64 { return x.at(keyUS).first.valueUS }

// afterOf is after for the moments of all playbacks but one.
func (x *earliest) afterOf(keyUS int64, but *playback) int64 {
	found := x.at(keyUS)
	if found.first.of == but {
		return found.second.valueUS
	}
	return found.first.valueUS
}

func (x *earliest) at(keyUS int64) *least {
	i, _ := slices.BinarySearchFunc(x.moments, keyUS, func(m moment, key int64) int { return cmp.Compare(m.keyUS, key) })
	return &x.least[i]
}
