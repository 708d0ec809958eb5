package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask says a command to the socket and returns the line that comes back.
func ask(t *testing.T, path, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, command); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

func TestTheSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as one that was killed leaves it
		t.Fatal(err)
	}
	var f Faults
	listener, err := f.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: want a socket of this user alone", info, err)
	}
	for command, want := range map[string]string{
		"disk slow 5ms": "ok", "disk full": "ok", "disk hang": "ok", "disk ok": "ok", "clock -1h": "ok",
		"disk slow 2h":  `expected a duration from 0s to 1m0s, got "2h"`,
		"disk slow -1s": `expected a duration from 0s to 1m0s, got "-1s"`,
		"clock 25h":     `expected a duration from -24h0m0s to 24h0m0s, got "25h"`,
		"clock soon":    `expected a duration from -24h0m0s to 24h0m0s, got "soon"`,
		"disk":          `unknown command "disk"`,
		"":              `unknown command ""`,
	} {
		if got := ask(t, path, command); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
	ask(t, path, "clock 90m")
	if ahead := time.Until(f.Now()); ahead < 89*time.Minute || ahead > 90*time.Minute {
		t.Errorf("the clock is %v ahead, want 90m", ahead)
	}
	ask(t, path, "clock 0s")
	if ahead := time.Until(f.Now()); ahead > 0 {
		t.Errorf("the clock is %v ahead, want none", ahead)
	}
}

func TestASocketThatCannotBe(t *testing.T) {
	t.Parallel()
	var f Faults
	if _, err := f.Listen(filepath.Join(t.TempDir(), "none", "s")); err == nil || !strings.Contains(err.Error(), "listen for faults") {
		t.Errorf("%v: want an error that says what could not be done", err)
	}
}
