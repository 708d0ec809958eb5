// Command bench measures what a three-process cluster on this machine takes:
// events a second, and the processor time that they cost. Run it with make bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/target"
)

// row is one load to measure.
type row struct {
	batch       int  // events a POST
	connections int  // each with one request under way
	anyNode     bool // spread over all nodes, so that followers pass two thirds on; else the leader alone
}

var rows = []row{
	{batch: 100, connections: 64},
	{batch: 100, connections: 64, anyNode: true},
	{batch: 1, connections: 256},
	{batch: 1, connections: 256, anyNode: true},
}

func main() {
	binary := flag.String("binary", "bin/playhead", "the playhead binary whose `serve` is measured")
	duration := flag.Duration("duration", 10*time.Second, "how long each row is measured, after a warm-up of a fifth of it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *binary, *duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, duration time.Duration) error {
	fmt.Printf("three server processes and the client on %d processors; acknowledged after fsync on a quorum; %v a row\n\n", runtime.NumCPU(), duration)
	fmt.Printf("  %-28s %12s %10s %10s %22s %22s\n", "load", "events/s", "p50 ms", "p99 ms", "CPU-s per 100k events", "of it in the servers")
	for _, r := range rows {
		measured, err := measure(ctx, binary, r, duration)
		if err != nil {
			return fmt.Errorf("%v: %w", r, err)
		}
		fmt.Printf("  %-28s %12.0f %10.1f %10.1f %22.2f %22.2f\n", r, measured.perS, measured.p50MS, measured.p99MS, measured.cpuS, measured.serversCPUS)
	}
	return nil
}

func (r row) String() string {
	to := "to the leader"
	if r.anyNode {
		to = "to any node"
	}
	return fmt.Sprintf("%d a POST, %s", r.batch, to)
}

// figures are what one row measured; processor times are seconds per 100,000
// events.
type figures struct{ perS, p50MS, p99MS, cpuS, serversCPUS float64 }

func measure(ctx context.Context, binary string, r row, duration time.Duration) (f figures, err error) {
	dir, err := os.MkdirTemp("", "playhead-bench-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err = filepath.Abs(binary)
	if err != nil {
		return f, err
	}
	cluster, err := target.Start(ctx, target.Options{
		Binary: binary, DataDir: dir, LogDir: dir, Nodes: 3,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	urls := cluster.URLs()
	if !r.anyNode {
		leader, err := cluster.Leader(ctx)
		if err != nil {
			return f, err
		}
		urls = []string{leader.URL}
	}
	load := newLoad(urls, r)
	defer func() { err = errors.Join(err, load.close()) }()
	if _, err := load.run(ctx, duration/5); err != nil {
		return f, err
	}
	serversBefore, err := cluster.CPUTime()
	if err != nil {
		return f, err
	}
	clientBefore := driver.CPUTime()
	result, err := load.run(ctx, duration)
	if err != nil {
		return f, err
	}
	serversAfter, err := cluster.CPUTime()
	if err != nil {
		return f, err
	}
	per100k := 100_000 / float64(result.events)
	f.perS = float64(result.events) / result.took.Seconds()
	f.p50MS = float64(result.latencyUS.ValueAtPercentile(50)) / 1000
	f.p99MS = float64(result.latencyUS.ValueAtPercentile(99)) / 1000
	f.serversCPUS = (serversAfter - serversBefore).Seconds() * per100k
	f.cpuS = f.serversCPUS + (driver.CPUTime()-clientBefore).Seconds()*per100k
	return f, nil
}
