package plan

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/viewing"
)

func parse(t *testing.T, text string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTimesOfThePopulationBecomeThoseOfTheWall(t *testing.T) {
	t.Parallel()
	s := parse(t, "name: x\npopulation: {model: netflix-2015}\nstart_at: \"20:30\"\nduration: 60s\nwarm_up: 2s\ntime_scale: 60\n")
	if Keepalive(s) != time.Second || Lease(s) != 2500*time.Millisecond || WarmUpMS(s) != 120_000 {
		t.Errorf("keepalive %v, lease %v, warm-up %d ms of the plan", Keepalive(s), Lease(s), WarmUpMS(s))
	}
	if got := time.UnixMilli(int64(StartMS(s))).UTC().Format("Mon 15:04"); got != "Fri 20:30" {
		t.Errorf("the plan begins %s", got)
	}
	if d := Driver(s); d.Lease != Lease(s) || d.StartMS != StartMS(s) || d.Duration != time.Minute {
		t.Errorf("the driver is told %+v", d)
	}
}

// The parts of a fleet play what the whole plays.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	s := parse(t, "name: x\npopulation: {model: netflix-2015, scale: 1/200000}\ntime_scale: 60\n")
	people, err := Population(s)
	if err != nil {
		t.Fatal(err)
	}
	events := func(segment sim.Segment) (n int) {
		fleet, err := Fleet(people, s, segment, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		var e viewing.Event
		for until := StartMS(s) + 600_000; ; n++ {
			if _, more := fleet.Next(until, &e); !more {
				return n
			}
		}
	}
	whole := events(sim.Segment{})
	if halves := events(sim.Segment{Part: 1, Of: 2}) + events(sim.Segment{Part: 2, Of: 2}); whole == 0 || halves != whole {
		t.Errorf("%d events of the halves, %d of the whole", halves, whole)
	}
}

func TestTermsThatAreNotTheScenariosAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		terms driver.Terms
		ok    bool
	}{
		{driver.Terms{Keepalive: time.Second, Lease: 2500 * time.Millisecond}, true},
		{driver.Terms{Keepalive: time.Second, Lease: 3500 * time.Millisecond}, true},
		{driver.Terms{Keepalive: time.Second, Lease: 9 * time.Second, Took: 7 * time.Second}, true},
		{driver.Terms{Keepalive: time.Second, Lease: 9 * time.Second}, false},
		{driver.Terms{Keepalive: 2 * time.Second, Lease: 2500 * time.Millisecond}, false},
		{driver.Terms{Keepalive: time.Second, Lease: math.MaxInt64}, false},
	} {
		err := CheckTerms(tc.terms, time.Second, 2500*time.Millisecond)
		if (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), "--keepalive 1s --lease 2.5s") {
			t.Errorf("%+v: %v", tc.terms, err)
		}
	}
}

// TestTermsAreAskedAgain: a lease begins somewhere between the question and the answer, so
// that a slow answer tells little of it, and the next may tell more.
func TestTermsAreAskedAgain(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, tc := range []struct {
		took  []time.Duration // of the answers; below 0: it is an error
		asked int
		best  time.Duration
	}{
		{[]time.Duration{1}, 1, 1},
		{[]time.Duration{9, 2}, 2, 2},
		{[]time.Duration{9, 7, 8}, 3, 7},
		{[]time.Duration{9, -1}, 2, -1},
	} {
		asked := 0
		terms, err := quickest(func() (driver.Terms, error) {
			took := tc.took[asked]
			asked++
			if took < 0 {
				return driver.Terms{Took: took}, refused
			}
			return driver.Terms{Took: took}, nil
		}, 2)
		if asked != tc.asked || terms.Took != tc.best || (err != nil) != (tc.best < 0) {
			t.Errorf("%v: asked %d times, the best took %v, %v", tc.took, asked, terms.Took, err)
		}
	}
}
