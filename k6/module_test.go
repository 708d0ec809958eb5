package k6

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.k6.io/k6/js/modulestest"
	"go.k6.io/k6/lib"
	"go.k6.io/k6/lib/netext"
	"go.k6.io/k6/lib/types"
	"go.k6.io/k6/metrics"

	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/sim/target/targettest"
)

var program string

func TestMain(m *testing.M) { targettest.Main(m, &program) }

// serve starts a server of one node until the test ends.
func serve(t *testing.T, keepalive, lease time.Duration) string {
	t.Helper()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: program, DataDir: t.TempDir(), LogDir: t.TempDir(), Nodes: 1, Keepalive: keepalive, Lease: lease, DefaultStreams: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster.URLs()[0]
}

// vu is a VU of k6's with the module in it.
type vu struct {
	*modulestest.Runtime
	module  *Module
	state   *lib.State
	samples chan metrics.SampleContainer
	log     *logtest.Hook
}

func newVU(t *testing.T) *vu {
	t.Helper()
	v := &vu{Runtime: modulestest.NewRuntime(t), module: New(), samples: make(chan metrics.SampleContainer, 10_000)}
	if err := v.VU.Runtime().Set("playhead", v.module.NewModuleInstance(v.VU).Exports().Default); err != nil {
		t.Fatal(err)
	}
	var logger *logrus.Logger
	logger, v.log = logtest.NewNullLogger()
	resolver := netext.NewResolver(net.LookupIP, 0, types.DNSfirst, types.DNSpreferIPv4)
	v.state = &lib.State{
		Dialer: netext.NewDialer(net.Dialer{}, resolver), Samples: v.samples, Logger: logger, TestStatus: lib.NewTestStatus(),
		Tags: lib.NewVUStateTags(v.VU.InitEnv().Registry.RootTagSet().With("scenario", "default").With("group", "g")),
	}
	return v
}

// init runs what stands where a script begins, and moves the VU to where functions run.
func (v *vu) init(t *testing.T, script string) {
	t.Helper()
	if _, err := v.VU.Runtime().RunString(script); err != nil {
		t.Fatal(err)
	}
	v.MoveToVUContext(v.state)
}

// run runs a function's body, which may await, and returns what it says.
func (v *vu) run(t *testing.T, body string) string {
	t.Helper()
	said, err := v.try(t, body)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func (v *vu) try(t *testing.T, body string) (said string, err error) {
	t.Helper()
	_, err = v.RunOnEventLoop("var said = ''; (async () => { said = await (async () => {" + body + "})(); })().catch((e) => { said = 'threw: ' + e; });")
	if s := v.VU.Runtime().Get("said"); s != nil {
		said = s.String()
	}
	return said, err
}

// sums adds up the samples so far: of a metric, and of an operation's.
func (v *vu) sums() (sums map[string]float64, counts map[string]int) {
	sums, counts = map[string]float64{}, map[string]int{}
	for {
		select {
		case container := <-v.samples:
			for _, s := range container.GetSamples() {
				names := []string{s.Metric.Name}
				if op, ok := s.Tags.Get(operationTag); ok {
					names = append(names, s.Metric.Name+"{"+op+"}")
				}
				for _, name := range names {
					counts[name]++
					if s.Metric.Type == metrics.Gauge {
						sums[name] = s.Value
					} else {
						sums[name] += s.Value
					}
				}
			}
		default:
			return sums, counts
		}
	}
}

func TestADevicePlaysByHand(t *testing.T) {
	t.Parallel()
	url := serve(t, time.Minute, 150*time.Second)
	v := newVU(t)
	v.init(t, `const device = (n) => new playhead.Device({target: '`+url+`', account: 42, profile: 1, device: n, title: 80, type: 'tv', runtime: 2940000});
		const tv = device(1), phone = device(2), tablet = device(3);`)
	for _, step := range []struct{ do, want string }{
		{`return JSON.stringify(tv.position())`, `null`},
		{`const a = tv.start({position: 1000}); return [a.denied, a.position_ms, a.keepalive_ms, a.session_id.length, a.session_id[14]].join()`, `false,1000,60000,36,7`},
		{`return tv.keepalive({position: 61000}).status`, `accepted`},
		{`return phone.start({position: 0}).denied`, `false`},
		{`const a = tablet.start(); return [a.denied, a.max_streams, a.active.map((s) => s.device_id).sort()].join()`, `true,2,1,2`},
		{`return tablet.keepalive({position: 1}).status`, `denied`},
		{`return tv.activeSessions().active.length`, `2`},
		{`return [tv.pause().status, tv.resume().status, tv.seek({position: 900000}).status, tv.telemetry({bitrate: {'5800': 50000, '3000': 10000}, rebuffer: 20}).status, tv.error({code: 'E1'}).status].join()`, `accepted,accepted,accepted,accepted,accepted`},
		{`return JSON.stringify(tv.stop({position: 910000}))`, `{"status":"accepted"}`},
		{`return tv.position().position_ms`, `910000`},
		{`const v = tv.history().views.find((v) => v.device_id === 1); return [v.title_id, v.played_ms, v.position_ms].join()`, `80,70000,910000`},
		{`return tv.continueWatching().views.length`, `1`},
		{`return tv.start().position_ms`, `910000`},
		{`return tv.stop({position: 911000}).status`, `accepted`},
		{`return tv.keepalive()`, `threw: GoError: Device: keepalive: nothing plays: call start() first`},
		{`return tv.start({postion: 1})`, `threw: GoError: Device: start: postion: an event has no such option; expected position, played, rebuffer, bitrate or code`},
		{`return tv.start({position: -1})`, `threw: GoError: Device: start: position: expected milliseconds from 0 to 10000000000, got -1`},
	} {
		if got := v.run(t, step.do); !strings.HasPrefix(got, step.want) {
			t.Errorf("%s:\n got %s\nwant %s", step.do, got, step.want)
		}
	}
	v.module.callers.flush()
	sums, counts := v.sums()
	for name, want := range map[string]float64{
		"playhead_events{start}": 4, "playhead_denied{start}": 1, "playhead_events{keepalive}": 2, "playhead_denied": 2,
		"playhead_events{stop}": 2, "playhead_reads": 5, "playhead_errors": 0, "playhead_denied_rate{start}": 0.25,
	} {
		if sums[name] != want {
			t.Errorf("%s = %v, want %v", name, sums[name], want)
		}
	}
	if got := counts["playhead_response_ms{start}"]; got != 4 {
		t.Errorf("%d response times of 4 starts", got)
	}
	if v.log.LastEntry() != nil {
		t.Errorf("logged %q", v.log.LastEntry().Message)
	}
}

// Nothing is asked where a script begins, and what cannot be answered is one sentence.
func TestADeviceSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	v := newVU(t)
	for script, want := range map[string]string{
		`new playhead.Device({target: 'http://127.0.0.1:1', device: 1, title: 1})`:                        "Device: account: expected an integer from 1 to 9007199254740991, got nothing",
		`new playhead.Device({target: 'http://127.0.0.1:1', account: 1.5, device: 1, title: 1})`:          "Device: account: expected an integer",
		`new playhead.Device({target: 'here', account: 1, device: 1, title: 1})`:                          "Device: target: expected a URL",
		`new playhead.Device({target: 'http://127.0.0.1:1', account: 1, device: 1, title: 1, acount: 2})`: "Device: acount: a Device has no such option",
		`new playhead.Device(7)`: "Device: expected an object of options, got 7",
		`new playhead.Device({target: 'http://127.0.0.1:1', account: 1, device: 1, title: 1}).start()`: "Device: start: expected to be called from a function that k6 runs",
		`new playhead.Fleet({target: 'http://127.0.0.1:1'}).run('1s')`:                                 "Fleet: run: expected to be called from a function that k6 runs",
		`new playhead.Fleet({target: 'http://127.0.0.1:1'}).run('soon')`:                               "Fleet: run: expected a time such as '10s'",
		`new playhead.Fleet({target: 'http://127.0.0.1:1'}).audit()`:                                   "Fleet: audit: nothing was played",
		`new playhead.Fleet({target: 'http://127.0.0.1:1', scale: 'x'})`:                               "Fleet: scale:",
		`playhead.options('name: x\npopulation: {model: netflix-2015}\nduration: 0s')`:                 "options: scenario:3:",
		`playhead.Device.prototype.start.call({})`:                                                     "Device: expected its method to be called on a Device",
	} {
		_, err := v.VU.Runtime().RunString(script)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word of %q", script, err, want)
		}
	}
	v.init(t, `const tv = new playhead.Device({target: 'http://127.0.0.1:1', account: 1, device: 1, title: 1})`)
	if got := v.run(t, `return tv.start()`); !strings.HasPrefix(got, "threw: GoError: Device: start: 127.0.0.1:1 does not answer: dial tcp 127.0.0.1:1: connect: connection refused") {
		t.Errorf("got %q", got)
	}
	v.module.callers.flush()
	if sums, _ := v.sums(); sums["playhead_errors{start}"] != 1 {
		t.Errorf("an unreachable target is no error: %v", sums)
	}
}

const littleFleet = `scale: '1/60000', seed: 3, timeScale: 60, warmUp: '500ms', connections: 8`

func TestAFleetPlaysInTurnsAndIsAudited(t *testing.T) {
	t.Parallel()
	url := serve(t, time.Second, 2500*time.Millisecond)
	v := newVU(t)
	out := t.TempDir()
	v.init(t, `const fleet = new playhead.Fleet({target: '`+url+`', out: '`+out+`', `+littleFleet+`});`)
	said := v.run(t, `
		const first = await fleet.run('1s');
		const second = await fleet.run(1500);
		const found = await fleet.audit();
		return JSON.stringify([first.operations <= second.operations, second.operations > 0, found.sessions > 0, found.violations, found.out]);`)
	if want := `[true,true,true,0,"` + out + `"]`; said != want {
		t.Errorf("got %s, want %s", said, want)
	}
	sums, counts := v.sums()
	if sums["playhead_events"] == 0 || sums["playhead_audited_sessions"] == 0 || counts["playhead_response_ms"] == 0 {
		t.Errorf("samples %v", sums)
	}
	for _, name := range []string{"playhead_violations", "playhead_lost", "playhead_over_admissions", "playhead_active_sessions"} {
		if counts[name] == 0 || sums[name] != 0 {
			t.Errorf("%s = %v of %d samples, want 0 at the end", name, sums[name], counts[name])
		}
	}
	if operations := sums["playhead_events"] + sums["playhead_reads"]; float64(counts["playhead_response_ms"]) != operations {
		t.Errorf("%d response times of %v operations", counts["playhead_response_ms"], operations)
	}
	if got := v.run(t, `return await fleet.run('1s')`); !strings.Contains(got, "the fleet was audited") {
		t.Errorf("a run after the audit: %s", got)
	}
}

// A fleet that cannot play says so once, fails the test, and does not let a script spin.
func TestAFleetWithoutATargetFails(t *testing.T) {
	t.Parallel()
	v := newVU(t)
	v.init(t, `const fleet = new playhead.Fleet({target: 'http://127.0.0.1:1', `+littleFleet+`});`)
	begun := time.Now()
	got := v.run(t, `
		let said = [];
		for (let i = 0; i < 2; i++) { try { await fleet.run('1s') } catch (e) { said.push(String(e)) } }
		return said.join('|');`)
	said := strings.Split(got, "|")
	if len(said) != 2 || said[0] != said[1] || !strings.Contains(said[0], "Fleet: run: target http://127.0.0.1:1:") || !strings.Contains(said[0], "connection refused") {
		t.Errorf("said %q", said)
	}
	if len(v.log.AllEntries()) != 1 || !v.state.TestStatus.Failed() {
		t.Errorf("%d lines logged, test failed: %v", len(v.log.AllEntries()), v.state.TestStatus.Failed())
	}
	if took := time.Since(begun); took < restAfterFailure {
		t.Errorf("two tries took %v: a script that goes on spins", took)
	}
}

// What a fleet does ends with its VU's context, within a second.
func TestAFleetEndsWithItsVU(t *testing.T) {
	t.Parallel()
	url := serve(t, time.Second, 2500*time.Millisecond)
	v := newVU(t)
	v.init(t, `const fleet = new playhead.Fleet({target: '`+url+`', `+littleFleet+`});`)
	v.run(t, `await fleet.run('100ms')`)
	ended := make(chan time.Time, 1)
	time.AfterFunc(200*time.Millisecond, func() { ended <- time.Now(); v.CancelContext() })
	got := v.run(t, `return await fleet.run('1h')`)
	if took := time.Since(<-ended); took > 5*time.Second || !strings.Contains(got, "the test has ended before it") {
		t.Errorf("it took %v, and said %q", took, got)
	}
	if len(v.log.AllEntries()) > 1 {
		t.Errorf("logged %v", v.log.AllEntries())
	}
}

func TestOneThingAtATime(t *testing.T) {
	t.Parallel()
	url := serve(t, time.Second, 2500*time.Millisecond)
	v := newVU(t)
	v.init(t, `const fleet = new playhead.Fleet({target: '`+url+`', `+littleFleet+`});`)
	got := v.run(t, `const first = fleet.run('500ms'); let said = ''; try { fleet.audit() } catch (e) { said = String(e) } await first; return said;`)
	if !strings.Contains(got, "audit: run has not ended yet: await it") {
		t.Errorf("got %q", got)
	}
}
