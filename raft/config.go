package raft

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// Limits and defaults. Sizes in bytes.
const (
	// MaxCommandBytes is the hard limit of one command.
	MaxCommandBytes = 8 << 20

	// A command waits for company for DefaultBatchLinger, and for MaxBatchLinger at most.
	DefaultBatchLinger = time.Millisecond
	MaxBatchLinger     = time.Second

	defaultBatchCommands = 1024
	defaultBatchBytes    = 256 << 10
	defaultInFlight      = 2
	defaultQueueCommands = 8192
	defaultQueueBytes    = 16 << 20

	defaultHeartbeatTimeout  = time.Second
	defaultSnapshotThreshold = 16384
	defaultTrailingLogs      = 8192
)

// BatchLimits bounds the group commit. The zero value of a field is its default.
type BatchLimits struct {
	Commands   int           // most commands in an entry; 1024
	Bytes      int           // most bytes in an entry; 256 KiB. A larger command rides alone
	Linger     time.Duration // longest a command waits for company while an entry could be sent; 1 ms, at most a second
	InFlight   int           // most entries sent and not yet committed; 2
	Queue      int           // most commands waiting to be sent; 8192
	QueueBytes int           // most bytes waiting to be sent; 16 MiB
}

func (l BatchLimits) withDefaults() BatchLimits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Commands, defaultBatchCommands)
	set(&l.Bytes, defaultBatchBytes)
	set(&l.InFlight, defaultInFlight)
	set(&l.Queue, defaultQueueCommands)
	set(&l.QueueBytes, defaultQueueBytes)
	if l.Linger <= 0 {
		l.Linger = DefaultBatchLinger
	}
	return l
}

// Config says who a node is and how it finds its cluster.
type Config struct {
	NodeID      string // unique in the cluster, the same for the life of DataDir
	RaftAddress string // host:port, both listened on and told to the peers; port 0 picks a free one
	HTTPAddress string // told to the other nodes; never dialled by this package
	DataDir     string // log, vote and snapshots; used by one node at a time
	LogStore    string // LogStoreBoltDB, the default, or LogStoreWAL; the same for the life of DataDir

	// Join lists raft addresses of the nodes that form, or already form, the
	// cluster; it may include our own.
	Join []string
	// BootstrapExpect 0 never bootstraps: the node waits to be added. 1 is a
	// cluster of one. N waits until the N nodes of Join have answered and none
	// of them belongs to a cluster; then all N found it together. With state
	// on disk it is ignored.
	BootstrapExpect int

	// Identity is asked for at each new connection between nodes, so that a
	// certificate can be renewed; it does not block. nil: the nodes speak in the
	// clear and believe whoever reaches the raft port.
	Identity func() Identity

	// DialThrough is for tests of clusters whose nodes reach each other by wires that
	// can be cut. Nodes and members keep their own addresses.
	DialThrough Detours
	// Disk comes between this node and its disk. For tests; nil: nothing does.
	Disk *Disk

	Batch BatchLimits

	HeartbeatTimeout time.Duration // without a leader's word before an election; 1 s
	ElectionTimeout  time.Duration // of one election; HeartbeatTimeout
	LeaderLease      time.Duration // a leader without its quorum steps down after it; half of HeartbeatTimeout
	// SlowDisk is how long one append to the log may take before a leader
	// falls silent so that its peers elect another; 10 × HeartbeatTimeout.
	SlowDisk time.Duration

	SnapshotThreshold uint64 // entries (each a batch) from one snapshot of a node to its next, its first after a share of them: the nodes take turns; 16384
	TrailingLogs      uint64 // entries kept behind a snapshot for slow followers; 8192

	// OnEntry is told the fate of each entry that this node submitted, from any
	// goroutine; the proposers wait until it returns. May be nil.
	OnEntry func(EntryFate)

	Now    func() time.Time // the leader's clock on the wall; time.Now
	Logger *slog.Logger     // slog.Default()

	// Damaged is called when an entry of the log is found damaged, or cannot be read,
	// while the node runs, before anything is made of it, or when the node's term cannot be
	// written. It must not return to its goroutine,
	// which may be any. nil writes the error to Logger and ends the process with
	// exit code 1.
	Damaged func(error)

	segmentBytes int                   // of the WAL; 64 MiB. For tests
	under        func(keptLog) keptLog // comes between us and the log store; nil: nothing does. For tests
	// dial reaches a peer; net.DialTimeout. For tests
	dial func(network, address string, timeout time.Duration) (net.Conn, error)
}

var logStores = []string{LogStoreBoltDB, LogStoreWAL}

func (c Config) withDefaults() Config {
	c.Batch = c.Batch.withDefaults()
	if c.LogStore == "" {
		c.LogStore = LogStoreBoltDB
	}
	if c.HeartbeatTimeout <= 0 {
		c.HeartbeatTimeout = defaultHeartbeatTimeout
	}
	if c.ElectionTimeout <= 0 {
		c.ElectionTimeout = c.HeartbeatTimeout
	}
	if c.LeaderLease <= 0 {
		c.LeaderLease = c.HeartbeatTimeout / 2
	}
	if c.SlowDisk <= 0 {
		c.SlowDisk = 10 * c.HeartbeatTimeout
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = defaultSnapshotThreshold
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = defaultTrailingLogs
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Damaged == nil {
		logger := c.Logger.With("node_id", c.NodeID)
		c.Damaged = func(err error) {
			logger.Error("this node stops: its disk fails", "error", err)
			os.Exit(1)
		}
	}
	return c
}

// validateDisk says what no data directory can be opened with.
func (c Config) validateDisk() error {
	if c.NodeID == "" {
		return fmt.Errorf("node_id: expected a name unique in the cluster, got none")
	}
	if c.DataDir == "" {
		return fmt.Errorf("data_dir: expected a directory, got none")
	}
	if c.LogStore != "" && !slices.Contains(logStores, c.LogStore) {
		return fmt.Errorf("log_store: expected %s, got %q", strings.Join(logStores, " or "), c.LogStore)
	}
	return nil
}

// Detours are where nodes are dialled, by their raft addresses, if not there.
type Detours map[string]string

func (d Detours) to(raftAddress string) string {
	if detour, ok := d[raftAddress]; ok {
		return detour
	}
	return raftAddress
}

// Validate says what no node can be opened with.
func (c Config) Validate() error {
	if err := c.validateDisk(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.RaftAddress)
	if err != nil {
		return fmt.Errorf("raft_address: expected host:port, got %q", c.RaftAddress)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("raft_address: expected an address that the other nodes can dial, got %q", c.RaftAddress)
	}
	if c.Batch.Linger < 0 || c.Batch.Linger > MaxBatchLinger {
		return fmt.Errorf("batch_linger: expected 0s to %v, got %v", MaxBatchLinger, c.Batch.Linger)
	}
	return c.validateBootstrap()
}

func (c Config) validateBootstrap() error {
	switch others := slices.DeleteFunc(slices.Clone(c.Join), func(a string) bool { return a == c.RaftAddress }); {
	case c.BootstrapExpect < 0:
		return fmt.Errorf("bootstrap_expect: expected 0 or more, got %d", c.BootstrapExpect)
	case c.BootstrapExpect == 1 && len(others) > 0:
		return fmt.Errorf("bootstrap_expect: 1 is a cluster of one, but join names %d other nodes: set it to the number of nodes, or to 0 to be added to a cluster", len(others))
	case c.BootstrapExpect > 1 && len(c.Join) != c.BootstrapExpect:
		return fmt.Errorf("bootstrap_expect: %d nodes are expected, but join names %d: list the raft address of every founding node, this one included", c.BootstrapExpect, len(c.Join))
	case c.BootstrapExpect > 1 && len(others) != c.BootstrapExpect-1:
		return fmt.Errorf("join: expected this node's own raft address %s among the founding nodes, once", c.RaftAddress)
	}
	return nil
}
