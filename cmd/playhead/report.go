package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/results"
)

type reportOptions struct {
	out  string
	json bool
}

func newReport() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report DIR [DIR …]",
		Short: "Tell what a run came to, or the parts of one together",
		Long: `Print the summary of the run in a folder again.

Of several folders it makes one run: the parts that generators on several machines
played at the same time against one target, each with its --segment. Histograms are
merged without loss, counts and rates are added, active sessions are added second by
second, and the scenario's thresholds are judged once, on the whole. Folders that are
not all the parts of one run are refused, in a sentence that says why. See
docs/report.md.

Exit codes: those of the run, 0, 97, 98 or 99 · 1 it failed itself · 2 bad usage, a
folder that is not whole, or parts that are not of one run.`,
		Example: `  playhead report runs/20261123-203000-prime-time
  playhead report a b --out runs/whole   # of: run --segment 1/2 --out a, 2/2 --out b`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("expected the folder of a run, or of each part of one: %s", c.UseLine())}
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.out, "out", "", "directory to write the folder of the whole to")
	flags.BoolVar(&o.json, "json", false, "print run.json instead of the summary")
	c.RunE = func(c *cobra.Command, dirs []string) error {
		if len(dirs) == 1 && o.out != "" {
			return usageError{errors.New("--out is of what is joined: name the folders of all parts, or leave it out")}
		}
		return report(dirs, o, c.OutOrStdout())
	}
	return c
}

func report(dirs []string, o reportOptions, out io.Writer) error {
	run, err := reported(dirs, o.out)
	if err != nil {
		return err
	}
	if err := tell(out, run, o.json); err != nil {
		return err
	}
	if code := run.ExitCode(); code != results.ExitPass {
		return verdictError{code: code}
	}
	return nil
}

// reported is the run of a folder, or that which the folders of its parts make, written
// to out if that is not empty.
func reported(dirs []string, out string) (*results.Run, error) {
	if len(dirs) == 1 {
		run, err := results.ReadRun(dirs[0])
		if err != nil {
			return nil, usageError{err}
		}
		return run, nil
	}
	var parts []*results.Folder
	for _, dir := range dirs {
		folder, err := results.ReadFolder(dir)
		if err != nil {
			return nil, usageError{err}
		}
		parts = append(parts, folder)
	}
	whole, err := results.Join(parts)
	if err != nil {
		return nil, usageError{err}
	}
	if out == "" {
		return whole.Run, nil
	}
	if _, err := makeDir(out); err != nil {
		return nil, err
	}
	return whole.Run, results.Write(out, whole.Run, whole.Files)
}
