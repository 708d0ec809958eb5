package audit

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

// truth is a target with the rules of admission and nothing else, one request after
// another. Times are microseconds; it sees them in milliseconds, as a server does.
type truth struct {
	limit    int
	sessions map[viewing.SessionID]*played
	events   []Entry // that it has, each once
}

type played struct {
	device   uint64
	newest   uint32
	stopped  bool
	heard    map[uint32]bool
	admitted bool
	holds    bool
	seenMS   int64
	placedMS int64 // where its start without a position began
}

// tell is hear, and notes what is there. A start without a position learns where it begins.
func (x *truth) tell(nowUS int64, e *Entry) (fate Fate, positionMS int64) {
	known := x.sessions[e.Session] != nil && x.sessions[e.Session].heard[e.Seq]
	positionMS = e.PositionMS
	if e.Resumed {
		positionMS = x.position(e)
		if known {
			positionMS = x.sessions[e.Session].placedMS
		}
	}
	fate = x.hear(nowUS, e)
	if s := x.sessions[e.Session]; s != nil && s.heard[e.Seq] && !known {
		s.placedMS = positionMS
		x.events = append(x.events, *e)
		x.events[len(x.events)-1].PositionMS = positionMS
	}
	return fate, positionMS
}

// position is where the profile is in the title.
func (x *truth) position(e *Entry) int64 {
	if last := latestOf(x.events, e.Profile, e.Title); last != nil {
		return last.PositionMS
	}
	return 0
}

func latestOf(events []Entry, profile uint8, title uint32) *Entry {
	var last *Entry
	for i := range events {
		e := &events[i]
		if e.Profile == profile && e.Title == title && (last == nil || latest(e, last) > 0) {
			last = e
		}
	}
	return last
}

// hear takes one try of an event and answers it.
func (x *truth) hear(nowUS int64, e *Entry) Fate {
	nowMS := nowUS / 1000
	s := x.sessions[e.Session]
	if s != nil && (e.Seq < s.newest || e.Seq == s.newest && s.stopped) && (e.Type != start || s.stopped) {
		return s.note(e)
	}
	if e.Type == stop {
		if s == nil {
			s = x.open(e)
		}
		s.holds = false
		return s.note(e)
	}
	others, same := 0, (*played)(nil)
	for _, o := range x.sessions {
		switch {
		case !o.holds || nowMS >= o.seenMS+testLease.Milliseconds():
			o.holds = false
		case o.device != e.Device:
			others++
		default:
			same = o
		}
	}
	renews := s != nil && s.holds
	if !renews && (others >= x.limit || same != nil && s != nil) {
		if e.Type != start {
			if s == nil {
				s = x.open(e)
			}
			s.note(e)
		}
		return Denied
	}
	if s == nil {
		s = x.open(e)
	}
	if same != nil && same != s {
		same.holds = false
	}
	fate := s.note(e)
	if !renews || fate == Accepted {
		s.seenMS = nowMS
	}
	if e.Type == start {
		fate = Accepted
		if s.admitted {
			fate = Known
		}
	}
	s.holds, s.admitted = true, true
	return fate
}

// active are the sessions that hold a stream.
func (x *truth) active(nowUS int64) (ids []viewing.SessionID) {
	for id, s := range x.sessions {
		if s.holds && nowUS/1000 < s.seenMS+testLease.Milliseconds() {
			ids = append(ids, id)
		}
	}
	return ids
}

func (x *truth) open(e *Entry) *played {
	s := &played{device: e.Device, heard: map[uint32]bool{}}
	x.sessions[e.Session] = s
	return s
}

func (s *played) note(e *Entry) Fate {
	if s.heard[e.Seq] {
		return Known
	}
	s.heard[e.Seq] = true
	if e.Seq >= s.newest {
		s.newest, s.stopped = e.Seq, e.Type == stop
	}
	return Accepted
}

// world plays devices against the truth over a bad network, in the order of time.
type world struct {
	random   *rand.Rand
	truth    truth
	log      []Entry
	readings []Reading
	queue    []task // by time
	names    uint16
	lastUS   int64

	lossy   float64 // share of requests, and of answers, that are lost
	devices int
	endUS   int64
	restive float64 // share of events that are followed by no keepalive
	flawed  float64 // share of keepalives that are told after the next, and of events that are told again
	behind  int64   // milliseconds that the clock of device 1 is behind
	heldUS  int64   // for how long the event at hand was held back
}

type task struct {
	atUS int64
	do   func(nowUS int64)
}

func (w *world) at(us int64, do func(nowUS int64)) {
	i, _ := slices.BinarySearchFunc(w.queue, us+1, func(t task, us int64) int { return int(t.atUS - us) })
	w.queue = slices.Insert(w.queue, i, task{us, do})
}

func (w *world) between(low, high int64) int64 { return low + w.random.Int64N(high-low) }

func (w *world) run() *Log {
	for device := range uint64(w.devices) {
		w.at(w.between(0, 3e6), func(now int64) { w.begin(now, device+1) })
	}
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.lastUS = next.atUS
		next.do(next.atUS)
	}
	log := logOf(w.truth.limit, w.log...)
	for _, r := range w.readings {
		log.AddReading(r)
	}
	return log
}

// begin plays one session of a device, and then the next.
func (w *world) begin(now int64, device uint64) {
	if now > w.endUS {
		return
	}
	w.names++
	e := Entry{
		Session: viewing.SessionID{byte(w.names >> 8), byte(w.names), 1}, Account: testAccount, Device: device,
		Title: 7 + w.random.Uint32N(2), Profile: 1 + uint8(device)%2, Type: start, Resumed: w.random.IntN(2) == 0,
		DeviceType: deviceType, RuntimeMS: runtimeMS,
	}
	w.say(now, e, func(now int64, e Entry) { w.goOn(now, e) })
	w.ask(now, &e)
}

// ask asks one of the questions of the event's profile, and again a while later.
func (w *world) ask(now int64, e *Entry) {
	r := Reading{Of: Screen(w.random.IntN(len(screenNames))), Account: e.Account, Profile: e.Profile, AskedUS: now}
	if r.Of == Place {
		r.Title = e.Title
	}
	w.at(now+w.between(10, 50_000), func(now int64) {
		w.truth.answer(now, &r)
		w.at(now+w.between(10, 50_000), func(now int64) {
			r.AnsweredUS = now
			w.readings = append(w.readings, r)
			if w.random.IntN(2) == 0 {
				w.at(now+w.between(10, 20e6), func(now int64) { w.ask(now, e) })
			}
		})
	})
}

// answer is what a right target says.
func (x *truth) answer(nowUS int64, r *Reading) {
	switch r.Of {
	case Place:
		if last := latestOf(x.events, r.Profile, r.Title); last != nil {
			r.Known, r.Session, r.AtMS, r.PositionMS = true, last.Session, last.AtMS, last.PositionMS
		}
	case Active:
		for _, id := range x.active(nowUS) {
			r.Listed = append(r.Listed, x.view(id))
		}
	case History:
		for id := range x.sessions {
			if v := x.view(id); v.StartedAt < viewing.MaxAt && x.profileOf(id) == r.Profile {
				r.Listed = append(r.Listed, v)
			}
		}
		slices.SortFunc(r.Listed, func(a, b Listed) int {
			return cmp.Or(cmp.Compare(b.StartedAt, a.StartedAt), b.Session.Compare(a.Session))
		})
	case Continue:
		var begun []*Entry
		for title := range uint32(10) {
			if last := latestOf(x.events, r.Profile, title); last != nil && last.PositionMS*10 < x.runtime(r.Profile, title)*9 {
				begun = append(begun, last)
			}
		}
		slices.SortFunc(begun, func(a, b *Entry) int { return latest(b, a) })
		for _, e := range begun {
			v := x.view(e.Session)
			v.PositionMS = e.PositionMS
			r.Listed = append(r.Listed, v)
		}
	}
	if len(r.Listed) > pageViews {
		r.Listed, r.More = r.Listed[:pageViews], true
	}
}

// view is a session as its events tell it; one of none begins at viewing.MaxAt.
func (x *truth) view(id viewing.SessionID) Listed {
	v := Listed{Session: id, StartedAt: viewing.MaxAt}
	newest := uint32(0)
	for i := range x.events {
		e := &x.events[i]
		if e.Session != id {
			continue
		}
		v.Title, v.StartedAt = e.Title, min(v.StartedAt, e.AtMS)
		if e.Seq >= newest {
			newest, v.PositionMS = e.Seq, e.PositionMS
		}
	}
	return v
}

func (x *truth) profileOf(id viewing.SessionID) uint8 {
	i := slices.IndexFunc(x.events, func(e Entry) bool { return e.Session == id })
	return x.events[i].Profile
}

// runtime is the longest that was told of a title.
func (x *truth) runtime(profile uint8, title uint32) (longest int64) {
	for _, e := range x.events {
		if e.Profile == profile && e.Title == title {
			longest = max(longest, e.RuntimeMS)
		}
	}
	return longest
}

// goOn does what comes after an event of a session.
func (w *world) goOn(now int64, e Entry) {
	next := now + w.between(1, 2e6)
	switch chance := w.random.Float64(); {
	case e.Fate == Denied, e.Type == stop, chance < w.restive/3: // the last: it falls silent
		w.at(next, func(now int64) { w.begin(now, e.Device) })
		return
	case chance < w.restive*2/3:
		e.Type = stop
	case chance < w.restive*3/4:
		e.Type = viewing.Pause
	case chance < w.restive*4/5:
		e.Type, e.ErrorCode = viewing.Error, "stall"
	case chance < w.restive*5/6:
		e.Type = keepalive
		e.RuntimeMS = runtimeMS + w.random.Int64N(3)
	default:
		e.Type = keepalive
		if w.random.Float64() < 0.15 {
			next += testLease.Microseconds() - 2e6 + w.between(0, 4e6) // its lease may end
		}
	}
	e.Seq++
	e.Resumed = false
	if e.Type == keepalive && w.random.Float64() < w.flawed {
		w.sayLate(next, e)
		return
	}
	w.at(next, func(now int64) { w.say(now, e, w.goOn) })
}

// sayLate says what comes after an event, and then the event.
func (w *world) sayLate(now int64, e Entry) {
	after := e
	after.Seq++
	w.at(now+w.between(1, 2e6), func(sent int64) {
		w.say(sent, after, func(told int64, after Entry) {
			if after.Fate == Denied {
				w.goOn(told, after)
				return
			}
			w.heldUS = told - now
			w.say(told, e, func(told int64, said Entry) {
				after.Fate = said.Fate
				w.goOn(told, after)
			})
			w.heldUS = 0
		})
	})
}

// say makes up to three tries of an event, a second to wait for each.
func (w *world) say(now int64, e Entry, done func(now int64, e Entry)) {
	e.FirstSentUS = now
	e.AtMS = viewing.MinAt + viewing.Millis((now-w.heldUS)/1000)
	if e.Device == 1 {
		e.AtMS -= viewing.Millis(w.behind)
	}
	if w.random.IntN(30) == 0 {
		e.AtMS -= viewing.Millis(w.random.IntN(5000)) // its clock was set back
	}
	if !e.Resumed {
		e.PlayedMS, e.PositionMS = now/1000, w.random.Int64N(runtimeMS)
	}
	w.try(now, e, 1, done)
}

func (w *world) try(now int64, e Entry, tries int, done func(now int64, e Entry)) {
	const timeoutUS, waitUS = 1e6, 1e6
	e.LastSentUS = now
	ended := false
	end := func(now int64, fate Fate) {
		if ended {
			return
		}
		ended = true
		if fate == Unanswered && tries < 3 {
			w.at(now+waitUS, func(now int64) { w.try(now, e, tries+1, done) })
			return
		}
		e.Fate, e.DoneUS = fate, now
		if fate == Accepted && tries == 1 && w.random.Float64() < w.flawed {
			w.sayAgain(now, e, done)
			return
		}
		w.log = append(w.log, e)
		done(now, e)
	}
	w.at(now+timeoutUS, func(now int64) { end(now, Unanswered) })
	if w.random.Float64() < w.lossy {
		return
	}
	delay := w.between(10, 50_000)
	if w.random.Float64() < w.lossy {
		delay = w.between(10, timeoutUS+testLate.Microseconds()) // perhaps after the device gave it up
	}
	w.at(now+delay, func(now int64) {
		fate, positionMS := w.truth.tell(now, &e)
		if w.random.Float64() >= w.lossy {
			w.at(now+w.between(10, 50_000), func(now int64) {
				if !ended && e.Resumed && fate != Denied {
					e.PositionMS = positionMS
				}
				end(now, fate)
			})
		}
	})
}

// sayAgain tells an event once more that was acknowledged.
func (w *world) sayAgain(now int64, e Entry, done func(now int64, e Entry)) {
	sent, ended := now, false
	end := func(now int64, fate Fate) {
		if !ended {
			ended = true
			e.ToldAgain(sent, sent, now, fate, testLease)
			w.log = append(w.log, e)
			done(now, e)
		}
	}
	w.at(now+1e6, func(now int64) { end(now, Unanswered) })
	delay := w.between(10, 50_000)
	if w.random.IntN(10) == 0 {
		delay = w.between(10, 1e6+testLate.Microseconds())
	}
	w.at(now+delay, func(now int64) {
		fate, _ := w.truth.tell(now, &e)
		w.at(now+w.between(10, 50_000), func(now int64) { end(now, fate) })
	})
}

func drawWorld(t *rapid.T, lossy float64) *world {
	w := &world{
		random:  rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
		devices: rapid.IntRange(1, 5).Draw(t, "devices"),
		lossy:   lossy,
		endUS:   int64(rapid.IntRange(5, 90).Draw(t, "seconds")) * 1e6,
		restive: rapid.SampledFrom([]float64{0.3, 0.1}).Draw(t, "restive"),
		flawed:  rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "flawed"),
		behind:  rapid.SampledFrom([]int64{0, -4000, 3_600_000}).Draw(t, "behind"),
	}
	w.truth = truth{limit: rapid.IntRange(1, 3).Draw(t, "limit"), sessions: map[viewing.SessionID]*played{}}
	return w
}

// TestNoFalseAlarm: whatever the devices do and the network loses, right answers
// are found right.
func TestNoFalseAlarm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, rapid.SampledFrom([]float64{0, 0.02, 0.2, 0.5}).Draw(t, "lossy"))
		report := judge(w.run(), testOptions())
		expect(t, report)
	})
}

// TestNoFalseAlarmOfActive: what a right target lists as active, whenever it is asked
// once all has been said, is found right, with and without a clock.
func TestNoFalseAlarmOfActive(t *testing.T) {
	listed := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, rapid.SampledFrom([]float64{0, 0.02, 0.2, 0.5}).Draw(t, "lossy"))
		log := w.run()
		var nowUS int64
		for _, e := range w.log {
			nowUS = max(nowUS, e.DoneUS)
		}
		nowUS = max(nowUS, w.lastUS) + rapid.Int64Range(0, 2*testLease.Microseconds()).Draw(t, "later")
		ids := w.truth.active(nowUS)
		listed += len(ids)
		for _, clock := range []func() int64{nil, func() int64 { return nowUS }} {
			options := testOptions()
			options.NowUS = clock
			c := &check{options: options, report: Report{Violations: map[string]int64{}}, examples: map[string]int{}}
			for number := uint32(1); number <= log.accounts(); number++ {
				c.listedActive(log.household(number, options), ids, c.nowUS(), c.nowUS())
			}
			expect(t, c.report)
		}
	})
	if listed == 0 {
		t.Error("nothing was active")
	}
}

// TestOneTooMany: a denial by streams that all were surely held, turned into an
// admission, is found: always as an order that is not to be had, and as a stream too many
// unless a flawed device leaves a word under way that may have ended one of them.
func TestOneTooMany(t *testing.T) {
	planted, doubtful := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, 0)
		w.run()
		for i := range w.log {
			if e := &w.log[i]; e.Fate == Denied && e.Type == start && w.holders(e) == w.truth.limit {
				e.Fate, e.Title = Accepted, 9 // and nobody resumes where it began
				planted++
				report := judge(logOf(w.truth.limit, w.log...), testOptions())
				if w.flawed > 0 && report.Violations[KindOverAdmission] == 0 {
					doubtful++
					expect(t, report, KindLinearizable)
					return
				}
				expect(t, report, KindOverAdmission, KindLinearizable)
				return
			}
		}
	})
	if planted == 0 {
		t.Error("no log had a denial to turn around")
	}
	if doubtful*10 > planted {
		t.Errorf("%d of %d were not found as a stream too many", doubtful, planted)
	}
	t.Logf("%d planted, %d of them doubtful", planted, doubtful)
}

// holders counts the other devices whose last word was accepted, was not a stop, and
// is well within its lease, when e is sent and until it is answered.
func (w *world) holders(e *Entry) (n int) {
	last := map[uint64]*Entry{}
	for i := range w.log {
		o := &w.log[i]
		if o.FirstSentUS <= e.DoneUS && (last[o.Device] == nil || last[o.Device].FirstSentUS < o.FirstSentUS) {
			last[o.Device] = o
		}
	}
	for device, o := range last {
		held := o.Fate == Accepted && o.Type != stop && o.DoneUS < e.FirstSentUS
		if device != e.Device && held && e.DoneUS < o.FirstSentUS+testLease.Microseconds()*9/10 {
			n++
		}
	}
	return n
}

// TestOneTooFew: an admission below the limit, whatever came before, turned into a
// denial, is found.
func TestOneTooFew(t *testing.T) {
	planted := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "lossy"))
		w.run()
		slices.SortFunc(w.log, func(a, b Entry) int { return int(a.DoneUS - b.DoneUS) })
		for i := len(w.log) - 1; i >= 0; i-- {
			e := &w.log[i]
			if e.Fate != Accepted || e.Type != start || e.LastSentUS != e.FirstSentUS {
				continue
			}
			before := slices.DeleteFunc(slices.Clone(w.log), func(o Entry) bool {
				return o.FirstSentUS > e.DoneUS || o.Session == e.Session
			})
			others := map[uint64]bool{}
			for _, o := range before {
				if o.Device != e.Device {
					others[o.Device] = true
				}
			}
			if len(others) >= w.truth.limit {
				continue
			}
			planted++
			for i := range before {
				before[i].Resumed = false // where its session had left off is not told any more
			}
			denied := *e
			denied.Fate = Denied
			report := judge(logOf(w.truth.limit, append(before, denied)...), testOptions())
			if w.lossy > 0 && report.Linearizability.Unknown == 1 {
				report.Violations[KindLinearizable] = 1 // too much is open to try all orders
			}
			expect(t, report, KindFalseDenial, KindLinearizable)
			return
		}
	})
	if planted == 0 {
		t.Error("no log had an admission to turn around")
	}
}

// BenchmarkJudge judges one account alone, busy for hours.
func BenchmarkJudge(b *testing.B) {
	w := &world{random: rand.New(rand.NewPCG(1, 0)), devices: 5, lossy: 0.01, endUS: 8000e6, restive: 0.3}
	w.truth = truth{limit: 2, sessions: map[viewing.SessionID]*played{}}
	log := w.run()
	for b.Loop() {
		judge(log, testOptions())
	}
	b.ReportMetric(float64(len(w.log)), "events")
}
