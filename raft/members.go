package raft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	hraft "github.com/hashicorp/raft"
)

// changeWithin bounds a change of the members whose ctx has no deadline.
const changeWithin = 10 * time.Second

// Status is what this node knows at the moment.
func (n *Node) Status() Status {
	_, leaderID := n.raft.LeaderWithID()
	return Status{
		NodeID: n.cfg.NodeID, ClusterID: n.machine.clusterID().String(), Role: n.role(), LeaderID: string(leaderID), Term: n.raft.CurrentTerm(),
		CommitIndex: n.raft.CommitIndex(), AppliedIndex: n.AppliedIndex(),
	}
}

// Place is how far this node's state is, and in which cluster's log. After Close
// it is how far the state has come.
func (n *Node) Place() Place {
	return Place{Index: n.machine.applied.Load(), Cluster: n.machine.clusterID()}
}

// MemberCount is how many nodes the latest configuration names.
func (n *Node) MemberCount() int { return len(n.servers()) }

// Members are the nodes of the latest configuration, by id. It asks peers for their
// HTTP addresses, for at most half a second.
func (n *Node) Members(ctx context.Context) []Member {
	servers := n.servers()
	members := make([]Member, 0, len(servers))
	addresses := make([]string, 0, len(servers))
	for _, s := range servers {
		members = append(members, Member{NodeID: string(s.ID), RaftAddress: string(s.Address), Voter: s.Suffrage == hraft.Voter})
		addresses = append(addresses, string(s.Address))
	}
	for i, answer := range n.peers.askAll(ctx, addresses) {
		if answer != nil && answer.NodeID == members[i].NodeID {
			members[i].HTTPAddress = answer.HTTPAddress
		}
		if members[i].NodeID == n.cfg.NodeID {
			members[i].HTTPAddress = n.cfg.HTTPAddress
		}
	}
	return members
}

// servers is the latest configuration by id.
func (n *Node) servers() []hraft.Server {
	future := n.raft.GetConfiguration()
	if future.Error() != nil {
		return nil
	}
	return slices.SortedFunc(slices.Values(future.Configuration().Servers), func(a, b hraft.Server) int {
		return strings.Compare(string(a.ID), string(b.ID))
	})
}

// memberAt is the id of the member that has this raft address, empty if none has.
func (n *Node) memberAt(raftAddress string) string {
	for _, s := range n.servers() {
		if string(s.Address) == raftAddress {
			return string(s.ID)
		}
	}
	return ""
}

func (n *Node) server(id string) (hraft.Server, bool) {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return s, true
		}
	}
	return hraft.Server{}, false
}

// AddMember adds a node, or changes its address or vote; only on the leader.
// The node has to run, to answer under that id (a voter that is not there would
// cost the cluster its quorum), and not to hold another cluster's data.
func (n *Node) AddMember(ctx context.Context, id, raftAddress string, voter bool) error {
	if _, err := n.waitLeading(ctx); err != nil { // from then on the cluster's id is known
		return err
	}
	answer, err := askHello(ctx, n.cfg.DialThrough.to(raftAddress), n.cfg.NodeID, n.cfg.Identity)
	if err != nil {
		return fmt.Errorf("%w: %s does not answer: %w", ErrMemberRefused, id, err)
	}
	if answer.NodeID != id {
		return fmt.Errorf("%w: the node at %s is %q, expected %q", ErrMemberRefused, raftAddress, answer.NodeID, id)
	}
	ours := n.machine.clusterID().String()
	if _, known := n.server(id); !known && answer.Bootstrapped && answer.ClusterID == "" {
		return fmt.Errorf("%w: %s holds data, and does not know yet of which cluster (this is %s): remove its data directory first", ErrMemberRefused, id, ours)
	}
	if answer.ClusterID != "" && answer.ClusterID != ours {
		return fmt.Errorf("%w: %s holds the data of cluster %s, this is %s: remove its data directory first", ErrMemberRefused, id, answer.ClusterID, ours)
	}
	if known, ok := n.server(id); ok && known.Suffrage == hraft.Voter && !voter {
		if !n.hasVotersBeside(id) {
			return fmt.Errorf("%w: %s has the only vote", ErrMemberRefused, id)
		}
		if err := n.change(ctx, func(within time.Duration) hraft.Future {
			return n.raft.DemoteVoter(hraft.ServerID(id), 0, within)
		}); err != nil {
			return fmt.Errorf("take the vote of %s: %w", id, err)
		}
	}
	add := n.raft.AddVoter
	if !voter {
		add = n.raft.AddNonvoter
	}
	err = n.change(ctx, func(within time.Duration) hraft.Future {
		return add(hraft.ServerID(id), hraft.ServerAddress(raftAddress), 0, within)
	})
	if err != nil {
		return fmt.Errorf("add %s: %w", id, err)
	}
	n.peers.forget()
	return nil
}

// RemoveMember removes a node; only on the leader, which may remove itself.
func (n *Node) RemoveMember(ctx context.Context, id string) error {
	if !n.IsLeader() {
		return ErrNotLeader
	}
	if _, ok := n.server(id); !ok {
		return fmt.Errorf("%w: %q", ErrUnknownMember, id)
	}
	if !n.hasVotersBeside(id) {
		return fmt.Errorf("%w: %s has the only vote", ErrMemberRefused, id)
	}
	err := n.change(ctx, func(within time.Duration) hraft.Future {
		return n.raft.RemoveServer(hraft.ServerID(id), 0, within)
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	n.peers.forget()
	return nil
}

// TransferLeadership hands the leadership to a voter; only on the leader. With
// an empty id, the most advanced voter that answers is chosen.
func (n *Node) TransferLeadership(ctx context.Context, id string) error {
	if !n.IsLeader() {
		return ErrNotLeader
	}
	if id == n.cfg.NodeID {
		return nil
	}
	target, err := n.successor(ctx, id)
	if err != nil {
		return err
	}
	err = n.change(ctx, func(time.Duration) hraft.Future {
		return n.raft.LeadershipTransferToServer(target.ID, target.Address)
	})
	if err == nil {
		_, err = n.Leader(ctx) // whose election may need this node's vote
	}
	if err != nil {
		return fmt.Errorf("hand leadership to %s: %w", target.ID, err)
	}
	return nil
}

// successor picks whom to hand the leadership to. Only a node that answers at
// once: a transfer to one that does not can leave the library refusing every
// entry (hashicorp/raft 696).
func (n *Node) successor(ctx context.Context, id string) (hraft.Server, error) {
	if id != "" {
		if s, ok := n.server(id); !ok {
			return s, fmt.Errorf("%w: %q", ErrUnknownMember, id)
		} else if s.Suffrage != hraft.Voter {
			return s, fmt.Errorf("%w: %s has no vote and cannot lead", ErrMemberRefused, id)
		}
	}
	candidates := slices.DeleteFunc(n.servers(), func(s hraft.Server) bool {
		return s.Suffrage != hraft.Voter || string(s.ID) == n.cfg.NodeID || id != "" && string(s.ID) != id
	})
	addresses := make([]string, len(candidates))
	for i, s := range candidates {
		addresses[i] = string(s.Address)
	}
	fresh := newPeerBook(n.cfg)
	best, bestIndex := -1, uint64(0)
	for i, answer := range fresh.askAll(ctx, addresses) {
		if answer != nil && answer.NodeID == string(candidates[i].ID) && (best < 0 || answer.LastIndex > bestIndex) {
			best, bestIndex = i, answer.LastIndex
		}
	}
	if best < 0 {
		return hraft.Server{}, fmt.Errorf("%w: no other voter answers that could lead", ErrMemberRefused)
	}
	return candidates[best], nil
}

// TakeSnapshot writes a snapshot now and truncates the log behind it; on any node. It
// waits for one that the node takes already, and the next is not begun after ctx has ended.
func (n *Node) TakeSnapshot(ctx context.Context) error {
	err := n.run(ctx, func(time.Duration) error {
		select {
		case n.taking <- struct{}{}:
			defer func() { <-n.taking }()
			if err := ctx.Err(); err != nil { // both may have been so
				return err
			}
			return n.raft.Snapshot().Error()
		case <-ctx.Done():
			return ctx.Err()
		case <-n.closing:
			return hraft.ErrRaftShutdown
		}
	}, knownError)
	if errors.Is(err, hraft.ErrNothingNewToSnapshot) {
		return ErrNothingToSnapshot
	}
	if err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	return nil
}

// change runs an operation of the library and waits for it within ctx; the
// operation itself goes on when ctx ends.
func (n *Node) change(ctx context.Context, start func(within time.Duration) hraft.Future) error {
	return n.run(ctx, func(within time.Duration) error { return start(within).Error() }, changeError)
}

func (n *Node) run(ctx context.Context, start func(within time.Duration) error, verdict func(error) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	within := changeWithin
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, max(time.Until(deadline), time.Millisecond))
	}
	done := make(chan error, 1)
	go func() { done <- start(within) }()
	select {
	case err := <-done:
		return verdict(err)
	case <-ctx.Done():
		return ctx.Err()
	case <-n.closing:
		return ErrClosed
	}
}

// changeError tells what the library's verdict means for a change of members or
// leadership. Its errors without a name ("leadership transfer timeout", a
// request that failed on its way) leave open whether the change took place.
func changeError(err error) error {
	known := knownError(err)
	for _, named := range []error{ErrNotLeader, ErrOverloaded, ErrOutcomeUnknown, ErrClosed} {
		if known == nil || errors.Is(known, named) {
			return known
		}
	}
	return fmt.Errorf("%w (%w)", ErrOutcomeUnknown, err)
}

func knownError(err error) error {
	switch {
	case errors.Is(err, hraft.ErrNotLeader), errors.Is(err, hraft.ErrLeadershipTransferInProgress):
		return ErrNotLeader
	case errors.Is(err, hraft.ErrEnqueueTimeout):
		return ErrOverloaded
	case errors.Is(err, hraft.ErrLeadershipLost):
		return ErrOutcomeUnknown
	case errors.Is(err, hraft.ErrRaftShutdown):
		return ErrClosed
	}
	return err
}
