package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/target"
)

const outsideScenario = `
name: outside
population: {model: netflix-2015, scale: 1/20000}
time_scale: 60
duration: 5s
warm_up: 1s
`

// bootOutside starts a cluster as somebody else would have.
func bootOutside(t *testing.T, keepalive, lease time.Duration) []string {
	t.Helper()
	dir := t.TempDir()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: binary, DataDir: dir, LogDir: dir, Nodes: 3, Keepalive: keepalive, Lease: lease, DefaultStreams: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster.URLs()
}

func runOutside(t *testing.T, urls []string, more ...string) (code int, dir, stderr string) {
	t.Helper()
	dir = t.TempDir()
	file := filepath.Join(dir, "outside.yaml")
	if err := os.WriteFile(file, []byte(outsideScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args := append([]string{"run", file, "--out", dir, "--target", strings.Join(urls, ","), "--quiet"}, more...)
	code = execute(t.Context(), args, &out, &errs)
	t.Logf("%s%s", out.String(), errs.String())
	return code, dir, errs.String()
}

// TestOutsideTarget plays the same seed twice against one cluster: what is left of
// the first run must not be taken for mistakes in the second.
func TestOutsideTarget(t *testing.T) {
	t.Parallel()
	urls := bootOutside(t, time.Second, 2500*time.Millisecond)
	for round := range 2 {
		code, dir, _ := runOutside(t, urls)
		if code != exitOK && code != results.ExitVoid { // with the race detector on it may well be late
			t.Fatalf("round %d: exit code %d", round+1, code)
		}
		text, err := os.ReadFile(filepath.Join(dir, "run.json"))
		if err != nil {
			t.Fatal(err)
		}
		var run results.Run
		if err := json.Unmarshal(text, &run); err != nil {
			t.Fatal(err)
		}
		if run.Target.Design != results.External || run.Target.Nodes != len(urls) || run.Audit.Sessions == 0 || run.Audit.Violations() > 0 || run.Target.Salt == "" {
			t.Errorf("round %d: target %+v, %d sessions audited", round+1, run.Target, run.Audit.Sessions)
		}
	}
}

// TestOutsideTargetOnOtherTerms: the auditor cannot judge admissions by a lease that
// the target does not give.
func TestOutsideTargetOnOtherTerms(t *testing.T) {
	t.Parallel()
	urls := bootOutside(t, time.Minute, 150*time.Second)
	code, _, stderr := runOutside(t, urls)
	if code != exitUsage || !strings.Contains(stderr, "--keepalive 1s --lease 2.5s") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestTargetsAreURLs(t *testing.T) {
	for _, bad := range []string{"localhost:8080", "", "ftp://x", "http://", "http://x?y=1", "http://x#y", "://"} {
		if _, err := parseURLs("--target", []string{bad}); err == nil {
			t.Errorf("%q was taken for a URL", bad)
		}
	}
	got, err := parseURLs("--target", []string{"http://127.0.0.1:8080/", "https://x/base"})
	if err != nil || got[0] != "http://127.0.0.1:8080" || got[1] != "https://x/base" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestModelsAreThePopulations: a scenario can name every population there is, and
// no other.
func TestModelsAreThePopulations(t *testing.T) {
	if a, b := strings.Join(scenarios.Models(), " "), strings.Join(population.Names(), " "); a != b {
		t.Errorf("scenarios know %s, there are %s", a, b)
	}
}
