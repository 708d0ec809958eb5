package target

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/playhead-load/playhead/sim/target/wire"
)

// Rig is what a cluster is given so that it can be broken elsewhere than in its
// processes. Each part costs processor time.
type Rig struct {
	Wires    bool // the nodes reach each other by wires
	Doors    bool // their clients reach them by wires
	Requests bool // and these know where a request ends
	Inside   bool // the nodes' disks and clocks can be broken
}

// rigging is the wires of a cluster.
type rigging struct {
	between map[[2]string]*wire.Wire // by whom they are dialled and where they lead
	doors   map[string]*wire.Wire
}

// rig leads the wires and gives the nodes what they need to know of them. What it led
// is closed with the cluster.
func (c *Cluster) rig(r Rig, dataDir string) (err error) {
	c.rigging = rigging{between: map[[2]string]*wire.Wire{}, doors: map[string]*wire.Wire{}}
	for _, node := range c.nodes {
		if r.Inside {
			node.faults = filepath.Join(dataDir, node.ID+".faults")
			node.args = append(node.args, "--faults", node.faults)
		}
		if r.Wires {
			if err := c.wire(node); err != nil {
				return err
			}
		}
		lead := wire.Lead
		if r.Requests {
			lead = wire.LeadRequests
		}
		if r.Doors || r.Requests {
			if c.rigging.doors[node.ID], err = lead(strings.TrimPrefix(node.URL, "http://")); err != nil {
				return err
			}
		}
	}
	return nil
}

// wire leads a node's wires to all others.
func (c *Cluster) wire(node *Node) (err error) {
	var detours []string
	for _, to := range c.nodes {
		if to == node {
			continue
		}
		w, err := wire.Lead(to.Raft)
		if err != nil {
			return err
		}
		c.rigging.between[[2]string{node.ID, to.ID}] = w
		detours = append(detours, to.Raft+"="+w.Address)
	}
	if len(detours) > 0 {
		node.args = append(node.args, "--dial-through", strings.Join(detours, ","))
	}
	return nil
}

func (r rigging) close() error {
	var errs []error
	for _, w := range r.between {
		errs = append(errs, w.Close())
	}
	for _, w := range r.doors {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// Impose makes what one node says to another subject to conditions, until lift is
// called. The cluster must be rigged with wires.
func (c *Cluster) Impose(from, to *Node, conditions wire.Conditions) (lift func()) {
	there := c.rigging.between[[2]string{from.ID, to.ID}].There.Impose(conditions)
	back := c.rigging.between[[2]string{to.ID, from.ID}].Back.Impose(conditions)
	return func() { there(); back() }
}

// ImposeOnClients makes what clients say to a node, and what it answers, subject to
// conditions, until lift is called. The cluster must be rigged with doors.
func (c *Cluster) ImposeOnClients(of *Node, conditions wire.Conditions) (lift func()) {
	door := c.rigging.doors[of.ID]
	there, back := door.There.Impose(conditions), door.Back.Impose(conditions)
	return func() { there(); back() }
}

// URLs are where the nodes answer clients.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		urls[i] = node.URL
		if door := c.rigging.doors[node.ID]; door != nil {
			urls[i] = "http://" + door.Address
		}
	}
	return urls
}

// Others are all nodes but these.
func (c *Cluster) Others(these ...*Node) []*Node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *Node) bool { return slices.Contains(these, n) })
}
