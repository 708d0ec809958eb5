package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/server/token"
)

func newToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make a token file, and issue the tokens of admins, devices and aggregators",
		Long: `Make a token file for playhead serve --tokens, and issue tokens by it.

A device's token opens one account until it expires: a JWT (HS256) with the account in
sub. An aggregator's tells events of every account, and opens none: a JWT too, with
aggregator in sub. Whoever has a key of the file may issue both, with any library. An
admin's token opens the cluster, the plans and the metrics, and no account.

To replace the key: rotate, give the file to every node, send them SIGHUP, and issue
with it from then on. What the key before has signed is valid until the next rotate.`,
		Example: `  playhead token new tokens.json
  playhead token device tokens.json --account 42 --life 24h
  playhead token aggregator tokens.json --life 24h
  PLAYHEAD_ADMIN_TOKEN=$(playhead token admin tokens.json) playhead cluster status --node https://n1.example.com:8090
  playhead token rotate tokens.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q%s: see %s --help", args[0], meant(c.SuggestionsFor(args[0])), c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenNew(), newTokenDevice(), newTokenAggregator(), newTokenAdmin(), newTokenRotate())
	return c
}

func newTokenNew() *cobra.Command {
	return &cobra.Command{
		Use: "new FILE", Short: "Make a token file with an admin's token and a key", Args: wants(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := token.NewFile().Create(args[0]); err != nil {
				return fmt.Errorf("make a token file: %w", err)
			}
			return nil
		},
	}
}

func newTokenDevice() *cobra.Command {
	var account string
	var life time.Duration
	c := &cobra.Command{
		Use: "device FILE", Short: "Issue a token for the devices of an account", Args: wants(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(account, 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("--account: expected an account's number, got %q", account)}
			}
			return issue(c.OutOrStdout(), args[0], func(file *token.File) (string, error) {
				return file.Device(id, time.Now(), life)
			})
		},
	}
	c.Flags().StringVar(&account, "account", "", "the account that it opens")
	c.Flags().DurationVar(&life, "life", 24*time.Hour, "how long it is valid")
	return c
}

func newTokenAggregator() *cobra.Command {
	var life time.Duration
	c := &cobra.Command{
		Use: "aggregator FILE", Short: "Issue a token for who tells events of every account", Args: wants(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return issue(c.OutOrStdout(), args[0], func(file *token.File) (string, error) {
				return file.Aggregator(time.Now(), life)
			})
		},
	}
	c.Flags().DurationVar(&life, "life", 24*time.Hour, "how long it is valid")
	return c
}

// issue prints a token that is signed by the file.
func issue(out io.Writer, path string, sign func(*token.File) (string, error)) error {
	file, err := token.ReadFile(path)
	if err != nil {
		return err
	}
	issued, err := sign(file)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Fprintln(out, issued)
	return err
}

func newTokenAdmin() *cobra.Command {
	return &cobra.Command{
		Use: "admin FILE", Short: "Print the admin's token", Args: wants(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := token.ReadFile(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), file.Admin[0])
			return err
		},
	}
}

func newTokenRotate() *cobra.Command {
	admin := false
	c := &cobra.Command{
		Use: "rotate FILE", Short: "Let a new key sign; the newest so far stays valid, the one before does not", Args: wants(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := token.ReadFile(args[0])
			if err != nil {
				return err
			}
			if admin {
				file.RotateAdmin()
			} else {
				file.RotateKeys()
			}
			if err := file.Replace(args[0]); err != nil {
				return fmt.Errorf("replace the token file: %w", err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&admin, "admin", false, "replace the admin's token instead of the key")
	return c
}
