// Package audit proves a target's answers right or wrong. It knows only what the
// devices did and what they were told, asks the target through its public API,
// and shares no fold, no rule and no memory with it.
package audit

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/playhead-load/playhead/sim/table"
	"github.com/playhead-load/playhead/viewing"
)

// MaxEvents bounds a log: the events that it keeps whole take 64 bytes each, 3.2 GB.
const MaxEvents = 50_000_000

// playsLooked is how many sessions of an account are looked through for that of an
// event, those heard of last first. One beyond takes a second record.
const playsLooked = 64

// Log is everything that the devices did, in memory: with Fold about 260 bytes a
// session that plays and 330 one that has ended, however many keepalives it has sent
// (TestMemory measures it); without, 64 bytes more each event. While Check runs, the
// accounts that it is judging come on top. Device types and error codes are shared
// with the events. Its methods may be called from any goroutine.
type Log struct {
	mu        sync.Mutex
	leaseUS   int64 // 0: nothing is folded
	lateUS    int64
	homes     pages[home]
	plays     pages[play]
	notes     pages[note]
	readings  pages[reading]
	listed    pages[Listed]
	byAccount table.Table[uint32] // the numbers of homes
	texts     texts
	wide      map[uint32]Entry // what does not fit into its note, by the note's number
	beganAt   viewing.Millis   // the earliest at
	clockAt   viewing.Millis   // what the devices' clocks show when the log's begins, at the latest
	fetched   uint32           // so that fetch is not left out

	most         uint32
	mostReadings uint32
	mostListed   uint32
	overflowed   int64
	unread       int64
	limits       map[uint64]int
}

// NewLog returns an empty log of at most MaxEvents.
func NewLog() *Log {
	return &Log{
		most: MaxEvents, mostReadings: MaxReadings, mostListed: MaxListed, limits: map[uint64]int{},
		texts: newTexts(), wide: map[uint32]Entry{}, beganAt: viewing.MaxAt,
	}
}

// SetLimit notes how many streams an account may have.
func (l *Log) SetLimit(account uint64, maxStreams int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits[account] = maxStreams
}

// Fold lets the log fold keepalives that no judgement needs, from now on. Check must
// then be told of the same lease, or a longer one, and of the same lateness, or a
// shorter one. A session's events must first be sent in the order of their seq, but for
// one that comes right after its successor, and be added in the order in which they ended,
// but for less than the time between two keepalives: what comes later than that may make a
// judgement milder, not wrong.
func (l *Log) Fold(lease, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaseUS, l.lateUS = lease.Microseconds(), late.Microseconds()
}

// Add notes an event whose fate is known. One beyond MaxEvents is only counted: Check
// then fails.
func (l *Log) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(&e)
}

// AddAll is Add for each of the entries, which are copied. Many at once cost less each.
func (l *Log) AddAll(entries []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for batch := range slices.Chunk(entries, fetchedAtOnce) {
		l.fetch(batch)
		for i := range batch {
			l.add(&batch[i])
		}
	}
}

// fetchedAtOnce is as many events as the processor's nearer caches hold the notes of.
const fetchedAtOnce = 64

// fetch has the processor bring what the events will look at, all at once: one after
// another, each would wait for memory.
func (l *Log) fetch(entries []Entry) {
	var buffer [fetchedAtOnce]uint32
	numbers := buffer[:0]
	for i := range entries {
		if n := l.byAccount.Find(entries[i].Account); n != nil {
			numbers = append(numbers, *n)
		}
	}
	for i, n := range numbers {
		numbers[i] = l.homes.at(n).plays
	}
	for i, n := range numbers {
		if n > 0 {
			numbers[i] = l.plays.at(n).notes
		}
	}
	for _, n := range numbers {
		if n > 0 {
			l.fetched += l.notes.at(n).seq
		}
	}
}

func (l *Log) add(e *Entry) {
	if l.overflowed > 0 { // nothing will be judged
		l.overflowed++
		return
	}
	l.beganAt = min(l.beganAt, e.AtMS)
	if !e.Offline {
		l.clockAt = max(l.clockAt, e.AtMS-viewing.Millis(e.FirstSentUS/1000))
	}
	h := l.homeOf(e.Account)
	p := l.playOf(h, e)
	if !l.fold(h, p, e) {
		l.keep(h, p, e)
	}
	p.lastUS = max(p.lastUS, e.DoneUS)
	h.heard(e)
}

// homeOf finds an account, or begins it. It is valid until the next one begins.
func (l *Log) homeOf(account uint64) *home {
	if n := l.byAccount.Find(account); n != nil {
		return l.homes.at(*n)
	}
	n, h := l.homes.add()
	*h = home{account: account}
	*l.byAccount.Add(account) = n
	return h
}

// playOf finds the event's session in its account, or begins it, and puts it first. It
// is valid until the next one begins.
func (l *Log) playOf(h *home, e *Entry) *play {
	link := &h.plays
	for range playsLooked {
		n := *link
		if n == 0 {
			break
		}
		p := l.plays.at(n)
		if p.id == e.Session && p.device == e.Device && p.title == e.Title && p.profile == e.Profile &&
			l.texts.list[p.deviceType] == e.DeviceType {
			*link = p.next
			h.plays, p.next = n, h.plays
			return p
		}
		link = &p.next
	}
	n, p := l.plays.add()
	deviceType, _ := l.texts.number(e.DeviceType)
	*p = play{id: e.Session, device: e.Device, title: e.Title, profile: e.Profile, deviceType: deviceType, next: h.plays}
	h.plays = n
	return p
}

// keep notes the event whole.
func (l *Log) keep(h *home, p *play, e *Entry) {
	if l.notes.length == l.most {
		l.overflowed++
		return
	}
	follows := p.notes > 0 && l.follows(h, p, l.notes.at(p.notes), e)
	if !follows {
		p.sinceUS = e.FirstSentUS
	}
	n, kept := l.notes.add()
	*kept = note{before: p.notes, flags: flagIf(follows, noteFollows)}
	code, coded := l.texts.number(e.ErrorCode)
	if _, typed := l.texts.number(e.DeviceType); !kept.pack(e, code) || !coded || !typed {
		kept.flags |= noteWide
		l.wide[n] = *e
	}
	p.notes = n
}

// whole says whether what was added can be judged by the options.
func (l *Log) whole(options Options) (overflowed int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.overflowed > 0:
		err = fmt.Errorf("audit: incomplete, nothing was judged: %d events beyond the %d that the log holds", l.overflowed, l.most)
	case options.Lease.Microseconds() < l.leaseUS || l.leaseUS > 0 && options.Late.Microseconds() > l.lateUS:
		err = fmt.Errorf("audit: keepalives were folded by a longer lease or a shorter lateness than %v and %v", options.Lease, options.Late)
	}
	return l.overflowed, err
}

// bounds are the at before which nothing of the log is, but by clocks that are behind or
// of what was played offline, and how many answers were not kept.
func (l *Log) bounds() (beganAt viewing.Millis, unread int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.beganAt, l.clockAt), l.unread
}

// accounts is how many accounts the log knows, numbered from 1 in the order in which
// they were first heard of.
func (l *Log) accounts() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.homes.length
}

// account is the account of that number.
func (l *Log) account(number uint32) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.homes.at(number).account
}

// tell is what the devices of an account have told, by session and seq, and its limit.
func (l *Log) tell(number uint32, otherwise int) (account uint64, limit int, told []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.homes.at(number)
	limit, ok := l.limits[h.account]
	if !ok {
		limit = otherwise
	}
	for n := h.plays; n > 0; {
		p := l.plays.at(n)
		from := len(told)
		for m := p.notes; m > 0; {
			kept := l.notes.at(m)
			told = append(told, entry{Entry: l.unpack(h, p, m), folded: int(kept.folded)})
			m = kept.before
		}
		slices.Reverse(told[from:])
		n = p.next
	}
	if !slices.IsSortedFunc(told, inOrder) {
		slices.SortStableFunc(told, inOrder)
	}
	return h.account, limit, told
}

func (l *Log) unpack(h *home, p *play, n uint32) Entry {
	kept := l.notes.at(n)
	if kept.is(noteWide) {
		return l.wide[n]
	}
	e := kept.unpack()
	e.Account, e.Session, e.Device, e.Title, e.Profile = h.account, p.id, p.device, p.title, p.profile
	e.DeviceType, e.ErrorCode = l.texts.list[p.deviceType], l.texts.list[kept.errorCode]
	return e
}
