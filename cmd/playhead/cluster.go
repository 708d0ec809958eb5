package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/server/token"
)

// Limits of asking a node.
const (
	clusterTimeout  = 10 * time.Second
	snapshotTimeout = 20 * time.Minute // of a snapshot that the node writes before it answers
	maxClusterBytes = 1 << 20          // of an answer
)

// clusterOptions are what all subcommands of cluster share.
type clusterOptions struct {
	node       string // the URL of the node that is asked
	tokens     string // file with an admin token; empty: envAdminToken, or none
	ca         string // file with who signed the node's certificate; empty: whom this machine trusts
	serverName string // in that certificate; empty: the host of node
	json       bool
}

// envAdminToken holds an admin's token: as a flag every process could read it.
const envAdminToken = "PLAYHEAD_ADMIN_TOKEN"

func newCluster() *cobra.Command {
	var o clusterOptions
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Look at a running cluster, and change its members",
		Long: `Look at a running cluster of the reference server, and change its members. Any
node takes the request; the one that leads carries it out.

A node that asks for tokens answers at its address for admins, --admin of playhead
serve. The admin's token comes from the token file (--tokens) or, elsewhere, from the
environment: PLAYHEAD_ADMIN_TOKEN.

To replace a node whose disk is gone: remove it, start a new one under a new name
with --bootstrap-expect 0, then add that.`,
		Example: `  playhead cluster status
  playhead cluster add n4 127.0.0.1:9084              # it runs already, with --bootstrap-expect 0
  playhead cluster add n5 127.0.0.1:9085 --non-voter  # a replica that answers reads
  playhead cluster remove n2
  playhead cluster transfer n3
  playhead cluster snapshot --node http://127.0.0.1:8082
  playhead cluster status --node https://127.0.0.1:8090 --ca ca.pem --tokens tokens.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q%s: see %s --help", args[0], meant(c.SuggestionsFor(args[0])), c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&o.node, "node", "http://127.0.0.1:8080", "URL of a node of the cluster")
	c.PersistentFlags().StringVar(&o.tokens, "tokens", os.Getenv("PLAYHEAD_TOKENS"), "the nodes' token file, to ask as an admin; or set "+envAdminToken)
	c.PersistentFlags().StringVar(&o.ca, "ca", os.Getenv("PLAYHEAD_CA"), "who signed the node's certificate, PEM; without it whom this machine trusts")
	c.PersistentFlags().StringVar(&o.serverName, "server-name", "", "name in the node's certificate, where it is not that of --node")
	c.PersistentFlags().BoolVar(&o.json, "json", false, "print the node's answer instead of a table")
	c.AddCommand(newClusterStatus(&o), newClusterAdd(&o), newClusterRemove(&o), newClusterTransfer(&o), newClusterSnapshot(&o))
	return c
}

func newClusterStatus(o *clusterOptions) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Who is in the cluster, who leads, how far it is", Args: wants(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.change(c, http.MethodGet, "/v1/cluster", nil)
		},
	}
}

func newClusterAdd(o *clusterOptions) *cobra.Command {
	nonVoter := false
	c := &cobra.Command{
		Use: "add NODE-ID RAFT-ADDRESS", Short: "Add a node that runs and waits, or change the address or the vote of one", Args: wants(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, http.MethodPost, "/v1/cluster/members", map[string]any{
				"node_id": args[0], "raft_address": args[1], "voter": !nonVoter,
			})
		},
	}
	c.Flags().BoolVar(&nonVoter, "non-voter", false, "it follows and answers reads, and counts for no quorum")
	return c
}

func newClusterRemove(o *clusterOptions) *cobra.Command {
	return &cobra.Command{
		Use: "remove NODE-ID", Short: "Remove a node, dead or alive", Args: wants(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, http.MethodDelete, "/v1/cluster/members/"+url.PathEscape(args[0]), nil)
		},
	}
}

func newClusterTransfer(o *clusterOptions) *cobra.Command {
	return &cobra.Command{
		Use: "transfer [NODE-ID]", Short: "Let another node lead: the one named, or the one that knows most", Args: wants(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			to := map[string]any{}
			if len(args) == 1 {
				to["node_id"] = args[0]
			}
			return o.change(c, http.MethodPost, "/v1/cluster/leadership", to)
		},
	}
}

func newClusterSnapshot(o *clusterOptions) *cobra.Command {
	return &cobra.Command{
		Use: "snapshot", Short: "Make the node write a snapshot now, and shorten its log", Args: wants(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := o.ask(c.Context(), snapshotTimeout, http.MethodPost, "/v1/cluster/snapshot", nil)
			return err
		},
	}
}

// wants checks how many arguments there are.
func wants(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s: got %d arguments", c.UseLine(), len(args))}
		}
		return nil
	}
}

// change makes a request that is answered with the cluster as it is then.
func (o *clusterOptions) change(c *cobra.Command, method, path string, body any) error {
	answer, err := o.ask(c.Context(), clusterTimeout, method, path, body)
	if err != nil {
		return err
	}
	if o.json {
		_, err := c.OutOrStdout().Write(answer)
		return err
	}
	return printCluster(c.OutOrStdout(), answer)
}

// ask makes a request of the node.
func (o *clusterOptions) ask(ctx context.Context, timeout time.Duration, method, path string, body any) ([]byte, error) {
	urls, err := parseURLs("--node", []string{o.node})
	if err != nil {
		return nil, usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, urls[0]+path, sent)
	if err != nil {
		return nil, err
	}
	if err := o.authorize(request); err != nil {
		return nil, usageError{err}
	}
	client, err := o.client()
	if err != nil {
		return nil, usageError{err}
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: does a node run there? --node names another", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxClusterBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", o.node, err)
	}
	if response.StatusCode/100 != 2 {
		var problem struct {
			Detail string `json:"detail"`
		}
		if json.Unmarshal(answer, &problem) != nil || problem.Detail == "" {
			problem.Detail = string(bytes.TrimSpace(answer))
		}
		return nil, fmt.Errorf("%s: %s: %s", o.node, response.Status, problem.Detail)
	}
	return answer, nil
}

// authorize adds the admin's token, if there is one. It goes nowhere in the clear but
// to this machine.
func (o *clusterOptions) authorize(request *http.Request) error {
	admin := os.Getenv(envAdminToken)
	if o.tokens != "" {
		file, err := token.ReadFile(o.tokens)
		if err != nil {
			return err
		}
		admin = file.Admin[0]
	}
	if admin == "" {
		return nil
	}
	if err := mayCarryToken("--node", request.URL.String()); err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+admin)
	return nil
}

func (o *clusterOptions) client() (*http.Client, error) {
	settings, err := trusting(o.ca)
	if err != nil {
		return nil, err
	}
	settings.ServerName = o.serverName
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: settings},
		// A redirect is not in the contract, and would take the token along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func printCluster(out io.Writer, answer []byte) error {
	var cluster struct {
		NodeID       string `json:"node_id"`
		LeaderID     string `json:"leader_id"`
		Term         uint64 `json:"term"`
		CommitIndex  uint64 `json:"commit_index"`
		AppliedIndex uint64 `json:"applied_index"`
		Members      []struct {
			NodeID      string `json:"node_id"`
			RaftAddress string `json:"raft_address"`
			HTTPAddress string `json:"http_address"`
			Voter       bool   `json:"voter"`
		} `json:"members"`
	}
	if err := json.Unmarshal(answer, &cluster); err != nil {
		return fmt.Errorf("read how the cluster is: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NODE\tROLE\tRAFT\tHTTP")
	for _, m := range cluster.Members {
		role, address := "voter", m.HTTPAddress
		if !m.Voter {
			role = "non-voter"
		}
		if m.NodeID == cluster.LeaderID {
			role = "leader"
		}
		if address == "" {
			address = "does not answer"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.NodeID, role, m.RaftAddress, address)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	leader := cluster.LeaderID
	if leader == "" {
		leader = "nobody"
	}
	_, err := fmt.Fprintf(out, "\nas %s sees it: %s leads in term %d, committed to %d, applied to %d\n",
		cluster.NodeID, leader, cluster.Term, cluster.CommitIndex, cluster.AppliedIndex)
	return err
}
