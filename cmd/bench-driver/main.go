// Command bench-driver measures what load generators cost and whether they tell the
// truth: Playhead's driver, and beside it in the same minute wrk, clients in Go, vegeta
// and k6. Run it with make bench-driver.
//
// It is a module of its own, so that Playhead's does not require what is only measured
// against. The target, and each generator that is a library, are this program once more,
// started with a hidden first argument: what a process takes is its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const help = `Usage: bench-driver [flags]

Sends the same small POST with one generator after another to the same target, a
process of its own that answers at once, over 64 connections that are kept, and prints
what each takes. With two processors or more and taskset(1), the target has one of them
and the generator another. All are closed loops, in which each connection sends its next
request when the last one was answered; Playhead's driver is an open loop as well, whose
requests are due at a rate.

With -accuracy the target freezes 1 s in every 5, and the table shows what each
generator says of an open 500 requests/s for 20 s, beside what is true.

Figures of different runs do not compare where others use the machine too: compare
rows of one run.

  make bench-driver                             what they cost, about a minute and a half
  make bench-driver FLAGS=-accuracy             what they say, about two minutes
  bin/bench-driver -rows 'wrk,playhead*' -duration 30s

wrk and wrk2 are measured where they are on the path; Debian has a package of wrk.

Flags:
`

// minDuration is the shortest that a row may be measured.
const minDuration = 100 * time.Millisecond

// config is what the flags say.
type config struct {
	rows     []generator
	duration time.Duration
	accuracy bool
	programs programs

	freezeLength time.Duration // how long each row of -accuracy is
}

func main() {
	if len(os.Args) > 1 {
		if be, ok := processes[os.Args[1]]; ok {
			end(be(os.Args[2:], os.Stdout))
		}
	}
	cfg, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-driver:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, cfg, os.Stdout)
	if ctx.Err() != nil {
		err = errors.New("interrupted: every process that it had started is ended")
	}
	stop()
	end(err)
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-driver:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string, to io.Writer) (cfg config, err error) {
	flags := flag.NewFlagSet("bench-driver", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told by main
	cfg.freezeLength = freezeLength
	patterns := flags.String("rows", "*", "the `generators` to measure, names or patterns separated by commas:\n"+
		strings.Join(namesOf(costRows), " ")+"\nor, with -accuracy, "+strings.Join(namesOf(accuracyRows), " "))
	flags.DurationVar(&cfg.duration, "duration", 5*time.Second, "how long each row's cost is measured")
	flags.BoolVar(&cfg.accuracy, "accuracy", false, "show what the generators say of a target that freezes")
	flags.StringVar(&cfg.programs.k6, "k6", "bin/k6", "the k6 `program`; make bench-driver builds it")
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(to, help)
		flags.SetOutput(to)
		flags.PrintDefaults()
		return cfg, err
	}
	if err != nil {
		return cfg, fmt.Errorf("%w; bench-driver -help lists the flags", err)
	}
	switch {
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("arguments: expected flags alone, got %q", flags.Args())
	case cfg.duration < minDuration:
		return cfg, fmt.Errorf("-duration is %v: expected %v or more", cfg.duration, minDuration)
	}
	rows := costRows
	if cfg.accuracy {
		rows = accuracyRows
	}
	cfg.rows, err = chooseRows(rows, *patterns)
	return cfg, err
}

func run(ctx context.Context, cfg config, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "playhead-bench-driver-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if cfg.programs.wrkScript, err = writeWrkScript(dir); err != nil {
		return err
	}
	if cfg.accuracy {
		return compareAccuracy(ctx, cfg, out)
	}
	return compareCost(ctx, cfg, out)
}
