package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/trace"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// simulated is the file that simulate --trace wrote of outsideScenario.
func simulated(t *testing.T, name string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	scenario, path := filepath.Join(dir, "s.yaml"), filepath.Join(dir, name)
	if err := os.WriteFile(scenario, []byte(outsideScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args := append([]string{"simulate", scenario, "--trace", path}, more...)
	if code := execute(t.Context(), args, &out, &errs); code != exitOK || out.Len()+errs.Len() > 0 {
		t.Fatalf("%v: exit code %d\n%s%s", args, code, out.String(), errs.String())
	}
	return path
}

// linesOf is a trace line by line.
func linesOf(t *testing.T, path string) (lines []string) {
	t.Helper()
	r, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var e viewing.Event
	for err = r.Next(&e); err == nil; err = r.Next(&e) {
		lines = append(lines, string(wire.AppendEventJSON(nil, &e)))
	}
	if !errors.Is(err, io.EOF) || len(lines) < 500 {
		t.Fatalf("%s: %d events, and then %v", path, len(lines), err)
	}
	return lines
}

// TestTraceIsTheSameCompressed: the name of the file decides how it is written, and
// nothing of what it says.
func TestTraceIsTheSameCompressed(t *testing.T) {
	t.Parallel()
	plain := simulated(t, "t.ndjson")
	text, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	packed := simulated(t, "t.ndjson.zst")
	if got := strings.Join(linesOf(t, packed), "\n") + "\n"; got != string(text) {
		t.Error("the compressed trace holds other events")
	}
	info, err := os.Stat(packed)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > int64(len(text))/4 {
		t.Errorf("%d bytes of %d: it is hardly compressed", info.Size(), len(text))
	}
}

// TestSegmentsTogetherAreTheWhole, and have no account in common.
func TestSegmentsTogetherAreTheWhole(t *testing.T) {
	t.Parallel()
	var parts []string
	owner := map[uint64]int{}
	for part := 1; part <= 2; part++ {
		lines := linesOf(t, simulated(t, "t.zst", "--segment", fmt.Sprintf("%d/2", part)))
		for _, line := range lines {
			var e struct {
				Account uint64 `json:"account_id"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if owner[e.Account] == 3-part {
				t.Fatalf("account %d is in both parts", e.Account)
			}
			owner[e.Account] = part
		}
		parts = append(parts, lines...)
	}
	whole := linesOf(t, simulated(t, "t.ndjson"))
	slices.Sort(whole)
	slices.Sort(parts)
	if !slices.Equal(whole, parts) {
		t.Errorf("the whole has %d events, the parts %d, or they differ", len(whole), len(parts))
	}
}

// TestReplayTwice plays one trace twice against one cluster: the second time its
// sessions are others, and nothing of the first is taken for a mistake.
func TestReplayTwice(t *testing.T) {
	t.Parallel()
	path := simulated(t, "t.ndjson.zst")
	urls := bootOutside(t, time.Second, 2500*time.Millisecond)
	salts := map[string]bool{}
	for round := range 2 {
		code, dir, _ := runOutside(t, urls, "--replay", path)
		if code != exitOK && code != results.ExitVoid { // with the race detector on it may well be late
			t.Fatalf("round %d: exit code %d", round+1, code)
		}
		text, err := os.ReadFile(filepath.Join(dir, results.RunFile))
		if err != nil {
			t.Fatal(err)
		}
		var run results.Run
		if err := json.Unmarshal(text, &run); err != nil {
			t.Fatal(err)
		}
		salts[run.Target.Salt] = true
		starts := run.Operations["start"]
		if run.Trace != path || run.Audit.Violations() > 0 || run.Audit.Sessions == 0 || starts.Count == 0 || starts.Errors > starts.Count/2 {
			t.Errorf("round %d: %s, %+v, starts %+v", round+1, run.Trace, run.Audit, starts)
		}
	}
	if len(salts) != 2 || salts[""] {
		t.Errorf("salts %v, want two", salts)
	}
}

// TestEndWith: a run is over to the second when its trace is, at its pace, and never
// later than its scenario says.
func TestEndWith(t *testing.T) {
	for _, test := range []struct {
		lengthMS  int64
		timeScale float64
		want      time.Duration
	}{
		{0, 1, time.Second},
		{2999, 1, 3 * time.Second},
		{3000, 1, 4 * time.Second}, // its last event is due then
		{180_000, 60, 4 * time.Second},
		{59_999, 1, time.Minute},
		{3_600_000, 1, time.Minute},
		{10_000, 0.1, time.Minute},
	} {
		s := &scenarios.Scenario{Name: "x", Duration: time.Minute, WarmUp: 10 * time.Second, TimeScale: test.timeScale}
		got, err := endWith(s, test.lengthMS)
		if err != nil || got.Duration != test.want || got.WarmUp > got.Duration/6 {
			t.Errorf("%d ms at %v: %v, %v, want %v", test.lengthMS, test.timeScale, got, err, test.want)
		}
	}
}

// TestSimulateShowsProgress on a terminal, beyond two seconds.
func TestSimulateShowsProgress(t *testing.T) {
	var shown bytes.Buffer
	scenario, err := scenarios.Load(filepath.Join("..", "..", "scenarios", "prime-time.yaml"), plan.ParameterBounds)
	if err != nil {
		t.Fatal(err)
	}
	small := 1.0 / 62_000_000
	if scenario, err = scenario.Override(scenarios.Overrides{Scale: &small}); err != nil {
		t.Fatal(err)
	}
	fleet, err := newFleet(scenario, segmentFlag{}.Segment, 0, newProgress(io.Discard, true))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Unix(1_448_000_000, 0)
	p := &simulation{scenario: scenario, fleet: fleet, begun: begun, shown: &progress{w: &shown, terminal: true}}
	halfWay := plan.StartMS(scenario) + 1_800_000
	p.show(1_000_000, halfWay, begun.Add(quietFor))
	if shown.Len() > 0 {
		t.Errorf("shown within two seconds: %q", shown.String())
	}
	p.show(5_000_000, halfWay, begun.Add(2*quietFor+time.Second))
	if want := "\r\x1b[Ksimulated  50 % of 1h0m0s  5,000,000 events  1,000,000/s  0 playing"; shown.String() != want {
		t.Errorf("shown %q, want %q", shown.String(), want)
	}
}
