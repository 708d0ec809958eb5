package fault

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/viewing"
)

// askTimeout bounds one request to a node, which may wait for an election.
const askTimeout = 2 * time.Second

// transfer lets another node lead.
func (s *step) transfer(ctx context.Context) (mend func(context.Context) error, err error) {
	return nil, s.askUntil(ctx, targetWait, s.nodes, http.MethodPost, "/v1/cluster/leadership", "")
}

// removeMember removes a node, which runs on, and adds it again.
func (s *step) removeMember(ctx context.Context) (mend func(context.Context) error, err error) {
	node := s.nodes[0]
	others := s.Cluster.Others(node)
	if err := s.askUntil(ctx, targetWait, others, http.MethodDelete, "/v1/cluster/members/"+node.ID, ""); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		body := fmt.Sprintf(`{"node_id":%q,"raft_address":%q,"voter":true}`, node.ID, node.Raft)
		return s.askUntil(ctx, mendWait, others, http.MethodPost, "/v1/cluster/members", body)
	}, nil
}

// askUntil asks one node after another for a change until it is done.
func (s *step) askUntil(ctx context.Context, within time.Duration, nodes []*target.Node, method, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for try := 0; ; try++ {
		status, err := askOnce(ctx, nodes[try%len(nodes)], method, path, body)
		done := status == http.StatusOK || method == http.MethodDelete && status == http.StatusNotFound // by the try before
		if err == nil && done {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%s %s: %d %s", method, path, status, http.StatusText(status))
		}
		if !sleep(ctx, pollInterval) {
			return refused{err}
		}
	}
}

func askOnce(ctx context.Context, node *target.Node, method, path, body string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return node.Do(ctx, method, path, body)
}

// vanish makes devices fall silent.
func (s *step) vanish(context.Context) (mend func(context.Context) error, err error) {
	s.Driver.Vanish(s.plan.Share, s.random.Uint64())
	return func(context.Context) error {
		s.Driver.Vanish(0, 0)
		return nil
	}, nil
}

// converge says how long from now on it takes until a write succeeds at whichever node;
// nil: none did. It writes the plan of an account that no population has.
func (i *Injector) converge(ctx context.Context) *float64 {
	ctx, cancel := context.WithTimeout(ctx, convergeWait)
	defer cancel()
	begun := time.Now()
	wrote := make(chan time.Duration, len(i.Cluster.Nodes()))
	for _, node := range i.Cluster.Nodes() {
		if !node.Running() {
			continue
		}
		go func() {
			for ctx.Err() == nil {
				status, err := askOnce(ctx, node, http.MethodPut, fmt.Sprintf("/v1/accounts/%d", uint64(viewing.MaxAccountID)), `{"max_streams":2}`)
				if err == nil && status == http.StatusOK {
					wrote <- time.Since(begun)
					return
				}
				sleep(ctx, pollInterval)
			}
		}()
	}
	select {
	case after := <-wrote:
		ms := float64(after.Microseconds()) / 1000
		return &ms
	case <-ctx.Done():
		return nil
	}
}
