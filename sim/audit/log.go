// Package audit proves a target's answers right or wrong. It knows only what the
// devices did and what they were told, asks the target through its public API,
// and shares no fold, no rule and no memory with it.
package audit

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/playhead-load/playhead/viewing"
)

// Fate is what a device was told of an event, in the end.
type Fate uint8

// The fates of an event.
const (
	Unanswered Fate = iota // sent, never answered: it may be there or not
	Accepted               // it is there, and its session plays if it says so
	Known                  // it was there already
	Denied                 // its session holds no stream; there all the same, unless it is a start
	Rejected               // it is not there
)

// Entry is one event as its device knows it. Times are microseconds on the
// driver's clock; what it took several tries to say was first sent at
// FirstSentUS and last at LastSentUS.
type Entry struct {
	Session     viewing.SessionID
	Account     uint64
	Device      uint64
	Title       uint32
	Seq         uint32
	Profile     uint8
	Type        viewing.EventType
	Fate        Fate
	Resumed     bool // a start without a position; PositionMS is the answer's, if there was one
	Offline     bool // played without a connection: it holds no stream
	AtMS        viewing.Millis
	PositionMS  int64
	PlayedMS    int64
	RebufferMS  int64
	RuntimeMS   int64  // 0: not told
	Bitrates    uint64 // HashBitrates of bitrate_ms
	DeviceType  string
	ErrorCode   string // "": none
	FirstSentUS int64
	LastSentUS  int64
	DoneUS      int64
}

// NewEntry is the entry of an event that was not sent yet.
func NewEntry(e *viewing.Event) Entry {
	return Entry{
		Session: e.SessionID, Account: e.AccountID, Device: e.DeviceID, Title: e.TitleID,
		Seq: e.Seq, Profile: e.ProfileID, Type: e.Type, Resumed: e.ResumePos, Offline: e.Offline,
		AtMS: e.At, PositionMS: e.PositionMS, PlayedMS: e.PlayedMS, RebufferMS: e.RebufferMS,
		RuntimeMS: e.RuntimeMS, Bitrates: HashBitrates(e.BitrateMS), DeviceType: e.DeviceType, ErrorCode: e.ErrorCode,
	}
}

// HashBitrates stands for a session's bitrate usage, whatever the order of its
// rungs.
func HashBitrates(rates []viewing.Bitrate) uint64 {
	var sum uint64
	for _, rate := range rates {
		h := fnv.New64a()
		_, _ = h.Write([]byte(rate.Kbps + "=" + strconv.FormatInt(rate.PlayedMS, 10)))
		sum += h.Sum64()
	}
	return sum
}

// MaxEvents bounds a log: at less than 180 bytes an event while it is checked, 3.6 GB.
const MaxEvents = 20_000_000

// blockEntries is how many entries the log's memory grows by, so that it never
// holds a second copy of itself.
const blockEntries = 1 << 12

// Log is everything that the devices did, in memory: 153 bytes an event, and while
// Check runs 4 more for an index, and the accounts that it is asking about, readers of
// them at once (9 an event in all in TestMemory, besides garbage not yet collected).
// Device types and error codes are shared with the events. Its methods may be called
// from any goroutine.
type Log struct {
	mu         sync.Mutex
	blocks     [][]Entry // all full but the last; what is in them does not change
	events     int
	most       int
	overflowed int64
	limits     map[uint64]int
}

// NewLog returns an empty log of at most MaxEvents.
func NewLog() *Log { return &Log{most: MaxEvents, limits: map[uint64]int{}} }

// SetLimit notes how many streams an account may have.
func (l *Log) SetLimit(account uint64, maxStreams int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits[account] = maxStreams
}

func (l *Log) limit(account uint64, otherwise int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit, ok := l.limits[account]; ok {
		return limit
	}
	return otherwise
}

// Add notes an event whose fate is known. One beyond MaxEvents is only counted:
// Check then fails.
func (l *Log) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == l.most {
		l.overflowed++
		return
	}
	if l.events%blockEntries == 0 {
		var block []Entry // the first one grows: most logs are small
		if l.events > 0 {
			block = make([]Entry, 0, blockEntries)
		}
		l.blocks = append(l.blocks, block)
	}
	last := len(l.blocks) - 1
	l.blocks[last] = append(l.blocks[last], e)
	l.events++
}

// overflow is how many events were not kept.
func (l *Log) overflow() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.overflowed
}

// index finds a log's events by their account.
type index struct {
	log      *Log
	blocks   [][]Entry
	accounts []uint64          // sorted
	newest   map[uint64]uint32 // by account: the number of its last event, from 1
	before   []uint32          // by event: the number of the one before it of its account, 0 for none
	beganAt  viewing.Millis    // the earliest at
}

// index is of what was added until now.
func (l *Log) index() *index {
	l.mu.Lock()
	x := &index{log: l, blocks: slices.Clone(l.blocks), before: make([]uint32, 0, l.events)}
	l.mu.Unlock()
	x.newest, x.beganAt = map[uint64]uint32{}, viewing.MaxAt
	for _, block := range x.blocks {
		for i := range block {
			e := &block[i]
			x.beganAt = min(x.beganAt, e.AtMS)
			x.before = append(x.before, x.newest[e.Account])
			x.newest[e.Account] = uint32(len(x.before))
		}
	}
	x.accounts = slices.Sorted(maps.Keys(x.newest))
	return x
}

// of are an account's events by session and seq.
func (x *index) of(account uint64) []*Entry {
	var entries []*Entry
	for n := x.newest[account]; n > 0; n = x.before[n-1] {
		entries = append(entries, &x.blocks[(n-1)/blockEntries][(n-1)%blockEntries])
	}
	slices.SortFunc(entries, func(a, b *Entry) int {
		return cmp.Or(a.Session.Compare(b.Session), cmp.Compare(a.Seq, b.Seq))
	})
	return entries
}
