// Command bench measures what three server processes on this machine take: Playhead,
// and beside it in the same run the same load on etcd and on NATS JetStream. Run it
// with make bench.
//
// It is a module of its own, so that Playhead's does not require what is only
// measured against. The peers' servers are this program once more, started with a
// hidden first argument: real processes, real sockets, real disks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const help = `Usage: bench [flags]

Boots clusters of three processes on loopback, each with its own data directory and
fsync on, plays one load after another against them, and prints what they took and
what it cost. A load is a closed loop: each connection sends its next request when the
last one was answered. It shows the most that a cluster takes, not how it answers at
a rate; the row snapshot shows that.

Figures of different runs do not compare where others use the machine too: compare
rows of one run.

  make bench                          everything, a quarter of an hour
  bin/bench -peers=false              Playhead alone
  bin/bench -rows '1-*' -duration 30s one event a POST, for longer
  bin/bench -rows read-stale,100-any

Flags:
`

// config is what the flags say.
type config struct {
	binary      string
	dir         string
	rows        []row
	duration    time.Duration
	connections int
	peers       bool
}

func main() {
	if len(os.Args) > 1 {
		if serve, ok := servers[os.Args[1]]; ok {
			end(serve(os.Args[2:]))
		}
	}
	cfg, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, cfg, os.Stdout)
	stop()
	end(err)
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string, to io.Writer) (cfg config, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told by main
	flags.StringVar(&cfg.binary, "binary", "bin/playhead", "the playhead `program` whose serve is measured; make build builds it")
	flags.StringVar(&cfg.dir, "dir", os.TempDir(), "`directory` on the disk to measure; what is written there is removed afterwards")
	patterns := flags.String("rows", "*", "the `loads` to measure, names or patterns separated by commas:\n"+strings.Join(rowNames(), " "))
	flags.DurationVar(&cfg.duration, "duration", 10*time.Second, "how long each row is measured, after a warm-up of a fifth of it")
	flags.IntVar(&cfg.connections, "connections", 0, "connections of every row; 0 is each row's own number")
	flags.BoolVar(&cfg.peers, "peers", true, "measure etcd and NATS JetStream beside Playhead")
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(to, help)
		flags.SetOutput(to)
		flags.PrintDefaults()
		return cfg, err
	}
	if err != nil {
		return cfg, fmt.Errorf("%w; bench -help lists the flags", err)
	}
	switch {
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("arguments: expected flags alone, got %q", flags.Args())
	case cfg.duration < minDuration:
		return cfg, fmt.Errorf("-duration is %v: expected %v or more", cfg.duration, minDuration)
	case cfg.connections < 0 || cfg.connections > maxConnections:
		return cfg, fmt.Errorf("-connections is %d: expected 1 to %d, or 0 for each row's own", cfg.connections, maxConnections)
	}
	if cfg.rows, err = chooseRows(*patterns); err != nil {
		return cfg, err
	}
	for i := range cfg.rows {
		if cfg.connections > 0 {
			cfg.rows[i].connections = cfg.connections
		}
	}
	if cfg.binary, err = filepath.Abs(cfg.binary); err != nil {
		return cfg, err
	}
	if _, err := os.Stat(cfg.binary); err != nil {
		return cfg, fmt.Errorf("-binary: %w; make build builds it", err)
	}
	return cfg, nil
}

func run(ctx context.Context, cfg config, out io.Writer) error {
	fmt.Fprintf(out, "three server processes and the client on %d processors; acknowledged after fsync on a quorum; %v a row; closed loop\n", runtime.NumCPU(), cfg.duration)
	writes, stalls, overloads, reads := newTable(writeColumns), newTable(stallColumns), newTable(overloadColumns), newTable(readColumns)
	for _, r := range cfg.rows {
		table := writes
		switch {
		case r.level != "":
			table = reads
		case r.overload:
			table = overloads
		}
		systems := []system{playhead{cfg.binary, r.logStore}}
		if cfg.peers && r.peers {
			systems = append(systems, etcd{}, nats{})
		}
		var ours figures
		for i, s := range systems {
			f, err := measure(ctx, s, r, cfg)
			if ctx.Err() != nil {
				return errors.New("interrupted: every process that it had started is ended")
			}
			if err != nil {
				return fmt.Errorf("%s, %s: %w", r, s.name(), err)
			}
			if i == 0 {
				ours = f
			}
			if r.pace > 0 {
				stalls.addStall(out, r, f.stall)
				continue
			}
			table.add(out, r, s, f, ours, i > 0)
		}
	}
	return nil
}
