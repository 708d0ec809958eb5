package scenarios

import (
	"slices"
	"time"
)

// Fault is one thing that goes wrong on purpose. What its kind does not know is zero.
type Fault struct {
	At     time.Duration // from the start of the run
	When   FaultCondition
	Kind   FaultKind
	Target FaultTarget   // empty where the kind names it
	For    time.Duration // from its beginning until it is mended; 0: it never is, or ends by itself

	Shape         PartitionShape // of a partition
	Between       string         // of network: nodes or clients
	Mode          string         // of disk: slow, full or hang; of clock: bump or strobe
	Period        time.Duration  // of a flapping partition and a strobing clock, half of it broken
	Delay         time.Duration  // of network, and of a slow disk
	Jitter        time.Duration
	Loss          float64 // shares, 0 … 1
	Duplicate     float64
	Reorder       float64
	BandwidthKbps int64         // kilobits a second
	Offset        time.Duration // of a clock
	Share         float64       // of the devices, 0 … 1
}

// FaultCondition is what a fault waits for beside its time.
type FaultCondition string

// WhenRecovered lets a fault wait until every fault before it is over, and the target has
// recovered from it.
const WhenRecovered FaultCondition = "recovered"

// FaultKind names what goes wrong.
type FaultKind string

// The faults.
const (
	Kill               FaultKind = "kill"                // processes are killed (SIGKILL)
	KillLeader         FaultKind = "kill-leader"         // the process of the leader is
	Pause              FaultKind = "pause"               // processes are stopped (SIGSTOP), and go on
	Partition          FaultKind = "partition"           // nodes do not reach each other
	Network            FaultKind = "network"             // what is said comes late, and not at once
	Disk               FaultKind = "disk"                // disks are slow, full or hang
	Clock              FaultKind = "clock"               // clocks are wrong
	TransferLeadership FaultKind = "transfer-leadership" // another node is let lead
	Membership         FaultKind = "membership"          // a node is removed, and added again
	RollingRestart     FaultKind = "rolling-restart"     // every node in turn is ended (SIGTERM) and started
	Vanish             FaultKind = "vanish"              // devices fall silent
)

// FaultTarget says which nodes are hit. Where it leaves a choice the seed decides.
type FaultTarget string

// The targets.
const (
	TargetLeader   FaultTarget = "leader"
	TargetFollower FaultTarget = "follower"
	TargetRandom   FaultTarget = "random"   // one node
	TargetMinority FaultTarget = "minority" // the most that leave a majority
	TargetMajority FaultTarget = "majority" // the fewest that leave none
	TargetAll      FaultTarget = "all"
)

// PartitionShape says who does not reach whom.
type PartitionShape string

// The shapes.
const (
	ShapeOne             PartitionShape = "one"               // one node is cut off from the others and from its clients
	ShapeMajority        PartitionShape = "majority"          // a minority, with the target in it, from the others
	ShapeRing            PartitionShape = "ring"              // every node sees a majority, each another
	ShapeOneWay          PartitionShape = "one-way"           // one node hears the others, and is not heard
	ShapeFlapping        PartitionShape = "flapping"          // one node is cut off from the others again and again
	ShapeLeaderFromPeers PartitionShape = "leader-from-peers" // the leader from the others, not from its clients
)

// faultForm is what may, and must, be said of a kind of fault.
type faultForm struct {
	keys    []string // beside at, when and kind
	needs   []string // of them
	targets []FaultTarget
	nodes   int // at least
}

// all are the keys that may stand in a fault of the form.
func (f faultForm) all() []string { return append([]string{"at", "when", "kind"}, f.keys...) }

var (
	oneNode  = []FaultTarget{TargetLeader, TargetFollower, TargetRandom}
	anyNodes = []FaultTarget{TargetLeader, TargetFollower, TargetRandom, TargetMinority, TargetMajority, TargetAll}
	allFirst = []FaultTarget{TargetAll, TargetLeader, TargetFollower, TargetRandom, TargetMinority, TargetMajority}
	follower = []FaultTarget{TargetFollower, TargetLeader, TargetRandom}
)

// faultForms has every kind. The first of its targets is the default.
var faultForms = map[FaultKind]faultForm{
	Kill:       {keys: []string{"target", "for", "restart_after"}, targets: anyNodes, nodes: 1},
	KillLeader: {keys: []string{"for", "restart_after"}, nodes: 3},
	Pause:      {keys: []string{"target", "for"}, needs: []string{"for"}, targets: anyNodes, nodes: 1},
	Partition: {
		keys: []string{"target", "for", "shape", "period"}, needs: []string{"for", "shape"}, targets: oneNode, nodes: 3,
	},
	Network: {
		keys:  []string{"target", "for", "between", "delay", "jitter", "loss", "duplicate", "reorder", "bandwidth_kbps"},
		needs: []string{"for"}, targets: allFirst, nodes: 1,
	},
	Disk: {keys: []string{"target", "for", "mode", "delay"}, needs: []string{"for", "mode"}, targets: anyNodes, nodes: 1},
	Clock: {
		keys: []string{"target", "for", "mode", "offset", "period"}, needs: []string{"for", "mode", "offset"}, targets: anyNodes, nodes: 1,
	},
	TransferLeadership: {nodes: 3},
	Membership:         {keys: []string{"target", "for"}, needs: []string{"for"}, targets: follower, nodes: 3},
	RollingRestart:     {nodes: 1},
	Vanish:             {keys: []string{"for", "share"}, needs: []string{"for", "share"}, nodes: 1},
}

// FaultKinds lists the faults that can be injected.
func FaultKinds() []FaultKind {
	return []FaultKind{
		Kill, KillLeader, Pause, Partition, Network, Disk, Clock, TransferLeadership, Membership, RollingRestart, Vanish,
	}
}

func shapes() []PartitionShape {
	return []PartitionShape{ShapeOne, ShapeMajority, ShapeRing, ShapeOneWay, ShapeFlapping, ShapeLeaderFromPeers}
}

// needsTarget says whether the shape leaves open which node it is about.
func (s PartitionShape) needsTarget() bool { return s != ShapeRing && s != ShapeLeaderFromPeers }

// needsMajority says whether there must be more than one node for such a target.
func (t FaultTarget) needsMajority() bool {
	return slices.Contains([]FaultTarget{TargetFollower, TargetMinority}, t)
}
