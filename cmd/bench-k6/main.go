// Command bench-k6 measures what k6 spends on events, by a Fleet, by Devices and by
// http.post with a check, one after another in one run against one server; and by how much
// its memory grows over many events.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/playhead-load/playhead/sim/target"
)

//go:embed scripts/*.js
var scripts embed.FS

type options struct {
	k6, playhead string
	events       int // of each row, in thousands; the fleet plays ten times as many
	long         int // of the memory, in thousands; 0: not measured
}

func main() {
	var o options
	flag.StringVar(&o.k6, "k6", "bin/k6", "the k6 that has the extension in it")
	flag.StringVar(&o.playhead, "playhead", "bin/playhead", "the server")
	flag.IntVar(&o.events, "events", 100, "thousands of events by Devices, and by http.post; a Fleet plays ten times as many")
	flag.IntVar(&o.long, "long", 10_000, "thousands of events over which memory is measured; 0: it is not")
	flag.Parse()
	if err := bench(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bench(o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "bench-k6-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	entries, err := scripts.ReadDir("scripts")
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := scripts.ReadFile("scripts/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644); err != nil {
			return err
		}
	}
	binary, err := filepath.Abs(o.playhead)
	if err != nil {
		return err
	}
	cluster, err := target.Start(context.Background(), target.Options{
		Binary: binary, DataDir: filepath.Join(dir, "data"), LogDir: dir, Nodes: 1,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
	})
	if err != nil {
		return err
	}
	return errors.Join(rows(o, dir, cluster.URLs()[0], out), cluster.Stop())
}

// row is a way to send events.
type row struct {
	name, script string
	events       int // in thousands
	audit        bool
}

func rows(o options, dir, url string, out io.Writer) error {
	fmt.Fprintf(out, "  %-44s %10s %10s %14s %12s\n", "k6 sends", "events", "events/s", "CPU-s/1M", "MiB at most")
	for _, r := range []row{
		{"a Fleet, 1000 events a POST, audited", "fleet.js", 10 * o.events, true},
		{"Devices, one call an event", "device.js", o.events, false},
		{"http.post with a check, one an event", "post.js", o.events, false},
		{"nothing: what k6 takes to begin and end", "nothing.js", 0, false},
	} {
		m, err := r.measure(o.k6, dir, url)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.events == 0 {
			fmt.Fprintf(out, "  %-44s %10d %10s %8.2f CPU-s %12d\n", r.name, 0, "", m.cpu.Seconds(), m.peak>>20)
			continue
		}
		fmt.Fprintf(out, "  %-44s %10d %10.0f %14.1f %12d\n", r.name, m.events,
			float64(m.events)/m.took.Seconds(), m.cpu.Seconds()/float64(m.events)*1e6, m.peak>>20)
	}
	if o.long == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n  %-44s %10s %12s %12s\n", "memory, from when it plays on", "events", "MiB then", "MiB more")
	for _, r := range []row{
		{"a Fleet, not audited", "long.js", o.long, false},
		{"a Fleet, audited: what it did is kept", "long.js", o.long, true},
	} {
		m, err := r.measure(o.k6, dir, url)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Fprintf(out, "  %-44s %10d %12d %12d\n", r.name, m.events, m.begun>>20, (m.peak-m.begun)>>20)
	}
	return nil
}

// measured is what one run of k6 took.
type measured struct {
	events      int
	took, cpu   time.Duration
	peak, begun int64 // bytes resident: at most, and at most while it began
}

// measure runs a row's script, of those in dir, by k6.
func (r row) measure(k6, dir, url string) (m measured, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, k6, "run", "--quiet", "--no-usage-report", "--no-color", "--address", "127.0.0.1:0",
		"-e", "TARGET="+url, "-e", fmt.Sprintf("EVENTS=%d", r.events*1000), "-e", fmt.Sprintf("AUDIT=%t", r.audit),
		filepath.Join(dir, r.script))
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	begun := time.Now()
	if err := c.Start(); err != nil {
		return m, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case err = <-ended:
			done = true
		case <-tick.C:
			m.look(c.Process.Pid, time.Since(begun))
		}
	}
	if err != nil {
		return m, fmt.Errorf("%w\n%s%s", err, stdout.String(), stderr.String())
	}
	m.took = time.Since(begun)
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	m.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	m.peak = max(m.peak, usage.Maxrss<<10)
	for line := range strings.SplitSeq(stdout.String(), "\n") {
		if text, ok := strings.CutPrefix(line, "events "); ok {
			m.events, err = strconv.Atoi(strings.TrimSpace(text))
		}
	}
	if m.events == 0 && r.events > 0 {
		return m, fmt.Errorf("it sent nothing:\n%s%s", stdout.String(), stderr.String())
	}
	return m, err
}

// beginsWithin is how long a script takes to begin to play, at most.
const beginsWithin = 10 * time.Second

func (m *measured) look(pid int, since time.Duration) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	m.peak = max(m.peak, kib<<10)
	if since <= beginsWithin {
		m.begun = max(m.begun, kib<<10)
	}
}
