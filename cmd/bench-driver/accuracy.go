package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/driver/drivertest"
)

// The target that freezes, and what it is asked.
const (
	freezePerS   = 500
	freezeLength = 20 * time.Second // whole periods
)

var freeze = drivertest.Freeze{Period: 5 * time.Second, Frozen: time.Second}

// told is what a generator said of the target that freezes.
type told struct {
	said     said
	requests int64
	untrue   []string // names of figures
	missing  error
}

func compareAccuracy(ctx context.Context, cfg config, out io.Writer) error {
	plan := newSteady(freezePerS, cfg.freezeLength)
	truth := said{Percentiles: drivertest.PercentilesOf(freeze.Truth(plan.DueOfAll(time.Now())))} // whenever it begins
	fmt.Fprint(out, accuracyColumns)
	printAccuracy(out, "truth", told{said: truth, requests: int64(plan.Events)})
	var errs []error
	for _, g := range cfg.rows {
		f, err := ask(ctx, g, cfg)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			f.missing = err
			errs = append(errs, fmt.Errorf("%s: %w", g.name, err))
		}
		for _, miss := range drivertest.Misses(f.said.Percentiles, truth.Percentiles) {
			name, _, _ := strings.Cut(miss, " ")
			f.untrue = append(f.untrue, name)
		}
		printAccuracy(out, g.name, f)
	}
	return errors.Join(errs...)
}

func ask(ctx context.Context, g generator, cfg config) (f told, err error) {
	if _, _, err := g.command(load{}, cfg.programs); err != nil {
		return told{missing: err}, nil
	}
	t, err := startTarget(anyCPU, targetFrozen)
	if err != nil {
		return f, err
	}
	defer t.kill()
	l := load{Connections: g.connections, Length: cfg.freezeLength}
	if g.open {
		l.PerS = freezePerS
	}
	p, err := start(ctx, anyCPU, g, t, l, cfg)
	if err != nil {
		return f, err
	}
	defer p.kill()
	if err := p.wait(ctx, cfg.freezeLength+endTimeout); err != nil {
		return f, err
	}
	if f.requests, err = t.asked(ctx); err != nil {
		return f, err
	}
	if f.said, err = g.read(p.stdout.Bytes()); err != nil {
		return f, err
	}
	if f.said.Unfit != "" {
		return f, errors.New(f.said.Unfit)
	}
	return f, nil
}
