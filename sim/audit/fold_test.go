package audit

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

// memory is a target that answers by the events that it has.
type memory struct {
	events []Entry
	active []viewing.SessionID
}

func (m *memory) Session(_ context.Context, _ uint64, id viewing.SessionID) (*Session, error) {
	var of []Entry
	for _, e := range m.events {
		if e.Session == id {
			of = append(of, e)
		}
	}
	if len(of) == 0 {
		return nil, nil
	}
	count, newest := len(of), newestOf(of)
	s := &Session{View: viewOf(of), LastSeq: newest.Seq, Events: &count, State: "active", Errors: &[]PlaybackError{}}
	if newest.Type == stop {
		s.State = string(viewing.Stopped)
	}
	for _, e := range of {
		if e.ErrorCode != "" {
			*s.Errors = append(*s.Errors, PlaybackError{time.UnixMilli(int64(e.AtMS)), e.ErrorCode})
		}
	}
	return s, nil
}

func newestOf(events []Entry) Entry {
	return slices.MaxFunc(events, func(a, b Entry) int { return int(a.Seq) - int(b.Seq) })
}

func viewOf(events []Entry) View {
	newest := newestOf(events)
	v := View{
		SessionID: newest.Session, TitleID: newest.Title, ProfileID: newest.Profile, DeviceID: newest.Device,
		PlayedMS: newest.PlayedMS, PositionMS: newest.PositionMS, DeviceType: &newest.DeviceType, RuntimeMS: new(int64),
	}
	began := viewing.MaxAt
	for _, e := range events {
		began = min(began, e.AtMS)
		*v.RuntimeMS = max(*v.RuntimeMS, e.RuntimeMS)
	}
	v.StartedAt = time.UnixMilli(int64(began))
	return v
}

func (m *memory) Active(context.Context, uint64) ([]viewing.SessionID, error) { return m.active, nil }

func (m *memory) Positions(_ context.Context, _ uint64, profile uint8, titles []uint32) (map[uint32]Position, error) {
	known := map[uint32]Position{}
	for _, title := range titles {
		if e := latestOf(m.events, profile, title); e != nil {
			known[title] = Position{TitleID: title, PositionMS: e.PositionMS, UpdatedAt: time.UnixMilli(int64(e.AtMS)), SessionID: e.Session}
		}
	}
	return known, nil
}

func (m *memory) History(_ context.Context, _ uint64, profile uint8) ([]View, error) {
	bySession := map[viewing.SessionID][]Entry{}
	for _, e := range m.events {
		if e.Profile == profile {
			bySession[e.Session] = append(bySession[e.Session], e)
		}
	}
	var views []View
	for _, events := range bySession {
		views = append(views, viewOf(events))
	}
	slices.SortFunc(views, func(a, b View) int { return b.StartedAt.Compare(a.StartedAt) })
	return views, nil
}

// breakSomething makes the log, or what the target has, wrong in one thing or in none.
func breakSomething(random *rand.Rand, s *story) {
	log, target := s.log, s.target
	if len(log) == 0 || len(target.events) == 0 {
		return
	}
	told, kept := &log[random.IntN(len(log))], random.IntN(len(target.events))
	switch random.IntN(13) {
	case 0:
		told.Fate = Fate(random.IntN(5))
	case 1:
		for i := range log {
			if log[i].Fate == Denied {
				log[i].Fate = Accepted
				return
			}
		}
	case 2:
		for i := range log {
			if log[i].Resumed && log[i].Fate == Accepted {
				log[i].PositionMS++
			}
		}
	case 3:
		target.events = slices.Delete(target.events, kept, kept+1)
	case 4:
		target.events[kept].PositionMS++
	case 5:
		target.events[kept].AtMS--
	case 6:
		target.active = target.active[:len(target.active)/2]
	case 7:
		for i := range s.readings {
			if older := &s.readings[i/2]; older.Known && older.Profile == s.readings[i].Profile && older.Title == s.readings[i].Title {
				s.readings[i].Session, s.readings[i].AtMS, s.readings[i].PositionMS = older.Session, older.AtMS, older.PositionMS
			}
		}
	case 8:
		if len(s.readings) > 0 {
			s.readings[random.IntN(len(s.readings))].PositionMS++
		}
	case 9, 10, 11:
		breakList(random, s.readings)
	}
}

// breakList makes a list that was told wrong in one thing, if there is one.
func breakList(random *rand.Rand, readings []Reading) {
	var full []*Reading
	for i := range readings {
		if len(readings[i].Listed) > 0 {
			full = append(full, &readings[i])
		}
	}
	if len(full) == 0 {
		return
	}
	r := full[random.IntN(len(full))]
	switch one := random.IntN(len(r.Listed)); random.IntN(4) {
	case 0:
		r.Listed = slices.Delete(r.Listed, one, one+1)
	case 1:
		r.Listed[one].PositionMS++
	case 2:
		slices.Reverse(r.Listed)
	case 3: // what an earlier answer said
		for i := range readings {
			if before := &readings[i]; before.Of == r.Of && before.Profile == r.Profile {
				r.Listed, r.More = slices.Clone(before.Listed), before.More
				return
			}
		}
	}
}

// story is a random history with a target's answers, right or wrong.
type story struct {
	limit    int
	log      []Entry   // as they ended
	readings []Reading // the same
	target   *memory
	nowUS    int64
}

func drawStory(t *rapid.T) story {
	w := drawWorld(t, rapid.SampledFrom([]float64{0, 0.02, 0.1}).Draw(t, "lossy"))
	w.run()
	s := story{limit: w.truth.limit, log: w.log, readings: w.readings, target: &memory{events: w.truth.events}, nowUS: w.lastUS}
	for _, e := range w.log {
		s.nowUS = max(s.nowUS, e.DoneUS)
	}
	s.target.active = w.truth.active(s.nowUS)
	breakSomething(w.random, &s)
	return s
}

// add tells a log the story in the order in which all of it ended.
func (s *story) add(log *Log) {
	readings := s.readings
	for _, e := range s.log {
		for len(readings) > 0 && readings[0].AnsweredUS <= e.DoneUS {
			log.AddReading(readings[0])
			readings = readings[1:]
		}
		log.Add(e)
	}
	for _, r := range readings {
		log.AddReading(r)
	}
}

// check audits the story. fold makes its log fold, unless it is nil.
func (s *story) check(t failer, search time.Duration, fold func(*Log)) (Report, *Log) {
	t.Helper()
	log := NewLog()
	log.SetLimit(testAccount, s.limit)
	if fold != nil {
		fold(log)
	}
	s.add(log)
	log.leaseUS = 0 // Check is not to refuse a log that was folded wrongly
	options := testOptions()
	options.Search = search
	options.NowUS = func() int64 { return s.nowUS }
	report, err := log.CheckTarget(context.Background(), s.target, options)
	if err != nil {
		t.Errorf("%v", err)
	}
	return report, log
}

// differ is how the report of the folded log differs from that of the plain one, and
// how many of its events were folded. Where an order was searched for in vain in one of
// the two, the other's finding is not compared; nor what a folded keepalive may explain.
//
// What each session surely and possibly held is compared too: it decides little in most
// stories, and all in a few.
func (s *story) differ(t failer, search time.Duration, fold func(*Log)) (diff string, folded uint32, unjudged int64) {
	t.Helper()
	plain, whole := s.check(t, search, nil)
	compact, less := s.check(t, search, fold)
	unjudged = compact.Unjudged
	leaveOut := map[string]bool{KindLinearizable: plain.Linearizability.Unknown+compact.Linearizability.Unknown > 0}
	for _, kind := range []string{KindPosition, KindStale, KindHistory} {
		leaveOut[kind] = compact.Unjudged > 0 && plain.Violations[kind] >= compact.Violations[kind]
	}
	for _, report := range []*Report{&plain, &compact} {
		report.Examples = slices.DeleteFunc(report.Examples, func(e Example) bool { return leaveOut[e.Kind] })
		maps.DeleteFunc(report.Violations, func(kind string, _ int64) bool { return leaveOut[kind] })
		if leaveOut[KindLinearizable] {
			report.Linearizability = Linearizability{}
		}
		for i := range report.Examples {
			if e := &report.Examples[i]; e.Kind == KindLinearizable {
				e.Session = viewing.SessionID{} // of several orders that go equally far, any may be shown
			}
		}
		report.Unjudged = 0
	}
	if diff := cmp.Diff(heldOf(whole), heldOf(less)); diff != "" {
		return diff, 0, 0
	}
	return cmp.Diff(plain, compact, cmpopts.IgnoreFields(Example{}, "Detail", "History"), cmpopts.EquateEmpty()), whole.notes.length - less.notes.length, unjudged
}

// heldOf are the times, in microseconds, during which each session of the account surely
// and possibly held a stream.
func heldOf(log *Log) map[viewing.SessionID][2][][2]int64 {
	held := map[viewing.SessionID][2][][2]int64{}
	if log.accounts() == 0 {
		return held
	}
	home := log.household(1, testOptions())
	for _, p := range home.playbacks {
		var both [2][][2]int64
		for i, intervals := range [2][]interval{home.surelyHeld(p, testLease.Microseconds()), home.possiblyHeld(p, testLease.Microseconds())} {
			for _, one := range intervals {
				both[i] = append(both[i], [2]int64{one.fromUS, one.toUS})
			}
		}
		held[p.id] = both
	}
	return held
}

// TestFoldedIsJudgedAlike: whatever the devices do, the network loses and the target
// tells, a log that folds is judged as one that keeps everything.
func TestFoldedIsJudgedAlike(t *testing.T) {
	var folded, questions, unjudged int64
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t)
		diff, less, open := s.differ(t, time.Second, func(l *Log) { l.Fold(testLease, testLate) })
		if diff != "" {
			t.Errorf("(-plain +folded):\n%s", diff)
		}
		folded += int64(less)
		unjudged += open
		questions += int64(len(s.readings))
	})
	t.Logf("%d events folded, %d answers of %d not judged for it", folded, unjudged, questions)
	if folded == 0 {
		t.Error("nothing was folded")
	}
	if unjudged > questions/30 {
		t.Errorf("%d of %d answers were not judged, want a thirtieth at most", unjudged, questions)
	}
}

// TestWronglyFoldedIsSeen: a log that folds what it may not is judged otherwise, in some
// story.
func TestWronglyFoldedIsSeen(t *testing.T) {
	const stories = 5000
	longer := func(l *Log) { l.Fold(3*testLease, testLate) }
	for seed := range stories {
		s := rapid.Custom(drawStory).Example(seed)
		if diff, _, _ := s.differ(t, -1, longer); diff != "" {
			t.Logf("folded over the end of a lease, story %d is judged otherwise", seed)
			return
		}
	}
	t.Errorf("folded over the ends of leases, and no story of %d was judged otherwise", stories)
}
