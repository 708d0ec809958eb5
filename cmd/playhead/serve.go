package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server"
)

// closeTimeout bounds what a node does between SIGTERM and its end.
const closeTimeout = 10 * time.Second

// defaultArchiveSize is the default of --archive-size: about 300 million events.
const defaultArchiveSize = "16GiB"

func newServe() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run one node of the reference server",
		Long: `Run one node of the reference server.

Without flags it is a cluster of one on 127.0.0.1:8080 with its data in ./data.
A cluster takes the same flags on each node but for its own name and addresses:

  playhead serve --node-id n1 --http 127.0.0.1:8081 --raft 127.0.0.1:9081 --data d1 \
    --bootstrap-expect 3 --join 127.0.0.1:9081,127.0.0.1:9082,127.0.0.1:9083

Raw events are archived in the data directory: playhead replay rebuilds the views
from them. What is older than --archive-retention, or beyond --archive-size, is
deleted, and then a replay can no longer prove anything.

Sessions last heard from longer ago than --session-memory leave memory for a store on
the disk, but for the newest --history-memory views of each profile. No answer changes
by it. docs/memory.md says what is bounded, and by what.

On loopback it trusts whoever reaches it. To listen anywhere else it takes, and asks
for, certificates and tokens (docs/security.md; playhead token makes the latter):

  playhead serve --http 0.0.0.0:8443 --tls-cert web.pem --tls-key web-key.pem \
    --tokens tokens.json --node-id n1 --raft 10.0.0.1:9080 \
    --peer-cert n1.pem --peer-key n1-key.pem --peer-ca nodes-ca.pem …

SIGHUP makes it read tokens and certificates again.

Every flag can stand in a file (--config FILE.yaml) or in the environment
(PLAYHEAD_HTTP=…). A flag wins over the environment, which wins over the file.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("serve takes no arguments, got %q", args)}
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.String("node-id", "n1", "name of this node, different on each")
	flags.String("http", "127.0.0.1:8080", "address for clients")
	flags.String("raft", "127.0.0.1:9080", "address for the other nodes")
	flags.String("data", "data", "directory of the log, the snapshots, the archive and the sessions that left memory")
	flags.String("log-store", raft.LogStoreBoltDB, "how the log is kept: boltdb, or wal, which writes less; the same for the life of the data directory")
	flags.Duration("batch-linger", raft.DefaultBatchLinger, "how long a write waits at most for others to share its log entry; longer takes less of the processors and of the disk, and answers later")
	flags.Int("bootstrap-expect", 1, "how many nodes form the cluster when none exists yet; 0 waits to be added to one")
	flags.StringSlice("join", nil, "raft addresses of all nodes that form the cluster, this one among them")
	flags.Duration("keepalive", time.Minute, "how often devices are asked to say that they play")
	flags.Duration("lease", 150*time.Second, "how long a session stays active after it was last heard from")
	flags.Int("default-streams", 2, "stream limit of an account whose plan is not known")
	flags.Duration("session-memory", 24*time.Hour, "how long a session stays in memory after it was last heard from; 0 for ever")
	flags.Int("history-memory", 20, "how many of the newest views of a profile stay in memory however old they are")
	flags.Duration("archive-retention", 0, "how long raw events are archived; 0 for ever")
	flags.String("archive-size", defaultArchiveSize, "how large the archive of raw events may become before the oldest go; 0 without limit")
	flags.String("tokens", "", "token file: requests must bring a token, see playhead token")
	flags.String("admin", "", "address for admins: cluster, plans, metrics (default "+server.DefaultAdminAddress+" with --tokens, else that of --http)")
	flags.String("tls-cert", "", "certificate shown to clients and admins, PEM")
	flags.String("tls-key", "", "its private key")
	flags.String("peer-cert", "", "certificate shown to the other nodes, PEM; its name is the node's id")
	flags.String("peer-key", "", "its private key")
	flags.String("peer-ca", "", "certificates of who signs those of the nodes, and of nobody else, PEM")
	flags.String("config", "", "file with the same settings in YAML, named as the flags")
	addBreakingFlags(flags)
	c.RunE = func(c *cobra.Command, _ []string) error {
		settings, err := readSettings(c.Flags())
		if err != nil {
			return usageError{err}
		}
		return serve(c.Context(), settings, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
	}
	return c
}

// readSettings merges flags, environment and file, in this order of precedence.
func readSettings(flags *pflag.FlagSet) (*viper.Viper, error) {
	v := viper.New()
	v.SetEnvPrefix("playhead")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(flags); err != nil {
		return nil, fmt.Errorf("bind flags: %w", err)
	}
	file := v.GetString("config")
	if file == "" {
		return v, nil
	}
	settings := viper.New()
	settings.SetConfigFile(file)
	settings.SetConfigType("yaml")
	if err := settings.ReadInConfig(); err != nil {
		return nil, fmt.Errorf("read settings from %s: %w", file, err)
	}
	for _, key := range settings.AllKeys() {
		if key == "config" || flags.Lookup(key) == nil {
			return nil, fmt.Errorf("%s: no such setting: %s", file, key)
		}
	}
	if err := v.MergeConfigMap(settings.AllSettings()); err != nil {
		return nil, fmt.Errorf("read settings from %s: %w", file, err)
	}
	return v, nil
}

func serverConfig(v *viper.Viper, log *slog.Logger) (server.Config, error) {
	cfg := server.Config{HTTPAddress: v.GetString("http"), Logger: log}
	cfg.Raft.NodeID = v.GetString("node-id")
	cfg.Raft.RaftAddress = v.GetString("raft")
	cfg.Raft.DataDir = v.GetString("data")
	cfg.Raft.LogStore = v.GetString("log-store")
	cfg.Raft.Join = splitList(v.GetStringSlice("join"))
	cfg.Doors = server.Doors{
		AdminAddress: v.GetString("admin"), TokenFile: v.GetString("tokens"),
		TLSCert: v.GetString("tls-cert"), TLSKey: v.GetString("tls-key"),
		PeerCert: v.GetString("peer-cert"), PeerKey: v.GetString("peer-key"), PeerCA: v.GetString("peer-ca"),
	}
	for name, to := range map[string]*time.Duration{"keepalive": &cfg.Keepalive, "lease": &cfg.Lease, "archive-retention": &cfg.ArchiveFor, "session-memory": &cfg.SessionMemory, "batch-linger": &cfg.Raft.Batch.Linger} {
		d, err := time.ParseDuration(v.GetString(name))
		if err != nil {
			return cfg, fmt.Errorf("%s: expected a duration such as 60s, got %q", name, v.GetString(name))
		}
		*to = d
	}
	for name, to := range map[string]*int{"bootstrap-expect": &cfg.Raft.BootstrapExpect, "default-streams": &cfg.DefaultStreams, "history-memory": &cfg.HistoryMemory} {
		n, err := strconv.Atoi(v.GetString(name))
		if err != nil {
			return cfg, fmt.Errorf("%s: expected an integer, got %q", name, v.GetString(name))
		}
		*to = n
	}
	var err error
	if cfg.ArchiveBytes, err = parseSize(v.GetString("archive-size")); err != nil {
		return cfg, fmt.Errorf("archive-size: %w", err)
	}
	return cfg, nil
}

// splitList splits what an environment variable holds as one comma-separated text.
func splitList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(strings.Join(list, ","), ",")
}

func serve(ctx context.Context, v *viper.Viper, log *slog.Logger) error {
	cfg, err := serverConfig(v, log)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return usageError{err}
	}
	unbreakable, err := makeBreakable(v, &cfg)
	if err != nil {
		return usageError{err}
	}
	defer unbreakable()
	growInHugePages()
	defer boundGarbage()() // until the node is closed, which ctx does not wait for
	node, err := server.Open(cfg)
	if err != nil {
		return fmt.Errorf("start node %s: %w", cfg.Raft.NodeID, taken(err, &cfg))
	}
	if cfg.Doors != (server.Doors{}) { // without secrets, SIGHUP ends a node as it ends any program
		defer reloadOnHangup(node, log)()
	}
	log.Info("node is up", "node", cfg.Raft.NodeID, "http", node.HTTPAddress(), "admin", node.AdminAddress(), "raft", cfg.Raft.RaftAddress, "data", cfg.Raft.DataDir)
	served := make(chan error, 1)
	go func() { served <- node.Serve() }()
	var serveErr error
	select {
	case serveErr = <-served:
		close(served) // Close below lets nothing be served any more
	case <-ctx.Done():
	}
	log.Info("shutting down", "node", cfg.Raft.NodeID)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := node.Close(closing); err != nil {
		return errors.Join(serveErr, fmt.Errorf("stop node %s: %w", cfg.Raft.NodeID, err))
	}
	return errors.Join(serveErr, <-served)
}

// reloadOnHangup makes the node read its tokens and certificates again when it is sent
// SIGHUP, until the function that it returns is called.
func reloadOnHangup(node *server.Server, log *slog.Logger) (end func()) {
	hangup, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-hangup:
				if err := node.Reload(); err != nil {
					log.Error("tokens and certificates stay as they were", "error", err)
					continue
				}
				log.Info("read tokens and certificates again")
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(ended)
	}
}
