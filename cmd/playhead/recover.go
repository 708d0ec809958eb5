package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/server"
)

func newRecover() *cobra.Command {
	var cfg server.Config
	force := false
	c := &cobra.Command{
		Use:   "recover",
		Short: "Make what is left of a lost cluster a new one",
		Long: `Make a node that is down the only member of a new cluster, after the majority of its
own is gone for good. While a majority can still come back, bring that back instead.

Without --force it tells how much the node's disk holds, and changes nothing. Of several
nodes that are left take the one with the greatest term, and of these the one with the
greatest entry. The new cluster begins with all that this one holds: also what was never
committed, and without what only the others had.

The new cluster has an id of its own. The other nodes must not come back with what is in
their data directories: remove those, start them with --bootstrap-expect 0, and add them.
The archive of raw events is moved aside, and playhead replay proves it as before. The
new cluster's begins where it ends, so that a replay of that alone proves nothing.

What fails or breaks off is to be repeated; until then the node does not start.`,
		Example: `  playhead recover --node-id n1 --data d1
  playhead recover --node-id n1 --data d1 --force
  playhead serve --node-id n1 --data d1 --raft 127.0.0.1:9081 --http 127.0.0.1:8081
  playhead cluster add n4 127.0.0.1:9084 --node http://127.0.0.1:8081`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("recover takes no arguments, got %q", args)}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			cfg.Raft.Logger = cfg.Logger
			told := cfg.Raft
			told.RaftAddress = cmp.Or(told.RaftAddress, "127.0.0.1:0") // as it was, which is on the disk
			if err := told.Validate(); err != nil {
				return usageError{err}
			}
			return recoverNode(cfg, force, c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&cfg.Raft.NodeID, "node-id", "n1", "name of the node, as it was")
	flags.StringVar(&cfg.Raft.DataDir, "data", "data", "its data directory")
	flags.StringVar(&cfg.Raft.LogStore, "log-store", raft.LogStoreBoltDB, "how its log is kept, as it was: boltdb, or wal")
	flags.StringVar(&cfg.Raft.RaftAddress, "raft", "", "its address for the other nodes from now on (default: as it was)")
	flags.BoolVar(&force, "force", false, "do it")
	return c
}

func recoverNode(cfg server.Config, force bool, out io.Writer) error {
	left, err := raft.Inspect(cfg.Raft)
	if err != nil {
		return err
	}
	members := make([]string, len(left.Members))
	for i, m := range left.Members {
		members[i] = m.NodeID
	}
	fmt.Fprintf(out, "%s holds all up to entry %s, of term %s, and knows %s as members.\n",
		cfg.Raft.NodeID, results.FormatCount(left.Index), results.FormatCount(left.Term), strings.Join(members, ", "))
	if !force {
		fmt.Fprint(out, "Nothing is changed: with --force it becomes the only member of a new cluster.\n")
		return nil
	}
	done, archived, err := server.Recover(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `It is now the only member of the new cluster %s; the one before was %s.
The archive of before is in %s.

Start it with the flags it had. Remove the data directories of all other nodes, start
those with --bootstrap-expect 0, and add them: playhead cluster add --help.
`, done.Cluster, done.Before, archived)
	return nil
}
