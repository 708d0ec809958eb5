package drivertest

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/viewing"
)

// attempts a right driver has: what the machine does meanwhile is off one time and not
// the next, what a driver does wrong it does every time.
const attempts = 3

// freeze is 1 s in every 5, of a plan of 500 events/s for 20 s.
var freeze = Freeze{Period: 5 * time.Second, Frozen: time.Second}

// connections to it: fewer than are due while it stands still, so that the driver is
// what makes the others wait.
const connections = 192

func newFrozenPlan() *Steady { return &Steady{Every: 2 * time.Millisecond, Events: 10_000, Each: 2000} }

// draws are the delays of a plan of 200 events/s for 10 s: long ones, so that a process
// that waits for its turn is not what the maximum tells.
var draws = map[string][]time.Duration{
	"constant":    Draws(Constant(time.Second), 1, 2000),
	"uniform":     Draws(Uniform(500*time.Millisecond, 1500*time.Millisecond), 2, 2000),
	"exponential": Draws(Exponential(500*time.Millisecond), 3, 2000),
}

func newDrawnPlan() *Steady { return &Steady{Every: 5 * time.Millisecond, Events: 2000, Each: 2000} }

// targetVariable names the target that the test's binary is, when it is one.
const targetVariable = "PLAYHEAD_TEST_TARGET"

// atOnce is how many tests run at once, whatever the processors: they wait most of the
// time.
const atOnce = "5"

func TestMain(m *testing.M) {
	if name := os.Getenv(targetVariable); name != "" {
		if err := serve(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := flag.Set("test.parallel", atOnce); err != nil { // -parallel still wins
		panic(err)
	}
	os.Exit(m.Run())
}

func serve(name string) error {
	delay := freeze.Delay
	if name != "freeze" {
		delay = DelayOf(draws[name])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return NewTarget(delay).Serve(l)
}

// startTarget starts a target in a process of its own, which ends with the test.
func startTarget(t *testing.T, name string) (url string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), targetVariable+"="+name)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	told, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	address, err := bufio.NewReader(told).ReadString('\n')
	if err != nil {
		t.Fatalf("the target did not tell its address: %v", err)
	}
	return "http://" + strings.TrimSpace(address)
}

// reading is what a driver recorded of a run that began then.
type reading struct {
	results.Operation
	begun time.Time
}

type noLog struct{}

func (noLog) Add(audit.Entry)          {}
func (noLog) AddAll([]audit.Entry)     {}
func (noLog) AddReading(audit.Reading) {}

func read(t *testing.T, url string, connections int, fleet driver.Fleet, length time.Duration, log driver.Log) (r reading) {
	t.Helper()
	d, err := driver.New(driver.Config{
		Fleet: fleet, StartMS: StartMS, Targets: []string{url}, Connections: connections,
		Timeout: 10 * time.Second, TimeScale: 1, Duration: length, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Run(t.Context(), func() { r.begun = time.Now() })
	r.Operation = d.Recorder().Operations(length.Seconds())["keepalive"]
	return r
}

// mustRead reads a plan to whose every event the target said yes.
func mustRead(t *testing.T, url string, connections int, plan *Steady) reading {
	t.Helper()
	r := read(t, url, connections, plan, plan.Length(), noLog{})
	if r.Count != int64(plan.Events) || r.Errors != 0 {
		t.Fatalf("%d events and %d errors, want %d and none", r.Count, r.Errors, plan.Events)
	}
	return r
}

// mustNotMiss tells what the last attempt missed, unless one misses nothing.
func mustNotMiss(t *testing.T, attempt func() []string) {
	t.Helper()
	for n := 1; ; n++ {
		misses := attempt()
		if len(misses) == 0 {
			return
		}
		if n == attempts {
			t.Errorf("attempt %d of %d: %s", n, attempts, strings.Join(misses, ", "))
			return
		}
		t.Logf("attempt %d of %d: %s", n, attempts, strings.Join(misses, ", "))
	}
}

// TestATargetThatFreezes: what is due while it stands still waits, most of it in the
// driver, for a connection.
func TestATargetThatFreezes(t *testing.T) {
	t.Parallel()
	url := startTarget(t, "freeze")
	mustNotMiss(t, func() []string {
		plan := newFrozenPlan()
		r := mustRead(t, url, connections, plan)
		truth := PercentilesOf(freeze.Truth(plan.DueOfAll(r.begun)))
		t.Logf("truth %+v", truth)
		t.Logf("response %+v", r.ResponseMS)
		t.Logf("service %+v", r.ServiceMS)
		if truth.P90 < 450 || truth.P99 < 900 || truth.Max < 990 {
			t.Errorf("truth %+v: the target did not freeze", truth)
		}
		// A driver that counted from when it sent would say what this one says of
		// service times.
		if len(Misses(r.ServiceMS, truth)) == 0 {
			t.Errorf("service times %+v pass for response times, which are %+v in truth", r.ServiceMS, truth)
		}
		return Misses(r.ResponseMS, truth)
	})
}

// omitting plays as a closed loop does: a device that waits for its answer says nothing,
// and what it says late is due when it says it. It is its driver's log as well, which
// tells it of the answers.
type omitting struct {
	*Steady
	at      viewing.Millis
	waiting []atomic.Bool
}

func (o *omitting) Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool) {
	device := o.said % o.Each
	if o.at > until || o.waiting[device].Load() {
		return sim.Step{}, false
	}
	if late := until - o.at; late > 10 {
		o.at = until
	}
	due := o.at
	o.waiting[device].Store(true)
	o.said++
	o.at += viewing.Millis(o.Every.Milliseconds())
	KeepaliveOf(device, uint32(o.said/o.Each), due, e)
	return sim.Step{DueMS: due, Device: int32(device), Type: viewing.Keepalive}, true
}

func (o *omitting) Add(e audit.Entry)        { o.waiting[e.Account-1].Store(false) }
func (o *omitting) AddAll([]audit.Entry)     {}
func (o *omitting) AddReading(audit.Reading) {}

// TestCoordinatedOmissionIsSeen: the check can fail.
func TestCoordinatedOmissionIsSeen(t *testing.T) {
	t.Parallel()
	url := startTarget(t, "freeze")
	plan := newFrozenPlan()
	closed := &omitting{Steady: &Steady{Every: plan.Every, Each: 8}, at: StartMS, waiting: make([]atomic.Bool, 8)}
	r := read(t, url, connections, closed, plan.Length(), closed)
	if r.Count < 1000 || r.Errors != 0 {
		t.Fatalf("%+v: it hardly played", r.Operation)
	}
	truth := PercentilesOf(freeze.Truth(plan.DueOfAll(r.begun)))
	t.Logf("truth %+v", truth)
	t.Logf("response %+v", r.ResponseMS)
	if misses := Misses(r.ResponseMS, truth); len(misses) < 2 {
		t.Errorf("a closed loop passes for an open one: %+v, in truth %+v, misses %q", r.ResponseMS, truth, misses)
	}
}

// TestKnownDelays: with a connection free for every event, the delays are the service
// times and the response times.
func TestKnownDelays(t *testing.T) {
	t.Parallel()
	for name, delays := range draws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			truth := PercentilesOf(delays)
			mustNotMiss(t, func() []string {
				r := mustRead(t, startTarget(t, name), 512, newDrawnPlan())
				t.Logf("truth %+v", truth)
				t.Logf("response %+v", r.ResponseMS)
				t.Logf("service %+v", r.ServiceMS)
				misses := append(Misses(r.ServiceMS, truth), Misses(r.ResponseMS, truth)...)
				if slower := Misses(r.ServiceMS, PercentilesOf(times(1.12, delays))); len(slower) != 4 {
					misses = append(misses, fmt.Sprintf("service times pass for those of a target that is an eighth slower, which misses no more than %q", slower))
				}
				return misses
			})
		})
	}
}

func times(factor float64, delays []time.Duration) []time.Duration {
	longer := make([]time.Duration, len(delays))
	for i, d := range delays {
		longer[i] = time.Duration(factor * float64(d))
	}
	return longer
}
