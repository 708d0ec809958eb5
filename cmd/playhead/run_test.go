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

// TestRunInterruptedEarly: Ctrl-C before anything is played leaves no verdict, which is not
// a failure of Playhead's.
func TestRunInterruptedEarly(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"▸ population:", "▸ target:"} {
		command := exec.Command(binary, "run", "../../scenarios/prime-time.yaml", "--out", filepath.Join(t.TempDir(), "out"))
		stderr, err := command.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stderr)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), stage) {
		}
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(stderr)
		if err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // its exit code is looked at
		code := command.ProcessState.ExitCode()
		if told := strings.TrimSpace(string(rest)); code != results.ExitVoid || !strings.HasSuffix(told, "playhead: interrupted before anything was played: there is no verdict") {
			t.Errorf("after %q: exit code %d, want %d\n%s", stage, code, results.ExitVoid, told)
		}
	}
}
