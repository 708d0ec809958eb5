package sim_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	second   = 1000
	minute   = 60 * second
	hour     = 60 * minute
	midnight = viewing.Millis(1_763_942_400_000) // 2025-11-24T00:00:00Z
	prime    = midnight + 20*hour + 30*minute
)

// setting is a fleet to build; zero fields have the defaults of newFleet.
type setting struct {
	scale, shared      float64
	seed, salt         uint64
	start              viewing.Millis
	warmUp, keepalive  int64
	everyPlaybackStops bool
	segment            sim.Segment
}

func newFleet(t testing.TB, s setting) *sim.Fleet {
	t.Helper()
	model, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	if s.everyPlaybackStops {
		model.EndsWithoutStop.Value = 0
		for i := range model.Devices {
			model.Devices[i].Offline = 0
		}
	}
	p, err := population.New(model, population.Options{Seed: s.seed, Scale: s.scale, SharedAccounts: s.shared})
	if err != nil {
		t.Fatal(err)
	}
	if s.start == 0 {
		s.start = prime
	}
	if s.keepalive == 0 {
		s.keepalive = minute
	}
	return sim.NewFleet(p, sim.FleetOptions{Seed: s.seed, Salt: s.salt, StartMS: s.start, WarmUpMS: s.warmUp, KeepaliveMS: s.keepalive, Segment: s.segment})
}

func describe(e *viewing.Event, device int32) string {
	return fmt.Sprintf("%d %v %d %v at=%d account=%d profile=%d device=%d %s title=%d %s runtime=%d resume=%v position=%d played=%d rebuffer=%d %q %v\n",
		device, e.SessionID, e.Seq, e.Type, e.At, e.AccountID, e.ProfileID, e.DeviceID, e.DeviceType, e.TitleID, e.Country,
		e.RuntimeMS, e.ResumePos, e.PositionMS, e.PlayedMS, e.RebufferMS, e.ErrorCode, e.BitrateMS)
}

// digest hashes the next events of f, at most count and up to until, asking for
// step ms at a time.
func digest(f *sim.Fleet, count int, from, until viewing.Millis, step viewing.Millis) string {
	sum := sha256.New()
	var e viewing.Event
	n := 0
	for now := from; ; now = min(now+step, until) {
		for n < count {
			s, ok := f.Next(now, &e)
			if !ok {
				break
			}
			n++
			sum.Write([]byte(describe(&e, s.Device)))
		}
		if now == until || n == count {
			return fmt.Sprintf("%d events %s", n, hex.EncodeToString(sum.Sum(nil)))
		}
	}
}

func TestTheSeedDecidesEveryEvent(t *testing.T) {
	fleet := func(seed uint64) *sim.Fleet {
		return newFleet(t, setting{scale: 1.0 / 50_000, seed: seed, warmUp: minute})
	}
	const until = prime + 3*hour
	want := digest(fleet(1), 1<<30, prime, until, until-prime)
	if strings.HasPrefix(want, "0 ") {
		t.Fatal("no events")
	}
	for _, step := range []viewing.Millis{7919} {
		if got := digest(fleet(1), 1<<30, prime, until, step); got != want {
			t.Errorf("asked every %d ms: got %s, want %s", step, got, want)
		}
	}
	if got := digest(fleet(2), 1<<30, prime, until, hour); got == want {
		t.Error("another seed gives the same events")
	}
}

// Eight segments together are the whole, byte for byte, merged by (due, account).
func TestSegmentsAreTheWhole(t *testing.T) {
	const until, parts = prime + 2*hour, 8
	type line struct {
		due     viewing.Millis
		account uint64
		text    string
	}
	play := func(segment sim.Segment) (lines []line, devices int) {
		f := newFleet(t, setting{scale: 1.0 / 20_000, shared: 0.1, seed: 9, warmUp: minute, segment: segment})
		var e viewing.Event
		for {
			step, ok := f.Next(until, &e)
			if !ok {
				return lines, f.Devices()
			}
			lines = append(lines, line{step.DueMS, e.AccountID, describe(&e, 0)})
		}
	}
	want, devices := play(sim.Segment{})
	var got []line
	for part := 1; part <= parts; part++ {
		lines, of := play(sim.Segment{Part: part, Of: parts})
		if len(lines) < len(want)/(2*parts) {
			t.Errorf("part %d has %d of %d events", part, len(lines), len(want))
		}
		got = append(got, lines...)
		devices -= of
	}
	slices.SortStableFunc(got, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.account, b.account))
	})
	if !slices.Equal(got, want) || devices != 0 {
		t.Errorf("%d events in parts, %d in the whole, which has %d devices more", len(got), len(want), devices)
	}
}

func TestTheFirstEventsAreGolden(t *testing.T) {
	f := newFleet(t, setting{scale: 1.0 / 2000, seed: 1, shared: 0.1, warmUp: minute})
	got := digest(f, 100_000, prime, prime+24*hour, 24*hour) + "\n"
	path := filepath.Join("testdata", "first-events.sha256")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got %swant %s(run with -update when the change is meant)", got, want)
	}
}

// The plan of everybody but the refused must be the same, event for event, and
// the refused device must come back.
func TestADenialSilencesItsSessionAlone(t *testing.T) {
	const until = prime + 3*hour
	refused := map[viewing.SessionID]bool{}
	plan := func(deny bool) (lines []string, active int) {
		f := newFleet(t, setting{scale: 1.0 / 40_000, seed: 5, warmUp: minute})
		var e viewing.Event
		back := map[int32]bool{}
		for {
			step, ok := f.Next(until, &e)
			if !ok {
				break
			}
			if deny && e.Type == viewing.Start && step.Device%7 == 0 && !back[step.Device] {
				back[step.Device] = true
				refused[e.SessionID] = true
				f.Denied(step.Device, e.SessionID)
				f.Denied(step.Device+1, e.SessionID) // not its session
				f.Denied(-1, e.SessionID)            // no such device
				f.Denied(1<<30, e.SessionID)         // no such device
				continue
			}
			if refused[e.SessionID] && deny {
				t.Fatalf("an event after the denial: %s", describe(&e, step.Device))
			}
			if e.Type == viewing.Start { // a refused playback is resumed with its position told
				e.ResumePos, e.PositionMS = false, 0
			}
			lines = append(lines, describe(&e, step.Device))
		}
		return lines, f.Active()
	}
	got, active := plan(true)
	if len(refused) < 10 {
		t.Fatalf("%d refused", len(refused))
	}
	all, allActive := plan(false)
	var want []string
	for _, line := range all {
		session, _ := viewing.ParseSessionID(strings.Fields(line)[1])
		if !refused[session] {
			want = append(want, line)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("event %d: got %swant %s", i, got[i], want[i])
		}
	}
	if active != allActive {
		t.Errorf("%d in progress by plan, want %d", active, allActive)
	}
}

// What the server refused, or has never heard of, it cannot know the position of.
func TestWhatTheServerDoesNotKnowIsNotResumedByIt(t *testing.T) {
	f := newFleet(t, setting{scale: 1.0 / 10_000, seed: 6})
	var e viewing.Event
	starts, halfWay := 0, 0
	for {
		step, ok := f.Next(prime+24*hour, &e)
		if !ok {
			break
		}
		if e.Offline { // nobody refuses what was played already
			continue
		}
		if e.Type != viewing.Start || e.ResumePos {
			t.Fatalf("after nothing but denials: %s", describe(&e, step.Device))
		}
		f.Denied(step.Device, e.SessionID)
		starts++
		halfWay += one(e.PositionMS > 0)
	}
	if starts < 10_000 || halfWay < starts/20 {
		t.Errorf("%d starts, %d of them half-way", starts, halfWay)
	}
}

// With no silent ends, what was told is what is planned.
func TestPlaybacksInProgressAreAnnouncedOverTheWarmUp(t *testing.T) {
	const warmUp = 10 * minute
	f := newFleet(t, setting{scale: 1.0 / 4000, seed: 3, warmUp: warmUp, everyPlaybackStops: true})
	planned := f.Active()
	if want := 1.63 * 4_100_000 / 4000; float64(planned) < 0.85*want || float64(planned) > 1.15*want {
		t.Errorf("%d in progress at 20:30, want about %.0f", planned, want)
	}
	var e viewing.Event
	open := map[viewing.SessionID]bool{}
	for tenth := range viewing.Millis(10) {
		for {
			if _, ok := f.Next(prime+(tenth+1)*warmUp/10, &e); !ok {
				break
			}
			switch e.Type {
			case viewing.Start:
				open[e.SessionID] = true
			case viewing.Stop:
				delete(open, e.SessionID)
			}
		}
		share := float64(len(open)) / float64(planned)
		if want := float64(tenth+1) / 10; share < want-0.1 || share > want+0.1 {
			t.Errorf("after %d tenths of the warm-up %.2f of playbacks are known", tenth+1, share)
		}
	}
	if len(open) != f.Active() {
		t.Errorf("%d sessions are open, %d playbacks in progress", len(open), f.Active())
	}
}

// A ramp of two and a half intervals between keepalives would leave a wave in them: half as
// many again in one half of each minute as in the other.
func TestKeepalivesComeEvenlyAfterTheWarmUp(t *testing.T) {
	const warmUp, measured = 150_000, 3
	f := newFleet(t, setting{scale: 1.0 / 2000, seed: 4, warmUp: warmUp, keepalive: minute})
	var e viewing.Event
	var tenths [10]int
	for {
		step, ok := f.Next(prime+warmUp+measured*minute, &e)
		if !ok {
			break
		}
		if after := step.DueMS - prime - warmUp; after >= 0 && e.Type == viewing.Keepalive {
			tenths[after%minute*10/minute]++
		}
	}
	least, most := slices.Min(tenths[:]), slices.Max(tenths[:])
	if least < 500 || float64(most) > 1.2*float64(least) {
		t.Errorf("keepalives by tenths of a minute: %v, want about as many in each", tenths)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	f := newFleet(t, setting{scale: 1.0 / 10_000, seed: 1})
	var e viewing.Event
	for range 10_000 {
		f.Next(viewing.MaxAt, &e)
	}
	if n := testing.AllocsPerRun(20_000, func() { f.Next(viewing.MaxAt, &e) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func TestOptionsOutOfBoundsAreNamed(t *testing.T) {
	good := sim.FleetOptions{StartMS: prime, KeepaliveMS: minute}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*sim.FleetOptions){
		"start_ms":     func(o *sim.FleetOptions) { o.StartMS = 5 },
		"warm_up_ms":   func(o *sim.FleetOptions) { o.WarmUpMS = -1 },
		"keepalive_ms": func(o *sim.FleetOptions) { o.KeepaliveMS = 0 },
		"segment":      func(o *sim.FleetOptions) { o.Segment = sim.Segment{Part: 3, Of: 2} },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// BenchmarkNext is one event at 1/1000 of netflix-2015, from 20:30 on.
func BenchmarkNext(b *testing.B) {
	f := newFleet(b, setting{scale: 1.0 / 1000, seed: 1, warmUp: minute})
	var e viewing.Event
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, ok := f.Next(viewing.MaxAt, &e); !ok {
			b.Fatal("no event")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// TestASaltChangesNothingButTheIDs plays one plan with and without a salt, with a
// denial here and there.
func TestASaltChangesNothingButTheIDs(t *testing.T) {
	plain, salted := newFleet(t, setting{scale: 1e-5, seed: 5}), newFleet(t, setting{scale: 1e-5, seed: 5, salt: 0xfeed_0000_0000_0001})
	var a, b viewing.Event
	for n := range 3000 {
		first, okA := plain.Next(prime+hour, &a)
		second, okB := salted.Next(prime+hour, &b)
		if !okA || !okB {
			t.Fatalf("the plan ended after %d events", n)
		}
		if a.SessionID[15]^b.SessionID[15] != 1 || a.SessionID[14] != b.SessionID[14] {
			t.Fatalf("ids %v and %v", a.SessionID, b.SessionID)
		}
		if a.Type == viewing.Start && n%7 == 0 {
			plain.Denied(first.Device, a.SessionID)
			salted.Denied(second.Device, b.SessionID)
		}
		b.SessionID = a.SessionID
		if x, y := describe(&a, first.Device), describe(&b, second.Device); x != y {
			t.Fatalf("event %d: %s without a salt, %s with", n, x, y)
		}
	}
}

func TestOnePlan(t *testing.T) {
	for name, c := range map[string]struct {
		shares map[string]float64
		want   int
		one    bool
	}{
		"all of the model": {nil, 0, false},
		"one":              {map[string]float64{"plan_1": 0, "plan_2": 1, "plan_4": 0}, 2, true},
		"two":              {map[string]float64{"plan_1": 0.5, "plan_2": 0.5, "plan_4": 0}, 0, false},
	} {
		model, err := population.Named("netflix-2015")
		if err != nil {
			t.Fatal(err)
		}
		if err := model.Set(c.shares); err != nil {
			t.Fatal(err)
		}
		people, err := population.New(model, population.Options{Seed: 1, Scale: 1e-5})
		if err != nil {
			t.Fatal(err)
		}
		var done []float64
		f := sim.NewFleet(people, sim.FleetOptions{
			Seed: 1, StartMS: 1_448_000_000_000, KeepaliveMS: 60_000, Progress: func(share float64) { done = append(done, share) },
		})
		if streams, one := f.OnePlan(); streams != c.want || one != c.one {
			t.Errorf("%s: %d %v, want %d %v", name, streams, one, c.want, c.one)
		}
		if len(done) < 10 || !slices.IsSorted(done) || done[0] != 0 || done[len(done)-1] > 1 {
			t.Errorf("%s: told to be done %v", name, done)
		}
		for _, account := range f.Accounts() {
			if c.one && account.MaxStreams != c.want {
				t.Fatalf("%s: account %d has %d streams", name, account.ID, account.MaxStreams)
			}
		}
	}
}
