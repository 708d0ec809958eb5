package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/server"
)

func newRecover() *cobra.Command {
	var cfg server.Config
	c := &cobra.Command{
		Use:   "recover",
		Short: "Make what is left of a lost cluster a new one",
		Long: `Make a node that is down the only member of a new cluster, after the majority of its
own is gone for good. While a majority can still come back, bring that back instead.

The new cluster begins with all that this node's disk holds: also what was never
committed, and without what only the lost nodes had. Of several that are left take the
one that knows most, by the index that this command prints.

The new cluster has an id of its own. The other nodes must not come back with what is in
their data directories: remove those, start them with --bootstrap-expect 0, and add them.
The archive of raw events is moved aside, and playhead replay proves it as before; the
new cluster's begins where it ends.`,
		Example: `  playhead recover --node-id n1 --data d1 --raft 127.0.0.1:9081
  playhead serve --node-id n1 --data d1 --raft 127.0.0.1:9081 --http 127.0.0.1:8081
  playhead cluster add n4 127.0.0.1:9084 --node http://127.0.0.1:8081`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("recover takes no arguments, got %q", args)}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cfg.Raft.Validate(); err != nil {
				return usageError{err}
			}
			cfg.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return recoverNode(cfg, c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&cfg.Raft.NodeID, "node-id", "n1", "name of the node, as it was")
	flags.StringVar(&cfg.Raft.RaftAddress, "raft", "127.0.0.1:9080", "its address for the other nodes, from now on")
	flags.StringVar(&cfg.Raft.DataDir, "data", "data", "its data directory")
	flags.StringVar(&cfg.Raft.LogStore, "log-store", raft.LogStoreBoltDB, "how its log is kept, as it was: boltdb, or wal")
	return c
}

func recoverNode(cfg server.Config, out io.Writer) error {
	done, archived, err := server.Recover(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `%s is the only member of the new cluster %s, with all up to entry %s of %s.
`, cfg.Raft.NodeID, done.Cluster, results.FormatCount(done.Index), done.Before)
	fmt.Fprintf(out, `The archive of before is in %s.

Start it with the flags it had. Remove the data directories of all other nodes, start
those with --bootstrap-expect 0, and add them: playhead cluster add --help.
`, archived)
	return nil
}
