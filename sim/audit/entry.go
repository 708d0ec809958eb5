package audit

import (
	"cmp"
	"time"

	"github.com/playhead-load/playhead/sim/random"
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

var fateNames = [...]string{"unanswered", "accepted", "known", "denied", "rejected"}

func (f Fate) String() string { return fateNames[f] }

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

// ToldAgain notes that the event, whose fate was known, was told once more, first and last
// at two moments, and what was answered to that. Where both were answered at once, within
// the lease, 0 for an endless one, it counts as told once and answered with the second
// answer: it took effect by then. Otherwise it counts as tried again, and where that was
// not answered, as unanswered: it may be on its way still, and renew what has ended since.
func (e *Entry) ToldAgain(firstUS, lastUS, doneUS int64, fate Fate, lease time.Duration) {
	leaseUS := lease.Microseconds()
	within := leaseUS == 0 || doneUS <= e.FirstSentUS+leaseUS-guardUS(leaseUS)
	if e.DoneUS = doneUS; fate == Known && !e.retried() && firstUS == lastUS && within {
		return
	}
	e.LastSentUS, e.Fate = lastUS, fate
}

// HashBitrates stands for a session's bitrate usage, whatever the order of its
// rungs.
func HashBitrates(rates []viewing.Bitrate) uint64 {
	var sum uint64
	for i := range rates {
		h := uint64(14695981039346656037) // FNV-1a
		for _, c := range []byte(rates[i].Kbps) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		sum += random.Mix(random.Mix(h) + uint64(rates[i].PlayedMS))
	}
	return sum
}

// inOrder is by session and seq.
func inOrder(a, b entry) int {
	return cmp.Or(a.Session.Compare(b.Session), cmp.Compare(a.Seq, b.Seq))
}
