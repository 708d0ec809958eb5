package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/trace"
	"github.com/playhead-load/playhead/viewing"
)

type importOptions struct {
	from, to string
	mapping  []string
	strict   bool
}

func newImport() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import FILE --out TRACE",
		Short: "Make a trace for run --replay of a log of events",
		Long: fmt.Sprintf(`Read a log of events, hold every line to what docs/api.md says of an event, and
write those that are good as a trace, sorted by time.

FILE is NDJSON, or CSV with a header, as it is or compressed with zstd; its beginning
shows which. Its fields are

  %s

The first %d are required, and position_ms and played_ms of all but a start. The
field at is RFC 3339 or Unix milliseconds; bitrate_ms is JSON, in CSV too. Other
columns and keys are skipped. A session is one playback: its seqs ascend, and its
account, profile, device and title stay the same.

Lines that are not so are left out, counted, and the first %d of them listed.

Exit codes: 0 something was kept (--strict: everything) · 1 nothing was, or FILE
cannot be read to its end, or --strict and a line is bad · 2 bad usage.`,
			wrapped(trace.Fields[:], 82, "  "), trace.RequiredFields, trace.MaxProblems),
		Example: `  playhead import friday.csv --out friday.ndjson.zst
  playhead import friday.csv --out friday.ndjson.zst --map user=account_id --map ts=at
  playhead run scenarios/prime-time.yaml --replay friday.ndjson.zst`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("expected one file, got %d arguments: %s", len(args), c.UseLine())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.from = args[0]
			return importLog(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&o.to, "out", "", "the trace to write, compressed with zstd if its name ends in .zst")
	c.Flags().StringArrayVar(&o.mapping, "map", nil, "their name of a field, =, ours; once for each that differs")
	c.Flags().BoolVar(&o.strict, "strict", false, "exit with 1 if any line is bad; the trace is written all the same")
	return c
}

// wrapped joins words to lines of at most width columns, each but the first indented.
func wrapped(words []string, width int, indent string) string {
	var text strings.Builder
	column := 0
	for i, word := range words {
		switch {
		case i > 0 && column+1+len(word) > width:
			text.WriteString("\n" + indent)
			column = 0
		case i > 0:
			text.WriteByte(' ')
			column++
		}
		text.WriteString(word)
		column += len(word)
	}
	return text.String()
}

// fieldMap reads the --map flags.
func (o *importOptions) fieldMap() (map[string]string, error) {
	names := map[string]string{}
	for _, text := range o.mapping {
		at := strings.LastIndexByte(text, '=') // ours has none
		if at < 0 {
			return nil, fmt.Errorf("--map: expected theirs=ours, as in user=account_id, got %q", text)
		}
		if _, twice := names[text[:at]]; twice {
			return nil, fmt.Errorf("--map: %s is named twice", text[:at])
		}
		names[text[:at]] = text[at+1:]
	}
	return names, trace.CheckMap(names)
}

// check refuses a usage that cannot be meant.
func (o *importOptions) check() error {
	if o.to == "" {
		return errors.New("expected --out TRACE, as in --out friday.ndjson.zst")
	}
	from, err := os.Stat(o.from)
	if err != nil {
		return err
	}
	if to, err := os.Stat(o.to); err == nil && os.SameFile(from, to) {
		return fmt.Errorf("--out: %s is the log itself: name another file", o.to)
	}
	return nil
}

func importLog(ctx context.Context, o importOptions, out, trouble io.Writer) error {
	names, err := o.fieldMap()
	if err = errors.Join(err, o.check()); err != nil {
		return usageError{err}
	}
	begun, shown := time.Now(), newProgress(trouble, !isTerminal(trouble))
	report, err := trace.Import(ctx, o.from, func() (*trace.Writer, error) { return trace.Create(o.to) }, trace.ImportOptions{
		Map: names,
		Progress: func(lines int64) {
			if time.Since(begun) > quietFor {
				shown.update(results.FormatCount(lines) + " lines read")
			}
		},
	})
	shown.end()
	tellProblems(trouble, &report)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if report.Kept == 0 {
		return fmt.Errorf("import: nothing in %s is an event: no trace was written", o.from)
	}
	fmt.Fprintf(out, "  read   %s: lines %s, good %s, bad %s\n", o.from, results.FormatCount(report.Lines),
		results.FormatCount(report.Kept), results.FormatCount(report.Bad))
	fmt.Fprintf(out, "  wrote  %s: events %s, sessions %s, from %s to %s\n", o.to, results.FormatCount(report.Kept),
		results.FormatCount(report.Sessions), stamp(report.First), stamp(report.Last))
	if o.strict && report.Bad > 0 {
		return fmt.Errorf("import: %s bad lines, and --strict allows none", results.FormatCount(report.Bad))
	}
	return nil
}

func stamp(at viewing.Millis) string { return time.UnixMilli(int64(at)).UTC().Format(time.RFC3339) }

func tellProblems(trouble io.Writer, report *trace.ImportReport) {
	if len(report.Ignored) > 0 {
		fmt.Fprintf(trouble, "columns that are no fields, and were skipped: %s\n", strings.Join(report.Ignored, ", "))
	}
	for _, problem := range report.Problems {
		fmt.Fprintln(trouble, problem)
	}
	if more := report.Bad - int64(len(report.Problems)); more > 0 {
		fmt.Fprintf(trouble, "… and %s more bad lines\n", results.FormatCount(more))
	}
}
