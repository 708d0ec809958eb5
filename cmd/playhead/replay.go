package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/server"
	"github.com/playhead-load/playhead/server/archive"
)

// Exit codes of a replay beyond those of every command: Playhead's own for an
// invariant violated, and exitError for an archive that proves nothing.
const exitDiffers = 98

func newReplay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay ARCHIVE",
		Short: "Rebuild the views from a node's raw events, and prove them equal",
		Long: `Rebuild every view from the raw events that a node has archived, from the first
entry on, with the code that the server itself runs, and compare the state with
each digest that the node wrote on the way: at every snapshot and when it was closed.

ARCHIVE is a node's data directory, or the directory "archive" in it. It is only
read; the node may run. Entries too new to be archived are in the node's log.

Exit codes: 0 the state had every digest; 98 a digest differs; 1 entries are missing
(damage, retention, or a node that began from a peer's snapshot), or there is no
digest, or the node's archive is empty, so nothing is proven; 2 bad usage.`,
		Example: `  playhead replay data
  playhead replay /mnt/backup/n1/archive`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("expected one archive, got %d arguments: %s", len(args), c.UseLine())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return replay(c.Context(), args[0], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

func replay(ctx context.Context, path string, out, trouble io.Writer) error {
	dir, err := server.FindArchive(path)
	if err != nil {
		return usageError{fmt.Errorf("replay %s: %w", path, err)}
	}
	shown := newProgress(trouble, !isTerminal(trouble))
	found, err := server.ReplayArchive(ctx, dir, func(r *server.Replay) {
		if r.Took > quietFor {
			shown.update(fmt.Sprintf("entry %s  %s events  %s/s", results.FormatCount(r.Applied), results.FormatCount(r.Events), results.FormatCount(perSecond(r))))
		}
	})
	shown.end()
	if errors.Is(err, archive.ErrNoArchive) {
		if dir != path { // path is the data directory of a node
			return fmt.Errorf("no segments in %s: a node archives at its first snapshot (playhead cluster snapshot makes one) or when it is stopped; if it has done either, they were lost or not copied", dir)
		}
		return usageError{fmt.Errorf("expected an archive, or the data directory of a node: %w", err)}
	}
	if err != nil {
		return err
	}
	printReplay(out, found)
	switch verdict, _ := found.Verdict(); verdict {
	case server.Differs:
		return verdictError{code: exitDiffers}
	case server.Unproven:
		return verdictError{code: exitError}
	}
	return nil
}

func perSecond(r *server.Replay) uint64 {
	return uint64(float64(r.Events) / max(r.Took.Seconds(), 1e-6))
}

func printReplay(out io.Writer, r *server.Replay) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("archive", "%s", r.Dir)
	line("segments", "%s, %s bytes", results.FormatCount(r.Segments), results.FormatCount(r.Bytes))
	line("entries", "1 to %s, applied up to %s: %s commands", results.FormatCount(r.Last), results.FormatCount(r.Applied), results.FormatCount(r.Commands))
	line("events", "%s in %v, %s/s", results.FormatCount(r.Events), r.Took.Round(time.Millisecond), results.FormatCount(perSecond(r)))
	equal := fmt.Sprintf("%s equal", results.FormatCount(r.Equal))
	if r.Equal > 0 {
		equal += ", the last after entry " + results.FormatCount(r.EqualUpTo)
	}
	if r.Unknown > 0 {
		equal += fmt.Sprintf("; %s of another version not compared", results.FormatCount(r.Unknown))
	}
	line("digests", "%s", equal)
	line("state", "%x after entry %s", r.Sum, results.FormatCount(r.Applied))
	line("gaps", "%s", results.FormatCount(r.GapCount))
	for _, gap := range r.Gaps {
		why := "lost"
		switch {
		case gap.Recorded:
			why = "never here: the node began from a snapshot"
		case gap.From == 1:
			why = "no longer kept, or lost"
		}
		fmt.Fprintf(out, "    entries %s to %s: %s\n", results.FormatCount(gap.From), results.FormatCount(gap.To), why)
	}
	if more := r.GapCount - len(r.Gaps); more > 0 {
		fmt.Fprintf(out, "    … and %s more\n", results.FormatCount(more))
	}
	line("damaged", "%s", results.FormatCount(r.Damaged))
	for _, d := range r.Damages {
		if d.Torn {
			fmt.Fprintf(out, "    %v: no damage, the node had not finished it\n", &d)
			continue
		}
		fmt.Fprintf(out, "    %v\n", &d)
	}
	if more := r.Damaged - len(r.Damages); more > 0 {
		fmt.Fprintf(out, "    … and %s more\n", results.FormatCount(more))
	}
	verdict, why := r.Verdict()
	switch verdict {
	case server.Proven:
		fmt.Fprintf(out, "\n  ✓ EQUAL  the rebuilt state had every digest, up to entry %s\n", results.FormatCount(r.EqualUpTo))
		if r.Applied > r.EqualUpTo {
			fmt.Fprintf(out, "           no digest covers the entries after it, up to %s\n", results.FormatCount(r.Applied))
		}
	case server.Differs:
		fmt.Fprintf(out, "\n  ✗ DIFFERS  %s; equal up to entry %s\n", why, results.FormatCount(r.Differs.EqualUpTo))
	case server.Unproven:
		fmt.Fprintf(out, "\n  ✗ NOT PROVEN  %s; equal up to entry %s\n", why, results.FormatCount(r.EqualUpTo))
	}
}
