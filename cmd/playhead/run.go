package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/fault"
	"github.com/playhead-load/playhead/sim/target"
)

type runOptions struct {
	overrides overrideFlags
	segment   segmentFlag
	replay    string
	targets   []string
	access    accessFlags
	out       string
	quiet     bool
	json      bool
}

func newRun() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run SCENARIO.yaml",
		Short: "Drive a target with simulated devices, break it, audit it, judge it",
		Long: `Run a scenario: boot the target, play the population's devices against it, break
it as the scenario says, then compare every answer with what the devices know.

With --replay it plays a trace in place of the population: one that simulate --trace
wrote, or import made of a log. Its first event is the run's beginning; the
scenario's time_scale is its pace, and the scenario's duration its end if the trace
does not end before. A trace knows no plans: every account of it has the scenario's
default_streams, and is judged by them. See docs/traces.md.

What is left behind: runs/<id>/ with run.json, a histogram per operation, the
per-second series, the scenario and the nodes' logs.

Exit codes: 0 passed · 1 it failed itself · 2 bad usage or a bad scenario · 97 no
verdict: interrupted, or the generator was unfit · 98 an invariant was violated ·
99 a threshold was crossed.

With --target it plays against a system that runs already. That is no dry run: it
sets the plan of every account of the population there, and plays real sessions on
them, for good. A server to try it on:

  playhead serve --keepalive 1s --lease 2.5s   # the terms that prime-time means

A target that asks for tokens takes its own token file, with --tokens: each request
has one of its account, signed for it, a batch an aggregator's. Plans are set with the
admin's at --admin. See docs/security.md.`,
		Example: `  playhead run scenarios/prime-time.yaml
  playhead run scenarios/prime-time.yaml --seed 7 --scale 1/8000
  playhead run scenarios/prime-time.yaml --replay friday.ndjson.zst --time-scale 10
  playhead run scenarios/prime-time.yaml --target http://127.0.0.1:8080 --no-faults
  playhead run scenarios/soak.yaml --target https://n1.example.com:8080 --ca ca.pem \
    --tokens tokens.json --admin https://n1.example.com:8090`,
		Args: oneScenario,
	}
	flags := c.Flags()
	flags.SortFlags = false
	o.overrides.add(flags)
	o.segment.add(flags)
	flags.StringVar(&o.replay, "replay", "", "play the trace in this file, NDJSON or zstd of it, instead of the population")
	flags.StringSliceVar(&o.targets, "target", nil, "test the system at these URLs instead of booting one")
	o.access.add(flags)
	flags.BoolVar(&o.overrides.noFaults, "no-faults", false, "leave the scenario's faults out")
	flags.StringVar(&o.out, "out", "", "directory of the run's results (default runs/<id>)")
	flags.BoolVar(&o.quiet, "quiet", false, "no progress, only the summary")
	flags.BoolVar(&o.json, "json", false, "print run.json instead of the summary")
	c.RunE = func(c *cobra.Command, args []string) error {
		scenario, err := o.overrides.load(c.Flags(), args[0])
		if err != nil {
			return err
		}
		if len(o.targets) > 0 && len(scenario.Faults) > 0 {
			return usageError{errors.New("the scenario's faults need processes that playhead started itself: add --no-faults, or leave --target out")}
		}
		if err := o.checkReplay(c.Flags()); err != nil {
			return usageError{err}
		}
		if o.targets, err = parseURLs("--target", o.targets); err != nil {
			return usageError{err}
		}
		r := newRunner(scenario, o, c.OutOrStdout(), c.ErrOrStderr())
		if r.access, err = o.access.read(o.targets); err != nil {
			return usageError{err}
		}
		return r.run(c.Context())
	}
	return c
}

// runner is one run from its scenario to its verdict.
type runner struct {
	scenario *scenarios.Scenario
	options  runOptions
	out      io.Writer
	progress *progress
	id       string
	dir      string

	traffic *traffic
	target  results.Target
	access  access
	log     *audit.Log
	cluster *target.Cluster // nil: an outside target
	led     bool            // it has had a leader; of watch's goroutine
	urls    []string
	driver  *driver.Driver
}

func newRunner(scenario *scenarios.Scenario, o runOptions, stdout, stderr io.Writer) *runner {
	r := &runner{
		scenario: scenario, options: o, out: stdout, log: audit.NewLog(),
		id:       time.Now().Format("20060102-150405") + "-" + scenario.Name,
		progress: newProgress(stderr, o.quiet),
	}
	if r.dir = o.out; r.dir == "" {
		r.dir = filepath.Join("runs", r.id)
	}
	return r
}

func (r *runner) keepalive() time.Duration { return plan.Keepalive(r.scenario) }
func (r *runner) lease() time.Duration     { return plan.Lease(r.scenario) }

func (r *runner) run(ctx context.Context) (err error) {
	made, err := makeDir(r.dir)
	defer func() {
		if err != nil {
			leave(made)
		}
		if err != nil && r.driver == nil && ctx.Err() != nil { // whatever it was that broke off
			err = verdictError{results.ExitVoid, errors.New("interrupted before anything was played: there is no verdict")}
		}
	}()
	if err != nil {
		return err
	}
	growInHugePages()
	defer boundGarbage()()
	if r.traffic, err = r.openTraffic(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.traffic.close()) }()
	stop, err := r.boot(ctx)
	if err != nil {
		return err
	}
	stop = sync.OnceValue(stop)
	defer func() {
		if stopErr := stop(); err == nil {
			err = stopErr
		}
	}()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	config := plan.Driver(r.scenario)
	config.Fleet, config.StartMS, config.Targets, config.Log = r.traffic.fleet, r.traffic.startMS, r.urls, r.log
	config.TLS, config.Signer = r.access.tls, r.access.signer
	if r.driver, err = driver.New(config); err != nil {
		return err
	}
	r.driver.Recorder().JudgeBy(r.scenario.Thresholds)
	record, series, trouble := r.drive(ctx)
	// From here on a Ctrl-C has had its effect: what was measured is audited and kept.
	auditing := context.WithoutCancel(ctx)
	trouble = errors.Join(trouble, r.traffic.trouble(), r.audited(record, errors.Join(r.audit(auditing, record), r.compareReplicas(auditing, record))), stop())
	r.noteCrashes(record)
	return r.finish(record, series, trouble)
}

// salt gives the sessions of an outside target ids of their own: it may have been
// played against with the same seed, and would rightly take the same ids for
// repetitions.
func (r *runner) salt() uint64 {
	if len(r.options.targets) == 0 {
		return 0
	}
	salt := rand.Uint64() & sim.MaxSalt
	r.target = results.Target{
		Design: results.External, Nodes: len(r.options.targets), URLs: r.options.targets, Salt: fmt.Sprintf("%012x", salt),
	}
	return salt
}

// makeDir makes a run's folder, and tells which directories were not there, the deepest
// first, whatever the error. A folder that holds a run is not touched: its record is lost
// to nobody, and a run that fails leaves no other's verdict behind.
func makeDir(dir string) (made []string, err error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return made, fmt.Errorf("make the run's directory (--out names another): %w", err)
	}
	switch _, err := os.Stat(filepath.Join(dir, results.RunFile)); {
	case err == nil:
		return made, usageError{fmt.Errorf("%s holds a run already: name another directory with --out, or remove it", dir)}
	case !errors.Is(err, os.ErrNotExist):
		return made, fmt.Errorf("look into the run's directory: %w", err)
	}
	return made, nil
}

// leave removes the directories that makeDir made for a run that never began, but none
// that holds something by now: a node's log, or another run.
func leave(made []string) {
	for _, dir := range made {
		if os.Remove(dir) != nil {
			return
		}
	}
}

// noteCrashes counts the servers that ended by themselves, which no target may.
func (r *runner) noteCrashes(record *results.Run) {
	if r.cluster == nil {
		return
	}
	for _, crash := range r.cluster.Crashes() {
		record.Audit.NodeCrashes++
		record.Audit.Examples = append(record.Audit.Examples, results.Example{Kind: "node_crashes", Detail: crash.Error()})
	}
}

// boot starts the cluster, unless an outside target was named.
func (r *runner) boot(ctx context.Context) (stop func() error, err error) {
	if len(r.options.targets) > 0 {
		r.urls = r.options.targets
		return func() error { return nil }, checkTerms(ctx, r.urls[0], &r.access, r.keepalive(), r.lease())
	}
	r.progress.stage("target: %s on loopback", numbered(r.scenario.Target.Nodes, "server process", "server processes"))
	r.target = results.Target{Design: r.scenario.Target.Design, LogStore: r.scenario.Target.LogStore, Nodes: r.scenario.Target.Nodes}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start servers with: %w", err)
	}
	data, err := os.MkdirTemp("", "playhead-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the servers' data: %w", err)
	}
	r.cluster, err = target.Start(ctx, target.Options{
		Binary: binary, DataDir: data, LogDir: r.dir, Nodes: r.scenario.Target.Nodes,
		Keepalive: r.keepalive(), Lease: r.lease(), DefaultStreams: r.scenario.Target.DefaultStreams,
		LogStore: r.scenario.Target.LogStore, BatchLinger: r.scenario.Target.BatchLinger,
		Rig: fault.RigFor(plansOfFaults(r.scenario.Faults)),
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	r.urls = r.cluster.URLs()
	return func() error { return errors.Join(r.cluster.Stop(), os.RemoveAll(data)) }, nil
}

// prepare tells the target the accounts' plans, and the auditor.
func (r *runner) prepare(ctx context.Context) error {
	r.log.Fold(r.lease(), driver.Late+r.longestFault())
	limits := map[uint64]int{}
	for account, streams := range r.traffic.limits {
		if streams != r.scenario.Target.DefaultStreams || r.cluster == nil {
			r.log.SetLimit(account, streams)
			limits[account] = streams
		}
	}
	told := "telling the target the stream limits of " + numbered(len(limits), "account", "accounts")
	if len(limits) == 0 {
		told = numbered(r.scenario.Target.DefaultStreams, "stream", "streams") + " at once for every account, as the target has it"
	}
	r.progress.stage("plans: %s", told)
	admins := r.access.admins
	if len(admins) == 0 {
		admins = r.urls
	}
	return r.access.explained(driver.SetLimits(ctx, admins, limits, r.scenario.Load.Connections, r.access.planned()))
}

// drive plays the plan while the faults happen and the progress is shown.
func (r *runner) drive(ctx context.Context) (*results.Run, []results.Interval, error) {
	pace := "in real time"
	if r.scenario.TimeScale != 1 {
		pace = fmt.Sprintf("the plan runs %v times as fast", r.scenario.TimeScale)
	}
	r.progress.stage("playing: %v, %s", r.scenario.Duration, pace)
	begunCPU, begun := driver.CPUTime(), time.Now()
	stopTelling := context.AfterFunc(ctx, func() {
		r.progress.say("interrupted: what was measured is audited and kept; once more ends it at once")
	})
	defer stopTelling()
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	broken := make(chan brokenTarget, 1)
	watched := make(chan []results.Interval, 1)
	breaking, stopBreaking := context.WithCancel(ctx)
	defer stopBreaking()
	played := r.driver.Run(ctx, func() {
		go func() {
			damage, err := r.breakTarget(breaking)
			broken <- brokenTarget{damage, err}
		}()
		go func() { watched <- r.watch(watching) }()
	})
	stopWatching()
	stopBreaking()
	series := <-watched
	damage := <-broken
	cpu := (driver.CPUTime() - begunCPU).Seconds() / time.Since(begun).Seconds() / float64(runtime.NumCPU())
	measuredS := max(0, (played - r.scenario.WarmUp).Seconds())
	record := &results.Run{
		Version: results.Version(), ID: r.id, Scenario: r.scenario.Name, Seed: r.scenario.Seed,
		TimeScale: r.scenario.TimeScale, StartedAt: begun, DurationS: played.Seconds(),
		MeasuredS: measuredS, Interrupted: played < r.scenario.Duration, Target: r.target,
		Load: r.driver.Load(measuredS), Operations: r.driver.Recorder().Operations(measuredS), Faults: damage.Faults,
		ConvergedAfterMS: damage.ConvergedAfterMS,
	}
	if r.cluster != nil {
		record.Sabotage, _ = sabotage() // an unknown one was refused
	}
	record.NoteWithin(series)
	r.traffic.tell(record)
	for _, second := range series {
		record.Load.ActiveSessionsPeak = max(record.Load.ActiveSessionsPeak, second.ActiveSessions)
	}
	record.Load.Backlog = r.driver.Backlog()
	record.Generator, record.VoidReason = r.driver.Fitness(cpu)
	record.Generator.ConnectionsBusy = r.driver.ConnectionsBusy()
	return record, series, damage.err
}

// watch ends a second of the run after another and shows it.
func (r *runner) watch(ctx context.Context) (series []results.Interval) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return append(series, r.driver.Interval())
		case <-tick.C:
		}
		second := r.driver.Interval()
		series = append(series, second)
		r.progress.second(r.scenario.Duration, second, r.leader(ctx), r.driver)
	}
}

// leader is what the progress says of who leads: nothing of an outside target.
func (r *runner) leader(ctx context.Context) string {
	if r.cluster == nil {
		return ""
	}
	id := ""
	if node, err := r.cluster.Leader(ctx); err == nil {
		id = node.ID
	}
	r.led = r.led || id != ""
	return leaderText(id, r.led)
}

// audit compares what the devices know with what the target answers.
func (r *runner) audit(ctx context.Context, record *results.Run) error {
	r.progress.stage("audit: comparing every session, position and history with what the devices know")
	asked := r.access.devices()
	report, err := r.log.Check(ctx, audit.Options{
		TLS: asked.TLS, Bearer: asked.Bearer,
		URLs: r.answering(), Lease: r.lease(), DefaultStreams: r.scenario.Target.DefaultStreams,
		Late: driver.Late + r.longestFault(), NowUS: r.driver.NowUS, Used: r.cluster == nil, Progress: r.progress.counted("audit: accounts"),
		ClocksOff: clocksOff(r.scenario.Faults), ReadBack: r.scenario.Audit.ReadBack, Seed: r.scenario.Seed,
	})
	record.Audit = report.Record()
	if err != nil {
		return fmt.Errorf("the audit could not be completed, its counts are of what was asked until then: %w", err)
	}
	return nil
}

// compareReplicas compares the states of a cluster's nodes with each other.
func (r *runner) compareReplicas(ctx context.Context, record *results.Run) error {
	if r.cluster == nil {
		return nil
	}
	differing, err := audit.Replicas(ctx, r.cluster.RunningURLs(), r.scenario.Target.DefaultStreams)
	record.Audit.ReplicaMismatches = int64(len(differing))
	for _, e := range differing[:min(len(differing), replicaExamples)] {
		record.Audit.Examples = append(record.Audit.Examples, results.Example{Kind: e.Kind, Detail: e.Detail})
	}
	return err
}

// replicaExamples bounds what run.json shows of replicas that have come apart.
const replicaExamples = 5

// finish judges the run, tells its end, and writes its folder. A run that met
// trouble, was broken off or measured nothing has no verdict but a violation.
func (r *runner) finish(record *results.Run, series []results.Interval, trouble error) error {
	measurements := r.driver.Recorder().Measurements()
	timeline, err := r.driver.Recorder().Timeline()
	trouble = errors.Join(trouble, err)
	switch {
	case trouble != nil:
		record.VoidReason = trouble.Error()
	case record.Interrupted:
		record.VoidReason = fmt.Sprintf("interrupted after %.1f s of %v", record.DurationS, r.scenario.Duration)
	case len(record.Operations) == 0:
		record.VoidReason = "nothing was due in the measured time: play a larger share of the population, or play longer"
	}
	record.Windows, record.Phases = timeline.Windows, timeline.Phases
	record.Thresholds = results.Evaluate(record, measurements, r.thresholds(record))
	record.Verdict = record.Judge()
	files := results.Files{Measurements: measurements, Pieces: timeline.Pieces, Series: series, Scenario: r.scenario.Raw}
	trouble = errors.Join(trouble, results.Write(r.dir, record, files))
	r.progress.end()
	if err := tell(r.out, record, r.options.json); err != nil {
		trouble = errors.Join(trouble, err)
	}
	code := record.ExitCode()
	switch {
	case trouble != nil && code != results.ExitViolated:
		return trouble
	case code != results.ExitPass:
		return verdictError{code, trouble}
	}
	return nil
}

// tell prints a run: its summary, or its record as it stands in its folder.
func tell(out io.Writer, record *results.Run, asJSON bool) error {
	if !asJSON {
		return results.Summary(out, record, isTerminal(out))
	}
	text, err := record.Encode()
	if err != nil {
		return fmt.Errorf("encode %s: %w", results.RunFile, err)
	}
	_, err = out.Write(text)
	return err
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
