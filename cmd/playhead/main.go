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
	"github.com/spf13/pflag"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
)

// Exit codes. Those from 97 are a run's verdict.
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

// expected says what a flag of a type takes, in words that are not Go's.
var expected = map[string]string{
	"duration": "a duration such as 60s", "float64": "a number",
	"int": "a whole number", "uint64": "a whole number from 0 on",
	"P/N": fmt.Sprintf("a part such as 2/8: from 1/N to N/N, N at most %d", sim.MaxSegments),
}

func meant(suggestions []string) string {
	if len(suggestions) == 0 {
		return ""
	}
	return ", did you mean " + results.OneOf(suggestions) + "?"
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:     "playhead",
		Version: results.Version(),
		Short:   "Know before the premiere whether a viewing-data system will hold",
		Long: `Playhead plays the devices of a streaming service against a viewing-data
system, breaks the system while it does, and proves every answer right or wrong.

Begin with:  playhead run scenarios/prime-time.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q%s: see playhead --help", args[0], meant(c.SuggestionsFor(args[0])))}
			}
			return nil
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			_, err := sabotage()
			return err
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		var value *pflag.InvalidValueError
		if errors.As(err, &value) && expected[value.GetFlag().Value.Type()] != "" {
			err = fmt.Errorf("--%s: expected %s, got %q", value.GetFlag().Name, expected[value.GetFlag().Value.Type()], value.GetValue())
		}
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newRun(), newSimulate(), newCapacity(), newReport(), newImport(), newReplay(), newCluster(), newRecover(), newToken())
	return root
}

// oneScenario wants exactly one argument, a scenario file.
func oneScenario(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("expected one scenario file, got %d arguments: %s", len(args), c.UseLine())}
	}
	return nil
}
