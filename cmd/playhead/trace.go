package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// interruptEvery is how many events pass between two looks for a Ctrl-C.
const interruptEvery = 1 << 14

// play hands every event of the plan to f, in time order.
func play(ctx context.Context, s *scenarios.Scenario, fleet *sim.Fleet, f func(*viewing.Event) error) error {
	var e viewing.Event
	end := endOfPlan(s)
	for n := 0; ; n++ {
		if n%interruptEvery == 0 && ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d events", n)
		}
		if _, ok := fleet.Next(end, &e); !ok {
			return nil
		}
		if err := f(&e); err != nil {
			return err
		}
	}
}

func writeTrace(ctx context.Context, s *scenarios.Scenario, fleet *sim.Fleet, path string, stdout io.Writer) (err error) {
	to := stdout
	if path != "-" {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("write the trace: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	out := bufio.NewWriterSize(to, 1<<20)
	var line []byte
	playErr := play(ctx, s, fleet, func(e *viewing.Event) error {
		line = append(wire.AppendEventJSON(line[:0], e), '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write the trace to %s: %w", path, err)
		}
		return nil
	})
	if err := out.Flush(); err != nil && playErr == nil {
		playErr = fmt.Errorf("write the trace to %s: %w", path, err)
	}
	return playErr
}
