package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/results"
)

// interrupted runs the binary until it has told a line on stderr, and has it end by Ctrl-C
// then. It returns what it told on stdout, and on stderr after that line, and its exit code.
func interrupted(t *testing.T, reached func(line string) bool, args ...string) (stdout, rest string, code int) {
	t.Helper()
	command := exec.Command(binary, args...)
	var out strings.Builder
	command.Stdout = &out
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !reached(lines.Text()) {
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	told, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // its exit code is looked at
	return out.String(), string(told), command.ProcessState.ExitCode()
}

// TestRunInterruptedEarly: Ctrl-C before anything is played leaves no verdict, which is not
// a failure of Playhead's.
func TestRunInterruptedEarly(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"▸ population:", "▸ target:"} {
		_, rest, code := interrupted(t, func(line string) bool { return strings.HasPrefix(line, stage) },
			"run", "../../scenarios/prime-time.yaml", "--out", filepath.Join(t.TempDir(), "out"))
		if told := strings.TrimSpace(rest); code != results.ExitVoid || !strings.HasSuffix(told, "playhead: interrupted before anything was played: there is no verdict") {
			t.Errorf("after %q: exit code %d, want %d\n%s", stage, code, results.ExitVoid, told)
		}
	}
}
