package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// Bounds of the answers that a log keeps.
const (
	MaxReadings = 5_000_000  // at 64 bytes each, 320 MB
	MaxListed   = 10_000_000 // sessions in their lists: at 40 bytes each, 400 MB
	MostListed  = 100        // sessions in one list
)

// Screen is what a device asked of the target for its screen.
type Screen uint8

// What is asked.
const (
	Place    Screen = iota // where was I?
	Active                 // what else am I watching? The account's active sessions
	History                // what have I watched? The first page
	Continue               // what shall I go on with?
)

var screenNames = [...]string{"position", "active sessions", "history", "continue-watching"}

func (s Screen) String() string { return screenNames[s] }

// Reading is what a device was told during the run, at consistency `leader`. Times are
// microseconds on the driver's clock; it was asked when the try was sent that was
// answered.
type Reading struct {
	Of         Screen
	Account    uint64
	Profile    uint8 // 0 for Active
	AskedUS    int64
	AnsweredUS int64

	// Of a place alone.
	Title      uint32
	Known      bool // there is a position; without it the fields below say nothing
	Session    viewing.SessionID
	AtMS       viewing.Millis // the answer's updated_at
	PositionMS int64

	// Of a list alone.
	Listed []Listed // as they stand there; the caller's
	More   bool     // there is another page
}

// Listed is a session in a list.
type Listed struct {
	Session    viewing.SessionID
	StartedAt  viewing.Millis
	PositionMS int64
	Title      uint32
	Completed  bool
}

// reading is a Reading in a log, without its account: 64 bytes.
type reading struct {
	session    viewing.SessionID
	atMS       viewing.Millis
	positionMS int64
	askedUS    int64
	answeredUS int64
	before     uint32 // the one of the account that was added before it
	title      uint32
	listed     uint32 // the number of the first in its list
	length     uint8  // of its list
	profile    uint8
	of         Screen
	known      bool // or, of a list, that there is more
}

// AddReading notes an answer. One beyond MaxReadings, MaxListed or MostListed is
// counted, and not judged.
func (l *Log) AddReading(r Reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readings.length == l.mostReadings || len(r.Listed) > MostListed ||
		len(r.Listed) > int(l.mostListed)-int(l.listed.length) {
		l.unread++
		return
	}
	h := l.homeOf(r.Account)
	n, kept := l.readings.add()
	*kept = reading{
		session: r.Session, atMS: r.AtMS, positionMS: r.PositionMS, askedUS: r.AskedUS, answeredUS: r.AnsweredUS,
		before: h.readings, title: r.Title, listed: l.listed.length + 1, length: uint8(len(r.Listed)),
		profile: r.Profile, of: r.Of, known: r.Known || r.More,
	}
	for _, one := range r.Listed {
		_, at := l.listed.add()
		*at = one
	}
	h.readings = n
	if r.Of != Active { // which tells no position that is judged
		h.readUS = max(h.readUS, r.AnsweredUS)
	}
}

// readingsOf are the answers to an account's devices, by what was asked, profile, title
// and when they were asked for.
func (l *Log) readingsOf(number uint32) []Reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.homes.at(number)
	var all []Reading
	for n := h.readings; n > 0; {
		r := l.readings.at(n)
		told := Reading{Of: r.of, Account: h.account, Profile: r.profile, AskedUS: r.askedUS, AnsweredUS: r.answeredUS}
		if r.of == Place {
			told.Title, told.Known, told.Session, told.AtMS, told.PositionMS = r.title, r.known, r.session, r.atMS, r.positionMS
		} else {
			told.More = r.known
		}
		for i := range uint32(r.length) {
			told.Listed = append(told.Listed, *l.listed.at(r.listed + i))
		}
		all = append(all, told)
		n = r.before
	}
	slices.SortFunc(all, func(a, b Reading) int { return cmp.Or(comparePlaces(&a, &b), cmp.Compare(a.AskedUS, b.AskedUS)) })
	return all
}

func comparePlaces(a, b *Reading) int {
	return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.Title, b.Title))
}

// readings judges what the account's devices were told during the run.
func (c *check) readings(home *household, known *holdings) {
	c.report.Readings += int64(len(home.readings))
	for from, to := 0, 0; from < len(home.readings); from = to {
		for to = from; to < len(home.readings) && comparePlaces(&home.readings[from], &home.readings[to]) == 0; {
			c.reading(home, known, &home.readings[to])
			to++
		}
		if home.readings[from].Of == Place {
			c.regressions(home, home.readings[from:to])
		}
	}
}

func (c *check) reading(home *household, known *holdings, r *Reading) {
	switch r.Of {
	case Active:
		c.toldActive(home, known, r)
	case History:
		c.toldHistory(home, r)
	case Continue:
		c.toldContinue(home, r)
	default:
		c.place(home, r)
	}
}

// place judges where a profile was said to be: some device must have told it, and it must
// be no older than all that was acknowledged before it was asked for.
func (c *check) place(home *household, r *Reading) {
	known := home.told(r.Profile, r.Title, r.AskedUS, r.AnsweredUS, nil)
	if known.folded {
		c.report.Unjudged++
	}
	if !r.Known {
		if known.must != nil {
			c.stale(r, known.must)
		}
		return
	}
	told, folded, fresh := home.tells(r, &known)
	switch {
	case fresh, !told && known.folded, c.fromBefore(r.AtMS, known.must):
	case known.must != nil && (told || folded || c.options.Used && r.AtMS < c.beganAt):
		c.stale(r, known.must)
	default:
		c.violation(KindPosition, home.of(r), 1, fmt.Sprintf("%v, which no device had told", r))
	}
}

// tells says whether a device had told what was answered, or may have by a keepalive
// that was folded, and whether it is no older than what the target knew for sure.
func (h *household) tells(r *Reading, known *toldOf) (told, folded, fresh bool) {
	for _, p := range h.playbacks {
		if p.id != r.Session || p.profile != r.Profile || p.title != r.Title {
			continue
		}
		for i := range p.entries {
			e := &p.entries[i]
			folded = folded || e.folded > 0 && p.entries[i-1].DoneUS < r.AnsweredUS && p.entries[i-1].AtMS < r.AtMS && r.AtMS < e.AtMS
			if (e.there() || e.maybeThere()) && e.FirstSentUS <= r.AnsweredUS && e.AtMS == r.AtMS &&
				(e.PositionMS == r.PositionMS || !e.placed()) {
				told = true
				fresh = fresh || e == known.must || known.notBefore(e)
			}
		}
	}
	return told, folded, fresh
}

func (c *check) stale(r *Reading, must *entry) {
	c.violation(KindStale, must.playback, 1, fmt.Sprintf("%v; seq %d of session %v had told %d ms, acknowledged at %.3f s",
		r, must.Seq, must.Session, must.PositionMS, seconds(must.DoneUS)))
}

// of is the session that an answer names, or one that stands for it.
func (h *household) of(r *Reading) *playback {
	for _, p := range h.playbacks {
		if p.id == r.Session {
			return p
		}
	}
	return &playback{id: r.Session, account: r.Account}
}

// regressions finds the answers about one title that are older than one that was given
// before they were asked for. They stand in the order in which they were asked for.
func (c *check) regressions(home *household, readings []Reading) {
	answered := slices.Clone(readings)
	slices.SortFunc(answered, func(a, b Reading) int { return cmp.Compare(a.AnsweredUS, b.AnsweredUS) })
	var newest *Reading
	for i := range readings {
		r := &readings[i]
		for len(answered) > 0 && answered[0].AnsweredUS < r.AskedUS {
			if newest == nil || newest.olderThan(&answered[0]) {
				newest = &answered[0]
			}
			answered = answered[1:]
		}
		if newest != nil && r.olderThan(newest) {
			c.violation(KindRegression, home.of(newest), 1, fmt.Sprintf("%v, though before: %v", r, newest))
		}
	}
}

// olderThan compares answers as far as they tell the order of positions: two of one
// session and one millisecond are alike.
func (r *Reading) olderThan(other *Reading) bool {
	if !r.Known || !other.Known {
		return !r.Known && other.Known
	}
	return cmp.Or(cmp.Compare(r.AtMS, other.AtMS), r.Session.Compare(other.Session)) < 0
}

// String tells the answer in short.
func (r *Reading) String() string {
	if r.Of != Place {
		return fmt.Sprintf("%v, asked for at %.3f s and answered at %.3f s", r.Of, seconds(r.AskedUS), seconds(r.AnsweredUS))
	}
	where := fmt.Sprintf("profile %d title %d was asked for at %.3f s and answered at %.3f s", r.Profile, r.Title, seconds(r.AskedUS), seconds(r.AnsweredUS))
	if !r.Known {
		return where + ": no position is known"
	}
	return where + fmt.Sprintf(": %d ms by session %v at %d", r.PositionMS, r.Session, r.AtMS)
}
