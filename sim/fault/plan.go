package fault

import (
	"fmt"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/target"
)

// The kinds of fault.
const (
	Kill               = "kill"        // processes are killed (SIGKILL), and may be started again
	KillLeader         = "kill-leader" // the process of the leader is
	Pause              = "pause"
	Partition          = "partition"
	Network            = "network"
	Disk               = "disk"
	Clock              = "clock"
	TransferLeadership = "transfer-leadership"
	Membership         = "membership"
	RollingRestart     = "rolling-restart"
	Vanish             = "vanish"
)

// The targets: which nodes are hit. Where they leave a choice the seed decides.
const (
	Leader   = "leader"
	Follower = "follower"
	Random   = "random"
	Minority = "minority"
	Majority = "majority"
	All      = "all"
)

// The shapes of a partition.
const (
	ShapeOne             = "one"
	ShapeMajority        = "majority"
	ShapeRing            = "ring"
	ShapeOneWay          = "one-way"
	ShapeFlapping        = "flapping"
	ShapeLeaderFromPeers = "leader-from-peers"
)

// Which network.
const (
	BetweenNodes   = "nodes"
	BetweenClients = "clients" // and nodes
)

// Strobe says that a clock is set wrong and right again and again.
const Strobe = "strobe"

// Plan is one fault of a run, in the words of docs/scenario.md, which has the bounds
// that must be kept. What a kind does not know is zero.
type Plan struct {
	Kind      string
	Target    string
	At        time.Duration // from the beginning of the run
	Recovered bool          // not before every fault before it is over, and the target has recovered
	For       time.Duration // from its beginning until it is mended; 0: it never is, or ends by itself

	Shape         string
	Between       string
	Mode          string // of a disk or a clock
	Period        time.Duration
	Delay         time.Duration
	Jitter        time.Duration
	Loss          float64
	Duplicate     float64
	Reorder       float64
	BandwidthKbps int64
	Offset        time.Duration
	Share         float64
}

// RigFor is what a cluster must be rigged with for these faults, and no more.
func RigFor(plans []Plan) (rig target.Rig) {
	for _, p := range plans {
		switch p.Kind {
		case Partition:
			rig.Wires = true
			rig.Doors = rig.Doors || p.Shape == ShapeOne
		case Network:
			rig.Wires = rig.Wires || p.Between == BetweenNodes
			rig.Doors = rig.Doors || p.Between == BetweenClients
			rig.Requests = rig.Requests || p.Duplicate > 0 || p.Reorder > 0
		case Disk, Clock:
			rig.Inside = true
		}
	}
	return rig
}

// detail says what a fault is like, for those who read its record.
func (p *Plan) detail() string {
	var parts []string
	say := func(there bool, format string, args ...any) {
		if there {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(p.Shape != "", "%s", p.Shape)
	say(p.Between == BetweenNodes, "between nodes")
	say(p.Between == BetweenClients, "between clients and nodes")
	say(p.Mode != "", "%s", p.Mode)
	say(p.Offset != 0, "by %v", p.Offset)
	say(p.Period > 0, "every %v", p.Period)
	say(p.Delay > 0, "delay %v", p.Delay)
	say(p.Jitter > 0, "jitter %v", p.Jitter)
	say(p.Loss > 0, "loss %v", p.Loss)
	say(p.Duplicate > 0, "duplicate %v", p.Duplicate)
	say(p.Reorder > 0, "reorder %v", p.Reorder)
	say(p.BandwidthKbps > 0, "bandwidth %d kbit/s", p.BandwidthKbps)
	say(p.Share > 0, "share %v of the devices", p.Share)
	return strings.Join(parts, ", ")
}
