package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/playhead-load/playhead/results"
)

const partsScenario = `
name: parts
population: {model: netflix-2015, scale: 1/20000}
time_scale: 60
duration: 12s
warm_up: 1s
thresholds:
  operations.errors: ["rate<0.5"]
  audit.events_lost: ["count==0"]
`

// TestPartsAreJoined plays the two halves of a population from two processes against one
// cluster: the whole counts what they did, and its percentiles are those of all their times.
func TestPartsAreJoined(t *testing.T) {
	t.Parallel()
	urls := bootOutside(t, time.Second, 2500*time.Millisecond)
	dir := t.TempDir()
	file := filepath.Join(dir, "parts.yaml")
	if err := os.WriteFile(file, []byte(partsScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	dirs := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	playParts(t, file, urls, dirs)

	whole := filepath.Join(dir, "whole")
	var out, errs bytes.Buffer
	code := execute(t.Context(), []string{"report", dirs[0], dirs[1], "--out", whole, "--json"}, &out, &errs)
	if code != exitOK && code != results.ExitVoid {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	written, err := os.ReadFile(filepath.Join(whole, results.RunFile))
	if err != nil || !bytes.Equal(written, out.Bytes()) {
		t.Errorf("%v; what was printed is not what was written: %s", err, out.String())
	}
	var run results.Run
	if err := json.Unmarshal(out.Bytes(), &run); err != nil {
		t.Fatal(err)
	}
	requireSum(t, &run, dirs)
	for op := range run.Operations {
		requireAllTimes(t, &run, op, dirs)
	}
	if _, err := results.ReadFolder(whole); err != nil {
		t.Error(err)
	}
}

func playParts(t *testing.T, file string, urls, dirs []string) {
	t.Helper()
	var played []*exec.Cmd
	for i, dir := range dirs {
		command := exec.CommandContext(t.Context(), binary, "run", file, "--quiet", "--out", dir,
			"--segment", fmt.Sprintf("%d/%d", i+1, len(dirs)), "--target", strings.Join(urls, ","))
		command.Stderr = &bytes.Buffer{}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		played = append(played, command)
	}
	for _, command := range played {
		err := command.Wait()
		if code := command.ProcessState.ExitCode(); code != exitOK && code != results.ExitVoid {
			t.Fatalf("exit code %d, %v: %s", code, err, command.Stderr)
		}
	}
}

// requireSum compares what the whole counts with the sum of its parts.
func requireSum(t *testing.T, whole *results.Run, dirs []string) {
	t.Helper()
	operations, sum := map[string]int64{}, results.Audit{}
	var windowed int64
	for _, dir := range dirs {
		part, err := results.ReadRun(dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range part.Operations {
			operations[name] += o.Count
		}
		for _, w := range part.Windows {
			windowed += w.Count
		}
		sum.Sessions += part.Audit.Sessions
		sum.EventsAcknowledged += part.Audit.EventsAcknowledged
	}
	if operations["keepalive"] == 0 || len(operations) != len(whole.Operations) {
		t.Errorf("%d operations, want %v", len(whole.Operations), operations)
	}
	for name, count := range operations {
		if got := whole.Operations[name].Count; got != count {
			t.Errorf("%d %s, want %d", got, name, count)
		}
	}
	for _, w := range whole.Windows {
		windowed -= w.Count
	}
	if windowed != 0 {
		t.Errorf("the windows miss %d of their parts'", windowed)
	}
	if a := whole.Audit; a.Sessions != sum.Sessions || a.EventsAcknowledged != sum.EventsAcknowledged || a.Violations() > 0 {
		t.Errorf("audit %+v, want %+v", a, sum)
	}
	if len(whole.Parts) != len(dirs) || whole.Parts[0].Folder != dirs[0] {
		t.Errorf("parts %+v", whole.Parts)
	}
}

// requireAllTimes reads an operation's histograms with the library alone, and compares the
// whole's percentiles with those of all of them.
func requireAllTimes(t *testing.T, whole *results.Run, op string, dirs []string) {
	t.Helper()
	all := hdrhistogram.New(results.MinTimeUS, results.MaxTimeUS, results.SignificantDigits)
	for _, dir := range dirs {
		file, err := os.Open(filepath.Join(dir, op+".response.hlog"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		h, err := hdrhistogram.NewHistogramLogReader(file).NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("%s: %v", file.Name(), err)
		}
		all.Merge(h)
	}
	ms := func(percentile float64) float64 { return float64(all.ValueAtPercentile(percentile)) / 1000 }
	want := results.Percentiles{P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(all.Max()) / 1000}
	if got := whole.Operations[op].ResponseMS; got != want {
		t.Errorf("%s: %+v, want %+v", op, got, want)
	}
}

// part DIR SEGMENT [lost|late|slow] writes the folder of a part, of a run in which
// something is wrong.
func part(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: part DIR SEGMENT [lost|late|slow]")
	}
	recorder := results.NewRecorder(0, 0)
	tookUS := int64(1000)
	if args[len(args)-1] == "slow" {
		tookUS = 100_000
	}
	recorder.Record(results.OpKeepalive, 0, 0, tookUS, results.ResultOK)
	second := recorder.Interval(1_000_000, results.Now{ActiveSessions: 1, Phase: results.PhaseCalm})
	told, err := recorder.Timeline()
	ts.Check(err)
	run := &results.Run{
		ID: "id", Scenario: "made", Seed: 1, Segment: args[1], StartedAt: time.Date(2026, 11, 28, 20, 30, 0, 0, time.UTC),
		DurationS: 1, MeasuredS: 1, Target: results.Target{Design: results.External, Nodes: 1, URLs: []string{"http://127.0.0.1:8080"}},
		Operations: recorder.Operations(1), Windows: told.Windows, Phases: told.Phases,
		Generator: results.Generator{Fit: args[len(args)-1] != "late"}, Audit: results.Audit{Sessions: 1},
		Thresholds: []results.ThresholdResult{{Metric: "keepalive.response_ms", Expression: "max<50", OK: true}},
	}
	if args[len(args)-1] == "lost" {
		run.Audit.EventsLost = 1
	}
	run.Verdict = run.Judge()
	ts.Check(results.Write(ts.MkAbs(args[0]), run, results.Files{
		Measurements: recorder.Measurements(), Pieces: told.Pieces, Series: []results.Interval{second}, Scenario: []byte("name: made\n"),
	}))
}
