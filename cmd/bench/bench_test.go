package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the playhead program of this tree.
var program string

// TestMain lets the test's binary be what the program is: a peer's server too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if serve, ok := servers[os.Args[1]]; ok {
			end(serve(os.Args[2:]))
		}
	}
	dir, err := os.MkdirTemp("", "playhead-bench-test-")
	if err != nil {
		end(err)
	}
	program = filepath.Join(dir, "playhead")
	build := exec.Command("go", "build", "-C", "../..", "-o", program, "./cmd/playhead") // in the module that requires what it needs
	output, err := build.CombinedOutput()
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, output)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestRows plays a row of each kind against every system, for a moment.
func TestRows(t *testing.T) {
	rows, err := chooseRows("100-leader,1-leader,1-any,over-64,snapshot,read-l*,read-stale")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{binary: program, dir: t.TempDir(), duration: minDuration, peers: true}
	for i := range rows {
		rows[i].connections = 4
		if rows[i].pace > 0 {
			rows[i].sessions, rows[i].pace = 100, 4000
		}
	}
	cfg.rows = rows
	var out bytes.Buffer
	if err := run(t.Context(), cfg, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, r := range rows {
		if strings.Count(out.String(), r.String()) != 1 {
			t.Errorf("not one row for %s:\n%s", r, out.String())
		}
	}
	for _, name := range []string{"etcd 3.", "nats 2."} {
		if strings.Count(out.String(), name) != 2 {
			t.Errorf("not two rows for %s:\n%s", name, out.String())
		}
	}
	if left, err := os.ReadDir(cfg.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestInterrupted: what was started is ended, and what was written is removed.
func TestInterrupted(t *testing.T) {
	for _, s := range []system{playhead{binary: program}, etcd{}, nats{}} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := config{dir: t.TempDir(), duration: time.Hour}
		c, err := s.start(ctx, cfg.dir)
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		if p, ok := c.(interface{ pids() []int }); ok {
			pids = p.pids()
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		time.AfterFunc(500*time.Millisecond, cancel)
		if _, err := measure(ctx, s, row{name: "1-leader", batch: 1, connections: 4}, cfg); err == nil {
			t.Errorf("%s ended well, and was interrupted", s.name())
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("%s: process %d is there: %v", s.name(), pid, err)
			}
		}
		if left, err := filepath.Glob(filepath.Join(cfg.dir, "playhead-bench-*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", s.name(), left, err)
		}
	}
}

func (p *processes) pids() (ids []int) {
	for _, c := range p.commands {
		ids = append(ids, c.Process.Pid)
	}
	return ids
}

// TestAServerThatEnds says why.
func TestAServerThatEnds(t *testing.T) {
	p, err := startProcesses("serve-etcd", t.TempDir(), [][]string{{"-nonsense"}})
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), "a leader", func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "server 1 ended by itself") || !strings.Contains(err.Error(), "-nonsense") {
		t.Errorf("said %v", err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-rows 2-leader":                    `no row is named "2-leader": expected some of 100-leader`,
		"-rows [":                           `-rows: "["`,
		"-duration 1ms":                     "-duration is 1ms: expected 100ms or more",
		"-connections -1":                   "-connections is -1: expected 1 to 10000",
		"-binary /nowhere":                  "make build builds it",
		"more":                              `expected flags alone, got ["more"]`,
		"-nonsense":                         "bench -help lists the flags",
		"-rows 1-*,read-stale -peers=false": "",
	} {
		cfg, err := parse(append([]string{"-binary", program}, strings.Fields(args)...), &bytes.Buffer{})
		if want == "" {
			if err != nil || len(cfg.rows) != 4 || cfg.rows[0].name != "1-leader" || cfg.rows[3].name != "read-stale" || cfg.peers {
				t.Errorf("%s: %v, %+v", args, err, cfg)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	var told bytes.Buffer
	if _, err := parse([]string{"-help"}, &told); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, want := range append(rowNames(), "-peers", "closed loop") {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the help does not tell %s:\n%s", want, told.String())
		}
	}
}
