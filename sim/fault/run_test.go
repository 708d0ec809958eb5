package fault

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/playhead-load/playhead/results"
)

const vanishing = `
name: vanishing
population: {model: netflix-2015, scale: 1/16000}
time_scale: 60
duration: 13s
warm_up: 2s
faults:
  - {at: 5s, kind: vanish, share: 0.9, for: 4s}
`

// Most devices of a run fall silent and come back: meanwhile hardly anything is due, and
// the audit finds all right.
func TestDevicesVanish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scenario, out := filepath.Join(dir, "vanishing.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(scenario, []byte(vanishing), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(binary, "run", scenario, "--out", out).CombinedOutput()
	code, ok := errors.AsType[*exec.ExitError](err)
	if err != nil && (!ok || code.ExitCode() != results.ExitVoid) { // of a machine that is too busy
		t.Fatalf("%v:\n%s", err, said)
	}
	run, err := results.ReadRun(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Faults) != 1 || run.Faults[0].Kind != Vanish || run.Faults[0].EndedAtS == nil || run.Faults[0].RecoveredAfterMS == nil || run.ConvergedAfterMS == nil {
		t.Fatalf("faults %+v", run.Faults)
	}
	if run.Audit.Violations() != 0 || run.Audit.EventsAcknowledged == 0 {
		t.Errorf("audit %+v", run.Audit)
	}
	fault := run.Faults[0]
	before, _ := rateBetween(t, out, 3, fault.AtS)
	during, seconds := rateBetween(t, out, fault.AtS+1, *fault.EndedAtS)
	after, _ := rateBetween(t, out, *fault.EndedAtS+1, 13)
	t.Logf("%.0f requests a second before, %.0f during %d seconds, %.0f after", before, during, seconds, after)
	if seconds == 0 || during > before/2 || after < before/2 {
		t.Errorf("want a tenth of the requests while nine in ten devices say nothing, and all of them after")
	}
}

// rateBetween is the mean rate of the run's whole seconds between two moments.
func rateBetween(t *testing.T, dir string, from, to float64) (perS float64, seconds int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, results.SeriesFile))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at, rate := slices.Index(rows[0], "at_s"), slices.Index(rows[0], "rate_per_s")
	for _, row := range rows[1:] {
		end, err := strconv.ParseFloat(row[at], 64)
		if err != nil {
			t.Fatal(err)
		}
		second, err := strconv.ParseFloat(row[rate], 64)
		if err != nil {
			t.Fatal(err)
		}
		if end-1 >= from && end <= to {
			perS, seconds = perS+second, seconds+1
		}
	}
	return perS / max(1, float64(seconds)), seconds
}
