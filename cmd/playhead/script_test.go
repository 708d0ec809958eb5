package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/target/targettest"
)

// binary is the playhead program of this tree, built once for all tests.
var binary string

func TestMain(m *testing.M) { targettest.Main(m, &binary) }

// TestScript plays the command line as a user would: the real binary, real
// servers, real files. `playhead-sabotage` is the same program with a server that
// breaks the promise named in PLAYHEAD_SABOTAGE.
func TestScript(t *testing.T) { playScripts(t, "testdata/script") }

func playScripts(t *testing.T, dir string) {
	t.Parallel()
	bin := filepath.Dir(binary)
	if err := targettest.Build(filepath.Join(bin, "playhead-sabotage"), "-tags", "sabotage"); err != nil {
		t.Fatal(err)
	}
	scenarios, err := filepath.Abs("../../scenarios")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := filepath.Abs("../../server/testdata/archive.v1")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("SCENARIOS", scenarios)
			env.Setenv("ARCHIVE", archive)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flip, "violated": violated, "acknowledged": acknowledged, "part": part},
	})
}

// exits CODE[|CODE…] COMMAND… runs the command and wants it to exit with one of the
// codes. A test wants 0|97 of a run that must find no fault: whether this machine let
// its generator be on time is no business of the test's. The output goes to the files
// stdout.txt and stderr.txt of the script's directory.
func exits(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	command := exec.Command(lookPath(ts, args[1]), args[2:]...)
	command.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "PLAYHEAD_SABOTAGE", "PLAYHEAD_HTTP", "PLAYHEAD_LEASE"} {
		if value := ts.Getenv(name); value != "" {
			command.Env = append(command.Env, name+"="+value)
		}
	}
	stdout, stderr := create(ts, "stdout.txt"), create(ts, "stderr.txt")
	command.Stdout, command.Stderr = stdout, stderr
	err := command.Run()
	ts.Check(stdout.Close())
	ts.Check(stderr.Close())
	got := command.ProcessState.ExitCode()
	if !slices.Contains(strings.Split(args[0], "|"), fmt.Sprint(got)) {
		ts.Fatalf("exit code %d, want %s (%v)\nstdout:\n%s\nstderr:\n%s", got, args[0], err, ts.ReadFile("stdout.txt"), ts.ReadFile("stderr.txt"))
	}
}

// violated DIR KIND… wants the run of the directory to count violations of these kinds
// and of no others.
func violated(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) == 0 {
		ts.Fatalf("usage: violated DIR KIND…")
	}
	run, err := results.ReadRun(ts.MkAbs(args[0]))
	ts.Check(err)
	a := &run.Audit
	counts := map[string]int64{
		"events_lost": a.EventsLost, "over_admissions": a.OverAdmissions, "false_denials": a.FalseDenials,
		"position_mismatches": a.PositionMismatches, "history_mismatches": a.HistoryMismatches,
		"stale_reads": a.StaleReads, "position_regressions": a.PositionRegressions, "events_rejected": a.EventsRejected,
		"node_crashes": a.NodeCrashes, "replica_mismatches": a.ReplicaMismatches, "linearizable": a.Linearizability.Illegal,
	}
	for kind, n := range counts {
		if want := slices.Contains(args[1:], kind); want != (n > 0) {
			ts.Fatalf("%d %s, want some: %v\n%s", n, kind, want, ts.ReadFile("stdout.txt"))
		}
	}
}

// acknowledged DIR N wants the run of the directory to have audited as many acknowledged
// events.
func acknowledged(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: acknowledged DIR N")
	}
	run, err := results.ReadRun(ts.MkAbs(args[0]))
	ts.Check(err)
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if got := run.Audit.EventsAcknowledged; got < want {
		ts.Fatalf("%d events acknowledged, want %d at least", got, want)
	}
}

// flip FILE BYTE flips a bit of the byte.
func flip(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: flip FILE BYTE")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

func create(ts *testscript.TestScript, name string) *os.File {
	file, err := os.Create(ts.MkAbs(name))
	ts.Check(err)
	return file
}
