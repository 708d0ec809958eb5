package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/sim/target/targettest"
)

// The programs of this tree, built once: playhead, the same with a server that can be
// broken, and k6.
var playhead, breakable, program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "playhead-k6-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	playhead, breakable, program = filepath.Join(dir, "playhead"), filepath.Join(dir, "breakable"), filepath.Join(dir, "k6")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, ".")
	output, err := build.CombinedOutput()
	if err = errors.Join(err, targettest.Build(playhead), targettest.Build(breakable, "-tags", "sabotage")); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// serve starts a cluster with a lease of two and a half keepalives until the test ends.
func serve(t *testing.T, nodes int, keepalive time.Duration, binary string, env ...string) *target.Cluster {
	t.Helper()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: binary, DataDir: t.TempDir(), LogDir: t.TempDir(), Nodes: nodes,
		Keepalive: keepalive, Lease: keepalive * 5 / 2, DefaultStreams: 2, Env: env,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

// ran is what k6 did.
type ran struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// play runs a script with k6.
func play(t *testing.T, script string, args ...string) ran {
	t.Helper()
	return wait(t, command(t, script, args...), nil)
}

func command(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, program, append([]string{"run", "--no-usage-report", "--no-color", "--address", "127.0.0.1:0"}, append(args, script)...)...)
	c.Env = append(os.Environ(), "K6_WEB_DASHBOARD=false")
	return c
}

// wait runs a command that meanwhile may disturb.
func wait(t *testing.T, c *exec.Cmd, meanwhile func(p *os.Process, told *said)) (r ran) {
	t.Helper()
	var stdout, stderr said
	c.Stdout, c.Stderr = &stdout, &stderr
	begun := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile(c.Process, &stderr)
	}
	err := c.Wait()
	r = ran{c.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(begun)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if strings.Contains(r.stderr+r.stdout, "goroutine ") {
		t.Errorf("a trace of a panic:\n%s", r.stderr)
	}
	return r
}

// said is what a program has written so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// mustSay waits until the program has written a text.
func (s *said) mustSay(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("it never said %q", text)
			return
		}
	}
}

// mustPass says whether every threshold held, or all but whether this machine let the
// generator be on time, which is no business of the test's.
func (r ran) mustPass(t *testing.T) {
	t.Helper()
	unfit := strings.Contains(r.stderr, "there is no verdict: the driver ") || strings.Contains(r.stderr, "there is no verdict: one request in 100 was sent")
	if unfit && (r.code == 110 || r.code == 99 && strings.Contains(r.stderr, "thresholds on metrics 'playhead_unfit' have been crossed")) {
		t.Log("the generator was unfit on this machine")
		return
	}
	if r.code != 0 {
		t.Errorf("exit code %d:\n%s\n%s", r.code, r.stdout, r.stderr)
	}
}

const scripts = "../../../scenarios/k6/"

// Each script plays against a server of its terms, and passes its thresholds.
func TestTheScriptsPass(t *testing.T) {
	t.Parallel()
	for script, of := range map[string]struct {
		keepalive time.Duration
		args      []string
	}{
		"prime-time.js": {time.Second, []string{"-e", "DURATION=6s", "-e", "SCALE=1/40000"}},
		"premiere.js":   {3 * time.Second, []string{"-e", "DURATION=6s", "-e", "SCALE=1/60000"}},
		"soak.js":       {time.Second, []string{"-e", "DURATION=6s", "-e", "SCALE=1/40000"}},
		"sharing.js":    {time.Minute, []string{"-e", "ITERATIONS=3"}},
		"binge.js":      {time.Minute, []string{"-e", "ITERATIONS=1"}},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			url := serve(t, 1, of.keepalive, playhead).URLs()[0]
			r := play(t, scripts+script, append([]string{"-e", "TARGET=" + url}, of.args...)...)
			r.mustPass(t)
			for _, column := range []string{"p(99)=", "p(99.9)="} {
				if !strings.Contains(r.stdout, column) {
					t.Errorf("the summary has no %s", column)
				}
			}
		})
	}
}

// A leader is killed while a fleet plays: the script sees another, and nothing is lost.
func TestALeaderIsLost(t *testing.T) {
	t.Parallel()
	cluster := serve(t, 3, time.Minute, playhead)
	// The script bounds the share of errors: of a handful of operations, two that an election outlasts are too many.
	c := command(t, scripts+"leader-loss.js", "-e", "TARGET="+strings.Join(cluster.URLs(), ","), "-e", "SECONDS=10", "-e", "SCALE=1/4000")
	r := wait(t, c, func(_ *os.Process, told *said) {
		told.mustSay(t, "leads now") // the script sees,
		told.mustSay(t, "the fleet plays")
		leader, err := cluster.Leader(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if err := leader.Kill(); err != nil {
			t.Error(err)
			return
		}
		for another, deadline := leader, time.Now().Add(20*time.Second); another == nil || another.ID == leader.ID; another, _ = cluster.Leader(t.Context()) {
			if time.Now().After(deadline) {
				t.Error("nobody else came to lead")
				break
			}
		}
		if err := leader.Start(); err != nil {
			t.Error(err)
		}
	})
	r.mustPass(t)
	if strings.Count(r.stderr, "leads now") < 2 {
		t.Errorf("nobody saw the leader change:\n%s", r.stderr)
	}
}

// A server that admits over the limit is caught, by a threshold.
func TestABrokenServerIsCaught(t *testing.T) {
	t.Parallel()
	url := serve(t, 1, time.Second, breakable, "PLAYHEAD_SABOTAGE=ignore-limit").URLs()[0]
	script := write(t, `
import playhead from 'k6/x/playhead';
const fleet = new playhead.Fleet({ target: '`+url+`', scale: '1/20000', timeScale: 60, warmUp: '1s', sharedAccounts: 0.9 });
export const options = { thresholds: { playhead_over_admissions: ['count==0'] } };
export default async function () { await fleet.run('6s'); await fleet.audit(); }
`)
	if r := play(t, script); r.code != 99 || !strings.Contains(r.stderr, "playhead_over_admissions") {
		t.Errorf("exit code %d, want 99:\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	unwatched := write(t, strings.ReplaceAll(string(read(t, script)), "thresholds: { playhead_over_admissions: ['count==0'] }", ""))
	if r := play(t, unwatched); r.code != 110 || !strings.Contains(r.stderr, "answers were wrong") {
		t.Errorf("without a threshold: exit code %d, want 110:\n%s\n%s", r.code, r.stdout, r.stderr)
	}
}

// Two processes that play a half each are one that plays the whole: in events, and in what
// was audited. There is no warm-up: what is due about its end is measured or not as the
// script's clock has it.
func TestTwoHalvesAreTheWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := write(t, `
import playhead from 'k6/x/playhead';
const fleet = new playhead.Fleet({ target: __ENV.TARGET, scale: '1/40000', timeScale: 60, warmUp: '0s', sharedAccounts: 0, out: __ENV.OUT });
export const options = { scenarios: { play: { executor: 'per-vu-iterations', vus: 2, iterations: 1 } }, thresholds: { playhead_violations: ['count==0'] } };
export default async function () { await fleet.run('5s'); await fleet.audit(); }
`)
	url := serve(t, 1, time.Second, playhead).URLs()[0]
	halves := make(chan ran, 2)
	for _, segment := range []string{"0:1/2", "1/2:1"} {
		c := command(t, script, "--execution-segment", segment, "--execution-segment-sequence", "0,1/2,1", "-e", "TARGET="+url, "-e", "OUT="+dir+"/halves")
		go func() { halves <- wait(t, c, nil) }()
	}
	for range 2 {
		(<-halves).mustPass(t)
	}
	one := serve(t, 1, time.Second, playhead).URLs()[0]
	play(t, script, "-e", "TARGET="+one, "-e", "OUT="+dir+"/one").mustPass(t)
	joined, whole := report(t, dir+"/halves/1-of-2", dir+"/halves/2-of-2"), report(t, dir+"/one/1-of-2", dir+"/one/2-of-2")
	if len(joined.Operations) == 0 || joined.Audit.Sessions == 0 {
		t.Fatalf("nothing was played: %+v", joined)
	}
	for name, operation := range whole.Operations {
		if got := joined.Operations[name]; got.Count != operation.Count {
			t.Errorf("%s: %d of the halves, %d of the whole", name, got.Count, operation.Count)
		}
	}
	a, b := joined.Audit, whole.Audit
	if a.Sessions != b.Sessions || a.EventsAcknowledged != b.EventsAcknowledged || a.Accounts != b.Accounts || a.Violations()+b.Violations() > 0 {
		t.Errorf("the audits differ: %d sessions, %d events of %d accounts, and %d, %d of %d",
			a.Sessions, a.EventsAcknowledged, a.Accounts, b.Sessions, b.EventsAcknowledged, b.Accounts)
	}
}

// report joins the folders of parts, as playhead does.
func report(t *testing.T, dirs ...string) (run results.Run) {
	t.Helper()
	out, err := exec.Command(playhead, append([]string{"report", "--json"}, dirs...)...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != results.ExitVoid) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if err := json.Unmarshal(out, &run); err != nil {
		t.Fatal(err)
	}
	return run
}

// What devices measure reaches k6 to the last sample, and its summary, thresholds, tags
// and files.
func TestMetricsReachK6(t *testing.T) {
	t.Parallel()
	url := serve(t, 1, time.Minute, playhead).URLs()[0]
	out := filepath.Join(t.TempDir(), "out.json")
	script := write(t, `
import playhead from 'k6/x/playhead';
export const options = { thresholds: { 'playhead_events{operation:keepalive}': ['count==7'], 'playhead_response_ms{operation:start}': ['max<10000'] } };
export default function () {
  const tv = new playhead.Device({ target: '`+url+`', account: 1, device: 1, title: 1 });
  tv.start();
  for (let i = 1; i <= 7; i++) tv.keepalive({ position: i });
}
export function handleSummary(data) { return { stdout: 'events ' + data.metrics.playhead_events.values.count + '\n' }; }
`)
	r := play(t, script, "--out", "json="+out)
	if r.code != 0 || !strings.Contains(r.stdout, "events 8") {
		t.Errorf("exit code %d:\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	lines := string(read(t, out))
	if n := len(regexp.MustCompile(`"metric":"playhead_response_ms".*"operation":"keepalive"`).FindAllString(lines, -1)); n != 7 {
		t.Errorf("%d response times of 7 keepalives in the file", n)
	}
}

// A fleet goes on from one iteration to the next, and so does a device's connection.
func TestAFleetGoesOnBetweenIterations(t *testing.T) {
	t.Parallel()
	url := serve(t, 1, time.Second, playhead).URLs()[0]
	script := write(t, `
import exec from 'k6/execution';
import playhead from 'k6/x/playhead';
export const options = { scenarios: { play: { executor: 'per-vu-iterations', vus: 1, iterations: 4 } } };
const fleet = new playhead.Fleet({ target: '`+url+`', scale: '1/60000', timeScale: 60, warmUp: '500ms' });
const tv = new playhead.Device({ target: '`+url+`', account: 9007199254, device: 1, title: 1 });
export default async function () {
  if (exec.vu.iterationInScenario === 0) tv.start();
  tv.keepalive({ position: 1 });
  if (exec.vu.iterationInScenario < 3) { console.log('played ' + (await fleet.run('1s')).operations); return; }
  console.log('violations ' + (await fleet.audit()).violations);
}
`)
	r := play(t, script)
	r.mustPass(t)
	if strings.Count(r.stderr, "played ") != 3 || !strings.Contains(r.stderr, "violations 0") || strings.Contains(r.stderr, "GoError") {
		t.Errorf("said\n%s", r.stderr)
	}
}

// Bad input is a line, and an exit code of k6's.
func TestBadInputIsALine(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		script string
		code   int
		want   string
	}{
		"a wrong option":        {`new playhead.Fleet({ target: 'http://127.0.0.1:1', scale: 'all' }); export default function () {}`, 107, "Fleet: scale: "},
		"a missing file":        {`const s = open('nowhere.yaml'); export default function () {}`, 107, "nowhere.yaml"},
		"an unreachable target": {`const f = new playhead.Fleet({ target: 'http://127.0.0.1:1' }); export default async function () { await f.run('1s'); }`, 110, "Fleet: run: target http://127.0.0.1:1: "},
		"I/O in init":           {`const f = new playhead.Fleet({ target: 'http://127.0.0.1:1' }); f.run('1s'); export default function () {}`, 107, "Fleet: run: expected to be called from a function"},
		"a wrong scenario":      {`export const options = playhead.options('name: x\npopulation: {model: netflix-2015}\nseed: y'); export default function () {}`, 107, "options: scenario:3:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := play(t, write(t, "import playhead from 'k6/x/playhead';\n"+of.script))
			if r.code != of.code || !strings.Contains(r.stderr, of.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", r.code, of.code, of.want, r.stderr)
			}
		})
	}
}

// A test that is told to end does so at once, also while its fleet plays.
func TestAnAbortedTestEnds(t *testing.T) {
	t.Parallel()
	url := serve(t, 1, time.Second, playhead).URLs()[0]
	script := write(t, `
import playhead from 'k6/x/playhead';
const fleet = new playhead.Fleet({ target: '`+url+`', scale: '1/40000', timeScale: 60 });
export default async function () { await fleet.run('2s'); console.log('playing'); await fleet.run('1h'); }
`)
	c := command(t, script)
	var told time.Time
	r := wait(t, c, func(p *os.Process, log *said) {
		log.mustSay(t, "playing")
		told = time.Now()
		if err := p.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
	})
	if r.code != 105 {
		t.Errorf("exit code %d, want k6's 105:\n%s", r.code, r.stderr)
	}
	if took := time.Since(told); took > 10*time.Second { // a second on a machine that has nothing else to do
		t.Errorf("it took %v to end", took)
	}
}

// k6's own options for the network hold for devices and for fleets.
func TestHostsOfK6AreHonoured(t *testing.T) {
	t.Parallel()
	url := serve(t, 1, time.Minute, playhead).URLs()[0]
	port := url[strings.LastIndex(url, ":"):]
	script := write(t, `
import playhead from 'k6/x/playhead';
export const options = { hosts: { 'playhead.test': '127.0.0.1' }, blockHostnames: ['blocked.test'] };
const at = (host) => 'http://' + host + '`+port+`';
const fleet = new playhead.Fleet({ target: at('playhead.test'), scale: '1/1000000', warmUp: '100ms' });
export default async function () {
  const device = (host) => new playhead.Device({ target: at(host), account: 1, device: 1, title: 1 });
  console.log('admitted ' + !device('playhead.test').start().denied);
  try { device('blocked.test').start() } catch (e) { console.log('refused: ' + e) }
  await fleet.run('200ms');
  console.log('violations ' + (await fleet.audit()).violations);
}
`)
	r := play(t, script)
	for _, want := range []string{"admitted true", "refused: GoError: Device: start: blocked.test" + port + " does not answer: hostname (blocked.test) is in a blocked pattern", "violations 0"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("no %q in\n%s", want, r.stderr)
		}
	}
}

func write(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.js")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
