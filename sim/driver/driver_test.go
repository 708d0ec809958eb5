package driver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

func keepalives(device int32, session byte, seqs ...uint32) (lines []line) {
	for _, seq := range seqs {
		lines = append(lines, line{device: device, session: session, seq: seq, kind: viewing.Keepalive})
	}
	return lines
}

func TestADeviceSaysOneThingAtATimeAndInOrder(t *testing.T) {
	t.Parallel()
	var failed sync.Map
	var now atomic.Int64
	target := newStage(t, 2, func(w http.ResponseWriter, h heard) {
		if now.Add(1) > 1 {
			t.Error("two requests of one device at once")
		}
		defer now.Add(-1)
		if _, again := failed.LoadOrStore(h.seq, true); !again && (h.seq == 1 || h.seq == 3) {
			unavailable(w)
			return
		}
		accept(w, h)
	})
	d := newDrive(newScript(keepalives(0, 1, 0, 1, 2, 3, 4)...), target.urls, nil)
	d.play(t, t.Context())
	var order []uint32
	for _, h := range target.requests() {
		order = append(order, h.seq)
	}
	if want := []uint32{0, 1, 1, 2, 3, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("heard %v, want %v", order, want)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 5})
	if load := d.Load(1); load.Retries != 2 || load.TargetPerS != 5 || load.Unsent != 0 {
		t.Errorf("load %+v, want 5 and 2 retries", load)
	}
}

// The instrument's first duty: a target that stands still for 300 ms is late for
// everything that was due meanwhile, also for what could be sent only afterwards.
func TestResponseTimeCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	const events, stall = 500, 300 * time.Millisecond
	var stalled sync.WaitGroup
	var once sync.Once
	var mu sync.Mutex
	answeredAt := map[uint64]time.Time{}
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if h.account == 200 {
			once.Do(func() { stalled.Add(1); time.AfterFunc(stall, stalled.Done) })
		}
		stalled.Wait()
		accept(w, h)
		mu.Lock()
		answeredAt[h.account] = time.Now()
		mu.Unlock()
	})
	var lines []line
	for i := range int32(events) {
		lines = append(lines, line{dueMS: 2 * int64(i), device: i, session: 1, kind: viewing.Keepalive})
	}
	d := newDrive(newScript(lines...), target.urls, func(c *Config) { c.Connections, c.Duration = 4, 1100*time.Millisecond })
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: events})
	mu.Lock()
	defer mu.Unlock()
	var truth []float64 // by the target's own clock
	for i := range events {
		due := d.begun.Add(time.Duration(2*i) * time.Millisecond)
		truth = append(truth, float64(answeredAt[uint64(i)+1].Sub(due).Microseconds())/1000)
	}
	slices.Sort(truth)
	measured := d.Recorder().Operations(1)["keepalive"]
	for _, p := range []struct {
		share    float64
		measured float64
	}{{0.50, measured.ResponseMS.P50}, {0.90, measured.ResponseMS.P90}, {0.99, measured.ResponseMS.P99}} {
		want := truth[int(p.share*events)-1]
		// Below it by the histogram's precision at most; above it by what an
		// answer takes from the target to the driver on a busy machine.
		if p.measured < want*0.998-1 || p.measured > want*1.002+60 {
			t.Errorf("p%v of response time is %.1f ms, in truth %.1f ms", 100*p.share, p.measured, want)
		}
	}
	if truth[int(0.9*events)-1] < 100 {
		t.Errorf("the stall hit too few requests to show anything: p90 is %.1f ms", truth[int(0.9*events)-1])
	}
	if late := measured.ServiceMS.P90; late > measured.ResponseMS.P90/2 {
		t.Errorf("p90 of service time is %.1f ms: waiting for a connection is no service", late)
	}
}

// The first event of a plan is due at 0, which must not read as "not known".
func TestTheFirstEventIsDueAtTheBeginning(t *testing.T) {
	t.Parallel()
	fleet := newScript(line{device: 0, session: 1, kind: viewing.Keepalive})
	fleet.before = func(line) { time.Sleep(150 * time.Millisecond) } // the driver itself is late
	target := newStage(t, 1, accept)
	d := newDrive(fleet, target.urls, nil)
	d.play(t, t.Context())
	if got := d.Recorder().Operations(1)["keepalive"].ResponseMS.Max; got < 149 {
		t.Errorf("response time %v ms of a request that was sent 150 ms after it was due", got)
	}
	if generator, reason := d.Fitness(0); generator.Fit || reason == "" || generator.SendLagMS.P99 < 149 {
		t.Errorf("%+v %q: want unfit, 150 ms late", generator, reason)
	}
}

func TestTriesAnotherNodeAndGivesUpAfterThree(t *testing.T) {
	t.Parallel()
	target := newStage(t, 3, func(w http.ResponseWriter, h heard) {
		switch {
		case h.session == 1 || h.node == 0:
			unavailable(w)
		case h.node == 1:
			reset(w)
		default:
			accept(w, h)
		}
	})
	lines := append(keepalives(0, 1, 0), keepalives(3, 2, 0, 1)...) // devices 0 and 3 begin with node 0
	d := newDrive(newScript(lines...), target.urls, nil)
	d.play(t, t.Context())
	nodes := map[byte][]int{}
	for _, h := range target.requests() {
		nodes[h.session] = append(nodes[h.session], h.node)
	}
	if got, want := fmt.Sprint(nodes), "map[1:[0 1 2] 2:[0 1 2 2]]"; got != want {
		t.Errorf("sessions tried the nodes %s, want %s", got, want)
	}
	d.mustFates(t, map[audit.Fate]int64{audit.Unanswered: 1, audit.Accepted: 2})
	if got := d.Recorder().Operations(1)["keepalive"]; got.Count != 3 || got.Errors != 1 || got.ResponseMS.Max < 2000 {
		t.Errorf("%+v: want 3, 1 of them an error after two waits of a second", got)
	}
	for _, e := range d.log.entries {
		if e.Fate == audit.Unanswered && e.LastSentUS-e.FirstSentUS < 2*retryWait.Microseconds() {
			t.Errorf("first sent at %d µs, last at %d µs: the tries between are not told", e.FirstSentUS, e.LastSentUS)
		}
	}
}

func TestAQueueHoldsTen(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) { <-release; accept(w, h) })
	d := newDrive(newScript(keepalives(0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)...), target.urls, nil)
	played := make(chan struct{})
	go func() { defer close(played); d.Run(t.Context(), func() {}) }()
	eventually(t, "two events are unsent", func() bool { return d.counts.unsent.Load() == 2 })
	close(release)
	<-played
	d.mustBalance(t)
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: queueLimit})
	if load := d.Load(1); load.Unsent != 2 || load.TargetPerS != 12 {
		t.Errorf("load %+v, want 12 due, 2 unsent", load)
	}
	// What was lost was waited for until the end, and is late like all the others.
	recorded := d.Recorder().Operations(1)["keepalive"]
	if least := float64(d.config.Duration.Milliseconds()); recorded.Count != 12 || recorded.Errors != 2 || recorded.ResponseMS.P90 < least {
		t.Errorf("%+v: want 12, 2 of them errors after %v ms", recorded, least)
	}
	if got := d.Recorder().Measurements()[results.OpKeepalive].Service.TotalCount(); got != queueLimit {
		t.Errorf("%d service times of %d that were sent", got, queueLimit)
	}
	if got := d.lag.histogram.TotalCount(); got != 12 {
		t.Errorf("%d samples of the driver's lag, want 12: of what was lost too", got)
	}
	if second := d.Interval(); second.Errors != 2 || second.Count != queueLimit {
		t.Errorf("interval %+v, want 2 errors beside %d answers", second, queueLimit)
	}
}

func TestADenialEndsItsSession(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]viewing.EventType{"start": viewing.Start, "keepalive": viewing.Keepalive} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
				if h.session == 1 {
					<-release
					deny(w, h)
					return
				}
				accept(w, h)
			})
			lines := append([]line{{session: 1, kind: first}}, keepalives(0, 1, 1, 2)...)
			lines = append(lines, keepalives(0, 2, 0)...)
			fleet := newScript(lines...)
			d := newDrive(fleet, target.urls, nil)
			played := make(chan struct{})
			go func() { defer close(played); d.Run(t.Context(), func() {}) }()
			eventually(t, "all is planned", func() bool { return d.counts.due.Load() == 4 })
			close(release)
			<-played
			d.mustBalance(t)
			d.mustFates(t, map[audit.Fate]int64{audit.Denied: 1, audit.Accepted: 1})
			var sessions []byte
			for _, h := range target.requests() {
				if h.isEvent() {
					sessions = append(sessions, h.session)
				}
			}
			if !slices.Equal(sessions, []byte{1, 2}) {
				t.Errorf("heard events of %v, want the denied one and the next session's", sessions)
			}
			if want := []string{"device 0 session 1"}; !slices.Equal(fleet.denied, want) {
				t.Errorf("the fleet heard of %q, want %q", fleet.denied, want)
			}
			if due := d.counts.due.Load(); due != 2 {
				t.Errorf("%d due, want 2: a refused device has nothing more to say", due)
			}
			if ops := d.Recorder().Operations(1); ops[first.String()].Denied != 1 || ops[first.String()].Errors != 0 {
				t.Errorf("%+v: want one denial, which is no error", ops)
			}
		})
	}
}

func TestQuestionsComeWithStartAndStop(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	var once sync.Once
	target := newStage(t, 3, func(w http.ResponseWriter, h heard) {
		switch h.path {
		case "/v1/accounts/2/sessions":
			<-asked // the question waits for no event
		case "/v1/accounts/2/profiles/1/positions/80":
			defer once.Do(func() { close(asked) })
		}
		accept(w, h)
	})
	d := newDrive(newScript(
		line{device: 1, session: 1, kind: viewing.Start},
		line{device: 1, session: 1, seq: 1, kind: viewing.Stop, dueMS: 10},
	), target.urls, nil)
	d.play(t, t.Context())
	var got []string
	for _, h := range target.requests() {
		got = append(got, fmt.Sprintf("%d %s %s", h.node, h.method, h.path))
	}
	slices.Sort(got)
	want := []string{
		"1 GET /v1/accounts/2/profiles/1/continue-watching", "1 GET /v1/accounts/2/profiles/1/positions/80",
		"1 POST /v1/accounts/2/sessions", "1 POST /v1/events",
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	if load := d.Load(1); load.TargetPerS != 2 {
		t.Errorf("load %+v: it is of events", load)
	}
	for _, e := range d.log.entries {
		if want := d.begun.UnixMilli() + 10*int64(e.Seq); int64(e.AtMS) != want {
			t.Errorf("seq %d happened at %d, want %d", e.Seq, e.AtMS, want)
		}
		if e.Type == viewing.Start && e.PositionMS != 4321 {
			t.Errorf("the start begins at %d, want where the target said", e.PositionMS)
		}
	}
}

// What was played without a connection is told as it happened, and nobody is asked.
func TestUploads(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	d := newDrive(newScript(
		line{session: 1, kind: viewing.Start, dueMS: 10, agoMS: 5000},
		line{session: 1, seq: 1, kind: viewing.Stop, dueMS: 10, agoMS: 2000},
	), target.urls, func(c *Config) { c.TimeScale = 2 })
	d.play(t, t.Context())
	for _, h := range target.requests() {
		if h.method != http.MethodPost || h.path != "/v1/events" {
			t.Errorf("heard %s %s", h.method, h.path)
		}
	}
	if n := d.Recorder().Operations(1)["upload"].Count; n != 2 || len(d.log.entries) != 2 {
		t.Errorf("%d uploads, %d in the log, want 2", n, len(d.log.entries))
	}
	for _, e := range d.log.entries {
		want := d.begun.UnixMilli() + 5 - 2500 + 1500*int64(e.Seq) // on our clock, twice as slow
		if int64(e.AtMS) != want || !e.Offline {
			t.Errorf("seq %d happened at %d, offline %v, want %d", e.Seq, e.AtMS, e.Offline, want)
		}
	}
}

// A question that could not be sent in time is late, like an event.
func TestAQuestionIsDueWithItsEvent(t *testing.T) {
	t.Parallel()
	const stall = 300 * time.Millisecond
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if h.isEvent() {
			time.Sleep(stall)
		}
		accept(w, h)
	})
	d := newDrive(newScript(line{session: 1, kind: viewing.Start}), target.urls, func(c *Config) { c.Connections = 1 })
	d.play(t, t.Context())
	if got := d.Recorder().Operations(1)["position"].ResponseMS.Max; got < float64(stall.Milliseconds()) {
		t.Errorf("response time %v ms of a question that waited %v for the only connection", got, stall)
	}
}

func TestTheQueueOfQuestionsHoldsTwo(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
		if !h.isEvent() {
			<-release
		}
		accept(w, h)
	})
	var lines []line
	for i := range byte(4) {
		lines = append(lines, line{session: i, kind: viewing.Start})
	}
	d := newDrive(newScript(lines...), target.urls, nil)
	played := make(chan struct{})
	go func() { defer close(played); d.Run(t.Context(), func() {}) }()
	eventually(t, "the starts are answered", func() bool { return d.log.fates()[audit.Accepted] == 4 })
	eventually(t, "two questions are unsent", func() bool { return d.counts.unasked.Load() == 2 })
	close(release)
	<-played
	d.mustBalance(t)
	ops := d.Recorder().Operations(1)
	if got := ops["position"]; got.Count != 4 || got.Errors != 2 {
		t.Errorf("%+v: want 4 questions, 2 of them errors", got)
	}
	if got := ops["start"]; got.Count != 4 || got.Errors != 0 {
		t.Errorf("%+v: want 4 starts, which wait for no question", got)
	}
	if load := d.Load(1); load.Unsent != 2 || load.TargetPerS != 4 {
		t.Errorf("load %+v, want 4 events due and 2 questions unsent", load)
	}
}

func TestTheWarmUpIsSentAndLoggedButNotMeasured(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	var lines []line
	for i := range int32(40) {
		lines = append(lines, line{dueMS: 10 * int64(i), device: i, session: 1, kind: viewing.Keepalive})
	}
	d := newDrive(newScript(lines...), target.urls, func(c *Config) {
		c.WarmUp, c.Duration = 200*time.Millisecond, 400*time.Millisecond
	})
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 40})
	if got := d.Recorder().Operations(1)["keepalive"].Count; got != 20 {
		t.Errorf("%d measured, want the 20 after the warm-up", got)
	}
	if load := d.Load(1); load.TargetPerS != 20 || load.OfferedPerS != 20 {
		t.Errorf("load %+v, want 20", load)
	}
	// Intervals: the warm-up's last is whole, then comes all that was measured.
	warm, rest := d.Interval(), d.Interval()
	if warm.Count != 20 || rest.Count != 20 || rest.ActiveSessions != 40 || rest.AtS < 0.4 {
		t.Errorf("intervals %+v and %+v, want 20 in each, and 40 sessions that play", warm, rest)
	}
}

// TestEveryScreenIsAsked: the population asks each of the questions that the target
// is there to answer.
func TestEveryScreenIsAsked(t *testing.T) {
	asked := map[results.Op]string{}
	for _, e := range []viewing.Event{{Type: viewing.Start}, {Type: viewing.Pause}, {Type: viewing.Stop, Seq: 2}, {Type: viewing.Stop, Seq: 3}} {
		e.AccountID, e.ProfileID, e.TitleID = 7, 2, 80
		q := new(Driver).newQuestion(comesWith(&e), &e, 5, true)
		asked[q.op] = string(q.path)
	}
	want := map[results.Op]string{
		results.OpPosition:         "/v1/accounts/7/profiles/2/positions/80",
		results.OpActiveSessions:   "/v1/accounts/7/sessions",
		results.OpHistory:          "/v1/accounts/7/profiles/2/history",
		results.OpContinueWatching: "/v1/accounts/7/profiles/2/continue-watching",
	}
	if !maps.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	if q := comesWith(&viewing.Event{Type: viewing.Keepalive}); q != none {
		t.Errorf("a keepalive asks %v", q)
	}
}
