package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
)

type memberDTO struct {
	NodeID      string `json:"node_id"`
	RaftAddress string `json:"raft_address"`
	HTTPAddress string `json:"http_address"` // empty while the member does not answer
	Voter       bool   `json:"voter"`
}

type clusterDTO struct {
	NodeID       string      `json:"node_id"`
	Role         string      `json:"role"`
	LeaderID     string      `json:"leader_id"` // empty while none is known
	Term         uint64      `json:"term"`
	CommitIndex  uint64      `json:"commit_index"`
	AppliedIndex uint64      `json:"applied_index"`
	Members      []memberDTO `json:"members"`
}

func clusterOf(status raft.Status, members []raft.Member) clusterDTO {
	dto := clusterDTO{
		NodeID: status.NodeID, Role: status.Role, LeaderID: status.LeaderID, Term: status.Term,
		CommitIndex: status.CommitIndex, AppliedIndex: status.AppliedIndex, Members: []memberDTO{},
	}
	for _, m := range members {
		dto.Members = append(dto.Members, memberDTO(m))
	}
	return dto
}

// getCluster tells how the cluster looks from this node.
func (s *Server) getCluster(c echo.Context) error {
	return c.JSON(http.StatusOK, clusterOf(s.node.Status(), s.node.Members(c.Request().Context())))
}

// postMember adds a node, or changes the address or the vote of one.
func (s *Server) postMember(c echo.Context) error {
	member := struct {
		NodeID      string `json:"node_id"`
		RaftAddress string `json:"raft_address"`
		Voter       *bool  `json:"voter"` // absent: it votes
	}{}
	scratch, err := s.receive(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if err := decodeStrict(scratch.body, &member, "node_id", "raft_address", "voter"); err != nil {
		return err
	}
	if member.NodeID == "" {
		return badField("node_id", "the node's name")
	}
	if member.RaftAddress == "" {
		return badField("raft_address", "host:port")
	}
	return s.reconfigure(c, scratch.body, func(ctx context.Context) error {
		return s.node.AddMember(ctx, member.NodeID, member.RaftAddress, member.Voter == nil || *member.Voter)
	})
}

// deleteMember removes a node.
func (s *Server) deleteMember(c echo.Context) error {
	id := c.Param("id")
	return s.reconfigure(c, nil, func(ctx context.Context) error { return s.node.RemoveMember(ctx, id) })
}

// postLeadership hands leadership to the node named, or to any that votes.
func (s *Server) postLeadership(c echo.Context) error {
	to := struct {
		NodeID string `json:"node_id"`
	}{}
	scratch, err := s.receive(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if len(scratch.body) > 0 {
		if err := decodeStrict(scratch.body, &to, "node_id"); err != nil {
			return err
		}
	}
	return s.reconfigure(c, scratch.body, func(ctx context.Context) error { return s.node.TransferLeadership(ctx, to.NodeID) })
}

// reconfigure lets the leader change the cluster, and answers with how it looks then.
func (s *Server) reconfigure(c echo.Context, body []byte, change func(context.Context) error) error {
	if !s.node.IsLeader() {
		return s.forward(c, body)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
	defer cancel()
	if err := change(ctx); err != nil {
		return err
	}
	return s.getCluster(c)
}

// postSnapshot makes this node write a snapshot now.
func (s *Server) postSnapshot(c echo.Context) error {
	deadline := time.Now().Add(snapshotTimeout + writeTimeout) // other requests are given writeTimeout alone
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("give a snapshot its time: %w", err)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), snapshotTimeout)
	defer cancel()
	if err := s.node.TakeSnapshot(ctx); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// getHealth says that the process lives.
func (s *Server) getHealth(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// getReady says whether this node can answer for the cluster: a leader is known,
// and what was committed when the question came is applied here.
func (s *Server) getReady(c echo.Context) error {
	status := s.node.Status()
	if status.LeaderID == "" {
		return raft.ErrNoLeader
	}
	if s.closing.Load() {
		return errShuttingDown
	}
	if status.CommitIndex == 0 { // just started: it knows who leads, and not yet how far the log is
		return newProblemLater("the leader has not told yet what is committed")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	if err := s.node.WaitApplied(ctx, status.CommitIndex); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ready\n")
}
