// Command playhead tests viewing-data systems under the load of simulated
// playback devices, and holds the reference server to test.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/scenarios"
)

// Exit codes (CONTRACT §3). Those from 97 are a run's verdict.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is a mistake of the user's: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// verdictError ends the program with a verdict's exit code. The verdict was told
// already; the trouble, if there was any, was not.
type verdictError struct {
	code    int
	trouble error
}

func (v verdictError) Error() string { return fmt.Sprintf("the verdict is exit code %d", v.code) }

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var verdict verdictError
	var problems scenarios.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &verdict):
		if verdict.trouble != nil {
			fmt.Fprintf(stderr, "playhead: %v\n", verdict.trouble)
		}
		return verdict.code
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, problems) // each line begins with its file, for editors
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "playhead: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "playhead: %v\n", err)
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "playhead",
		Short: "Know before the premiere whether a viewing-data system will hold",
		Long: `Playhead plays the devices of a streaming service against a viewing-data
system, breaks the system while it does, and proves every answer right or wrong.

Begin with:  playhead run scenarios/prime-time.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see playhead --help", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newRun(), newSimulate())
	return root
}

// oneScenario wants exactly one argument, a scenario file.
func oneScenario(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("expected one scenario file, got %d arguments: %s", len(args), c.UseLine())}
	}
	return nil
}
