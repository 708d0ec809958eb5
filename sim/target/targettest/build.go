// Package targettest builds the playhead program of this tree for tests that start
// its servers.
package targettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const program = "github.com/playhead-load/playhead/cmd/playhead"

// Build builds the program into the file named, with further flags of go build. Without
// what debuggers want it is linked sooner.
func Build(to string, flags ...string) error {
	args := append(append([]string{"build", "-ldflags=-s -w"}, flags...), "-o", to, program)
	if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, output)
	}
	return nil
}

// Main is a TestMain that builds the program once, for all tests of a package, and
// tells where it is in *binary.
func Main(m *testing.M, binary *string) {
	code, err := buildAndRun(m, binary)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M, binary *string) (code int, err error) {
	dir, err := os.MkdirTemp("", "playhead-test-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*binary = filepath.Join(dir, "playhead")
	if err := Build(*binary); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
