// Package target boots what a run is aimed at: a cluster of real server processes
// on loopback, each with its own data directory, ended by their pids.
package target

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/playhead-load/playhead/loopback"
)

// Limits of booting a cluster.
const (
	readyTimeout = time.Minute           // from the start of the processes to a leader that all know
	pollInterval = 20 * time.Millisecond // between two questions whether it is so
	askTimeout   = 5 * time.Second       // of one question
	stopTimeout  = 15 * time.Second      // from SIGTERM to SIGKILL
	maxAnswer    = 1 << 20               // bytes of an answer that are read
)

// Options say what cluster to boot.
type Options struct {
	Binary         string // the playhead binary
	DataDir        string // where the nodes keep their data, one directory each
	LogDir         string // where their logs go, one file each
	Nodes          int
	Keepalive      time.Duration
	Lease          time.Duration
	DefaultStreams int
	LogStore       string        // boltdb or wal; empty: the server's default
	BatchLinger    time.Duration // that a write waits for others; 0: the server's default
	Rig            Rig
	Env            []string // in addition to the environment of this process
}

// Cluster is a cluster of server processes. One goroutine may stop it. Its nodes, what it
// tells of them and what is imposed on its wires is for any.
type Cluster struct {
	nodes   []*Node
	ports   *loopback.Ports
	rigging rigging
}

// Start boots a cluster and waits until every node is ready. Whatever it started
// is stopped again if it fails.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, opts); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, opts Options) error {
	var err error
	if c.ports, err = loopback.Reserve(2 * opts.Nodes); err != nil {
		return err
	}
	http, raft := c.ports.Addresses[:opts.Nodes], c.ports.Addresses[opts.Nodes:]
	for i := range opts.Nodes {
		id := fmt.Sprintf("n%d", i+1)
		node := &Node{
			ID: id, URL: "http://" + http[i], Raft: raft[i], binary: opts.Binary, env: opts.Env,
			log: filepath.Join(opts.LogDir, id+".log"),
			args: []string{
				"serve", "--node-id", id, "--http", http[i], "--raft", raft[i],
				"--data", filepath.Join(opts.DataDir, id),
				"--bootstrap-expect", fmt.Sprint(opts.Nodes), "--join", strings.Join(raft, ","),
				"--keepalive", opts.Keepalive.String(), "--lease", opts.Lease.String(),
				"--default-streams", fmt.Sprint(opts.DefaultStreams),
			},
		}
		if opts.LogStore != "" {
			node.args = append(node.args, "--log-store", opts.LogStore)
		}
		if opts.BatchLinger > 0 {
			node.args = append(node.args, "--batch-linger", opts.BatchLinger.String())
		}
		c.nodes = append(c.nodes, node)
	}
	if err := c.rig(opts.Rig, opts.DataDir); err != nil {
		return err
	}
	for _, node := range c.nodes {
		if err := node.Start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, node := range c.nodes {
		if err := node.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Nodes are the nodes in the order of their names.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// RunningURLs is where the nodes answer that run at the moment, by no wires.
func (c *Cluster) RunningURLs() []string {
	var urls []string
	for _, n := range c.nodes {
		if n.Running() {
			urls = append(urls, n.URL)
		}
	}
	return urls
}

// Leader asks the running nodes who leads, and returns one that says it does.
func (c *Cluster) Leader(ctx context.Context) (*Node, error) {
	for _, node := range c.nodes {
		status, err := node.Cluster(ctx)
		if err == nil && status.Role == "leader" {
			return node, nil
		}
	}
	return nil, errors.New("no node says that it leads")
}

// Crashes are the nodes that ended by themselves, one error each.
func (c *Cluster) Crashes() []error {
	var crashes []error
	for _, node := range c.nodes {
		if err := node.Crash(); err != nil {
			crashes = append(crashes, err)
		}
	}
	return crashes
}

// CPUTime is the processor time that the processes have used, those that were
// killed included.
func (c *Cluster) CPUTime() (time.Duration, error) {
	var sum time.Duration
	for _, node := range c.nodes {
		used, err := node.cpuTime()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// Stop ends all processes, with SIGTERM and, if that is not enough, SIGKILL.
func (c *Cluster) Stop() error {
	var errs []error
	for _, node := range c.nodes {
		errs = append(errs, node.Resume(), node.terminate())
	}
	deadline := time.Now().Add(stopTimeout)
	for _, node := range c.nodes {
		errs = append(errs, node.waitEnd(time.Until(deadline)))
	}
	errs = append(errs, c.rigging.close())
	if c.ports != nil {
		errs = append(errs, c.ports.Close())
	}
	return errors.Join(errs...)
}
